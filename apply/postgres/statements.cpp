#include "apply/postgres/statements.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <vector>

namespace tidegate {
namespace {

// The type of array elements. Without length or scale: a cast to varchar(3) or numeric(6,2) would cut or
// round in silence where the assignment to the column reports.
std::string element_type(const ColumnPlan& column) {
  switch (column.type) {
    case TargetType::varchar:
      return "text";
    case TargetType::numeric:
      return "numeric";
    default:
      return sql_type(column);
  }
}

const ColumnPlan& column_named(const TablePlan& plan, const std::string& target) {
  return *std::find_if(plan.columns.begin(), plan.columns.end(),
                       [&](const ColumnPlan& column) { return column.target == target; });
}

bool is_key(const TablePlan& plan, const std::string& target) {
  return std::find(plan.key.begin(), plan.key.end(), target) != plan.key.end();
}

std::string column_list(const TablePlan& plan) {
  std::vector<std::string> names;
  for (const auto& column : plan.columns) names.push_back(quoted(column.target));
  return fmt::format("{}", fmt::join(names, ", "));
}

std::string key_list(const TablePlan& plan) {
  std::vector<std::string> names;
  for (const auto& name : plan.key) names.push_back(quoted(name));
  return fmt::format("{}", fmt::join(names, ", "));
}

// Characters of a private use area: two are enough to differ from any other parked value, and from the source's.
std::string parked_varchar(int length) {
  constexpr int most = 8;
  std::vector<std::string> characters;
  for (int i = 0; i < std::min(length, most); ++i) {
    characters.emplace_back("pg_catalog.chr(983040 + (pg_catalog.random() * 65533)::int)");
  }
  return fmt::format("{}", fmt::join(characters, " || "));
}

// A value of the column's type that no row is likely to hold: NULL, else a random one far from the usual.
std::string parked_value(const ColumnPlan& column) {
  if (!column.not_null) return "NULL";
  switch (column.type) {
    case TargetType::text:
      return "'parked:' || pg_catalog.gen_random_uuid()";
    case TargetType::varchar:
      return parked_varchar(column.precision);
    case TargetType::jsonb:
      return "pg_catalog.to_jsonb('parked:' || pg_catalog.gen_random_uuid())";
    case TargetType::bytea:
      return "pg_catalog.uuid_send(pg_catalog.gen_random_uuid())";
    case TargetType::bigint:
      return "-9223372036854775807 + (pg_catalog.random() * 4611686018427387904)::bigint";
    case TargetType::double_precision:
      return "-1e300 * (1 + pg_catalog.random())";
    case TargetType::numeric:
      return fmt::format("-pg_catalog.random() * 1e{}", column.precision ? column.precision - column.scale : 100);
    case TargetType::date:
      return "'4713-01-01 BC'::date + (pg_catalog.random() * 1000000)::int";
    case TargetType::timestamptz:
      return "'4713-01-01 00:00:00+00 BC'::timestamptz + pg_catalog.random() * '900000 days'::interval";
    case TargetType::time:
      return "'00:00'::time + pg_catalog.random() * '24 hours'::interval";
    case TargetType::boolean:
      return "";  // has no third value
  }
  return "";
}

}  // namespace

std::string matching_keys(const TablePlan& plan) {
  std::vector<std::string> arrays, names, matches;
  for (std::size_t i = 0; i < plan.key.size(); ++i) {
    arrays.push_back(fmt::format("${}::{}[]", i + 1, element_type(column_named(plan, plan.key[i]))));
    names.push_back(fmt::format("k{}", i + 1));
    matches.push_back(fmt::format("t.{} = k.k{}", quoted(plan.key[i]), i + 1));
  }
  return fmt::format("unnest({}) AS k({}) WHERE {}", fmt::join(arrays, ", "), fmt::join(names, ", "),
                     fmt::join(matches, " AND "));
}

std::string copy_sql(const TablePlan& plan) {
  return fmt::format("COPY {} ({}) FROM STDIN", quoted_name(plan), column_list(plan));
}

std::string upsert_sql(const TablePlan& plan) {
  std::vector<std::string> arrays, sets;
  for (std::size_t i = 0; i < plan.columns.size(); ++i) {
    const ColumnPlan& column = plan.columns[i];
    arrays.push_back(fmt::format("${}::{}[]", i + 1, element_type(column)));
    if (!is_key(plan, column.target)) {
      sets.push_back(fmt::format("{0} = excluded.{0}", quoted(column.target)));
    }
  }
  std::string action = sets.empty() ? "NOTHING" : fmt::format("UPDATE SET {}", fmt::join(sets, ", "));
  return fmt::format(
      "INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE SELECT * FROM unnest({}) ON CONFLICT ({}) DO "
      "{}",
      quoted_name(plan), column_list(plan), fmt::join(arrays, ", "), key_list(plan), action);
}

std::string delete_sql(const TablePlan& plan) {
  return fmt::format("DELETE FROM {} AS t USING {}", quoted_name(plan), matching_keys(plan));
}

std::string park_sql(const TablePlan& plan, const ColumnPlan& column) {
  std::string value = is_key(plan, column.target) ? "" : parked_value(column);
  if (value.empty()) return "";
  return fmt::format("UPDATE {} AS t SET {} = {} FROM {}", quoted_name(plan), quoted(column.target), value,
                     matching_keys(plan));
}

}  // namespace tidegate
