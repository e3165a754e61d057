// From a source's value to the text form that Postgres reads: exactly, or not at all.
#pragma once

#include <string>

#include "apply/plan.hpp"
#include "proto/value.hpp"

namespace tidegate {

struct Encoded {
  enum class State {
    value,   // its text was appended
    null,    // SQL NULL; nothing was appended
    misfit,  // it does not fit and no rule mends it: the row belongs in quarantine; nothing was appended
  } state;
  Misfit misfit = Misfit::wrong_class;  // State::misfit only: why
  bool operator==(const Encoded&) const = default;
};

// Appends the text of `value` for `column`, by the column's rules where it does not fit. What Postgres would
// round, cut or reject is a misfit, unless a rule says otherwise.
Encoded encode(const Value& value, const ColumnPlan& column, std::string& out);

// The same as a field of a COPY line in text format (escaped, or \N) and as an element of an array literal
// (quoted where needed, or NULL). Separators are the caller's.
Encoded encode_copy_field(const Value& value, const ColumnPlan& column, std::string& line);
Encoded encode_array_element(const Value& value, const ColumnPlan& column, std::string& literal);

}  // namespace tidegate
