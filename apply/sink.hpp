// What takes changes to a target, one target transaction at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "apply/chunk_map.hpp"
#include "proto/change.hpp"
#include "proto/position.hpp"

namespace tidegate {

// Changes of whole source transactions are added in commit order, then written. A source transaction that is
// too long for memory is spilled in between; it stays in one target transaction. After an Error the sink and
// its session are given up: nothing was written, unless the advice is in_doubt.
class Sink {
 public:
  virtual ~Sink() = default;

  // What the target has, all of it and no more.
  virtual const Position& position() const = 0;

  virtual void add(const Relation& relation, Change change) = 0;
  virtual std::size_t rows() const = 0;   // added since the last write or spill
  virtual std::size_t bytes() const = 0;  // memory held, about

  // One target transaction: what was added, the quarantine, and the position. Closes the long transaction
  // where one is open.
  virtual void write(const Position& to) = 0;
  // Begins the long transaction, or goes on with it, and writes what was added into it. `sequence` is where
  // the stream stands.
  virtual void spill(std::uint64_t sequence) = 0;
  // The same, but the server may still be at it when this returns, and what it refuses is met by the next
  // call: until that one, which is of this sink, nothing else may use the session.
  virtual void pass_on(std::uint64_t sequence) { spill(sequence); }
  // Within the long transaction: deletes the rows with these keys, and no others.
  virtual void remove_ranges(const Relation& relation, const ChunkMap::Key& key,
                             const std::vector<KeyRange>& ranges) = 0;
};

}  // namespace tidegate
