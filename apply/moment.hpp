// Points in time as numbers, and back in the spelling of an application. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace tidegate {

// Microseconds since 1970 (UTC; a text without a zone is UTC, a date alone its midnight); of a time of day
// alone, since midnight. Nothing for texts that parse_iso_time() does not read, and for more digits than
// microseconds.
std::optional<std::int64_t> moment_of(std::string_view text);

// How an application writes moments in text. The default is SQLAlchemy's.
struct TimeSpelling {
  char separator = ' ';  // between date and time of day
  bool seconds = true;   // false: HH:MM where they are 0
  enum class Fraction { where_needed, milliseconds, microseconds } fraction = Fraction::microseconds;
  std::string zone;         // behind the time: "", "Z", "+00:00"
  bool date_alone = false;  // at midnight the date stands alone
  bool operator==(const TimeSpelling&) const = default;
};
// The spelling of a text that moment_of() reads; nothing where it has a zone other than UTC.
std::optional<TimeSpelling> spelling_of(std::string_view text);

enum class MomentKind { date, time, date_and_time };
// Nothing outside of the years 1 to 9999. A fraction takes as many digits as it needs, whatever the spelling.
std::optional<std::string> spelled(std::int64_t moment, MomentKind kind, const TimeSpelling& spelling);

}  // namespace tidegate
