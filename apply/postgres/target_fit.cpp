#include "apply/postgres/target_fit.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <set>

#include "apply/schema/existing_type.hpp"
#include "db/error.hpp"

namespace tidegate {
namespace {

// Of a domain the type below it: that is what it rounds and cuts like, and assigning checks the rest.
constexpr const char* columns_sql = R"sql(
SELECT a.attname, pg_catalog.format_type(base.type, NULL), a.attnotnull,
       a.atthasdef OR a.attidentity <> '' AS has_default, a.attgenerated <> '' AS generated,
       base.modifier, t.typtype = 'e' AS is_enum, NOT coalesce(c.collisdeterministic, true) AS folds_text,
       a.attidentity = 'a' AS takes_no_update
FROM pg_catalog.pg_attribute a
CROSS JOIN LATERAL (
  WITH RECURSIVE below(type, modifier, depth) AS (
    SELECT a.atttypid, a.atttypmod, 0
    UNION ALL
    SELECT d.typbasetype, d.typtypmod, depth + 1 FROM below JOIN pg_catalog.pg_type d ON d.oid = below.type
    WHERE d.typtype = 'd')
  SELECT type, modifier FROM below ORDER BY depth DESC LIMIT 1) AS base
JOIN pg_catalog.pg_type t ON t.oid = base.type
LEFT JOIN pg_catalog.pg_collation c ON c.oid = a.attcollation
WHERE a.attrelid = pg_catalog.to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped)sql";

constexpr const char* unique_on_key_sql = R"sql(
SELECT EXISTS (
  SELECT FROM pg_catalog.pg_index i
  WHERE i.indrelid = pg_catalog.to_regclass($1) AND i.indisunique AND i.indimmediate AND i.indpred IS NULL
    AND (SELECT pg_catalog.array_agg(a.attname::text ORDER BY a.attname::text)
         FROM pg_catalog.pg_attribute a WHERE a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey))
      = (SELECT pg_catalog.array_agg(k ORDER BY k) FROM unnest($2::text[]) AS k)))sql";

std::string text_array(const std::vector<std::string>& names) {
  std::string array = "{";
  for (const auto& name : names) {
    if (array.size() > 1) array += ',';
    array += '"';
    for (char c : name) {
      if (c == '"' || c == '\\') array += '\\';
      array += c;
    }
    array += '"';
  }
  return array + "}";
}

Refused does_not_fit(const TablePlan& plan, const std::string& why) {
  return Refused("table-does-not-fit",
                 fmt::format("table {} of the target does not fit: {}", shown_name(plan), why),
                 "change it with your migrations, or exclude it ([tables] exclude)");
}

Refused does_not_fit(const TablePlan& plan, const ColumnPlan& column, const std::string& why) {
  return Refused("table-does-not-fit",
                 fmt::format("{}table {} of the target does not fit: {}",
                             column.where.empty() ? "" : column.where + ": ", shown_name(plan), why),
                 "change it with your migrations, or exclude it ([tables] exclude)");
}

bool is_there(postgres::Connection& target, const TablePlan& plan) {
  return target.run("SELECT pg_catalog.to_regclass($1) IS NOT NULL", {quoted_name(plan)}).boolean(0, 0);
}

void refuse_rows(postgres::Connection& target, const TablePlan& plan) {
  if (!target.run(fmt::format("SELECT EXISTS (SELECT FROM {})", quoted_name(plan))).boolean(0, 0)) return;
  throw Refused(
      "table-holds-rows",
      fmt::format("table {} of the target holds rows that tidegate did not write", shown_name(plan)),
      "empty it, exclude it ([tables] exclude), or accept its rows with --adopt");
}

// Where the mapping speaks of the column, as the beginning of a sentence.
std::string place_of(const ColumnPlan& column) {
  return column.where.empty() ? "" : column.where + ": ";
}

bool is_mapped(const TablePlan& plan) {
  return !plan.from.empty();
}

