#include "apply/postgres/target_tables.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "apply/postgres/object_builder.hpp"
#include "apply/postgres/row_errors.hpp"
#include "apply/postgres/sequences.hpp"
#include "apply/postgres/statements.hpp"
#include "apply/postgres/target_fence.hpp"
#include "apply/postgres/widening.hpp"
#include "db/failpoint.hpp"

namespace tidegate {
namespace {

const TablePlan* plan_of(const std::string& source, const std::vector<TablePlan>& plans) {
  auto found =
      std::find_if(plans.begin(), plans.end(), [&](const TablePlan& plan) { return plan.source == source; });
  return found == plans.end() ? nullptr : &*found;
}

bool holds_integers(const ColumnPlan& column) {
  const auto& type = column.existing_type;
  return column.identity || type == "bigint" || type == "integer" || type == "smallint";
}

}  // namespace

void TargetTables::record(const TablePlan& plan, bool created, const std::string& status) {
  session_.connection().run(
      "INSERT INTO tidegate.tables(pipeline, source_table, target_table, plan, created_by_us)"
      " VALUES ($1, $2, $3, $4, $5) ON CONFLICT (pipeline, source_table) DO UPDATE SET plan = excluded.plan",
      {session_.pipeline(), plan.source, shown_name(plan), to_json(plan), created ? "true" : "false"});
  session_.connection().run(
      "INSERT INTO tidegate.migration_checkpoints(table_name, status) VALUES ($1, $2) ON CONFLICT DO NOTHING",
      {shown_name(plan), status});
}

// What is there now was written by others.
void TargetTables::adopt(const std::vector<TablePlan>& plans, const std::vector<bool>& there) {
  for (std::size_t i = 0; i < plans.size(); ++i) {
    const std::string sql = there[i] ? adopt_sql(plans[i], session_.pipeline()) : "";
    if (!sql.empty()) session_.connection().run(sql);
  }
}

// With `adopt` the tables that are there are used as they are, and the others are made.
void TargetTables::create(const std::vector<SourceTable>& tables, std::vector<TablePlan> plans) {
  TargetTransaction transaction(session_);
  auto there = require_fit(session_.connection(), plans, options_);
  std::vector<SourceTable> missing;
  std::vector<TablePlan> missing_plans;
  for (const SourceTable& table : tables) {
    const TablePlan* plan = plan_of(table.name, plans);
    if (!plan || there[static_cast<std::size_t>(plan - plans.data())]) continue;
    missing.push_back(table);
    missing_plans.push_back(*plan);
  }
  for (const auto& statement : ddl_(missing, missing_plans).before_load) {
    session_.connection().run(statement);
  }
  for (std::size_t i = 0; i < plans.size(); ++i) record(plans[i], !there[i], "pending");
  if (options_.adopt) adopt(plans, there);
  fence_target(session_, plans);
  auto phase = session_.change_phase(TargetPhase::loading);
  session_.connection().run(phase.sql, phase.parameters);
  failpoint("schema-before-commit");
  transaction.commit();
  failpoint("schema-after-commit");
  session_.phase_changed(TargetPhase::loading);
}

std::vector<TablePlan> recorded_plans(postgres::Connection& target, const std::string& pipeline) {
  auto rows =
      target.run("SELECT plan FROM tidegate.tables WHERE pipeline = $1 ORDER BY source_table", {pipeline});
  std::vector<TablePlan> plans;
  for (int i = 0; i < rows.rows(); ++i) plans.push_back(plan_from_json(rows.text(i, 0)));
  return plans;
}

std::vector<TablePlan> TargetTables::recorded() {
  return recorded_plans(session_.connection(), session_.pipeline());
}

std::set<std::string> TargetTables::made_by_us() {
  auto rows = session_.connection().run(
      "SELECT source_table FROM tidegate.tables WHERE pipeline = $1 AND created_by_us",
      {session_.pipeline()});
  std::set<std::string> names;
  for (int i = 0; i < rows.rows(); ++i) names.emplace(rows.text(i, 0));
  return names;
}

namespace {

std::string object_id(std::string_view kind, std::string_view table, std::string_view name) {
  return fmt::format("{}\n{}\n{}", kind, table, name);
}

}  // namespace

std::set<std::string> TargetTables::built() {
  auto rows = session_.connection().run(
      "SELECT kind, table_name, name FROM tidegate.objects WHERE pipeline = $1", {session_.pipeline()});
  std::set<std::string> ids;
  for (int i = 0; i < rows.rows(); ++i)
    ids.insert(object_id(rows.text(i, 0), rows.text(i, 1), rows.text(i, 2)));
  return ids;
}

std::vector<Finding> TargetTables::build_objects(const std::vector<SourceTable>& tables,
                                                 const std::vector<TablePlan>& plans,
                                                 const std::function<void(const std::string&)>& progress,
                                                 const std::function<bool(const DdlObject&)>& wanted) {
  std::vector<DdlObject> missing;
  auto made = made_by_us();
  auto there = built();
  for (auto& object : ddl_(tables, plans).after_load) {
    if (!made.contains(object.table) || (wanted && !wanted(object))) continue;
    if (there.contains(object_id(name_of(object.kind), object.table, object.name))) continue;
    missing.push_back(std::move(object));
  }
  return tidegate::build_objects(session_, std::move(missing), options_.jobs, progress);
}

void TargetTables::set_sequences(const std::vector<SourceTable>& tables,
                                 const std::vector<TablePlan>& plans) {
  for (const auto& table : tables) {
    const TablePlan* plan = plan_of(table.name, plans);
    std::string restart = plan ? identity_restart(table, *plan) : "";
    if (!restart.empty()) session_.connection().run(restart);
  }
}

// By what the columns draw from now, whether or not that is theirs.
void TargetTables::set_mapped_sequences(const std::vector<TablePlan>& plans) {
  std::vector<SequenceEnd> columns, ends;
  for (const auto& plan : plans)
    for (const auto& column : plan.columns)
      if (holds_integers(column)) columns.push_back({"", "", quoted_name(plan), column.target});
  const auto seen = look_for_sequences(session_.connection(), columns);
  for (std::size_t i = 0; i < columns.size(); ++i) {
    if (!seen.at(i).is_there) continue;
    auto most = session_.connection().run(
        fmt::format("SELECT max({}) FROM {}", quoted(columns[i].column), columns[i].table));
    if (most.is_null(0, 0)) continue;
    columns[i].last = most.integer(0, 0);
    ends.push_back(columns[i]);
  }
  raise_sequences(session_.connection(), ends);
}

void TargetTables::analyze(const std::vector<TablePlan>& plans) {
  for (const auto& plan : plans) session_.connection().run("ANALYZE " + quoted_name(plan));
}

bool TargetTables::widen_column(Plans& plans, const std::string& source_table, const std::string& column) {
  TablePlan wider = plans.at(source_table);
  auto place = std::find_if(wider.columns.begin(), wider.columns.end(),
                            [&](const ColumnPlan& each) { return each.source == column; });
  if (place == wider.columns.end() || !made_by_us().contains(source_table)) return false;
  widen(*place);
  auto refused = attempt(session_.connection(), [&] {
    try {
      session_.connection().run(fmt::format("ALTER TABLE {} ALTER COLUMN {} TYPE {}", quoted_name(wider),
                                            quoted(place->target), sql_type(*place)));
    } catch (const Error& error) {
      // A generated column or a view that stands on it keeps it as it is.
      if (error.advice() != Advice::stop) throw;
      throw Error(error.what(), "P0001", Advice::stop);
    }
  });
  if (refused) return false;
  record(wider, true, "completed");
  plans.at(source_table) = std::move(wider);
  return true;
}

void TargetTables::make(const SourceTable& table, const TablePlan& plan) {
  for (const auto& statement : ddl_({table}, {plan}).before_load) {
    session_.connection().run(statement);
  }
}

std::vector<Finding> TargetTables::carry(const std::vector<SourceTable>& changed, Plans& plans) {
  std::vector<Finding> findings;
  for (const SourceTable& table : changed) {
    auto planned = plan_table(table, {}, options_.plan);
    auto [known, is_new] = plans.emplace(table.name, planned.plan);
    if (is_new) make(table, planned.plan), fence_target(session_, {planned.plan});
    for (const ColumnPlan& column : planned.plan.columns) {
      auto& columns = known->second.columns;
      bool there = std::any_of(columns.begin(), columns.end(),
                               [&](const ColumnPlan& each) { return each.source == column.source; });
      if (there) continue;
      session_.connection().run(add_column_statement(table, planned.plan, column));
      columns.push_back(column);
    }
    session_.connection().run(
        "UPDATE tidegate.chunks SET complete = false WHERE pipeline = $1 AND source_table = $2",
        {session_.pipeline(), table.name});
    record(known->second, is_new,
           "completed");  // a new table has nothing to copy: its rows come with the stream
    findings.insert(findings.end(), planned.findings.begin(), planned.findings.end());
  }
  return findings;
}

namespace {

// What several tables share may be there already; the table itself must not.
bool is_there_already(const Error& error) {
  return error.code() == "42710" || error.code() == "42P06" || error.code() == "42723";
}

}  // namespace

void TargetTables::make_new(const TablePlan& plan, const Ddl& ddl) {
  auto& target = session_.connection();
  for (const auto& statement : ddl.before_load) {
    target.run("SAVEPOINT tidegate_make");
    try {
      target.run(statement);
    } catch (const Error& error) {
      if (!is_there_already(error)) throw;
      target.run("ROLLBACK TO SAVEPOINT tidegate_make");
    }
  }
  for (const auto& object : ddl.after_load) {
    if (object.kind != DdlObject::Kind::primary_key) continue;
    for (const auto& statement : object.statements) target.run(statement);
    target.run(
        "INSERT INTO tidegate.objects(pipeline, name, kind, table_name, state) VALUES ($1, $2, $3, $4, "
        "'done')",
        {session_.pipeline(), object.name, std::string(name_of(object.kind)), object.table});
  }
  record(plan, true, "pending");
}

void TargetTables::add_native_columns(const SourceTable& table, const TablePlan& wider, Plans& plans) {
  TablePlan& plan = plans.at(wider.source);
  for (const ColumnPlan& column : wider.columns) {
    bool there = std::any_of(plan.columns.begin(), plan.columns.end(),
                             [&](const ColumnPlan& each) { return each.source == column.source; });
    if (there) continue;
    session_.connection().run(fmt::format("ALTER TABLE {} ADD COLUMN IF NOT EXISTS {} {}", quoted_name(plan),
                                          quoted(column.target), table.column(column.source)->declared_type));
    plan.columns.push_back(column);
  }
  record(plan, true, "completed");
}

void CheckpointSummary::begin(const std::string& table) {
  session_.connection().run(
      "UPDATE tidegate.migration_checkpoints SET status = 'in_progress', error_message = NULL, updated_at = "
      "now()"
      " WHERE table_name = $1 AND status <> 'completed'",
      {table});
}

void CheckpointSummary::progress(const std::string& table, std::uint64_t rows, int batches,
                                 const postgres::Parameter& last_key,
                                 const std::optional<std::int64_t>& last_id) {
  postgres::Parameter id;
  if (last_id) id = std::to_string(*last_id);
  session_.connection().run(
      "UPDATE tidegate.migration_checkpoints SET records_migrated = $2, batch_number = $3, last_key = "
      "coalesce($4, last_key), last_record_id = coalesce($5, last_record_id), updated_at = now() WHERE "
      "table_name = $1",
      {table, std::to_string(rows), std::to_string(batches), last_key, id});
}

void CheckpointSummary::complete(const std::string& table, std::uint64_t rows, int batches) {
  session_.connection().run(
      "UPDATE tidegate.migration_checkpoints SET status = 'completed', records_migrated = $2, batch_number = "
      "$3,"
      " updated_at = now() WHERE table_name = $1 AND status <> 'completed'",
      {table, std::to_string(rows), std::to_string(batches)});
}

void CheckpointSummary::fail_unfinished(const std::string& message) {
  session_.connection().run(
      "UPDATE tidegate.migration_checkpoints SET status = 'failed', error_message = $1, updated_at = now()"
      " WHERE status = 'in_progress'",
      {message});
}

}  // namespace tidegate
