// Dates and times as SQLite applications write them in text.
#pragma once

#include <optional>
#include <string_view>

namespace tidegate {

// A date, a date with a time of day, or a time of day. Each field is in its calendar range; the year is 1 to
// 9999.
struct IsoTime {
  bool has_date = false, has_time = false, has_zone = false;
  int year = 0, month = 0, day = 0;
  int hour = 0, minute = 0, second = 0;  // to 23, 59 and 59
  unsigned fraction_digits = 0;          // without trailing zeros
  std::size_t fraction_end = 0;          // where the text's fraction ends, or would stand
  int zone_minutes = 0;                  // east of UTC; 0 where there is no zone
  bool is_midnight() const { return hour == 0 && minute == 0 && second == 0 && fraction_digits == 0; }
};

// YYYY-MM-DD, or that and [ T]HH:MM[:SS[.f]] and an optional zone (Z, or [+-]hh[[:]mm] up to 15:59, after an
// optional blank), or HH:MM[:SS[.f]] alone; nothing else around it.
std::optional<IsoTime> parse_iso_time(std::string_view text);

// Begins with 0000-00-00: MySQL's and many an application's word for "no date".
bool is_zero_date(std::string_view text);

}  // namespace tidegate
