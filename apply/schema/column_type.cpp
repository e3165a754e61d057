#include "apply/schema/column_type.hpp"

#include <algorithm>
#include <cmath>
#include <optional>

#include "apply/schema/declared_type.hpp"
#include "apply/time_form.hpp"

namespace tidegate {
namespace {

using Level = Finding::Level;
using Notes = std::vector<TypeNote>;

constexpr int kLongestVarchar = 10485760;  // Postgres' limits
constexpr int kMostPrecision = 1000;

std::uint64_t numbers_in(const ColumnMeasure& m) {
  return m.integers + m.reals;
}
std::uint64_t values_in(const ColumnMeasure& m) {
  return numbers_in(m) + m.texts + m.blobs;
}

double lowest(const ColumnMeasure& m) {
  if (m.reals == m.infinite_reals) return static_cast<double>(m.min_integer);
  return m.integers == 0 ? m.min_real : std::min(m.min_real, static_cast<double>(m.min_integer));
}
double highest(const ColumnMeasure& m) {
  if (m.reals == m.infinite_reals) return static_cast<double>(m.max_integer);
  return m.integers == 0 ? m.max_real : std::max(m.max_real, static_cast<double>(m.max_integer));
}

bool integers_are_exact_reals(const ColumnMeasure& m) {
  constexpr std::int64_t kExact = std::int64_t{1} << 53;
  return m.min_integer >= -kExact && m.max_integer <= kExact;
}

std::string_view words_for(TimeForm form) {
  switch (form) {
    case TimeForm::epoch_seconds:
      return "seconds since 1970";
    case TimeForm::epoch_milliseconds:
      return "milliseconds since 1970";
    case TimeForm::julian_day:
      return "Julian days";
    case TimeForm::iso_text:
      break;
  }
  return "text";
}

// The one form that all numbers of a column can have. The end of the range that lies farther from 0 decides;
// the other must not look like another form.
std::optional<TimeForm> common_form(const ColumnMeasure& m) {
  if (numbers_in(m) == 0 || m.infinite_reals > 0) return std::nullopt;
  const double low = lowest(m), high = highest(m);
  const bool high_decides = std::fabs(high) >= std::fabs(low);
  const TimeForm form = likely_form(high_decides ? high : low);
  const double other = high_decides ? low : high;
  const TimeForm other_form = likely_form(other);
  if (form == TimeForm::iso_text || (form == TimeForm::julian_day && other_form != form)) return std::nullopt;
  return other_form == form || other_form == TimeForm::iso_text || other == 0 ? std::optional(form)
                                                                              : std::nullopt;
}

Notes mixed_times(const ColumnMeasure& m) {
  const std::uint64_t texts = m.texts;
  return {{Level::warn, "times-mixed",
           "holds times as numbers (" + std::to_string(numbers_in(m)) + " rows) and as text (" +
               std::to_string(texts) +
               " rows), or numbers of no known form; only the texts are taken for times",
           "a [[rule]] on \"epoch\" or \"julian\" with do = \"convert\" takes each number by its magnitude"}};
}

Notes choose_timestamp(ColumnPlan& column, const ColumnMeasure& m) {
  column.type = TargetType::timestamptz;
  const std::uint64_t real_texts = m.texts - m.empty_texts - m.zero_dates;
  const auto form = real_texts == 0 ? common_form(m) : std::nullopt;
  if (form) {
    column.time_form = *form;
    return {{Level::note, "times-as-numbers",
             "holds " + std::string(words_for(*form)) + ", taken as timestamptz", ""}};
  }
  if (numbers_in(m) > 0) return mixed_times(m);
  return {
      {Level::note, "naive-times-are-utc", "becomes timestamptz; times without a zone are taken as UTC", ""}};
}

Notes choose_date(ColumnPlan& column, const ColumnMeasure& m) {
  column.type = TargetType::date;
  const bool has_times = m.iso_datetimes > m.iso_dates;
  const bool as_numbers = m.texts == m.empty_texts + m.zero_dates && common_form(m).has_value();
  if (!has_times && !as_numbers) return numbers_in(m) > 0 ? mixed_times(m) : Notes{};
  Notes notes = choose_timestamp(column, m);
  notes.push_back({Level::note, "date-widened",
                   "is declared as a date and holds times of day or numbers: becomes timestamptz", ""});
  return notes;
}

bool fits_varchar(const ColumnMeasure& m, int length) {
  return length >= 1 && length <= kLongestVarchar && numbers_in(m) == 0 &&
         m.max_text_length <= static_cast<std::uint64_t>(length);
}

Notes choose_varchar(ColumnPlan& column, const DeclaredType& declared, const ColumnMeasure& m) {
  column.type = TargetType::text;
  if (declared.arguments.empty()) return {};
  const int length = declared.arguments[0];
  if (fits_varchar(m, length)) {
    column.type = TargetType::varchar;
    column.precision = length;
    return {};
  }
  return {{Level::note, "varchar-widened",
           "is declared with " + std::to_string(length) + " characters and holds up to " +
               std::to_string(m.max_text_length) + ", or numbers: becomes text",
           ""}};
}

Notes choose_numeric(ColumnPlan& column, const DeclaredType& declared, const ColumnMeasure& m) {
  column.type = TargetType::numeric;
  if (declared.arguments.empty()) return {};
  const int precision = declared.arguments[0];
  const int scale = declared.arguments.size() > 1 ? declared.arguments[1] : 0;
  const bool sound = precision >= 1 && precision <= kMostPrecision && scale >= 0 && scale <= precision;
  if (sound && m.infinite_reals == 0 && m.max_integral_digits <= static_cast<unsigned>(precision - scale) &&
      m.max_fraction_digits <= static_cast<unsigned>(scale)) {
    column.precision = precision;
    column.scale = scale;
    return {};
  }
  return {{Level::note, "numeric-widened",
           "holds numbers of up to " + std::to_string(m.max_integral_digits) + " digits before and " +
               std::to_string(m.max_fraction_digits) +
               " after the point, more than declared: becomes numeric without limits",
           ""}};
}

// The narrowest type that takes all that was measured.
TargetType measured_type(const ColumnMeasure& m) {
  const std::uint64_t values = values_in(m);
  if (values == 0) return TargetType::text;
  if (m.blobs == values) return TargetType::bytea;
  if (m.integers == values) return TargetType::bigint;
  if (numbers_in(m) == values)
    return integers_are_exact_reals(m) ? TargetType::double_precision : TargetType::numeric;
  return TargetType::text;
}

Notes choose_measured(ColumnPlan& column, const ColumnMeasure& m) {
  column.type = measured_type(m);
  return {{Level::note, "type-measured",
           "has no declared type: becomes " + sql_type(column) + ", by what it holds",
           "a type of its own in the mapping, if later rows will differ"}};
}

// SQLite gives an unknown name numeric affinity (or integer, for INTERVAL), which keeps texts as texts.
Notes choose_by_affinity(ColumnPlan& column, const ColumnMeasure& m) {
  column.type = numbers_in(m) > 0 && m.texts == m.numeric_texts ? TargetType::numeric : TargetType::text;
  return {{Level::note, "type-unknown",
           "has a type that is not known: becomes " + sql_type(column) +
               ", by SQLite's affinity and what it holds",
           ""}};
}

// A text column that holds blobs alone is one of bytes.
Notes choose_text(ColumnPlan& column, const DeclaredType& declared, const ColumnMeasure& m) {
  if (m.blobs > 0 && m.blobs == values_in(m)) {
    column.type = TargetType::bytea;
    return {
        {Level::note, "text-holds-blobs", "is declared as text and holds blobs alone: becomes bytea", ""}};
  }
  return choose_varchar(column, declared.family == Family::varchar ? declared : DeclaredType{}, m);
}

Notes choose_by_family(ColumnPlan& column, const DeclaredType& declared, const ColumnMeasure& m) {
  switch (declared.family) {
    case Family::integer:
      column.type = TargetType::bigint;
      return {};
    case Family::boolean:
      column.type = TargetType::boolean;
      return {};
    case Family::real:
      column.type = TargetType::double_precision;
      return {};
    case Family::blob:
      column.type = TargetType::bytea;
      return {};
    case Family::json:
      column.type = TargetType::jsonb;
      return {};
    case Family::time:
      column.type = TargetType::time;
      return {};
    case Family::varchar:
    case Family::text:
      return choose_text(column, declared, m);
    case Family::numeric:
      return choose_numeric(column, declared, m);
    case Family::datetime:
      return choose_timestamp(column, m);
    case Family::date:
      return choose_date(column, m);
    case Family::none:
      return choose_measured(column, m);
    case Family::unknown:
      return choose_by_affinity(column, m);
  }
  return {};
}

bool has_text_rule(const ColumnPlan& column) {
  return std::any_of(column.rules.begin(), column.rules.end(),
                     [](const ColumnRule& r) { return r.remedy == Remedy::text; });
}

bool is_text(const ColumnPlan& column) {
  return column.type == TargetType::text || column.type == TargetType::bytea;
}

std::uint64_t less(std::uint64_t a, std::uint64_t b) {
  return a > b ? a - b : 0;
}

// Reals with no fraction that a bigint cannot hold are counted as one: their number was not measured.
std::uint64_t too_big_for_bigint(const ColumnMeasure& m) {
  constexpr double kTwoTo63 = 9223372036854775808.0;
  const bool finite_ones = m.reals > m.infinite_reals && (m.max_real >= kTwoTo63 || m.min_real < -kTwoTo63);
  return m.infinite_reals + (finite_ones ? 1 : 0);
}

std::vector<MisfitCount> misfit_times(const ColumnPlan& column, const ColumnMeasure& m) {
  std::uint64_t good = m.iso_datetimes;
  if (column.type == TargetType::date) good = m.iso_dates;
  if (column.type == TargetType::time) good = m.iso_times;
  std::vector<MisfitCount> counts = {{Misfit::empty, m.empty_texts},
                                     {Misfit::zero_date, column.type == TargetType::time ? 0 : m.zero_dates}};
  std::uint64_t bad = less(m.texts, good + counts[0].rows + counts[1].rows);
  if (column.type == TargetType::time) {
    bad += numbers_in(m);
  } else if (column.time_form == TimeForm::iso_text && numbers_in(m) > 0) {
    const bool julian = misfit_of_bare_number(highest(m)) == Misfit::julian;
    counts.push_back({julian ? Misfit::julian : Misfit::epoch, numbers_in(m)});
  }
  counts.push_back({Misfit::not_a_time, bad});
  return counts;
}

std::vector<MisfitCount> misfits_of_type(const ColumnPlan& column, const ColumnMeasure& m) {
  switch (column.type) {
    case TargetType::boolean:
      return {{Misfit::not_a_boolean, m.integers - m.integers_0_or_1 + m.reals + m.texts}};
    case TargetType::bigint:
      return {
          {Misfit::empty, m.empty_texts},
          {Misfit::not_a_number, less(m.reals, m.whole_reals + m.infinite_reals) + m.texts - m.empty_texts},
          {Misfit::out_of_range, too_big_for_bigint(m)}};
    case TargetType::double_precision:
      return {{Misfit::empty, m.empty_texts},
              {Misfit::not_a_number, m.texts - m.empty_texts},
              {Misfit::out_of_range, integers_are_exact_reals(m) ? 0U : 1U}};
    case TargetType::numeric:
      return {{Misfit::empty, m.empty_texts},
              {Misfit::not_a_number, less(m.texts, m.numeric_texts + m.empty_texts)}};
    case TargetType::text:
    case TargetType::varchar:
      return {{Misfit::nul, m.texts_with_nul}, {Misfit::invalid_utf8, m.texts_invalid_utf8}};
    case TargetType::bytea:
      return {};
    case TargetType::timestamptz:
    case TargetType::date:
    case TargetType::time:
      return misfit_times(column, m);
    case TargetType::jsonb:
      return {{Misfit::empty, m.empty_texts},
              {Misfit::invalid_json, less(m.invalid_json, m.empty_texts) + m.infinite_reals}};
    case TargetType::native:
      break;
  }
  return {};
}

}  // namespace

std::vector<TypeNote> choose_type(ColumnPlan& column, const SourceColumn& source,
                                  const ColumnMeasure& measure) {
  Notes notes = choose_by_family(column, declared_type(source.declared_type), measure);
  if (has_text_rule(column) && !is_text(column)) {
    notes = {{Level::note, "text-by-rule", "becomes text, as a [[rule]] says, instead of " + sql_type(column),
              ""}};
    column.type = TargetType::text;
    column.precision = column.scale = 0;
    column.time_form = TimeForm::iso_text;
  }
  return notes;
}

std::vector<MisfitCount> count_misfits(const ColumnPlan& column, const ColumnMeasure& measure) {
  std::vector<MisfitCount> counts = misfits_of_type(column, measure);
  const bool bytea = column.type == TargetType::bytea;
  counts.push_back({Misfit::wrong_class, bytea ? numbers_in(measure) : measure.blobs});
  if (column.not_null) counts.push_back({Misfit::null_key, measure.nulls});
  std::erase_if(counts, [](const MisfitCount& count) { return count.rows == 0; });
  return counts;
}

}  // namespace tidegate
