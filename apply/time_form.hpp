// Which numbers are likely to be points in time. The planner and the encoder share this, so that they agree.
#pragma once

#include <cmath>
#include <optional>

#include "apply/plan.hpp"

namespace tidegate {

// Julian days from 1800 to 2200. Seconds (1973 to 5138) and milliseconds (from 1973) are told apart by
// magnitude: the same number as the other would lie before 1973 or far beyond any plausible date.
inline bool is_likely_julian_day(double number) {
  return number >= 2378496.5 && number < 2524593.5;
}
inline bool is_likely_seconds(double number) {
  return std::fabs(number) >= 1e8 && std::fabs(number) < 1e11;
}
inline bool is_likely_milliseconds(double number) {
  return std::fabs(number) >= 1e11 && std::fabs(number) < 253402300800000.0;
}

// The form of one number that stands alone; iso_text where it is none of them. 0 is taken for the epoch.
inline TimeForm likely_form(double number) {
  if (is_likely_julian_day(number)) return TimeForm::julian_day;
  if (number == 0 || is_likely_seconds(number)) return TimeForm::epoch_seconds;
  return is_likely_milliseconds(number) ? TimeForm::epoch_milliseconds : TimeForm::iso_text;
}

// Why a number does not fit into a column whose times are written as text.
inline Misfit misfit_of_bare_number(double number) {
  switch (likely_form(number)) {
    case TimeForm::julian_day:
      return Misfit::julian;
    case TimeForm::iso_text:
      return Misfit::not_a_time;
    default:
      return Misfit::epoch;
  }
}

}  // namespace tidegate
