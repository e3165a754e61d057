// A place in the history that a journal holds.
#pragma once

#include <cstdint>
#include <string>

namespace tidegate {

// Sequence 0 with an empty digest is the beginning. The digests chain, so equal positions mean equal
// histories.
struct Position {
  std::string incarnation;  // of the journal: a UUID made with it
  std::uint64_t sequence = 0;
  std::string digest;  // hex
  bool operator==(const Position&) const = default;
};

}  // namespace tidegate
