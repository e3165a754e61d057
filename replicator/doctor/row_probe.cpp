#include "replicator/doctor/row_probe.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "apply/postgres/row_errors.hpp"
#include "apply/postgres/statements.hpp"
#include "apply/schema/existing_type.hpp"

namespace tidegate {
namespace {

constexpr std::size_t tried_at_once = 1000;
constexpr std::size_t refusals_looked_into = 1000;  // each takes some statements of its own
constexpr const char* place_column = "_tidegate_place";

// Columns that ask more of a value than the type below theirs: domains, and those that a CHECK reads.
constexpr const char* strict_sql = R"sql(
SELECT a.attname FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
WHERE a.attrelid = pg_catalog.to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped
  AND (t.typtype = 'd' OR EXISTS (SELECT FROM pg_catalog.pg_constraint c
       WHERE c.conrelid = a.attrelid AND c.contype = 'c' AND a.attnum = ANY (c.conkey))))sql";

constexpr const char* constraints_sql = R"sql(
SELECT c.conname, pg_catalog.pg_get_constraintdef(c.oid) FROM pg_catalog.pg_constraint c
WHERE c.conrelid = pg_catalog.to_regclass($1) AND c.contype = 'c' ORDER BY 1)sql";

bool is_there(postgres::Connection& target, const TablePlan& plan) {
  return !target.run("SELECT pg_catalog.to_regclass($1)", {quoted_name(plan)}).is_null(0, 0);
}

std::string type_of(const ColumnPlan& column) {
  return column.existing_type.empty() ? sql_type(column) : column.existing_type;
}

bool is_left_to_the_server(const ColumnPlan& column) {
  if (column.type == TargetType::native) return column.existing_type != "text";
  return !column.existing_type.empty() && !is_judged_here(column.existing_type);
}

TablePlan only(const TablePlan& plan, const ColumnPlan& column) {
  TablePlan small = plan;
  small.columns = {column};
  return small;
}

bool is_integrity(const Error& error) {
  return error.code().starts_with("23");
}

}  // namespace

RowProbe::RowProbe(postgres::Connection& target, const TablePlan& plan, const Relation& relation,
                   std::vector<Check> checks, const std::set<std::string>& left_out)
    : target_(target), whole_(plan), plan_(plan), relation_(relation), checks_(std::move(checks)) {
  plan_.schema = "pg_temp";
  plan_.target = fmt::format("tidegate_try_{}", reinterpret_cast<std::uintptr_t>(this));
  plan_.key.clear();
  choose_columns(left_out);
  if (plan_.columns.empty()) return;
  if (!make_table()) {
    give_up();
    return;
  }
  add_constraints();
  choose_checks();
}

void RowProbe::give_up() {
  if (!plan_.columns.empty())
    findings_.push_back(
        {Finding::Level::warn, "target-rows-not-tried", shown_name(whole_), "",
         fmt::format("rows of {} were not tried: the target takes no temporary table for them",
                     shown_name(whole_)),
         "GRANT TEMPORARY ON DATABASE to the target's role"});
  plan_.columns.clear();
  checks_.clear();
}

void RowProbe::choose_columns(const std::set<std::string>& left_out) {
  const bool there = is_there(target_, whole_);
  std::set<std::string> strict;
  const auto found = target_.run(strict_sql, {quoted_name(whole_)});
  for (int i = 0; i < found.rows(); ++i) strict.emplace(found.text(i, 0));
  std::erase_if(plan_.columns, [&](const ColumnPlan& column) {
    if (left_out.contains(column.target)) return true;
    if (!checks_.empty()) return false;
    return !there || (!is_left_to_the_server(column) && !strict.contains(column.target));
  });
}

// Without the rows' own NOT NULL: that is told by name elsewhere.
bool RowProbe::make_table() {
  std::vector<std::string> names, typed;
  for (const auto& column : plan_.columns) {
    names.push_back(tidegate::quoted(column.target));
    typed.push_back(names.back() + " " + type_of(column));
  }
  const std::string made =
      is_there(target_, whole_)
          ? fmt::format("CREATE TABLE {} AS SELECT {} FROM {} WITH NO DATA", quoted_name(plan_),
                        fmt::join(names, ", "), quoted_name(whole_))
          : fmt::format("CREATE TABLE {} ({})", quoted_name(plan_), fmt::join(typed, ", "));
  return attempt_ddl(target_, made) && attempt_ddl(target_, fmt::format("ALTER TABLE {} ADD COLUMN {} serial",
                                                                        quoted_name(plan_), place_column));
}

// Those that read another column are not tried.
void RowProbe::add_constraints() {
  const auto found = target_.run(constraints_sql, {quoted_name(whole_)});
  for (int i = 0; i < found.rows(); ++i)
    attempt_ddl(target_, fmt::format("ALTER TABLE {} ADD CONSTRAINT {} {}", quoted_name(plan_),
                                     tidegate::quoted(found.text(i, 0)), found.text(i, 1)));
}

