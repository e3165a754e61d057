#include "replicator/pipeline/postgres_view.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "apply/postgres/chunk_ledger.hpp"
#include "apply/postgres/native/native_sink.hpp"
#include "apply/postgres/resync_ledger.hpp"
#include "apply/schema/native/native_plan.hpp"
#include "capture/postgres/watch.hpp"
#include "replicator/log.hpp"
#include "replicator/pipeline/postgres_snapshot.hpp"
#include "replicator/pipeline/sequence_ends.hpp"
#include "replicator/pipeline/source_rows.hpp"
#include "replicator/server_access.hpp"
#include "replicator/verify/mapped_lines.hpp"

namespace tidegate {
namespace {

using namespace std::chrono_literals;

constexpr auto tend_interval = 10s;
constexpr auto trusted_for = 100ms;  // a connection that answered: before it is asked whether it is there
constexpr int most_retries = 5;      // of a row that changes all the time

bool answers(postgres::Connection& connection) {
  try {
    connection.run("SELECT");
    return true;
  } catch (const Error&) {
    if (connection.usable()) throw;
    return false;
  }
}

// A mapped table is read whole.
std::vector<std::string> columns_of(const capture::PostgresTable& table, const TablePlan& plan) {
  std::vector<std::string> columns;
  if (plan.from.empty()) {
    for (const auto& column : plan.columns) columns.push_back(column.source);
    return columns;
  }
  for (const auto& column : table.columns) {
    if (!column.generated) columns.push_back(column.name);
  }
  return columns;
}

SnapshotTable snapshot_table(const capture::PostgresTable& table, const TablePlan& plan) {
  std::string name = plan.source.empty() ? table.source : plan.source;
  return {name, table.schema, table.name, columns_of(table, plan), table.identity, table.partitioned};
}

// As the stream would describe it, with a number that no relation of the stream reaches.
Relation relation_for(const capture::PostgresTable& table, const TablePlan& plan) {
  Relation relation{UINT32_MAX - table.oid % (1u << 30), table.source, {}, {}};
  relation.columns = columns_of(table, plan);
  for (const auto& name : table.identity) {
    auto place = std::find(relation.columns.begin(), relation.columns.end(), name);
    relation.key.push_back(static_cast<std::uint32_t>(place - relation.columns.begin()));
  }
  return relation;
}

}  // namespace

std::vector<SourceTable> PostgresView::tables() {
  std::vector<SourceTable> tables;
  for (const auto& table : source_.tables.all()) tables.push_back(capture::as_source_table(table));
  return tables;
}

std::optional<std::uint64_t> PostgresView::rows_of(const std::string& name) {
  auto table = source_.tables.find(name);
  if (!table) return std::nullopt;
  return table->estimated_rows;
}

// The dump's statements are not split by table: all of them, or none where every table is there already.
Ddl PostgresView::ddl(const std::vector<SourceTable>& tables, const std::vector<TablePlan>&) {
  Ddl ddl = source_.ddl;
  bool made_by_others = source_.settings.target.schema == TargetSchema::existing;
  if (made_by_others || tables.empty()) ddl.before_load.clear();
  return ddl;
}

std::unique_ptr<Sink> PostgresView::sink(const TargetScene& scene) {
  return std::make_unique<NativeSink>(scene.session, scene.quarantine, scene.plans);
}

void PostgresView::show_progress(const std::string& table, std::uint64_t rows, bool whole) {
  const std::string name = without_staging(table);
  source_.coordination.update([&](Status& status) {
    for (auto& each : status.tables) {
      if (each.source != name) continue;
      each.rows_copied = rows;
      if (name == table) each.state = whole ? "copied" : "copying";
    }
  });
}

PostgresSnapshotTable PostgresView::mapped_table(const capture::PostgresTable& table,
                                                 const TargetScene& scene) {
  TablePlan any;
  any.from = table.source;
  PostgresSnapshotTable made{snapshot_table(table, any), {}, &scene.mapping.table(relation_for(table, any))};
  for (std::size_t i = 0; i < made.mapped->size(); ++i)
    made.plans.push_back(scene.plans.at(made.mapped->output(i).name));
  return made;
}

bool PostgresView::load(const TargetScene& scene) {
  if (!copy(scene, source_.coordination.stop_token())) return false;
  build_keys(scene);
  return true;
}

// A table without rows and one that is not there must not be taken for each other.
bool PostgresView::copy_again(const TargetScene& scene, const std::stop_token& stop) {
  for (const auto& [name, plan] : scene.plans) {
    if (!source_.tables.find(name)) throw Error("table " + name + " is not at the source", "", Advice::stop);
  }
  return copy(scene, stop);
}

bool PostgresView::copy(const TargetScene& scene, const std::stop_token& stop) {
  const Settings& settings = source_.settings;
  PostgresSnapshotOptions options;
  options.source = source_options(settings, "tidegate snapshot " + settings.pipeline);
  options.jobs = static_cast<int>(settings.source.postgres.jobs);
  options.max_age = settings.source.postgres.snapshot_max_age;
  options.progress = [&](const std::string& table, std::uint64_t rows, bool whole) {
    show_progress(table, rows, whole);
    scene.worked();
  };
  options.pace = [this](std::uint64_t rows, std::chrono::steady_clock::time_point began) {
    pace_.limit_rate(rows, began);
    pace_.wait_while_paused();
  };
  std::vector<PostgresSnapshotTable> tables;
  for (const auto& table : source_.tables.all()) {
    auto plan = scene.plans.find(table.source);
    if (plan != scene.plans.end()) tables.push_back({snapshot_table(table, plan->second), {plan->second}});
  }
  for (const auto& name : scene.mapping.tables()) {
    if (auto table = source_.tables.find(name)) tables.push_back(mapped_table(*table, scene));
  }
  PostgresSnapshot snapshot(std::move(options), std::move(tables), scene.session, scene.quarantine);
  return snapshot.copy(stop);
}

// Upserts need them; the rest waits until the stream has left the snapshot behind.
void PostgresView::build_keys(const TargetScene& scene) {
  std::set<std::string> by_index;  // tables that name their rows by another unique index
  for (const auto& table : source_.tables.all()) {
    if (table.replica_identity == capture::ReplicaIdentity::index) by_index.insert(table.source);
  }
  std::vector<TablePlan> plans;
  for (const auto& [name, plan] : scene.plans) plans.push_back(plan);
  auto findings = scene.tables.build_objects(
      tables(), plans,
      [this](const std::string& what) {
        source_.coordination.update([&](Status& status) { status.step = "building " + what; });
      },
      [&](const DdlObject& object) {
        return object.kind == DdlObject::Kind::primary_key ||
               (object.kind == DdlObject::Kind::unique && by_index.contains(object.table));
      });
  for (const auto& finding : findings) throw Refused(finding.code, finding.message, finding.mend);
}

std::vector<Finding> PostgresView::carry(const TargetScene& scene, const SchemaChange& change, Plans& plans) {
  for (const SourceTable& table : change.tables) {
    if (plans.contains(table.name)) scene.tables.add_native_columns(table, native_plan(table), plans);
  }
  return {};
}

std::optional<std::uint64_t> PostgresView::captured(std::uint64_t wish, std::chrono::milliseconds most) {
  return source_.coordination.wait_for_cut(wish, Coordination::Clock::now() + most,
                                           source_.coordination.stop_token());
}

void PostgresView::bring_stream_here(const TargetScene& scene, const std::function<void()>& apply_once) {
  auto wish = source_.coordination.want_cut();
  std::optional<std::uint64_t> end;
  while (!pace_.stopped() && !(end && scene.session.position().sequence >= *end)) {
    apply_once();
    if (!end) end = captured(wish, 10ms);
  }
}

// The row is written only once the stream has passed the place at which it was read, and only if it is still
// the same then: so the target never shows a row from its future, nor goes back to an old one.
bool PostgresView::retry(const QuarantineEntry& entry, TargetApplier& applier, const TargetScene& scene,
                         const std::function<void()>& apply_once) {
  const TablePlan& plan = scene.plans.at(entry.source_table);
  auto table = source_.tables.find(plan.source_table());
  if (!table || table->identity.empty()) return false;
  Relation relation = relation_for(*table, plan);
  Row key = decode_row(entry.key_bytes);
  for (int tries = 0; tries < most_retries; ++tries) {
    auto row = read_source_row(source(), *table, relation, key);
    bring_stream_here(scene, apply_once);
    if (pace_.stopped()) return false;
    if (!scene.quarantine.holds(entry.source_table, entry.source_key)) return true;
    if (read_source_row(source(), *table, relation, key) != row) continue;
    return applier.retry(entry, relation, std::move(row));
  }
  return false;
}

namespace {

// The sink takes a row that is to be deleted and is not there for a missing one.
bool is_on_target(const TargetScene& scene, const TablePlan& plan, const Row& key) {
  std::vector<postgres::Parameter> parameters;
  std::string where;
  for (std::size_t i = 0; i < plan.key.size(); ++i) {
    auto column = std::find_if(plan.columns.begin(), plan.columns.end(),
                               [&](const ColumnPlan& each) { return each.target == plan.key[i]; });
    where += fmt::format("{}{} = ${}::{}", i ? " AND " : "", tidegate::quoted(plan.key[i]), i + 1,
                         column->existing_type);
    parameters.emplace_back(std::get<std::string>(key.at(i)));
  }
  return scene.session.connection()
             .run(fmt::format("SELECT 1 FROM {} WHERE {}", quoted_name(plan), where), parameters)
             .rows() > 0;
}

}  // namespace

std::vector<Row> PostgresView::source_keys_of(const TargetScene&, const TablePlan& plan,
                                              const TargetKeys& keys) {
  const auto table = source_.tables.find(plan.from);
  if (!table) return {};
  const Relation relation = relation_for(*table, plan);
  const auto read = [&](const auto& each) {
    verify::CopiedRows rows(source(), *table, relation);
    while (rows.next()) each(rows.row());
  };
  try {
    return tidegate::source_keys_of(source_.settings, plan, capture::as_source_table(*table), relation, keys,
                                    read);
  } catch (const Error& error) {
    rethrow_unless_altered(error, plan.from);
  }
}

// Each row is written only if it is the same before and after the stream came to where it was read; others
// are read again.
std::uint64_t PostgresView::rewrite(const std::string& name, const std::vector<Row>& keys,
                                    TargetApplier& applier, const TargetScene& scene,
                                    const std::function<void()>& apply_once) {
  auto table = source_.tables.find(name);
  auto plan = std::find_if(scene.plans.begin(), scene.plans.end(),
                           [&](const auto& each) { return each.second.source_table() == name; });
  if (!table || plan == scene.plans.end() || keys.empty() || table->identity.size() != keys.front().size())
    return 0;
  const bool mapped = scene.mapping.maps(name);
  const Relation relation = relation_for(*table, plan->second);
  const auto read = [&](const Row& key) { return read_source_row(source(), *table, relation, key); };
  std::vector<Row> left = keys;
  for (int tries = 0; tries < most_retries && !left.empty(); ++tries) {
    std::vector<std::optional<Row>> before;
    for (const Row& key : left) before.push_back(read(key));
    bring_stream_here(scene, apply_once);
    if (pace_.stopped()) break;
    std::vector<TargetApplier::Reread> rows;
    std::vector<Row> changed;
    for (std::size_t i = 0; i < left.size(); ++i) {
      auto row = read(left[i]);
      if (row != before[i]) {
        changed.push_back(left[i]);
      } else if (row || (!mapped && is_on_target(scene, plan->second, left[i]))) {
        // What a mapping made of a row that is gone went with it.
        rows.push_back({left[i], std::move(row)});
      }
    }
    applier.rewrite(relation, std::move(rows));
    left = std::move(changed);
  }
  return keys.size() - left.size();
}

// A server that went away and came back is noticed here, not by the first who asks it something.
postgres::Connection& PostgresView::source() {
  const auto now = std::chrono::steady_clock::now();
  if (connection_ && now - asked_ > trusted_for && !answers(*connection_)) connection_.reset();
  if (!connection_)
    connection_ = std::make_unique<postgres::Connection>(
        source_options(source_.settings, "tidegate apply " + source_.settings.pipeline));
  asked_ = now;
  return *connection_;
}

// Ahead of the source by a margin, so that the target gives out no id that the source may be giving out just
// now.
void PostgresView::set_sequences(const TargetScene& scene) {
  std::vector<TablePlan> plans;
  for (const auto& [name, plan] : scene.plans) plans.push_back(plan);
  lift_sequences(scene.session.connection(),
                 sequence_ends(capture::read_sequences(source(), source_.tables.all()), plans));
}

void PostgresView::tend(const TargetScene& scene) {
  auto now = std::chrono::steady_clock::now();
  if (now - tended_ < tend_interval) return;
  tended_ = now;
  try {
    set_sequences(scene);
  } catch (const Error& error) {
    if (!connection_ || connection_->usable()) throw;
    connection_.reset();  // the source is away; its capture says so
  }
}

ChunkMap PostgresView::copied(TargetSession& session, const Plans& plans) {
  return chunk_map_of(read_ledger(session), plans);
}

// A marker that is written after the last chunk was read comes behind all that any chunk shows.
bool PostgresView::passed_snapshot(const ChunkMap&, std::uint64_t sequence) {
  if (!wish_after_snapshot_) wish_after_snapshot_ = source_.coordination.want_cut();
  if (!snapshot_end_) snapshot_end_ = captured(*wish_after_snapshot_, 0ms);
  return snapshot_end_ && sequence >= *snapshot_end_;
}

}  // namespace tidegate
