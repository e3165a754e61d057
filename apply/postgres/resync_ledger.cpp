#include "apply/postgres/resync_ledger.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <boost/json.hpp>

#include "apply/postgres/row_errors.hpp"

namespace tidegate {
namespace {

constexpr std::array<std::string_view, 5> state_names{"stopped", "copying", "following", "merging",
                                                      "rejoining"};
constexpr std::string_view mark = " (resync)";

ResyncState state_named(std::string_view name) {
  auto found = std::find(state_names.begin(), state_names.end(), name);
  if (found == state_names.end()) {
    throw Refused(
        "target-newer",
        "a table of the target is in state '" + std::string(name) + "', which this tidegate does not know",
        "use the version of tidegate that filled it");
  }
  return static_cast<ResyncState>(found - state_names.begin());
}

// The same name each time, so that what a crash left is found; another one for each pipeline and table.
std::string table_name(TargetSession& session, const std::string& table) {
  auto name = session.connection().run("SELECT 'resync_' || left(pg_catalog.md5($1 || E'\\n' || $2), 20)",
                                       {session.pipeline(), table});
  return std::string(name.text(0, 0));
}

std::string key_of(const TablePlan& plan) {
  std::vector<std::string> columns;
  for (const auto& column : plan.key) columns.push_back(quoted(column));
  return fmt::format("{}", fmt::join(columns, ", "));
}

// A lane that was cut off may still be writing into the staging table: DROP waits for it, so what it records
// is removed after that.
void remove_staging(TargetSession& session, const TablePlan& staging) {
  auto& target = session.connection();
  bool is_own = without_staging(staging.source) == staging.source;
  target.run((is_own ? "DELETE FROM " : "DROP TABLE IF EXISTS ") + quoted_name(staging));
  for (const char* records : {"chunks", "chunk_keys", "quarantine"}) {
    target.run(fmt::format("DELETE FROM tidegate.{} WHERE pipeline = $1 AND source_table = $2", records),
               {session.pipeline(), staging.source});
  }
}

void alter(TargetSession& session, const TablePlan& staging, const StagingShape& shape) {
  auto statement = [&](const std::string& piece) {
    return fmt::format("ALTER TABLE {} {}", quoted_name(staging), piece);
  };
  for (const auto& piece : shape.changes) session.connection().run(statement(piece));
  for (const auto& piece : shape.wishes) attempt_ddl(session.connection(), statement(piece));
}

void make_staging(TargetSession& session, const TablePlan& plan, const TablePlan& staging,
                  const StagingShape& shape) {
  auto& target = session.connection();
  remove_staging(session, staging);
  target.run(
      fmt::format("CREATE TABLE {} (LIKE {} INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING GENERATED "
                  "INCLUDING STORAGE)",
                  quoted_name(staging), quoted_name(plan)));
  alter(session, staging, shape);
  if (!staging.key.empty())
    target.run(fmt::format("ALTER TABLE {} ADD PRIMARY KEY ({})", quoted_name(staging), key_of(staging)));
}

namespace json = boost::json;

std::string to_json(const StagingShape& shape) {
  return json::serialize(
      json::object{{"changes", json::value_from(shape.changes)}, {"wishes", json::value_from(shape.wishes)}});
}

// What an earlier resync was to change, and did not come to, is not to be seen at the source any more.
void add_earlier(TargetSession& session, const std::string& table, StagingShape& shape) {
  auto row = session.connection().run(
      "SELECT changes FROM tidegate.resyncs WHERE pipeline = $1 AND source_table = $2 AND changes IS NOT "
      "NULL",
      {session.pipeline(), table});
  if (row.rows() == 0) return;
  json::value earlier = json::parse(row.text(0, 0));
  auto prepend = [&](const char* name, std::vector<std::string>& pieces) {
    auto before = json::value_to<std::vector<std::string>>(earlier.at(name));
    pieces.insert(pieces.begin(), before.begin(), before.end());
  };
  prepend("changes", shape.changes);
  prepend("wishes", shape.wishes);
}

}  // namespace

std::string_view name_of(ResyncState state) {
  return state_names[static_cast<std::size_t>(state)];
}

std::string staging_name(const std::string& table) {
  return table + std::string(mark);
}

std::string without_staging(const std::string& name) {
  return name.ends_with(mark) ? name.substr(0, name.size() - mark.size()) : name;
}

// A mapped table has no plan of its own name.
std::optional<std::string> table_of_record(const std::string& recorded, const Plans& plans) {
  for (const auto& [name, plan] : plans) {
    if (plan.source == recorded) return name;
  }
  bool of_another_copy = plans.contains(recorded) || without_staging(recorded) != recorded;
  return of_another_copy ? std::nullopt : std::optional(recorded);
}

std::vector<Resync> read_resyncs(TargetSession& session) {
  auto rows = session.connection().run(
      "SELECT source_table, state, held, sequence, until_sequence, staging, why FROM tidegate.resyncs"
      " WHERE pipeline = $1 ORDER BY began_at, source_table",
      {session.pipeline()});
  std::vector<Resync> resyncs;
  for (int i = 0; i < rows.rows(); ++i) {
    Resync& resync = resyncs.emplace_back();
    resync.table = rows.text(i, 0);
    resync.state = state_named(rows.text(i, 1));
    resync.held = rows.boolean(i, 2);
    resync.sequence = static_cast<std::uint64_t>(rows.integer(i, 3));
    if (!rows.is_null(i, 4)) resync.until = static_cast<std::uint64_t>(rows.integer(i, 4));
    if (!rows.is_null(i, 5)) resync.staging = plan_from_json(rows.text(i, 5));
    resync.why = rows.text(i, 6);
  }
  return resyncs;
}

Resync begin_resync(TargetSession& session, const TablePlan& plan, const StagingShape& now) {
  StagingShape shape = now;
  add_earlier(session, plan.source, shape);
  Resync resync{plan.source, ResyncState::copying, false, session.position().sequence, {}, shape.plan, ""};
  resync.staging->source = staging_name(plan.source);
  resync.staging->schema = "tidegate";
  resync.staging->target = table_name(session, plan.source);
  make_staging(session, plan, *resync.staging, shape);
  auto row = session.connection().run(
      "INSERT INTO tidegate.resyncs AS r (pipeline, source_table, state, held, sequence, staging, changes)"
      " VALUES ($1, $2, 'copying', false, $3, $4, $5) ON CONFLICT (pipeline, source_table) DO UPDATE SET"
      " state = 'copying', sequence = excluded.sequence, until_sequence = NULL, staging = excluded.staging, "
      "changes = excluded.changes,"
      " why = '', began_at = now() RETURNING held",
      {session.pipeline(), plan.source, std::to_string(resync.sequence), to_json(*resync.staging),
       to_json(shape)});
  resync.held = row.boolean(0, 0);
  return resync;
}

Resync begin_first_copy(TargetSession& session, const TablePlan& plan) {
  remove_staging(session, plan);
  session.connection().run(
      "INSERT INTO tidegate.resyncs AS r (pipeline, source_table, state, held, sequence, staging)"
      " VALUES ($1, $2, 'copying', true, $3, $4) ON CONFLICT (pipeline, source_table) DO UPDATE SET"
      " state = 'copying', held = true, sequence = excluded.sequence, staging = excluded.staging",
      {session.pipeline(), plan.source, std::to_string(session.position().sequence), to_json(plan)});
  return {plan.source, ResyncState::copying, true, session.position().sequence, {}, plan, ""};
}

Resync stop_table(TargetSession& session, const std::string& table, const std::string& why) {
  auto row = session.connection().run(
      "SELECT staging FROM tidegate.resyncs WHERE pipeline = $1 AND source_table = $2 AND staging IS NOT "
      "NULL",
      {session.pipeline(), table});
  if (row.rows() == 1) remove_staging(session, plan_from_json(row.text(0, 0)));
  session.connection().run(
      "INSERT INTO tidegate.resyncs(pipeline, source_table, state, held, sequence, why)"
      " VALUES ($1, $2, 'stopped', true, $3, $4) ON CONFLICT (pipeline, source_table) DO UPDATE SET state = "
      "'stopped',"
      " held = true, sequence = excluded.sequence, until_sequence = NULL, staging = NULL, why = excluded.why",
      {session.pipeline(), table, std::to_string(session.position().sequence), why});
  return {table, ResyncState::stopped, true, session.position().sequence, {}, {}, why};
}

void stream_again(TargetSession& session, const std::string& table) {
  session.connection().run(
      "UPDATE tidegate.resyncs SET held = false WHERE pipeline = $1 AND source_table = $2",
      {session.pipeline(), table});
}

void hold_for_merge(TargetSession& session, const std::string& table) {
  session.connection().run(
      "UPDATE tidegate.resyncs SET state = 'merging', held = true, until_sequence = $3"
      " WHERE pipeline = $1 AND source_table = $2",
      {session.pipeline(), table, std::to_string(session.position().sequence)});
}

void end_resync(TargetSession& session, const std::string& table) {
  session.connection().run("DELETE FROM tidegate.resyncs WHERE pipeline = $1 AND source_table = $2",
                           {session.pipeline(), table});
}

void change_state(TargetSession& lane, const std::string& table, ResyncState state) {
  lane.connection().run("UPDATE tidegate.resyncs SET state = $3 WHERE pipeline = $1 AND source_table = $2",
                        {lane.pipeline(), table, std::string(name_of(state))});
}

void take_over_records(TargetSession& lane, const TablePlan& plan, const TablePlan& staging) {
  auto& target = lane.connection();
  for (const char* records : {"chunks", "chunk_keys", "quarantine"}) {
    target.run(fmt::format("DELETE FROM tidegate.{} WHERE pipeline = $1 AND source_table = $2", records),
               {lane.pipeline(), plan.source});
    target.run(
        fmt::format("UPDATE tidegate.{} SET source_table = $2 WHERE pipeline = $1 AND source_table = $3",
                    records),
        {lane.pipeline(), plan.source, staging.source});
  }
  target.run("UPDATE tidegate.quarantine SET target_table = $3 WHERE pipeline = $1 AND source_table = $2",
             {lane.pipeline(), plan.source, plan.schema + "." + plan.target});
  target.run("UPDATE tidegate.tables SET plan = $3 WHERE pipeline = $1 AND source_table = $2",
             {lane.pipeline(), plan.source, to_json(plan)});
  target.run("DROP TABLE " + quoted_name(staging));
  target.run(
      "UPDATE tidegate.resyncs SET state = 'rejoining', staging = NULL, changes = NULL, until_sequence = NULL"
      " WHERE pipeline = $1 AND source_table = $2",
      {lane.pipeline(), plan.source});
}

}  // namespace tidegate
