// Sequences of the target while it follows a source that gives out the ids.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "db/postgres.hpp"

namespace tidegate {

// Moves the target's sequence of that name beyond what the source has reached, by a margin, if it is not
// there yet. Nothing happens where the target has no such sequence. Sequences do not roll back, and never go
// back here.
void lift_sequence(postgres::Connection& target, const std::string& schema, const std::string& name,
                   std::int64_t reached, std::int64_t increment);

struct SequenceEnd {
  std::string schema, name;
  std::int64_t last = 0;  // what was given out last
};
// While nobody draws from any of them: they go on exactly behind these, forwards or backwards. Those that are
// not there are passed over.
void set_sequences_exactly(postgres::Connection& target, const std::vector<SequenceEnd>& ends);

}  // namespace tidegate
