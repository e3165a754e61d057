// Transactions that are not committed yet, in files of the state directory: one for each top-level
// transaction, mode 0600. Nothing in it is needed after a restart, since the server sends such transactions
// again.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <string_view>

#include "db/error.hpp"

namespace tidegate {

// All transactions together have more bytes than the spool may hold, or than the disk has room for.
class SpoolFull : public Error {
 public:
  explicit SpoolFull(const std::string& message) : Error(message, "spool-full", Advice::retry) {}
};

class Spool {
 public:
  // Makes the folder where it is not there, and removes what an earlier run left.
  explicit Spool(std::string directory, std::uint64_t limit = UINT64_MAX);
  ~Spool();
  Spool(const Spool&) = delete;
  Spool& operator=(const Spool&) = delete;

  // Throws SpoolFull. `kept`: is read back even where the subtransaction is aborted.
  void append(std::uint32_t transaction, std::uint32_t subtransaction, std::string_view message, bool kept);
  // Brings what was appended to the file and closes it: between stretches of a stream no file is open.
  void rest();
  void abort(std::uint32_t transaction, std::uint32_t subtransaction);
  // What was appended, in order, but for subtransactions that were aborted. A message lives for its call.
  void read(std::uint32_t transaction, const std::function<void(std::string_view message)>& receive);
  void remove(std::uint32_t transaction);

  std::uint64_t bytes() const { return bytes_; }  // on disk, of all transactions

 private:
  struct File {
    std::uint64_t bytes = 0;
    std::set<std::uint32_t> aborted;
  };
  std::string path_of(std::uint32_t transaction) const;
  void write_out();

  std::string directory_;
  std::uint64_t limit_, bytes_ = 0;
  std::map<std::uint32_t, File> files_;
  std::uint32_t current_ = 0;  // whose bytes are in the buffer
  std::string buffer_;
};

}  // namespace tidegate
