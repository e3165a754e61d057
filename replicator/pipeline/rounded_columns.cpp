#include "replicator/pipeline/rounded_columns.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>

#include "apply/mapping/expression_check.hpp"
#include "replicator/pipeline/mapping_setup.hpp"

namespace tidegate {
namespace {

constexpr int digits_of_double = 15;
constexpr int microseconds = 6;  // digits of a second that a time without a modifier keeps

// Of a domain the type below it.
constexpr const char* type_sql = R"sql(
WITH RECURSIVE below(type, modifier, depth) AS (
  SELECT atttypid, atttypmod, 0 FROM pg_catalog.pg_attribute
  WHERE attrelid = pg_catalog.to_regclass($1) AND attname = $2 AND NOT attisdropped
  UNION ALL
  SELECT t.typbasetype, t.typtypmod, depth + 1 FROM below JOIN pg_catalog.pg_type t ON t.oid = type
  WHERE t.typtype = 'd')
SELECT pg_catalog.format_type(type, modifier) FROM below ORDER BY depth DESC LIMIT 1)sql";

// "numeric(10,2)" is numeric with 10 and 2; "timestamp(3) with time zone" is one word with 3.
struct PrintedType {
  std::string name;
  std::optional<int> first, second;
};

std::optional<int> number_at(std::string_view text) {
  int number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() ? std::optional(number) : std::nullopt;
}

PrintedType parsed(const std::string& type) {
  const auto open = type.find('('), close = type.find(')');
  if (open == std::string::npos || close == std::string::npos) return {type, {}, {}};
  PrintedType result{type.substr(0, open) + type.substr(close + 1), {}, {}};
  const std::string_view inside = std::string_view(type).substr(open + 1, close - open - 1);
  result.first = number_at(inside);
  if (const auto comma = inside.find(','); comma != std::string_view::npos)
    result.second = number_at(inside.substr(comma + 1));
  return result;
}

bool is_integer(const PrintedType& type) {
  return type.name == "smallint" || type.name == "integer" || type.name == "bigint";
}

bool rounds_in_numeric(const PrintedType& from, const PrintedType& to) {
  if (!to.first || is_integer(from)) return false;
  const int kept = to.second.value_or(0);
  return from.name != "numeric" || !from.first || from.second.value_or(0) > kept || kept < 0;
}

bool rounds_in_double(const PrintedType& from) {
  return from.name == "bigint" ||
         (from.name == "numeric" && from.first.value_or(digits_of_double + 1) > digits_of_double);
}

bool has_date_and_time(const PrintedType& type) {
  return type.name.starts_with("timestamp");
}

bool counts_seconds(const PrintedType& type) {
  return has_date_and_time(type) || type.name.starts_with("time ");
}

}  // namespace

std::string_view silent_change(const std::string& from, const std::string& to) {
  if (from == to) return "";
  const PrintedType a = parsed(from), b = parsed(to);
  if (b.name == "real" && a.name != "smallint") return "rounds numbers to six digits";
  if (b.name == "money") return "rounds numbers to cents";
  if (b.name == "character" && a.name != "character") return "pads texts and drops blanks at their end";
  if (b.name == "name" || b.name == "\"char\"") return "cuts texts";
  if (b.name == "numeric" && rounds_in_numeric(a, b)) return "rounds numbers";
  if (b.name == "double precision" && rounds_in_double(a)) return "rounds numbers to fifteen digits";
  if (b.name == "date" && has_date_and_time(a)) return "drops the time of day";
  if (b.name.starts_with("time ") && has_date_and_time(a)) return "drops the date";
  if (counts_seconds(b) && b.first && counts_seconds(a) && a.first.value_or(microseconds) > *b.first)
    return "rounds fractions of a second";
  return "";
}

namespace {

std::optional<Finding> judge(postgres::Connection& target, const TablePlan& plan, const MapColumn& column,
                             const SourceColumn& source) {
  const auto found = target.run(type_sql, {quoted_name(plan), column.target});
  if (found.rows() == 0) return std::nullopt;
  const std::string type(found.text(0, 0));
  const auto change = silent_change(source.declared_type, type);
  if (change.empty()) return std::nullopt;
  return Finding{Finding::Level::block,
                 "column-alters-values",
                 shown_name(plan),
                 column.target,
                 fmt::format("{}: column {} of the target's {} is {}, which {}; {} of the source is {}",
                             column.expression.where, column.target, shown_name(plan), type, change,
                             source.name, source.declared_type),
                 "change it with a migration, or say in an expression what it is to become (round(…), "
                 "substr(…))"};
}

}  // namespace

std::vector<Finding> find_rounded(postgres::Connection& target, const Settings& settings,
                                  const PlannedPipeline& planned) {
  std::vector<Finding> findings;
  if (settings.source.end.kind != Endpoint::Kind::postgres) return findings;
  const auto maps = maps_of(settings);
  for (std::size_t i = 0; i < planned.plans.size(); ++i) {
    const TablePlan& plan = planned.plans[i];
    if (plan.from.empty()) continue;
    const SourceTable& table = planned.tables[i];
    const auto names = relation_of(table, true).columns;
    for (const MapColumn& column : output_named(maps, plan).target->columns) {
      const auto name = passed_column(column.expression.text, names);
      const SourceColumn* source = name ? table.column(*name) : nullptr;
      if (!source) continue;
      if (auto finding = judge(target, plan, column, *source)) findings.push_back(std::move(*finding));
    }
  }
  return findings;
}

}  // namespace tidegate
