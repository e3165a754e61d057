// What keeps the writers of a live database waiting: one transaction, in a process of its own
// (hold_process.hpp). Its end without commit() is a ROLLBACK, whatever ended it.
#pragma once

#include <chrono>
#include <memory>
#include <string>

namespace tidegate::cutover {

class Holder {
 public:
  virtual ~Holder() = default;
  // Begins; false where the lock was not to be had in time. Throws Error for all else.
  virtual bool lock(const std::string& request, std::chrono::milliseconds wait) = 0;
  // Within the hold. Throws Error.
  virtual void run(const std::string& sql) = 0;
  // Durable when it returns. Throws Error; then it may be committed or not.
  virtual void commit() = 0;
};

// BEGIN IMMEDIATE on a SQLite file; needs no request for that.
std::unique_ptr<Holder> hold_file(const std::string& path);

// A transaction of a Postgres server that locks tables against writers. The request is a statement, and the
// tables' names, each behind a NUL. The server itself ends the transaction where no statement comes for
// `max_hold`, so that a stopped or cut-off process keeps nobody waiting.
std::unique_ptr<Holder> hold_tables(const std::string& url, std::chrono::milliseconds max_hold);

}  // namespace tidegate::cutover
