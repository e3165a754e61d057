// The drop rule: a change that a snapshot chunk already showed is not applied again. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "proto/change.hpp"

namespace tidegate {

// The chunks of a table follow each other in key order without gaps; the first begins before all keys, the
// last ends after all. Each was read at a position of the journal.
class ChunkMap {
 public:
  // In key order; `up_to` empty for the last one.
  void add(const std::string& table, Row up_to, std::uint64_t sequence);

  // The table's chunks were copied without columns that it has by now: all changes from here on are applied,
  // those that a chunk showed too. That goes back in time for a while, which is harmless until the newest
  // chunk is passed.
  void forget(const std::string& table) { chunks_.erase(table); }

  // Was the change at `sequence` visible when its key's chunk was read? False for a table without chunks.
  bool already_copied(const Relation& relation, const Change& change, std::uint64_t sequence) const;
  // Past this position nothing is dropped any more.
  std::uint64_t newest() const { return newest_; }

 private:
  struct Bound {
    Row up_to;
    std::uint64_t sequence = 0;
  };
  std::map<std::string, std::vector<Bound>> chunks_;
  std::uint64_t newest_ = 0;
};

}  // namespace tidegate
