#include "apply/schema/existing_type.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <map>
#include <numeric>

#include "apply/schema/column_type.hpp"

namespace tidegate {
namespace {

using Level = Finding::Level;

constexpr int kHeader = 4;        // what Postgres adds to a modifier that counts something
constexpr int kMicroseconds = 6;  // digits of a second that a time without a modifier keeps
constexpr int kDigitsOfBigint = 19;

bool is_text(TargetType type) {
  return type == TargetType::text || type == TargetType::varchar;
}

bool is_citext(const std::string& type) {
  return type == "citext" || type.ends_with(".citext");
}

// Whose encoder writes what this type reads; nothing for types whose texts only the server can judge.
std::optional<TargetType> written_as(const std::string& type) {
  static const std::map<std::string_view, TargetType> types = {
      {"smallint", TargetType::bigint},
      {"integer", TargetType::bigint},
      {"bigint", TargetType::bigint},
      {"numeric", TargetType::numeric},
      {"double precision", TargetType::double_precision},
      {"boolean", TargetType::boolean},
      {"text", TargetType::text},
      {"character varying", TargetType::varchar},
      {"bytea", TargetType::bytea},
      {"timestamp with time zone", TargetType::timestamptz},
      {"timestamp without time zone", TargetType::timestamptz},
      {"date", TargetType::date},
      {"time without time zone", TargetType::time},
      {"jsonb", TargetType::jsonb}};
  if (is_citext(type)) return TargetType::text;
  auto found = types.find(type);
  return found == types.end() ? std::nullopt : std::optional(found->second);
}

bool counts_fractions_of_seconds(const std::string& type) {
  return type.starts_with("timestamp") || type.starts_with("time ") || type == "interval";
}

std::string shown(const ExistingColumn& existing) {
  const int count = existing.modifier - kHeader;
  if (existing.modifier < 0) return existing.type;
  if (counts_fractions_of_seconds(existing.type))
    return fmt::format("{}({})", existing.type, existing.modifier);
  if (existing.type == "numeric") return fmt::format("numeric({},{})", (count >> 16) & 0xffff, count & 0x7ff);
  return fmt::format("{}({})", existing.type, count);
}

// What the type does to values behind our back: nothing, or a word for it.
std::string_view alteration(const ColumnPlan& column, const ExistingColumn& existing) {
  const bool of_time = counts_fractions_of_seconds(existing.type);
  if (existing.type == "real") return "rounds numbers to six digits";
  if (existing.type == "money") return "rounds numbers to cents";
  if (existing.type == "character") return "pads texts and drops blanks at their end";
  if (existing.type == "name" || existing.type == "\"char\"") return "cuts texts";
  if (existing.type == "time with time zone" && column.type != TargetType::time) return "drops the date";
  if (of_time && existing.modifier >= 0 && existing.modifier < kMicroseconds)
    return "rounds fractions of a second";
  const int scale = existing.modifier - kHeader;
  if (existing.type == "numeric" && existing.modifier >= 0 && (scale & 0x400) != 0)
    return "rounds digits before the point";
  return "";
}

// 1 and '1', or two spellings of a point in time, are two keys in the source. Where the target would take
// them for one, a row would be lost.
bool tells_keys_apart(const ColumnPlan& column, const ExistingColumn& existing) {
  const auto as = written_as(existing.type);
  if (existing.folds_text || is_citext(existing.type)) return false;
  if (as == column.type) return true;
  switch (column.type) {
    case TargetType::text:
    case TargetType::varchar:
      return (as && is_text(*as)) || existing.is_enum || existing.type == "uuid";
    case TargetType::bigint:
      return as && (is_text(*as) || *as == TargetType::numeric);
    case TargetType::date:
      return as == TargetType::timestamptz;
    default:
      return false;
  }
}

void set_limits(ColumnPlan& column, const ExistingColumn& existing) {
  column.precision = column.scale = 0;
  if (column.type == TargetType::bigint && existing.type == "smallint") column.precision = 16;
  if (column.type == TargetType::bigint && existing.type == "integer") column.precision = 32;
  if (existing.modifier < 0) return;
  const int count = existing.modifier - kHeader;
  if (column.type == TargetType::varchar) column.precision = count;
  if (column.type == TargetType::numeric && existing.type == "numeric") {
    column.precision = (count >> 16) & 0xffff;
    column.scale = count & 0x7ff;
  }
}

// A key keeps the encoder of the source's side, which lets one spelling of each value through.
void write_in_its_type(ColumnPlan& column, bool in_key, const ExistingColumn& existing) {
  const auto as = written_as(existing.type);
  if (!as || (in_key && *as != column.type && !is_text(column.type))) return;
  const bool words = is_text(column.type) && *as == TargetType::boolean;  // 'yes', 'f': the server reads them
  const bool digits = is_text(column.type) && *as == TargetType::bigint;  // '12' is no number to that encoder
  if (words) return;
  column.type = digits ? TargetType::numeric : *as;
  set_limits(column, existing);
  if (digits) column.precision = kDigitsOfBigint;
}

bool has_remedy(const ColumnPlan& column, Misfit misfit) {
  return std::any_of(column.rules.begin(), column.rules.end(), [&](const ColumnRule& rule) {
    return rule.on == misfit && rule.remedy != Remedy::quarantine;
  });
}

std::uint64_t misfits(const ColumnPlan& column, const ColumnMeasure& measure) {
  std::uint64_t rows = 0;
  for (const MisfitCount& count : count_misfits(column, measure)) {
    if (!has_remedy(column, count.misfit)) rows += count.rows;
  }
  return rows;
}

bool in_range(const ColumnMeasure& m, double lowest, double highest) {
  const bool integers = m.integers == 0 || (static_cast<double>(m.min_integer) >= lowest &&
                                            static_cast<double>(m.max_integer) <= highest);
  const bool reals = m.reals == m.infinite_reals || (m.min_real >= lowest && m.max_real <= highest);
  return integers && reals;
}

template <typename Integer>
bool all_fit(const ColumnMeasure& m) {
  return in_range(m, std::numeric_limits<Integer>::min(), std::numeric_limits<Integer>::max());
}

// The longest text and the longest number that were measured against the column's limits.
bool exceeds_limits(const ColumnPlan& column, const ExistingColumn& existing, const ColumnMeasure& m) {
  if (existing.type == "smallint" && !all_fit<std::int16_t>(m)) return true;
  if (existing.type == "integer" && !all_fit<std::int32_t>(m)) return true;
  if (column.precision == 0) return false;
  if (column.type == TargetType::varchar)
    return !has_remedy(column, Misfit::too_long) &&
           m.max_text_length > static_cast<std::uint64_t>(column.precision);
  if (column.type != TargetType::numeric || has_remedy(column, Misfit::out_of_range)) return false;
  return m.max_integral_digits > static_cast<unsigned>(std::max(column.precision - column.scale, 0)) ||
         m.max_fraction_digits > static_cast<unsigned>(column.scale);
}

Finding blocked(const ColumnPlan& column, const std::string& table, const char* code, std::string what,
                std::string mend) {
  return {Level::block, code, table, column.source, std::move(what), std::move(mend)};
}

}  // namespace

bool is_judged_here(const std::string& type) {
  return written_as(type).has_value();
}

TargetType type_for(const ExistingColumn& existing) {
  return written_as(existing.type).value_or(TargetType::text);
}

std::optional<Finding> adopt_type(ColumnPlan& column, bool in_key, const ExistingColumn& existing,
                                  const ColumnMeasure& measure, const std::string& table) {
  if (column.type == TargetType::native) return std::nullopt;
  const std::string named =
      fmt::format("column {}.{} of the target is {}", quoted(table), quoted(column.target), shown(existing));
  if (auto how = alteration(column, existing); !how.empty()) {
    return blocked(column, table, "column-alters-values", fmt::format("{}, which {}", named, how),
                   fmt::format("change it with a migration, to {} for example", sql_type(column)));
  }
  if (in_key && !tells_keys_apart(column, existing)) {
    return blocked(column, table, "key-not-told-apart",
                   named + ": keys that differ in the source could be one key there",
                   fmt::format("change it with a migration, to {} for example", sql_type(column)));
  }
  const std::uint64_t before = misfits(column, measure);
  const std::string asked = sql_type(column);
  write_in_its_type(column, in_key, existing);
  if (exceeds_limits(column, existing, measure) || misfits(column, measure) > before) {
    return blocked(column, table, "column-too-narrow",
                   named + ", and the source holds values that do not fit there",
                   fmt::format("change it with a migration, to {} for example, or mend the values", asked));
  }
  return std::nullopt;
}

}  // namespace tidegate