void RowProbe::choose_checks() {
  const auto may_ask = [&](const Check& check, const TablePlan& plan) {
    return attempt_ddl(target_,
                       fmt::format("SELECT FROM {} WHERE NOT ({}) LIMIT 0", quoted_name(plan), check.must));
  };
  std::erase_if(checks_, [&](const Check& check) {
    if (may_ask(check, plan_)) return false;
    if (!is_there(target_, whole_) || !may_ask(check, whole_))
      findings_.push_back(
          {Finding::Level::warn, "check-not-understood", check.table, "",
           fmt::format("the [[check]] of table {} cannot be asked: {}", check.table, check.must),
           "correct `must`: it is SQL over the columns of the target's table"});
    return true;
  });
  broken_.resize(checks_.size());
}

void RowProbe::add(const Row& row, const std::string& name) {
  if (plan_.columns.empty()) return;
  kept_.push_back({row, name});
  if (kept_.size() == tried_at_once) finish();
}

void RowProbe::finish() {
  ask(0, kept_.size());
  kept_.clear();
}

void RowProbe::ask(std::size_t first, std::size_t last) {
  if (first == last) return;
  const RowMapper mapper(plan_, relation_);
  const auto rows = std::span(kept_).subspan(first, last - first);
  empty_table();
  const auto refusal = attempt(target_, [&] { target_.run(insert_sql(plan_), arrays_of(mapper, rows)); });
  if (!refusal) return ask_checks(first, last);
  if (last - first == 1) return note(kept_[first], *refusal);
  if (++refused_ > refusals_looked_into) {
    not_tried_ += last - first;
    return;
  }
  const auto middle = first + (last - first) / 2;
  ask(first, middle);
  ask(middle, last);
}

void RowProbe::ask_checks(std::size_t first, std::size_t last) {
  for (std::size_t i = 0; i < checks_.size(); ++i) {
    const std::string broken = fmt::format("SELECT {} FROM {} WHERE NOT ({}) ORDER BY 1", place_column,
                                           quoted_name(plan_), checks_[i].must);
    const auto refusal = attempt(target_, [&] {
      const auto places = target_.run(broken);
      for (int row = 0; row < places.rows(); ++row)
        broken_[i].add(kept_[first + static_cast<std::size_t>(places.integer(row, 0)) - 1].name);
    });
    if (refusal) not_tried_ += last - first;
  }
}

// A place that was given to a row which was refused is not given back by itself.
void RowProbe::empty_table() {
  target_.run(fmt::format("TRUNCATE {} RESTART IDENTITY", quoted_name(plan_)));
}

// The server names no column where a text is none of its type.
std::string RowProbe::column_refusing(const KeptRow& kept) {
  for (const auto& column : plan_.columns) {
    const TablePlan small = only(plan_, column);
    const RowMapper mapper(small, relation_);
    const auto refusal =
        attempt(target_, [&] { target_.run(insert_sql(small), arrays_of(mapper, std::span(&kept, 1))); });
    if (refusal && !is_integrity(*refusal))
      return fmt::format("column {}, which is {},", column.target, type_of(column));
  }
  return "";
}

void RowProbe::note(const KeptRow& kept, const Error& refusal) {
  std::string what = is_integrity(refusal) ? "" : column_refusing(kept);
  if (what.empty() && !refusal.constraint.empty()) what = "constraint " + refusal.constraint;
  refusals_[what.empty() ? "the target" : what].add(kept.name);
}

std::vector<Finding> RowProbe::findings() const {
  std::vector<Finding> findings = findings_;
  const std::string table = shown_name(whole_);
  const auto tell = [&](const char* code, std::string message, const char* mend) {
    findings.push_back({Finding::Level::warn, code, table, "", std::move(message), mend});
  };
  for (const auto& [what, rows] : refusals_)
    tell("target-refuses-rows", fmt::format("{} of {} refuses {}", what, table, rows.text()),
         "mend the values in the source, or change the column with a migration; such rows go to the "
         "quarantine");
  for (std::size_t i = 0; i < checks_.size(); ++i)
    if (broken_[i].rows > 0)
      tell("check-broken",
           fmt::format("the [[check]] of table {} is broken by {}: {}", checks_[i].table, broken_[i].text(),
                       checks_[i].must),
           "mend these rows in the source");
  if (not_tried_ > 0)
    tell("target-rows-not-tried",
         fmt::format("{} of {} were not tried: the target refused too many others", format_rows(not_tried_),
                     table),
         "mend the rows that it refuses, then run doctor again");
  return findings;
}

}  // namespace tidegate
