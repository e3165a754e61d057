#include "replicator/pipeline/sqlite_view.hpp"

#include <deque>
#include <set>

#include "apply/postgres/net_sink.hpp"
#include "apply/postgres/resync_ledger.hpp"
#include "db/error.hpp"
#include "replicator/log.hpp"
#include "replicator/pipeline/planning.hpp"

namespace tidegate {
namespace {

// One chunk is one target transaction: long enough that its commit does not matter, short enough that a crash
// repeats little, and a bound on memory.
constexpr std::size_t chunk_rows = 50000;
constexpr std::size_t chunk_bytes = 16 << 20;
constexpr std::chrono::milliseconds longest_wait{1000}, summary_interval{1000};

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
  for (const ShadowTable& table : tables_to_load(scene)) {
    if (!load_table(scene, table, coordination_.stop_token())) return false;
    if (pace_.stopped()) return false;
  }
  return true;
}

bool SqliteView::copy_again(const TargetScene& scene, const std::stop_token& stop) {
  auto tables = tables_to_load(scene);
  if (tables.size() != scene.plans.size())
    throw Error("a table that is to be copied again is not in the shadow", "", Advice::stop);
  for (const ShadowTable& table : tables) {
    if (!load_table(scene, table, stop)) return false;
  }
  return true;
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

// A table being copied: into one target table, or into those of its maps.
struct SqliteView::Loading {
  std::string table, recorded;  // its name, and that under which its chunks are known
  Relation relation;
  MappedTable* mapped = nullptr;
  std::deque<RowMapper> mappers;
  std::uint64_t rows = 0;                // of the source
  std::vector<std::uint64_t> in_target;  // by mapper
  Row last;                              // the key of the last row
  Coordination::Clock::time_point summarized{};

  std::string shown(std::size_t i) const { return shown_name(mappers[i].plan()); }
};

SqliteView::Loading SqliteView::begin_loading(const TargetScene& scene, const ShadowTable& table) {
  Loading loading{table.source().name, table.source().name, table.relation(), nullptr, {}, 0, {}, {}, {}};
  if (scene.mapping.maps(loading.table)) {
    loading.mapped = &scene.mapping.table(table.relation());
    for (std::size_t i = 0; i < loading.mapped->size(); ++i)
      loading.mappers.emplace_back(scene.plans.at(loading.mapped->output(i).name),
                                   loading.mapped->relation(i));
  } else {
    const TablePlan& plan = scene.plans.at(loading.table);
    loading.recorded = plan.source;
    loading.mappers.emplace_back(plan, table.relation());
  }
  loading.in_target.resize(loading.mappers.size());
  return loading;
}

bool SqliteView::passed_snapshot(const ChunkMap& copied, std::uint64_t sequence) {
  if (!whole_from_ && shadow_.is_whole()) whole_from_ = shadow_.end();
  return whole_from_ && sequence >= std::max(*whole_from_, copied.newest());
}

// While the shadow is being filled, a chunk is waited for. False where the stop came first.
bool SqliteView::next_chunk(const std::string& table, const Row& after, const std::stop_token& stop,
                            Chunk& into) {
  while (!stop.stop_requested()) {
    auto known = coordination_.work_so_far();
    if (shadow_.read_chunk(table, after, chunk_rows, chunk_bytes, into)) return true;
    coordination_.wait_for_work(known, longest_wait, stop);
  }
  return false;
}

// Read, mapped and encoded on another thread while the chunk before is being copied; the shadow's reader and
// the mapping's engine are that thread's meanwhile. Nothing where the stop came first.
struct SqliteView::PreparedChunk {
  Chunk chunk;
  std::vector<std::vector<Row>> mapped;  // for each part; empty where the rows are written as they are
  std::vector<ChunkLoader::Part> parts;

  const std::vector<Row>& rows(std::size_t part) const { return mapped.empty() ? chunk.rows : mapped[part]; }
};

// A chunk that was copied gives its memory.
std::future<std::optional<SqliteView::PreparedChunk>> SqliteView::prepare_chunk(const Loading& loading,
                                                                                Row after,
                                                                                const std::stop_token& stop,
                                                                                PreparedChunk& copied) {
  auto prepare = [this, &loading, after = std::move(after), stop, prepared = std::move(copied)]() mutable {
    if (!next_chunk(loading.table, after, stop, prepared.chunk)) return std::optional<PreparedChunk>();
    if (loading.mapped) prepared.mapped = map_rows(*loading.mapped, prepared.chunk.rows);
    prepared.parts.resize(loading.mappers.size());
    for (std::size_t i = 0; i < loading.mappers.size(); ++i) {
      const RowMapper& mapper = loading.mappers[i];
      ChunkLoader::Part& part = prepared.parts[i];
      part = {&mapper, ChunkLoader::encode_lines(mapper, prepared.rows(i), std::move(part.lines))};
    }
    return std::optional(std::move(prepared));
  };
  return std::async(std::launch::async, std::move(prepare));
}

// The summary is a transaction of its own, which the copy waits for: now and then, and at the end.
void SqliteView::summarize(const TargetScene& scene, Loading& loading, const LoadedChunk& chunk) {
  const auto now = Coordination::Clock::now();
  if (loading.last.empty() || (!chunk.up_to.empty() && now - loading.summarized < summary_interval)) return;
  loading.summarized = now;
  auto* id = loading.last.size() == 1 ? std::get_if<std::int64_t>(&loading.last.front()) : nullptr;
  for (std::size_t i = 0; i < loading.mappers.size(); ++i)
    scene.summary.progress(loading.shown(i), loading.in_target[i], chunk.number, key_as_json(loading.last),
                           id ? std::optional(*id) : std::nullopt);
}

void SqliteView::show_progress(const TargetScene& scene, Loading& loading, const Chunk& read,
                               const LoadedChunk& chunk) {
  if (!read.rows.empty()) loading.last = key_of(loading.relation, read.rows.back());
  summarize(scene, loading, chunk);
  coordination_.update([&](Status& status) {
    for (auto& each : status.tables) {
      if (each.source != loading.table) continue;
      each.rows_copied = loading.rows;
      if (loading.recorded == loading.table) each.state = chunk.up_to.empty() ? "copied" : "copying";
    }
  });
}

bool SqliteView::load_table(const TargetScene& scene, const ShadowTable& table, const std::stop_token& stop) {
  Loading loading = begin_loading(scene, table);
  auto complete = [&](int chunks) {
    for (std::size_t i = 0; i < loading.mappers.size(); ++i)
      scene.summary.complete(loading.shown(i), loading.in_target[i], chunks);
    return true;
  };
  const OrphanGuard orphans(scene.session.connection(), scene.session.replica_mode(), scene.plans);
  ChunkLoader loader(scene.session, scene.quarantine, scene.widen, &orphans);
  LoadedChunk chunk{loading.recorded, 0, {}, 0, 0};
  for (const auto& done : loaded_chunks(scene.session)) {
    if (done.table != loading.recorded) continue;
    loading.rows += done.rows;
    for (auto& count : loading.in_target) count += done.rows;
    if (done.up_to.empty()) return complete(done.number);
    chunk.number = done.number;
    chunk.up_to = done.up_to;
  }
  for (std::size_t i = 0; i < loading.mappers.size(); ++i) scene.summary.begin(loading.shown(i));
  auto table_began = Coordination::Clock::now();
  PreparedChunk copied;
  auto coming = prepare_chunk(loading, chunk.up_to, stop, copied);
  do {
    if (!pace_.wait_while_paused() || stop.stop_requested()) return false;
    auto began = Coordination::Clock::now();
    auto ready = coming.get();
    if (!ready) return false;
    PreparedChunk& prepared = *ready;
    const Chunk& read = prepared.chunk;
    for (std::size_t i = 0; i < prepared.parts.size(); ++i)
      loader.fit(loading.mappers[i], prepared.rows(i), prepared.parts[i].lines);
    if (!read.to.empty()) coming = prepare_chunk(loading, read.to, stop, copied);
    chunk = {loading.recorded, chunk.number + 1, read.to, read.position,
             loading.mapped ? read.rows.size() : 0};
    loader.load(prepared.parts, chunk);
    loading.rows += loading.mapped ? read.rows.size() : prepared.parts.front().loaded;
    for (std::size_t i = 0; i < prepared.parts.size(); ++i) loading.in_target[i] += prepared.parts[i].loaded;
    scene.worked();
    show_progress(scene, loading, read, chunk);
    pace_.limit_rate(read.rows.size(), began);
    copied = std::move(prepared);
  } while (!chunk.up_to.empty());
  complete(chunk.number);
  auto took = std::chrono::duration<double>(Coordination::Clock::now() - table_began);
  log_event(LogLevel::info, "table copied",
            {{"table", loading.table}, {"rows", loading.rows}, {"seconds", took.count()}});
  return true;
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
            if (!shadow_.read_chunk(relation.from, after, chunk_rows, chunk_bytes, chunk))
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
