#include "apply/postgres/target_tables.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "apply/postgres/row_errors.hpp"
#include "db/failpoint.hpp"

namespace tidegate {
namespace {

std::string shown_name(const TablePlan& plan) {
  return plan.schema + "." + plan.target;
}

std::string_view kind_name(DdlObject::Kind kind) {
  switch (kind) {
    case DdlObject::Kind::unique:
      return "unique";
    case DdlObject::Kind::index:
      return "index";
    case DdlObject::Kind::check:
      return "check";
    case DdlObject::Kind::foreign_key:
      return "foreign key";
  }
  return "";
}

const TablePlan* plan_of(const std::string& source, const std::vector<TablePlan>& plans) {
  auto found =
      std::find_if(plans.begin(), plans.end(), [&](const TablePlan& plan) { return plan.source == source; });
  return found == plans.end() ? nullptr : &*found;
}

Finding not_built(const DdlObject& object, const std::string& message) {
  return {Finding::Level::warn,
          "object-not-built",
          object.table,
          "",
          fmt::format("{} {} of table {} could not be built on the target: {}", kind_name(object.kind),
                      object.name, object.table, message),
          "mend the rows in the source, then build it on the target by hand; the SQL is in `tidegate plan`"};
}

}  // namespace

bool TargetTables::exists(const TablePlan& plan) {
  return session_.connection()
      .run("SELECT pg_catalog.to_regclass($1) IS NOT NULL", {quoted_name(plan)})
      .boolean(0, 0);
}

void TargetTables::refuse_rows(const TablePlan& plan) {
  if (options_.adopt) return;
  if (session_.connection()
          .run(fmt::format("SELECT EXISTS (SELECT FROM {})", quoted_name(plan)))
          .boolean(0, 0)) {
    throw Refused(
        fmt::format("table {} of the target holds rows that tidegate did not write; empty it, exclude it "
                    "(--tables), or accept its rows with --adopt",
                    shown_name(plan)));
  }
}

void TargetTables::record(const TablePlan& plan, bool created, const std::string& status) {
  session_.connection().run(
      "INSERT INTO tidegate.tables(pipeline, source_table, target_table, plan, created_by_us)"
      " VALUES ($1, $2, $3, $4, $5) ON CONFLICT (pipeline, source_table) DO UPDATE SET plan = excluded.plan",
      {session_.pipeline(), plan.source, shown_name(plan), to_json(plan), created ? "true" : "false"});
  session_.connection().run(
      "INSERT INTO tidegate.migration_checkpoints(table_name, status) VALUES ($1, $2) ON CONFLICT DO NOTHING",
      {shown_name(plan), status});
}

void TargetTables::create(const std::vector<SourceTable>& tables, std::vector<TablePlan> plans) {
  TargetTransaction transaction(session_);
  for (TablePlan& plan : plans) {
    bool there = exists(plan);
    if (there && options_.create && !options_.adopt) {
      throw Refused(
          fmt::format("table {} is already in the target; drop it, exclude it (--tables), or let tidegate "
                      "fill it as it is ([target] schema = \"existing\")",
                      shown_name(plan)));
    }
    if (!there && !options_.create) {
      throw Refused(
          fmt::format("table {} is not in the target; make it with your migrations, or let tidegate create "
                      "it ([target] schema = \"create\")",
                      shown_name(plan)));
    }
    if (!there) continue;
    refuse_rows(plan);
    check_fit(plan);
  }
  if (options_.create && !options_.adopt) {
    for (const auto& statement : make_ddl(tables, plans, options_.plan).before_load) {
      session_.connection().run(statement);
    }
  }
  for (const TablePlan& plan : plans) record(plan, options_.create && !options_.adopt, "pending");
  auto phase = session_.change_phase(TargetPhase::loading);
  session_.connection().run(phase.sql, phase.parameters);
  failpoint("schema-before-commit");
  transaction.commit();
  failpoint("schema-after-commit");
  session_.phase_changed(TargetPhase::loading);
}

namespace {

constexpr const char* columns_sql = R"sql(
SELECT a.attname, pg_catalog.format_type(a.atttypid, NULL), a.attnotnull,
       a.atthasdef OR a.attidentity <> '' AS has_default, a.attgenerated <> '' AS generated
FROM pg_catalog.pg_attribute a
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
  return Refused(fmt::format("table {} of the target does not fit: {}", shown_name(plan), why));
}

}  // namespace

// A column that is there is written in its own type; one that must be filled and is not is a reason to
// refuse.
void TargetTables::check_fit(TablePlan& plan) {
  auto rows = session_.connection().run(columns_sql, {quoted_name(plan)});
  for (ColumnPlan& column : plan.columns) {
    int found = 0;
    while (found < rows.rows() && rows.text(found, 0) != column.target) ++found;
    if (found == rows.rows()) throw does_not_fit(plan, "it has no column " + column.target);
    if (rows.boolean(found, 4)) throw does_not_fit(plan, "its column " + column.target + " is generated");
    column.existing_type = rows.text(found, 1);
  }
  for (int i = 0; i < rows.rows(); ++i) {
    bool written = std::any_of(plan.columns.begin(), plan.columns.end(),
                               [&](const ColumnPlan& column) { return column.target == rows.text(i, 0); });
    if (!written && rows.boolean(i, 2) && !rows.boolean(i, 3) && !rows.boolean(i, 4)) {
      throw does_not_fit(
          plan, fmt::format("its column {} is NOT NULL without a default, and the source has nothing for it",
                            rows.text(i, 0)));
    }
  }
  if (!session_.connection()
           .run(unique_on_key_sql, {quoted_name(plan), text_array(plan.key)})
           .boolean(0, 0)) {
    throw does_not_fit(
        plan, fmt::format("it has no primary key or unique index on ({})", fmt::join(plan.key, ", ")));
  }
}

