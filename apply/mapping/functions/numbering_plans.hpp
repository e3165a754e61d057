// How telephone numbers are dialled in a region. Pure data.
//
// Taken instead of libphonenumber: its development package cannot stand beside Boost 1.81's (it
// wants 1.74's), its runtime library has no door in C, and Evolution's, which has one, brings GLib and a mail
// library along. So a number is checked for its length only, not for whether its digits are given out. Where
// a plan knows carrier codes or numbers without an area code, these stay as written and are refused by their
// length.
#pragma once

#include <span>
#include <string_view>

namespace tidegate {

struct NumberingPlan {
  std::string_view region;  // ISO 3166, two capital letters
  unsigned calling_code;
  std::string_view trunk;          // dialled before a national number, and no part of it; may be empty
  std::string_view international;  // dialled before a calling code
  unsigned shortest, longest;      // digits of a national number, area code included
};

// Null where there is no such region.
const NumberingPlan* numbering_plan(std::string_view region);
std::span<const NumberingPlan> numbering_plans();

}  // namespace tidegate
