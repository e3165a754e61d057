// How the target's enums follow the source's, whose labels come and are renamed without any event. Pure.
#pragma once

#include <string>
#include <vector>

#include "capture/postgres/enums.hpp"

namespace tidegate {

struct EnumChange {
  std::string type;       // "public.mood"
  std::string what;       // "got the label 'calm'", "calls the label 'sad' 'blue'"
  std::string statement;  // for the target, in the order of the changes
};

// `before`, `now`: the source's; `target`: what is there of them. A label that was renamed is renamed, so
// that the rows that have it change as they did at the source; a new one is put where it is at the source.
// What the target has beyond that is left alone. Nothing for types that the target does not have.
std::vector<EnumChange> enum_changes(const std::vector<capture::EnumType>& before,
                                     const std::vector<capture::EnumType>& now,
                                     const std::vector<capture::EnumType>& target);

// Does one label have the name now that another one had? Then a row that was written meanwhile may have been
// taken for the other.
bool names_were_handed_on(const capture::EnumType& before, const capture::EnumType& now);

}  // namespace tidegate
