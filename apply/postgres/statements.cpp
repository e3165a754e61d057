#include "apply/postgres/statements.hpp"
#include "db/postgres.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <vector>

namespace tidegate {
namespace {

bool is_array(const ColumnPlan& column) {
  return column.existing_type.ends_with("[]");
}

// A column of what unnest() gives as k, in the type that the target's column has.
std::string unnested(const ColumnPlan& column, std::size_t number) {
  return is_array(column) ? fmt::format("k.c{}::{}", number, column.existing_type)
                          : fmt::format("k.c{}", number);
}

// The type of array elements. Without length or scale: a cast to varchar(3) or numeric(6,2) would cut or
// round in silence where the assignment to the column reports.
// A column that was there before keeps its own type: a text does not become a uuid by assignment, and 2.5
// would become an integer.
std::string element_type(const ColumnPlan& column) {
  if (is_array(column)) return "text";  // arrays of arrays would be flattened by unnest()
  if (column.existing_type == "character") return "pg_catalog.bpchar";  // "character" alone means one of them
  if (column.existing_type == "bit") return "pg_catalog.\"bit\"";
  if (!column.existing_type.empty()) return column.existing_type;
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

// Characters of a private use area: two are enough to differ from any other parked value, and from the
// source's.
std::string parked_varchar(int length) {
  constexpr int most = 8;
  int characters = length == 0 ? most : std::min(length, most);
  std::string sql = "pg_catalog.chr(983040 + (pg_catalog.random() * 65533)::int)";
  for (int i = 1; i < characters; ++i)
    sql += " || pg_catalog.chr(983040 + (pg_catalog.random() * 65533)::int)";
  return sql;
}

std::string parked_numeric(const ColumnPlan& column) {
  int digits = column.precision == 0 ? 30 : column.precision - column.scale;
  return fmt::format("-(pg_catalog.random() * 1e{})::pg_catalog.numeric", digits);
}

// Of a column that was there before; "" where its type is not known here.
std::string parked_existing(const std::string& type) {
  static const std::map<std::string_view, std::string> values = {
      {"text", "'parked:' || pg_catalog.gen_random_uuid()"},
      {"character varying", "'parked:' || pg_catalog.gen_random_uuid()"},
      {"uuid", "pg_catalog.gen_random_uuid()"},
      {"bigint", "-9223372036854775807 + (pg_catalog.random() * 4611686018427387904)::bigint"},
      {"integer", "-2147483647 + (pg_catalog.random() * 1073741824)::integer"},
      {"double precision", "-1e300 * (1 + pg_catalog.random())"},
      {"bytea", "pg_catalog.uuid_send(pg_catalog.gen_random_uuid())"},
      {"timestamp with time zone",
       "timestamptz '4000-01-01 00:00:00+00 BC' + pg_catalog.random() * interval '1000 years'"},
      {"timestamp without time zone",
       "timestamp '4000-01-01 00:00:00 BC' + pg_catalog.random() * interval '1000 years'"},
      {"date", "date '4000-01-01 BC' + (pg_catalog.random() * 365000)::integer"},
      {"time without time zone", "time '00:00' + pg_catalog.random() * interval '24 hours'"},
      {"jsonb", "pg_catalog.to_jsonb('parked:' || pg_catalog.gen_random_uuid())"}};
  const bool is_citext = type == "citext" || type.ends_with(".citext");  // in the schema of its extension
  auto found = values.find(is_citext ? "text" : type);
  return found == values.end() ? "" : found->second;
}

std::string parked_value(const ColumnPlan& column) {
  if (!column.not_null) return "NULL";
  if (!column.existing_type.empty()) return parked_existing(column.existing_type);
  switch (column.type) {
    case TargetType::varchar:
      return parked_varchar(column.precision);
    case TargetType::numeric:
      return parked_numeric(column);
    case TargetType::timestamptz:
      return parked_existing("timestamp with time zone");
    case TargetType::time:
      return parked_existing("time without time zone");
    default:
      return parked_existing(sql_type(column));
  }
}

}  // namespace

namespace {

std::string keys_joined(const TablePlan& plan, int first_parameter, const char* ordinality,
                        const char* number) {
  std::vector<std::string> arrays, names, matches;
  for (std::size_t i = 0; i < plan.key.size(); ++i) {
    arrays.push_back(fmt::format("${}::{}[]", first_parameter + static_cast<int>(i),
                                 element_type(column_named(plan, plan.key[i]))));
    names.push_back(fmt::format("k{}", i + 1));
    matches.push_back(fmt::format("t.{} = k.k{}", quoted(plan.key[i]), i + 1));
  }
  return fmt::format("unnest({}){} AS k({}{}) WHERE {}", fmt::join(arrays, ", "), ordinality,
                     fmt::join(names, ", "), number, fmt::join(matches, " AND "));
}

}  // namespace

std::string matching_keys(const TablePlan& plan, int first_parameter) {
  return keys_joined(plan, first_parameter, "", "");
}

std::string numbered_keys(const TablePlan& plan) {
  return keys_joined(plan, 1, " WITH ORDINALITY", ", n");
}

std::string copy_sql(const TablePlan& plan) {
  return fmt::format("COPY {} ({}) FROM STDIN", quoted_name(plan), column_list(plan));
}

std::string insert_sql(const TablePlan& plan) {
  std::vector<std::string> arrays, names, values;
  for (std::size_t i = 0; i < plan.columns.size(); ++i) {
    const ColumnPlan& column = plan.columns[i];
    arrays.push_back(fmt::format("${}::{}[]", i + 1, element_type(column)));
    names.push_back(fmt::format("c{}", i + 1));
    values.push_back(unnested(column, i + 1));
  }
  return fmt::format("INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE SELECT {} FROM unnest({}) AS k({})",
                     quoted_name(plan), column_list(plan), fmt::join(values, ", "), fmt::join(arrays, ", "),
                     fmt::join(names, ", "));
}

std::string upsert_sql(const TablePlan& plan) {
  std::vector<std::string> sets;
  for (const ColumnPlan& column : plan.columns) {
    if (!is_key(plan, column.target))
      sets.push_back(fmt::format("{0} = excluded.{0}", quoted(column.target)));
  }
  // Whoever looks whether a row was written again (unowned_rows.hpp) must see it.
  if (sets.empty() && !plan.from.empty())
    sets.push_back(fmt::format("{0} = excluded.{0}", quoted(plan.key.front())));
  const std::string action = sets.empty() ? "NOTHING" : fmt::format("UPDATE SET {}", fmt::join(sets, ", "));
  return fmt::format("{} ON CONFLICT ({}) DO {}", insert_sql(plan), key_list(plan), action);
}

namespace {

std::vector<std::string> own_columns(const TablePlan& plan) {
  std::vector<std::string> names;
  for (const auto& column : plan.columns) {
    if (!is_key(plan, column.target)) names.push_back(quoted(column.target));
  }
  return names;
}

std::string blank_sets(const TablePlan& plan) {
  return fmt::format("{} = DEFAULT", fmt::join(own_columns(plan), " = DEFAULT, "));
}

}  // namespace

std::string contribute_sql(const TablePlan& plan) {
  std::vector<std::string> arrays, names, sets, matches;
  for (std::size_t i = 0; i < plan.columns.size(); ++i) {
    const ColumnPlan& column = plan.columns[i];
    arrays.push_back(fmt::format("${}::{}[]", i + 1, element_type(column)));
    names.push_back(fmt::format("c{}", i + 1));
    auto& list = is_key(plan, column.target) ? matches : sets;
    list.push_back(fmt::format("{}{} = {}", &list == &matches ? "t." : "", quoted(column.target),
                               unnested(column, i + 1)));
  }
  return fmt::format(
      "WITH found AS (UPDATE {} AS t SET {} FROM unnest({}) AS k({}) WHERE {} RETURNING 1) "
      "SELECT tidegate.expect_rows((SELECT count(*) FROM found), ${})",
      quoted_name(plan), fmt::join(sets, ", "), fmt::join(arrays, ", "), fmt::join(names, ", "),
      fmt::join(matches, " AND "), plan.columns.size() + 1);
}

std::string key_text(const TablePlan& plan) {
  std::vector<std::string> texts;
  for (const auto& column : plan.key) texts.push_back(fmt::format("t.{}::text", quoted(column)));
  return fmt::format("ARRAY[{}]", fmt::join(texts, ", "));
}

std::string delete_all_sql(const TablePlan& plan, const std::string& pipeline) {
  if (plan.contributor) return fmt::format("UPDATE {} SET {}", quoted_name(plan), blank_sets(plan));
  std::vector<std::string> which;
  if (!plan.rows.empty()) which.push_back("(" + plan.rows + ")");
  if (!plan.key.empty())
    which.push_back(fmt::format(
        "NOT EXISTS (SELECT FROM tidegate.adopted AS a WHERE a.pipeline = {} AND a.target_table = {} AND "
        "a.key = {})",
        postgres::literal(pipeline), postgres::literal(shown_name(plan)), key_text(plan)));
  return fmt::format("DELETE FROM {} AS t{}{}", quoted_name(plan), which.empty() ? "" : " WHERE ",
                     fmt::join(which, " AND "));
}

std::string adopt_sql(const TablePlan& plan, const std::string& pipeline) {
  if (plan.contributor || plan.key.empty()) return "";
  return fmt::format(
      "INSERT INTO tidegate.adopted(pipeline, target_table, key) SELECT {}, {}, {} FROM {} AS t ON CONFLICT "
      "DO NOTHING",
      postgres::literal(pipeline), postgres::literal(shown_name(plan)), key_text(plan), quoted_name(plan));
}

std::string delete_sql(const TablePlan& plan) {
  if (plan.contributor)
    return fmt::format("UPDATE {} AS t SET {} FROM {}", quoted_name(plan), blank_sets(plan),
                       matching_keys(plan));
  return fmt::format("DELETE FROM {} AS t USING {}", quoted_name(plan), matching_keys(plan));
}

std::string park_sql(const TablePlan& plan, const ColumnPlan& column) {
  std::string value = is_key(plan, column.target) ? "" : parked_value(column);
  if (value.empty()) return "";
  return fmt::format("UPDATE {} AS t SET {} = {} FROM {}", quoted_name(plan), quoted(column.target), value,
                     matching_keys(plan));
}

}  // namespace tidegate
