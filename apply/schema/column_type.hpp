// The target's type of one column: from what it is declared as and from what it holds. Pure.
#pragma once

#include <string>
#include <vector>

#include "apply/plan.hpp"

namespace tidegate {

// Why a type is not simply the declared one; for a finding.
struct TypeNote {
  Finding::Level level = Finding::Level::note;
  std::string code;
  std::string message;  // goes on after "column "t"."c" "
  std::string mend;
};

// Sets type, precision, scale and time_form; `column.rules` are already there, and one that says `text` makes
// it text.
std::vector<TypeNote> choose_type(ColumnPlan& column, const SourceColumn& source,
                                  const ColumnMeasure& measure);

// The measured values that will not fit, by reason, as the encoder will see them. Rules are not looked at.
struct MisfitCount {
  Misfit misfit;
  std::uint64_t rows = 0;
};
std::vector<MisfitCount> count_misfits(const ColumnPlan& column, const ColumnMeasure& measure);

}  // namespace tidegate
