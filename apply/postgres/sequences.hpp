// Sequences of one side while, and after, it follows another that gives out the ids.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "db/postgres.hpp"

namespace tidegate {

// How far a sequence of the other side is, and whose it is here: what `column` draws from, by ownership or by
// its default, whatever its name; the one of the same name where the column draws from several, or from none.
struct SequenceEnd {
  std::string schema, name;  // on the other side; empty: not by name
  std::string table;         // here, quoted
  std::string column;        // not quoted
  std::int64_t last = 0;     // what was given out last
  std::int64_t increment = 1;
};

// Moves them beyond what the other side has reached, by a margin, if they are not there yet. Those that are
// not here are passed over. Sequences do not roll back, and never go back here.
void lift_sequences(postgres::Connection& here, const std::vector<SequenceEnd>& ends);

// The same without a margin, if they are behind.
void raise_sequences(postgres::Connection& here, const std::vector<SequenceEnd>& ends);

// While nobody draws from any of them: they go on exactly behind these, forwards or backwards. Those that are
// not here are passed over.
void set_sequences_exactly(postgres::Connection& here, const std::vector<SequenceEnd>& ends);

struct SequenceHere {
  bool is_there = false;
  bool is_owned = false;     // by the column
  bool may_be_set = true;    // by our role
  bool has_default = false;  // the column, of whatever kind
};
// One for each of `ends`. Changes nothing.
std::vector<SequenceHere> look_for_sequences(postgres::Connection& here,
                                             const std::vector<SequenceEnd>& ends);

}  // namespace tidegate