// The tables of a mapping are never ours to make.
void check_presence(const TablePlan& plan, bool there, const TargetTablesOptions& options) {
  if (!there && is_mapped(plan)) {
    throw Refused(
        "table-missing",
        fmt::format("{}table {} is not in the target", place_of(plan.columns.front()), shown_name(plan)),
        "make it with your migrations (`tidegate schema make NAME` drafts it), or correct the name");
  }
  if (is_mapped(plan)) return;
  if (there && options.create && !options.adopt) {
    throw Refused(
        "table-exists", fmt::format("table {} is already in the target", shown_name(plan)),
        "drop it, exclude it ([tables] exclude), or let tidegate fill it as it is ([target] schema = "
        "\"existing\")");
  }
  if (!there && !options.create) {
    throw Refused("table-missing", fmt::format("table {} is not in the target", shown_name(plan)),
                  "make it with your migrations, or let tidegate create it ([target] schema = \"create\")");
  }
}

bool is_key(const TablePlan& plan, const std::string& column) {
  return std::find(plan.key.begin(), plan.key.end(), column) != plan.key.end();
}

int row_of(const postgres::Result& columns, const std::string& name) {
  int found = 0;
  while (found < columns.rows() && columns.text(found, 0) != name) ++found;
  return found;
}

// Without a key of its own a row is found by the source's rowid, and a table that others made has no place
// for that yet.
Refused needs_hidden_column(const TablePlan& plan) {
  return Refused(
      "needs-hidden-column",
      fmt::format("table {} of the target has no column {}, by which the rows of {} are found: the "
                  "source gives them no key, or one that may be NULL",
                  shown_name(plan), kRidTarget, quoted(plan.source)),
      fmt::format(
          "ALTER TABLE {} ADD COLUMN {} bigint GENERATED BY DEFAULT AS IDENTITY UNIQUE (drop it after the "
          "migration), or exclude the table ([tables] exclude)",
          quoted_name(plan), quoted(kRidTarget)));
}

// The type that the mapping names is a statement about the target, which must be true.
void check_asked_type(postgres::Connection& target, const TablePlan& plan, const ColumnPlan& column,
                      const std::string& is) {
  auto same =
      target.run("SELECT pg_catalog.to_regtype($1) = pg_catalog.to_regtype($2)", {column.existing_type, is});
  if (!same.is_null(0, 0) && same.boolean(0, 0)) return;
  throw Refused("map-type",
                fmt::format("{}column {} of table {} is {}, not {}", place_of(column), column.target,
                            shown_name(plan), is, column.existing_type),
                "correct the type, or change the column with a migration");
}

// What comes out of an expression has no type of its own: the column's counts.
void take_mapped_type(postgres::Connection& target, const TablePlan& plan, ColumnPlan& column,
                      const ExistingColumn& existing) {
  if (column.type != TargetType::native) column.type = type_for(existing);
  column.identity = target
                        .run("SELECT pg_catalog.pg_get_serial_sequence($1, $2) IS NOT NULL",
                             {quoted_name(plan), column.target})
                        .boolean(0, 0);
}

// A column that is there is written in its own type and within its limits.
void check_column(postgres::Connection& target, const postgres::Result& there, int row, TablePlan& plan,
                  ColumnPlan& column, const ColumnMeasure& measure, std::vector<Finding>& findings) {
  if (there.boolean(row, 4))
    throw does_not_fit(plan, column, "its column " + column.target + " is generated");
  if (there.boolean(row, 8) && !is_key(plan, column.target) &&
      (is_mapped(plan) || column.type != TargetType::native))
    throw does_not_fit(plan, column,
                       "its column " + column.target +
                           " is GENERATED ALWAYS AS IDENTITY, and takes no UPDATE (BY DEFAULT does)");
  if (is_mapped(plan) && !column.existing_type.empty())
    check_asked_type(target, plan, column, std::string(there.text(row, 1)));
  column.existing_type = there.text(row, 1);
  column.not_null = column.not_null || there.boolean(row, 2);
  ExistingColumn existing{column.existing_type, static_cast<int>(there.integer(row, 5)),
                          there.boolean(row, 6), there.boolean(row, 7)};
  if (is_mapped(plan)) take_mapped_type(target, plan, column, existing);
  auto finding = adopt_type(column, is_key(plan, column.target), existing, measure, shown_name(plan));
  if (!finding) return;
  finding->message = place_of(column) + finding->message;
  findings.push_back(std::move(*finding));
}

