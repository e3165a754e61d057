#include "apply/mapping/functions/epoch.hpp"

#include <chrono>
#include <cmath>

#include "apply/time_text.hpp"
#include "proto/iso_time.hpp"

namespace tidegate {
namespace {

constexpr std::int64_t million = 1'000'000;
constexpr std::int64_t first = -62'135'596'800 * million;  // year 1
constexpr std::int64_t end = 253'402'300'800 * million;    // year 10000

std::int64_t microseconds_in(TimeUnit unit) {
  return unit == TimeUnit::second ? million : unit == TimeUnit::millisecond ? 1000 : 1;
}

std::optional<std::string> text_of(std::int64_t since_1970) {
  if (since_1970 < first || since_1970 >= end) return std::nullopt;
  std::string out;
  append_timestamp(since_1970, out);
  return out;
}

std::int64_t floor_divide(std::int64_t number, std::int64_t by) {
  return number / by - (number % by < 0 ? 1 : 0);
}

// Of ".25" 250,000; what follows six digits is cut off.
std::int64_t fraction_of(std::string_view text, const IsoTime& time) {
  const std::size_t point = text.substr(0, time.fraction_end).find('.');
  std::int64_t out = 0;
  for (std::size_t i = 1; i <= 6; ++i) {
    const bool there = point != text.npos && point + i < time.fraction_end;
    out = out * 10 + (there ? text[point + i] - '0' : 0);
  }
  return out;
}

}  // namespace

std::optional<std::string> epoch_to_iso(std::int64_t count, TimeUnit unit) {
  const std::int64_t scale = microseconds_in(unit);
  if (count < first / scale || count >= end / scale) return std::nullopt;
  return text_of(count * scale);
}

std::optional<std::string> epoch_to_iso(double count, TimeUnit unit) {
  const auto scale = static_cast<double>(microseconds_in(unit));
  if (!(count >= static_cast<double>(first) / scale && count < static_cast<double>(end) / scale))
    return std::nullopt;
  // Whole and fraction apart, so that a fraction in the source comes out as it was written. A double of today
  // has 22 binary digits for the fraction of a second: the sixth decimal is right when it is rounded.
  const double whole = std::floor(count);
  return text_of(static_cast<std::int64_t>(whole) * microseconds_in(unit) +
                 std::llround((count - whole) * scale));
}

std::optional<std::int64_t> iso_to_epoch(std::string_view text, TimeUnit unit) {
  const auto time = parse_iso_time(text);
  if (!time || !time->has_date) return std::nullopt;
  const std::chrono::sys_days day(std::chrono::year(time->year) / time->month / time->day);
  const std::int64_t minutes = time->hour * 60 + time->minute - time->zone_minutes;
  const std::int64_t seconds = day.time_since_epoch().count() * 86'400LL + minutes * 60 + time->second;
  return floor_divide(seconds * million + fraction_of(text, *time), microseconds_in(unit));
}

}  // namespace tidegate
