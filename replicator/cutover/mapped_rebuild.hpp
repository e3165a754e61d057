// Rows of mapped tables in a way back that is built anew: all of the target's go the way of the running one,
// and legacy rows that it does not have go. README.md, "A way back that is built anew".
#pragma once

#include <cstddef>
#include <functional>
#include <stop_token>
#include <string>

#include "apply/mapping/back/mapped_return.hpp"
#include "apply/mapping/back/returned_rows.hpp"
#include "apply/mapping/back/spooled_rows.hpp"
#include "apply/sink.hpp"
#include "db/postgres.hpp"
#include "proto/position.hpp"
#include "replicator/cutover/way_back.hpp"

namespace tidegate::cutover {

class MappedRebuild {
 public:
  struct Ends {
    postgres::Connection& target;  // in the transaction that `rows` reads by
    std::string pipeline;
    Sink& sink;  // writes what `rows` makes
    const Position& start;
    const WayBack::Tell& tell;
    const std::stop_token& stop;
  };
  // All of them outlive it.
  MappedRebuild(MappedReturn& rows, Ends ends) : rows_(rows), ends_(std::move(ends)) {}

  // Each can be done again, and is a series of transactions.
  void remove_surplus();
  void write();
  // Tries those that were kept out again, all together, as long as there are fewer each time.
  void settle(const std::function<std::size_t()>& rejects);
  // What the target holds without its parent is named, where the legacy database does not hold such rows.
  void hold_orphans();

 private:
  void remove_surplus(ReturnedRows& table);
  void note_what_is_there(ReturnedRows& table, SpooledRows& there);
  std::size_t remove(ReturnedRows& table, SpooledRows& surplus);
  void flush();

  MappedReturn& rows_;
  Ends ends_;
};

}  // namespace tidegate::cutover