std::vector<TablePlan> TargetTables::recorded() {
  auto rows = session_.connection().run(
      "SELECT plan FROM tidegate.tables WHERE pipeline = $1 ORDER BY source_table", {session_.pipeline()});
  std::vector<TablePlan> plans;
  for (int i = 0; i < rows.rows(); ++i) plans.push_back(plan_from_json(rows.text(i, 0)));
  return plans;
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

// Its statements one by one under savepoints: a constraint that was added NOT VALID stays so where a row
// breaks it.
void TargetTables::build(const DdlObject& object, std::vector<Finding>& findings) {
  TargetTransaction transaction(session_);
  std::string failure;
  for (const auto& statement : object.statements) {
    auto error = attempt(session_.connection(), [&] {
      try {
        session_.connection().run(statement);
      } catch (const Error& refused) {
        // An object that the target cannot have at all (42…) is reported like one that its rows refuse.
        if (!refused.code().starts_with("42")) throw;
        throw Error(refused.what(), "P0001", Advice::stop);
      }
    });
    if (!error) continue;
    failure = error->what();
    break;
  }
  session_.connection().run(
      "INSERT INTO tidegate.objects(pipeline, name, kind, table_name, state, error) VALUES ($1, $2, $3, $4, "
      "$5, $6)",
      {session_.pipeline(), object.name, std::string(kind_name(object.kind)), object.table,
       failure.empty() ? "done" : "failed", failure});
  transaction.commit();
  failpoint("build-after-object");
  if (!failure.empty()) findings.push_back(not_built(object, failure));
}

std::vector<Finding> TargetTables::build_objects(const std::vector<SourceTable>& tables,
                                                 const std::vector<TablePlan>& plans,
                                                 const std::function<void(const std::string&)>& progress) {
  std::vector<Finding> findings;
  if (!options_.create || options_.adopt) return findings;
  auto there = built();
  for (const auto& object : make_ddl(tables, plans, options_.plan).after_load) {
    if (there.contains(object_id(kind_name(object.kind), object.table, object.name))) continue;
    progress(fmt::format("{} {} on {}", kind_name(object.kind), object.name, object.table));
    build(object, findings);
  }
  return findings;
}

void TargetTables::set_sequences(const std::vector<SourceTable>& tables,
                                 const std::vector<TablePlan>& plans) {
  for (const auto& table : tables) {
    const TablePlan* plan = plan_of(table.name, plans);
    std::string restart = plan ? identity_restart(table, *plan) : "";
    if (!restart.empty()) session_.connection().run(restart);
  }
}

void TargetTables::analyze(const std::vector<TablePlan>& plans) {
  for (const auto& plan : plans) session_.connection().run("ANALYZE " + quoted_name(plan));
}

void TargetTables::make(const SourceTable& table, const TablePlan& plan) {
  for (const auto& statement : make_ddl({table}, {plan}, options_.plan).before_load) {
    session_.connection().run(statement);
  }
}

std::vector<Finding> TargetTables::carry(const std::vector<SourceTable>& changed, Plans& plans) {
  std::vector<Finding> findings;
  for (const SourceTable& table : changed) {
    auto planned = plan_table(table, {}, options_.plan);
    auto [known, is_new] = plans.emplace(table.name, planned.plan);
    if (is_new) make(table, planned.plan);
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
    record(known->second, is_new, "completed");  // a new table has nothing to copy: its rows come with the stream
    findings.insert(findings.end(), planned.findings.begin(), planned.findings.end());
  }
  return findings;
}

void CheckpointSummary::begin(const std::string& table) {
  session_.connection().run(
      "UPDATE tidegate.migration_checkpoints SET status = 'in_progress', error_message = NULL, updated_at = "
      "now()"
      " WHERE table_name = $1 AND status <> 'completed'",
      {table});
}

void CheckpointSummary::progress(const std::string& table, std::uint64_t rows, int batches,
                                 const std::string& last_key, const std::optional<std::int64_t>& last_id) {
  postgres::Parameter id;
  if (last_id) id = std::to_string(*last_id);
  session_.connection().run(
      "UPDATE tidegate.migration_checkpoints SET records_migrated = $2, batch_number = $3, last_key = $4,"
      " last_record_id = $5, updated_at = now() WHERE table_name = $1",
      {table, std::to_string(rows), std::to_string(batches), last_key, id});
}

void CheckpointSummary::complete(const std::string& table, std::uint64_t rows, int batches) {
  session_.connection().run(
      "UPDATE tidegate.migration_checkpoints SET status = 'completed', records_migrated = $2, batch_number = $3,"
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
