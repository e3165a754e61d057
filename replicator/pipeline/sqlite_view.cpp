#include "replicator/pipeline/sqlite_view.hpp"

#include "apply/postgres/net_sink.hpp"
#include "replicator/log.hpp"
#include "replicator/pipeline/planning.hpp"

namespace tidegate {
namespace {

// One chunk is one target transaction: long enough that its commit does not matter, short enough that a crash
// repeats little, and a bound on memory.
constexpr std::size_t chunk_rows = 50000;
constexpr std::size_t chunk_bytes = 16 << 20;

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
  for (const ShadowTable& table : shadow_.tables()) {
    if (scene.plans.contains(table.source().name) && !load_table(scene, table)) return false;
    if (pace_.stopped()) return false;
  }
  return true;
}

ChunkMap SqliteView::copied(TargetSession& session) {
  ChunkMap copied;
  auto chunks = loaded_chunks(session);
  for (auto& chunk : chunks) copied.add(chunk.table, std::move(chunk.up_to), chunk.sequence);
  for (const auto& chunk : chunks) {
    if (!chunk.complete) copied.forget(chunk.table);
  }
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

// Read and encoded on another thread while the chunk before is being copied; the shadow's reader is that
// thread's meanwhile.
struct SqliteView::PreparedChunk {
  Chunk chunk;
  ChunkLoader::Lines lines;
};

std::future<SqliteView::PreparedChunk> SqliteView::prepare_chunk(const RowMapper& mapper, Row after) {
  return std::async(std::launch::async, [this, &mapper, after = std::move(after)] {
    PreparedChunk prepared{shadow_.read_chunk(mapper.plan().source, after, chunk_rows, chunk_bytes), {}};
    prepared.lines = ChunkLoader::encode_lines(mapper, prepared.chunk.rows);
    return prepared;
  });
}

void SqliteView::show_progress(const TargetScene& scene, const RowMapper& mapper, const Chunk& read,
                               const LoadedChunk& chunk, std::uint64_t rows) {
  const TablePlan& plan = mapper.plan();
  if (!read.rows.empty()) {
    Row last = key_of(mapper.relation(), read.rows.back());
    auto* id = last.size() == 1 ? std::get_if<std::int64_t>(&last.front()) : nullptr;
    scene.summary.progress(plan.schema + "." + plan.target, rows, chunk.number, key_as_json(last),
                           id ? std::optional(*id) : std::nullopt);
  }
  coordination_.update([&](Status& status) {
    for (auto& each : status.tables) {
      if (each.source != plan.source) continue;
      each.rows_copied = rows;
      each.state = chunk.up_to.empty() ? "copied" : "copying";
    }
  });
}

bool SqliteView::load_table(const TargetScene& scene, const ShadowTable& table) {
  const std::string& name = table.source().name;
  const TablePlan& plan = scene.plans.at(name);
  std::string shown = plan.schema + "." + plan.target;
  RowMapper mapper(plan, table.relation());
  ChunkLoader loader(scene.session, scene.quarantine, scene.widen);
  LoadedChunk chunk{name, 0, {}, 0, 0};
  std::uint64_t rows = 0;
  for (const auto& done : loaded_chunks(scene.session)) {
    if (done.table != name) continue;
    rows += done.rows;
    if (done.up_to.empty()) return scene.summary.complete(shown, rows, done.number), true;
    chunk.number = done.number;
    chunk.up_to = done.up_to;
  }
  scene.summary.begin(shown);
  auto table_began = Coordination::Clock::now();
  auto coming = prepare_chunk(mapper, chunk.up_to);
  do {
    if (!pace_.wait_while_paused()) return false;
    auto began = Coordination::Clock::now();
    auto [read, lines] = coming.get();
    loader.fit(mapper, read.rows, lines);
    if (!read.to.empty()) coming = prepare_chunk(mapper, read.to);
    chunk = {name, chunk.number + 1, read.to, read.position, 0};
    rows += loader.load(mapper, lines, chunk);
    scene.worked();
    show_progress(scene, mapper, read, chunk, rows);
    pace_.limit_rate(read.rows.size(), began);
  } while (!chunk.up_to.empty());
  scene.summary.complete(shown, rows, chunk.number);
  auto took = std::chrono::duration<double>(Coordination::Clock::now() - table_began);
  log_event(LogLevel::info, "table copied", {{"table", name}, {"rows", rows}, {"seconds", took.count()}});
  return true;
}

// The row is read again from the shadow at a position of the journal; it is written only if the target is at
// that very position, so that it never shows a row from its future. Capture may have moved on meanwhile: then
// the stream first brings the target there.
bool SqliteView::retry(const QuarantineEntry& entry, Applier& applier, const TargetScene& scene,
                       const std::function<void()>& apply_once) {
  auto key = decode_row(entry.key_bytes);
  auto found = shadow_.read_row(entry.source_table, key);
  while (found.position != scene.session.position().sequence && !pace_.stopped()) {
    apply_once();
    found = shadow_.read_row(entry.source_table, key);
  }
  return applier.retry(entry, shadow_.relation(entry.source_table), std::move(found.row));
}

bool SqliteView::rewrite(const std::string& table, const Row& key, Applier& applier, const TargetScene& scene,
                         const std::function<void()>& apply_once) {
  auto found = shadow_.read_row(table, key);
  while (found.position != scene.session.position().sequence && !pace_.stopped()) {
    apply_once();
    found = shadow_.read_row(table, key);
  }
  if (pace_.stopped()) return false;
  applier.rewrite(shadow_.relation(table), key, std::move(found.row));
  return true;
}

}  // namespace tidegate
