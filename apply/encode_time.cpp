#include <chrono>
#include <cmath>

#include "apply/encode_parts.hpp"
#include "apply/time_form.hpp"
#include "apply/time_text.hpp"
#include "proto/iso_time.hpp"

namespace tidegate::encoding {
namespace {

constexpr std::int64_t kMicro = 1'000'000;
constexpr std::int64_t kDayMs = 86'400'000;
constexpr double kJulianEpoch = 2440587.5;        // 1970-01-01 00:00
constexpr double kFirstSecond = -62135596800.0;   // year 1
constexpr double kEndOfSeconds = 253402300800.0;  // year 10000
constexpr unsigned kMostFractionDigits = 6;

// Microseconds since 1970, or nothing outside of the years 1 to 9999.
std::optional<std::int64_t> from_seconds(double seconds) {
  if (!(seconds >= kFirstSecond && seconds < kEndOfSeconds)) return std::nullopt;
  const double whole = std::floor(seconds);
  return static_cast<std::int64_t>(whole) * kMicro + std::llround((seconds - whole) * 1e6);
}

std::optional<std::int64_t> from_milliseconds(double milliseconds) {
  if (!(milliseconds >= kFirstSecond * 1e3 && milliseconds < kEndOfSeconds * 1e3)) return std::nullopt;
  const double whole = std::floor(milliseconds);
  return static_cast<std::int64_t>(whole) * 1000 + std::llround((milliseconds - whole) * 1e3);
}

// To the millisecond, which is as far as SQLite itself reads a Julian day.
std::optional<std::int64_t> from_julian_day(double day) {
  const double days = day - kJulianEpoch;
  if (!(days >= kFirstSecond / 86400 && days < kEndOfSeconds / 86400)) return std::nullopt;
  return std::llround(days * static_cast<double>(kDayMs)) * 1000;
}

std::optional<std::int64_t> microseconds(double number, TimeForm form) {
  switch (form) {
    case TimeForm::epoch_seconds:
      return from_seconds(number);
    case TimeForm::epoch_milliseconds:
      return from_milliseconds(number);
    case TimeForm::julian_day:
      return from_julian_day(number);
    case TimeForm::iso_text:
      break;
  }
  return std::nullopt;
}

Refusal write_moment(std::int64_t since_1970, TargetType type, bool may_cut, std::string& out) {
  if (type == TargetType::timestamptz) return append_timestamp(since_1970, out), std::nullopt;
  const std::chrono::sys_time<std::chrono::microseconds> moment{std::chrono::microseconds(since_1970)};
  const auto day = std::chrono::floor<std::chrono::days>(moment);
  if (type != TargetType::date || (moment != day && !may_cut)) return Misfit::not_a_time;
  append_date(day, out);
  return std::nullopt;
}

Refusal write_number(double number, const ColumnPlan& column, std::string& out) {
  if (column.type == TargetType::time || !std::isfinite(number)) return Misfit::not_a_time;
  if (column.time_form == TimeForm::iso_text) return misfit_of_bare_number(number);
  const auto since_1970 = microseconds(number, column.time_form);
  return since_1970 ? write_moment(*since_1970, column.type, false, out) : Misfit::out_of_range;
}

// Without more of the fraction than Postgres keeps.
void append_to_microseconds(std::string_view text, const IsoTime& time, std::string& out) {
  if (time.fraction_digits <= kMostFractionDigits) {
    out += text;
    return;
  }
  const std::size_t point = text.find('.');
  out += text.substr(0, point + 1 + kMostFractionDigits);
  out += text.substr(time.fraction_end);
}

// Postgres reads a time with a zone into a column without one by leaving the zone away.
bool loses_zone(std::string_view text, const IsoTime& time, const ColumnPlan& column) {
  if (!time.has_zone || column.existing_type != "timestamp without time zone") return false;
  const std::string_view zone = text.substr(time.fraction_end);
  return zone.find_first_of("123456789") != zone.npos;
}

Refusal write_iso(std::string_view text, const IsoTime& time, const ColumnPlan& column, bool may_cut,
                  std::string& out) {
  const TargetType type = column.type;
  if (loses_zone(text, time, column)) return Misfit::not_a_time;
  if (type == TargetType::date) {
    if (!time.has_date || (!may_cut && (time.has_zone || !time.is_midnight()))) return Misfit::not_a_time;
    out += text.substr(0, 10);
    return std::nullopt;
  }
  if (time.has_date != (type == TargetType::timestamptz)) return Misfit::not_a_time;
  if (time.fraction_digits > kMostFractionDigits && !may_cut) return Misfit::out_of_range;
  append_to_microseconds(text, time, out);
  if (!time.has_date) return std::nullopt;
  if (!time.has_time) out += " 00:00:00";
  if (!time.has_zone) out += "+00";  // a naive time is UTC
  return std::nullopt;
}

Refusal write_string(std::string_view text, const ColumnPlan& column, std::string& out) {
  if (text.empty()) return Misfit::empty;
  if (const auto time = parse_iso_time(text)) return write_iso(text, *time, column, false, out);
  return is_zero_date(text) ? Misfit::zero_date : Misfit::not_a_time;
}

bool convert_number(double number, const ColumnPlan& column, std::string& out) {
  const TimeForm form = column.time_form == TimeForm::iso_text ? likely_form(number) : column.time_form;
  const auto since_1970 = microseconds(number, form);
  return since_1970 && !write_moment(*since_1970, column.type, true, out);
}

}  // namespace

Refusal write_time(const Value& value, const ColumnPlan& column, std::string& out) {
  if (const auto* text = std::get_if<std::string>(&value)) return write_string(*text, column, out);
  if (const auto* integer = std::get_if<std::int64_t>(&value)) {
    return write_number(static_cast<double>(*integer), column, out);
  }
  if (const auto* real = std::get_if<double>(&value)) return write_number(*real, column, out);
  return Misfit::wrong_class;
}

bool convert_to_time(const Value& value, const ColumnPlan& column, std::string& out) {
  if (const auto* text = std::get_if<std::string>(&value)) {
    const auto time = parse_iso_time(*text);
    return time && !write_iso(*text, *time, column, true, out);
  }
  if (const auto* integer = std::get_if<std::int64_t>(&value)) {
    return convert_number(static_cast<double>(*integer), column, out);
  }
  const auto* real = std::get_if<double>(&value);
  return real && convert_number(*real, column, out);
}

}  // namespace tidegate::encoding
