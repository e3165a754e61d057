#include "apply/sqlite/encode_back.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "apply/meaning.hpp"
#include "db/postgres.hpp"
#include "proto/text.hpp"

namespace tidegate {
namespace {

// In the order in which they are tried.
using Candidates = std::vector<Value>;

template <typename Number>
std::optional<Number> whole_number(std::string_view text) {
  Number number{};
  const auto read = std::from_chars(text.data(), text.data() + text.size(), number);
  if (read.ec != std::errc() || read.ptr != text.data() + text.size()) return std::nullopt;
  return number;
}

// 5.00 is an integer as well: so SQLite keeps it in a column of numeric affinity.
std::optional<std::int64_t> integer_in(std::string_view text) {
  const std::size_t point = text.find('.');
  if (point != text.npos && text.find_first_not_of('0', point + 1) == text.npos) text = text.substr(0, point);
  return whole_number<std::int64_t>(text);
}

Candidates numbers(std::string_view text, const ReverseColumn& column) {
  Candidates candidates;
  if (column.affinity == Affinity::text) candidates.emplace_back(std::string(text));
  const auto integer = integer_in(text);
  const auto real = whole_number<double>(text);
  const bool rather_real = column.affinity == Affinity::real ||
                           column.forward.type == TargetType::double_precision ||
                           column.form.reals > column.form.integers;
  if (real && rather_real && !std::isnan(*real)) candidates.emplace_back(*real);
  if (integer) candidates.emplace_back(*integer);
  if (real && !rather_real && !std::isnan(*real)) candidates.emplace_back(*real);
  return candidates;
}

Candidates booleans(std::string_view text) {
  return {Value(std::int64_t{text == "t" || text == "true" ? 1 : 0})};
}

TimeSpelling usual_spelling(const ColumnForm& form) {
  const auto most = std::max_element(form.spellings.begin(), form.spellings.end(),
                                     [](const auto& a, const auto& b) { return a.values < b.values; });
  return most == form.spellings.end() ? TimeSpelling() : most->spelling;
}

void add_number(double number, const ColumnForm& form, Candidates& into) {
  const bool rather_real = form.reals > form.integers;
  if (rather_real) into.emplace_back(number);
  if (std::trunc(number) == number) into.emplace_back(static_cast<std::int64_t>(number));
  if (!rather_real) into.emplace_back(number);
}

Candidates moments(std::string_view text, const ReverseColumn& column) {
  constexpr double julian_epoch = 2440587.5, day_us = 86'400e6;
  const auto moment = moment_of(text);
  if (!moment) return {};
  const auto us = static_cast<double>(*moment);
  Candidates candidates;
  switch (column.forward.time_form) {
    case TimeForm::epoch_seconds:
      add_number(us / 1e6, column.form, candidates);
      return candidates;
    case TimeForm::epoch_milliseconds:
      add_number(us / 1e3, column.form, candidates);
      return candidates;
    case TimeForm::julian_day:
      candidates.emplace_back(us / day_us + julian_epoch);
      return candidates;
    case TimeForm::iso_text:
      break;
  }
  MomentKind kind = MomentKind::date_and_time;
  if (column.forward.type == TargetType::time) kind = MomentKind::time;
  const bool dates_alone = column.form.spellings.empty() || usual_spelling(column.form).date_alone;
  if (column.forward.type == TargetType::date && dates_alone) kind = MomentKind::date;
  if (auto iso = spelled(*moment, kind, usual_spelling(column.form)))
    candidates.emplace_back(std::move(*iso));
  return candidates;
}

Candidates bytes(std::string_view text, const ReverseColumn& column) {
  Blob blob{postgres::from_bytea(text)};
  Candidates candidates;
  const bool rather_text = column.form.texts > column.form.blobs && is_valid_utf8(blob.bytes);
  if (rather_text) candidates.emplace_back(blob.bytes);
  candidates.emplace_back(std::move(blob));
  return candidates;
}

Candidates candidates_for(const std::string& text, const ReverseColumn& column) {
  switch (column.forward.type) {
    case TargetType::bigint:
    case TargetType::double_precision:
    case TargetType::numeric:
      return numbers(text, column);
    case TargetType::boolean:
      return booleans(text);
    case TargetType::timestamptz:
    case TargetType::date:
    case TargetType::time:
      return moments(text, column);
    case TargetType::bytea:
      return bytes(text, column);
    case TargetType::text:
    case TargetType::varchar:
    case TargetType::jsonb:
    case TargetType::native:
      break;
  }
  return {Value(text)};
}

// What SQLite has of a value once it is stored: a real without a fraction is an integer in these two.
Value stored(Value value, Affinity affinity) {
  constexpr double two_to_63 = 9223372036854775808.0;
  const auto* real = std::get_if<double>(&value);
  const bool integral = affinity == Affinity::integer || affinity == Affinity::numeric;
  if (real && integral && std::trunc(*real) == *real && std::fabs(*real) < two_to_63)
    return static_cast<std::int64_t>(*real);
  return with_affinity(std::move(value), affinity);
}

// The length that a column declares says nothing to SQLite.
ColumnPlan judge_of(const ReverseColumn& column) {
  ColumnPlan judge = column.forward;
  if (judge.type == TargetType::varchar) judge.precision = 0;
  return judge;
}

Misfit misfit_of(const ReverseColumn& column) {
  return column.forward.type == TargetType::text || column.forward.type == TargetType::varchar
             ? Misfit::wrong_class
             : Misfit::out_of_range;
}

}  // namespace

std::variant<Value, Misfit> encode_back(const Value& target, const ReverseColumn& column, const Value* held) {
  const ColumnPlan judge = judge_of(column);
  const auto* text = std::get_if<std::string>(&target);
  if (!text) {
    if (held && means_null(*held, judge)) return *held;
    if (column.not_null) return Misfit::null_key;
    return Value(Null{});
  }
  if (held && means(*held, *text, judge)) return *held;
  for (Value& candidate : candidates_for(*text, column)) {
    Value value = stored(std::move(candidate), column.affinity);
    if (means(value, *text, judge)) return value;
  }
  return misfit_of(column);
}

}  // namespace tidegate
