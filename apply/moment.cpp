#include "apply/moment.hpp"

#include <fmt/format.h>

#include <chrono>

#include "proto/iso_time.hpp"

namespace tidegate {
namespace {

using namespace std::chrono;

constexpr std::int64_t second_us = 1'000'000, minute_us = 60 * second_us, day_us = 86'400 * second_us;
constexpr unsigned most_digits = 6;

// Of the digits between the point and `end`.
std::int64_t fraction_us(std::string_view text, const IsoTime& time) {
  if (time.fraction_digits == 0) return 0;
  std::int64_t us = 0;
  const std::size_t first = text.substr(0, time.fraction_end).rfind('.') + 1;
  for (std::size_t i = 0; i < most_digits; ++i) {
    const std::size_t at = first + i;
    us = us * 10 + (at < time.fraction_end ? text[at] - '0' : 0);
  }
  return us;
}

std::string_view zone_in(std::string_view text, const IsoTime& time) {
  std::string_view zone = time.has_zone ? text.substr(time.fraction_end) : std::string_view();
  while (zone.starts_with(' ')) zone.remove_prefix(1);
  return zone;
}

// Of a zone that parse_iso_time() has read: Z, ±hh, ±hhmm, ±hh:mm.
std::int64_t offset_us(std::string_view zone) {
  if (zone.empty() || zone == "Z") return 0;
  const auto number = [&](std::size_t at) { return (zone[at] - '0') * 10 + (zone[at + 1] - '0'); };
  const std::size_t minutes_at = zone.size() == 6 ? 4 : 3;
  const int minutes = number(1) * 60 + (zone.size() > 3 ? number(minutes_at) : 0);
  return (zone[0] == '-' ? -1 : 1) * minutes * minute_us;
}

std::int64_t midnight_us(const IsoTime& time) {
  if (!time.has_date) return 0;
  const year_month_day date{year(time.year), month(static_cast<unsigned>(time.month)),
                            day(static_cast<unsigned>(time.day))};
  return duration_cast<microseconds>(sys_days(date).time_since_epoch()).count();
}

std::string digits_of(std::int64_t us, TimeSpelling::Fraction fraction) {
  using Fraction = TimeSpelling::Fraction;
  if (fraction == Fraction::where_needed && us == 0) return "";
  if (fraction == Fraction::milliseconds && us % 1000 == 0) return fmt::format(".{:03}", us / 1000);
  std::string digits = fmt::format(".{:06}", us);
  if (fraction == Fraction::where_needed) digits.erase(digits.find_last_not_of('0') + 1);
  return digits;
}

std::string time_of_day(std::int64_t us, const TimeSpelling& spelling) {
  std::string text = fmt::format("{:02}:{:02}", us / minute_us / 60, us / minute_us % 60);
  if (!spelling.seconds && us % minute_us == 0) return text;
  text += fmt::format(":{:02}", us % minute_us / second_us);
  return text + digits_of(us % second_us, spelling.fraction);
}

}  // namespace

std::optional<std::int64_t> moment_of(std::string_view text) {
  const auto time = parse_iso_time(text);
  if (!time || time->fraction_digits > most_digits) return std::nullopt;
  const std::int64_t of_day = ((time->hour * 60LL + time->minute) * 60 + time->second) * second_us;
  return midnight_us(*time) + of_day + fraction_us(text, *time) - offset_us(zone_in(text, *time));
}

std::optional<TimeSpelling> spelling_of(std::string_view text) {
  using Fraction = TimeSpelling::Fraction;
  const auto time = parse_iso_time(text);
  if (!time) return std::nullopt;
  TimeSpelling spelling;
  spelling.zone = zone_in(text, *time);
  if (offset_us(spelling.zone) != 0) return std::nullopt;
  spelling.date_alone = time->has_date && !time->has_time;
  if (time->has_date && time->has_time) spelling.separator = text[10];
  if (!time->has_time) return spelling;
  const std::size_t start = time->has_date ? 11 : 0;
  const std::string_view of_day = text.substr(start, time->fraction_end - start);
  spelling.seconds = of_day.size() > 5;
  const std::size_t digits = of_day.size() > 9 ? of_day.size() - 9 : 0;
  spelling.fraction = digits == 6   ? Fraction::microseconds
                      : digits == 3 ? Fraction::milliseconds
                                    : Fraction::where_needed;
  return spelling;
}

std::optional<std::string> spelled(std::int64_t moment, MomentKind kind, const TimeSpelling& spelling) {
  if (kind == MomentKind::time) {
    if (moment < 0 || moment >= day_us) return std::nullopt;
    return time_of_day(moment, spelling) + spelling.zone;
  }
  const sys_time<microseconds> at{microseconds(moment)};
  const auto midnight = floor<days>(at);
  const year_month_day date(midnight);
  const int in_year = static_cast<int>(date.year());
  if (in_year < 1 || in_year > 9999) return std::nullopt;
  const auto of_day = duration_cast<microseconds>(at - midnight).count();
  std::string text = fmt::format("{:04}-{:02}-{:02}", in_year, static_cast<unsigned>(date.month()),
                                 static_cast<unsigned>(date.day()));
  if (kind == MomentKind::date || (spelling.date_alone && of_day == 0)) return text;
  return text + spelling.separator + time_of_day(of_day, spelling) + spelling.zone;
}

}  // namespace tidegate
