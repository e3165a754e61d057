#include "apply/postgres/unowned_rows.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "apply/postgres/outside_references.hpp"
#include "apply/postgres/statements.hpp"
#include "apply/text_format.hpp"
#include "db/error.hpp"
#include "db/failpoint.hpp"

namespace tidegate {
namespace {

constexpr std::size_t rows_at_once = 1000;

constexpr const char* references_sql = R"sql(
SELECT c.conrelid::pg_catalog.regclass::text, c.conrelid = c.confrelid,
       pg_catalog.string_agg(pg_catalog.format('c.%I = t.%I', a.attname, b.attname), ' AND ')
FROM pg_catalog.pg_constraint c CROSS JOIN unnest(c.conkey, c.confkey) AS k(mine, theirs)
JOIN pg_catalog.pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.mine
JOIN pg_catalog.pg_attribute b ON b.attrelid = c.confrelid AND b.attnum = k.theirs
WHERE c.contype = 'f' AND c.confrelid = pg_catalog.to_regclass($1)
  AND c.conrelid IN (SELECT pg_catalog.to_regclass(n)::oid FROM unnest($2::text[]) AS n)
GROUP BY c.oid, c.conrelid, c.confrelid)sql";

std::string text_of(const Value& value) {
  if (const auto* number = std::get_if<std::int64_t>(&value)) return std::to_string(*number);
  return std::get<std::string>(value);
}

template <typename Rows, typename Text>
postgres::Parameter array_of(const Rows& rows, const Text& text) {
  std::string literal = "{";
  for (const auto& row : rows) {
    if (literal.size() > 1) literal += ',';
    append_array_element(text(row), literal);
  }
  return postgres::Parameter(literal + "}");
}

std::vector<postgres::Parameter> key_arrays(const TablePlan& plan, const std::vector<UnownedRow>& rows) {
  std::vector<postgres::Parameter> arrays;
  for (std::size_t i = 0; i < plan.key.size(); ++i)
    arrays.push_back(array_of(rows, [i](const UnownedRow& row) { return text_of(row.key.at(i)); }));
  return arrays;
}

std::vector<std::string> texts_of(const std::vector<postgres::Parameter>& arrays) {
  std::vector<std::string> texts;
  for (const auto& array : arrays) texts.push_back(*array);
  return texts;
}

// Rows of tables that the pipeline fills; what others' rows ask for, OutsideReferences does.
std::string nobody_refers(postgres::Connection& target, const Plans& plans, const TablePlan& plan) {
  std::vector<std::string> tables;
  for (const auto& [name, each] : plans) tables.push_back(quoted_name(each));
  auto rows = target.run(references_sql,
                         {quoted_name(plan), array_of(tables, [](const auto& name) { return name; })});
  std::string sql;
  for (int i = 0; i < rows.rows(); ++i)
    sql += fmt::format(" AND NOT EXISTS (SELECT FROM {} AS c WHERE {}{})", rows.text(i, 0), rows.text(i, 2),
                       rows.boolean(i, 1) ? " AND c.ctid <> t.ctid" : "");
  return sql;
}

// Of the plan's own rows: in a subquery, so that the condition's names mean the table's columns.
std::string owned(const TablePlan& plan) {
  if (plan.rows.empty()) return "";
  return fmt::format(" AND EXISTS (SELECT FROM {} AS o WHERE o.ctid = t.ctid AND ({}))", quoted_name(plan),
                     plan.rows);
}

std::vector<UnownedRow> unchanged(postgres::Connection& target, const TablePlan& plan,
                                  const std::vector<UnownedRow>& rows, const std::string& more) {
  auto parameters = key_arrays(plan, rows);
  parameters.push_back(array_of(rows, [](const UnownedRow& row) { return row.version; }));
  auto found =
      target.run(fmt::format("SELECT k.n FROM {} AS t, {} AND t.xmin::text = (${}::text[])[k.n::int]{}",
                             quoted_name(plan), numbered_keys(plan), parameters.size(), more),
                 parameters);
  std::vector<UnownedRow> same;
  for (int i = 0; i < found.rows(); ++i)
    same.push_back(rows.at(static_cast<std::size_t>(found.integer(i, 0) - 1)));
  return same;
}

std::uint64_t remove_some(TargetSession& session, const Plans& plans, const TablePlan& plan,
                          const std::vector<UnownedRow>& rows) {
  auto& target = session.connection();
  TargetTransaction transaction(session);
  const std::string more = plan.contributor ? "" : owned(plan) + nobody_refers(target, plans, plan);
  const auto going = unchanged(target, plan, rows, more);
  if (going.empty()) return 0;
  const auto arrays = key_arrays(plan, going);
  std::vector<postgres::Command> commands;
  if (!plan.contributor) OutsideReferences(session, plans).before_delete(plan, texts_of(arrays), commands);
  commands.push_back({delete_sql(plan), arrays});
  target.pipeline(commands);
  failpoint("unowned-before-commit");
  transaction.commit();
  failpoint("unowned-after-commit");
  return going.size();
}

// What a rule of somebody else's keeps is left, and the others go.
std::uint64_t remove_what_may_go(TargetSession& session, const Plans& plans, const TablePlan& plan,
                                 const std::vector<UnownedRow>& rows) {
  try {
    return remove_some(session, plans, plan, rows);
  } catch (const Error& error) {
    if (error.advice() != Advice::stop || !session.connection().usable()) throw;
  }
  std::uint64_t removed = 0;
  if (rows.size() > 1)
    for (const UnownedRow& row : rows) removed += remove_what_may_go(session, plans, plan, {row});
  return removed;
}

template <typename Act>
void in_pieces(const std::vector<UnownedRow>& rows, const Act& act) {
  for (std::size_t i = 0; i < rows.size(); i += rows_at_once)
    act(std::vector<UnownedRow>(
            rows.begin() + static_cast<std::ptrdiff_t>(i),
            rows.begin() + static_cast<std::ptrdiff_t>(std::min(rows.size(), i + rows_at_once))),
        i);
}

}  // namespace

void read_versions(postgres::Connection& target, const TablePlan& plan, std::vector<UnownedRow>& rows) {
  in_pieces(rows, [&](const std::vector<UnownedRow>& some, std::size_t first) {
    auto found = target.run(
        fmt::format("SELECT k.n, t.xmin::text FROM {} AS t, {}", quoted_name(plan), numbered_keys(plan)),
        key_arrays(plan, some));
    for (int i = 0; i < found.rows(); ++i)
      rows.at(first + static_cast<std::size_t>(found.integer(i, 0) - 1)).version = found.text(i, 1);
  });
}

// Rows among them may refer to each other: those that nobody refers to go first, as long as some go.
std::uint64_t remove_unowned(TargetSession& session, const Plans& plans, const TablePlan& plan,
                             const std::vector<UnownedRow>& rows) {
  std::uint64_t removed = 0, before = 0;
  do {
    before = removed;
    in_pieces(rows, [&](const std::vector<UnownedRow>& some, std::size_t) {
      removed += remove_what_may_go(session, plans, plan, some);
    });
  } while (removed > before && !plan.contributor);
  return removed;
}

}  // namespace tidegate
