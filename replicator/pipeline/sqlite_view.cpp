#include "replicator/pipeline/sqlite_view.hpp"

#include <set>

#include "apply/postgres/net_sink.hpp"
#include "apply/postgres/resync_ledger.hpp"
#include "db/error.hpp"
#include "replicator/pipeline/planning.hpp"

namespace tidegate {
namespace {

// When the source's keys are looked for.
constexpr std::size_t search_rows = 50000, search_bytes = 16 << 20;

}  // namespace

std::vector<SourceTable> SqliteView::tables() {
  std::vector<SourceTable> tables;
  for (const auto& table : shadow_.tables()) tables.push_back(table.source());
  return tables;
}

Ddl SqliteView::ddl(const std::vector<SourceTable>& tables, const std::vector<TablePlan>& plans) {
  return make_ddl(tables, plans, plan_options(settings_));
}

std::unique_ptr<Sink> SqliteView::sink(const TargetScene& scene) {
  return std::make_unique<NetSink>(scene.session, scene.quarantine, scene.plans, scene.widen);
}

bool SqliteView::load(const TargetScene& scene) {
  SqliteLoad load(scene, shadow_, coordination_);
  return load.run(tables_to_load(scene), coordination_.stop_token(), SqliteLoad::Others::none);
}

bool SqliteView::copy_again(const TargetScene& scene, const std::stop_token& stop) {
  auto tables = tables_to_load(scene);
  if (tables.size() != scene.plans.size())
    throw Error("a table that is to be copied again is not in the shadow", "", Advice::stop);
  SqliteLoad load(scene, shadow_, coordination_);
  return load.run(tables, stop, SqliteLoad::Others::write);
}

// Those that are mapped come last, in the order of the maps.
std::vector<ShadowTable> SqliteView::tables_to_load(const TargetScene& scene) {
  std::vector<ShadowTable> tables;
  auto all = shadow_.tables();
  for (const ShadowTable& table : all) {
    if (scene.plans.contains(table.source().name)) tables.push_back(table);
  }
  for (const auto& name : scene.mapping.tables()) {
    for (const ShadowTable& table : all) {
      if (table.source().name == name) tables.push_back(table);
    }
  }
  return tables;
}

ChunkMap SqliteView::copied(TargetSession& session, const Plans& plans) {
  ChunkMap copied;
  std::set<std::string> incomplete;
  for (auto& chunk : loaded_chunks(session)) {
    auto name = table_of_record(chunk.table, plans);
    if (!name) continue;
    if (!chunk.complete) incomplete.insert(*name);
    copied.add(*name, std::move(chunk.up_to), chunk.sequence);
  }
  for (const auto& name : incomplete) copied.forget(name);
  return copied;
}

void SqliteView::set_sequences(const TargetScene& scene) {
  std::vector<SourceTable> sources;
  std::vector<TablePlan> plans;
  for (auto& table : tables()) {
    auto plan = scene.plans.find(table.name);
    if (plan == scene.plans.end()) continue;
    sources.push_back(std::move(table));
    plans.push_back(plan->second);
  }
  scene.tables.set_sequences(sources, plans);
}

bool SqliteView::passed_snapshot(const ChunkMap& copied, std::uint64_t sequence) {
  if (!whole_from_ && shadow_.is_whole()) whole_from_ = shadow_.end();
  return whole_from_ && sequence >= std::max(*whole_from_, copied.newest());
}

// The row is read again from the shadow at a position of the journal; it is written only if the target is at
// that very position, so that it never shows a row from its future. Capture may have moved on meanwhile: then
// the stream first brings the target there.
bool SqliteView::retry(const QuarantineEntry& entry, TargetApplier& applier, const TargetScene& scene,
                       const std::function<void()>& apply_once) {
  auto key = decode_row(entry.key_bytes);
  const std::string& table = scene.plans.at(entry.source_table).source_table();
  auto found = shadow_.read_row(table, key);
  while (found.position != scene.session.position().sequence && !pace_.stopped()) {
    apply_once();
    found = shadow_.read_row(table, key);
  }
  return applier.retry(entry, shadow_.relation(table), std::move(found.row));
}

std::vector<Row> SqliteView::source_keys_of(const TargetScene&, const TablePlan& relation,
                                            const TargetKeys& keys) {
  for (const ShadowTable& table : shadow_.tables()) {
    if (table.source().name != relation.from) continue;
    return tidegate::source_keys_of(
        settings_, relation, table.source(), table.relation(), keys, [&](const auto& each) {
          Chunk chunk;
          for (Row after;;) {
            if (!shadow_.read_chunk(relation.from, after, search_rows, search_bytes, chunk))
              throw Error("table " + relation.from + " is still being read for the first time", "",
                          Advice::retry);
            for (const Row& row : chunk.rows) each(row);
            if (chunk.to.empty()) return;
            after = chunk.to;
          }
        });
  }
  return {};
}

// Those that are read at another position wait for the next time round.
std::uint64_t SqliteView::rewrite(const std::string& table, const std::vector<Row>& keys,
                                  TargetApplier& applier, const TargetScene& scene,
                                  const std::function<void()>& apply_once) {
  const bool mapped = scene.mapping.maps(table);
  std::size_t done = 0;
  while (done < keys.size() && !pace_.stopped()) {
    std::vector<TargetApplier::Reread> rows;
    for (; done < keys.size(); ++done) {
      auto found = shadow_.read_row(table, keys[done]);
      if (found.position != scene.session.position().sequence) break;
      // What a mapping made of a row that is gone went with it; its key alone does not say what that was.
      if (found.row || !mapped) rows.push_back({keys[done], std::move(found.row)});
    }
    applier.rewrite(shadow_.relation(table), std::move(rows));
    if (done < keys.size()) apply_once();
  }
  return done;
}

}  // namespace tidegate