// One that must be filled and is not is a reason to refuse.
void check_unwritten(const postgres::Result& there, const TablePlan& plan) {
  for (int i = 0; i < there.rows(); ++i) {
    bool written = std::any_of(plan.columns.begin(), plan.columns.end(),
                               [&](const ColumnPlan& column) { return column.target == there.text(i, 0); });
    if (!written && there.boolean(i, 2) && !there.boolean(i, 3) && !there.boolean(i, 4)) {
      throw does_not_fit(
          plan, fmt::format("its column {} is NOT NULL without a default, and the source has nothing for it",
                            there.text(i, 0)));
    }
  }
}

void check_columns(postgres::Connection& target, TablePlan& plan, const MeasuredTable* measured,
                   std::vector<Finding>& findings) {
  auto there = target.run(columns_sql, {quoted_name(plan)});
  for (ColumnPlan& column : plan.columns) {
    int row = row_of(there, column.target);
    if (row == there.rows() && column.target == kRidTarget) throw needs_hidden_column(plan);
    if (row == there.rows()) throw does_not_fit(plan, column, "it has no column " + column.target);
    auto measure = measured ? measured->column(column.source) : ColumnMeasure{};
    check_column(target, there, row, plan, column, measure, findings);
  }
  if (!plan.contributor) check_unwritten(there, plan);
}

// A table without a key is found by the values of all its columns.
void check_key(postgres::Connection& target, const TablePlan& plan) {
  if (plan.key.empty()) return;
  if (target.run(unique_on_key_sql, {quoted_name(plan), text_array(plan.key)}).boolean(0, 0)) return;
  throw does_not_fit(plan,
                     fmt::format("it has no primary key or unique index on ({})", fmt::join(plan.key, ", ")));
}

}  // namespace

ColumnMeasure MeasuredTable::column(const std::string& name) const {
  for (std::size_t i = 0; i < table.columns.size() && i < measure.columns.size(); ++i) {
    if (table.columns[i].name == name) return measure.columns[i];
  }
  return {};
}

TargetFit examine_fit(postgres::Connection& target, std::vector<TablePlan>& plans,
                      const TargetTablesOptions& options, const std::vector<MeasuredTable>& measured) {
  TargetFit fit;
  for (TablePlan& plan : plans) {
    fit.there.push_back(is_there(target, plan));
    check_presence(plan, fit.there.back(), options);
    if (!fit.there.back()) continue;
    if (!options.adopt) refuse_rows(target, plan);
    auto of_table = std::find_if(measured.begin(), measured.end(),
                                 [&](const MeasuredTable& each) { return each.table.name == plan.source; });
    check_columns(target, plan, of_table == measured.end() ? nullptr : &*of_table, fit.findings);
    check_key(target, plan);
  }
  return fit;
}

std::vector<bool> require_fit(postgres::Connection& target, std::vector<TablePlan>& plans,
                              const TargetTablesOptions& options) {
  TargetFit fit = examine_fit(target, plans, options);
  if (fit.findings.empty()) return std::move(fit.there);
  const Finding& first = fit.findings.front();
  throw Refused(first.code, first.message, first.mend);
}

std::vector<Finding> find_unfilled(postgres::Connection& target, const std::vector<TablePlan>& plans) {
  std::map<std::string, std::set<std::string>> written;  // by table
  for (const TablePlan& plan : plans) {
    if (!is_mapped(plan) || plan.schema == "auth") continue;
    for (const ColumnPlan& column : plan.columns) written[quoted_name(plan)].insert(column.target);
  }
  std::vector<Finding> findings;
  for (const auto& [table, columns] : written) {
    auto there = target.run(columns_sql, {table});
    std::vector<std::string> unfilled;
    for (int i = 0; i < there.rows(); ++i) {
      std::string name(there.text(i, 0));
      if (!there.boolean(i, 4) && !columns.contains(name)) unfilled.push_back(std::move(name));
    }
    if (unfilled.empty()) continue;
    findings.push_back(
        {Finding::Level::note, "map-column-not-filled", table, "",
         fmt::format("no map fills {} of {}: {}", fmt::join(unfilled, ", "), table,
                     unfilled.size() == 1 ? "it keeps its default" : "they keep their defaults"),
         ""});
  }
  return findings;
}

}  // namespace tidegate
