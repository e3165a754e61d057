// Which transactions a snapshot of a Postgres server sees. Pure.
#pragma once

#include <cstdint>
#include <string_view>
#include <unordered_set>

namespace tidegate::verify {

class XidSnapshot {
 public:
  // As pg_current_snapshot() prints it: "xmin:xmax:xip,xip". Throws std::invalid_argument.
  explicit XidSnapshot(std::string_view text);
  // Of a transaction that has committed, by its top-level id as the stream gives it (without the epoch).
  bool sees(std::uint32_t xid) const;

 private:
  std::uint64_t next_ = 0;  // from here on nothing is seen
  std::unordered_set<std::uint64_t> in_progress_;
};

}  // namespace tidegate::verify
