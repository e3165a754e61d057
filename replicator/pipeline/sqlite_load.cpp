#include "replicator/pipeline/sqlite_load.hpp"

#include <utility>

#include "replicator/log.hpp"

namespace tidegate {
namespace {

constexpr std::chrono::milliseconds longest_wait{1000}, summary_interval{1000};
// Connections that mapped rows are copied over: they go into indexes that are there already, which keeps the
// target's server longer than their mapping.
constexpr int lanes = 2;

}  // namespace

// A table being copied: into one target table, or into those of its maps.
struct SqliteLoad::Loading {
  std::string table, recorded;  // its name, and that under which its chunks are known
  Relation relation;
  MappedTable* mapped = nullptr;
  std::deque<RowMapper> mappers;
  LoadedChunk taken;                     // the last one
  bool begun = false, copied = false;    // the copy in this run; all of it
  std::uint64_t rows = 0;                // of the source
  std::vector<std::uint64_t> in_target;  // by mapper
  Row last;                              // the key of the last row
  Coordination::Clock::time_point began{}, summarized{};

  std::string shown(std::size_t i) const { return shown_name(mappers[i].plan()); }
};

SqliteLoad::SqliteLoad(const TargetScene& scene, ShadowReader& shadow, Coordination& coordination)
    : scene_(scene), shadow_(shadow), coordination_(coordination), pace_(coordination) {}

SqliteLoad::~SqliteLoad() = default;

SqliteLoad::Loading SqliteLoad::begin(const ShadowTable& table) const {
  Loading loading;
  loading.table = loading.recorded = table.source().name;
  loading.relation = table.relation();
  if (scene_.mapping.maps(loading.table)) {
    loading.mapped = &scene_.mapping.table(table.relation());
    for (std::size_t i = 0; i < loading.mapped->size(); ++i)
      loading.mappers.emplace_back(scene_.plans.at(loading.mapped->output(i).name),
                                   loading.mapped->relation(i));
  } else {
    const TablePlan& plan = scene_.plans.at(loading.table);
    loading.recorded = plan.source;
    loading.mappers.emplace_back(plan, table.relation());
  }
  loading.in_target.resize(loading.mappers.size());
  return loading;
}

// What was copied before a restart.
void SqliteLoad::go_on_behind(const std::vector<LoadedChunk>& chunks, Loading& loading) {
  for (const auto& done : chunks) {
    if (done.table != loading.recorded) continue;
    loading.rows += done.rows;
    for (auto& count : loading.in_target) count += done.rows;
    loading.taken = done;
    loading.copied = done.up_to.empty();
  }
}

void SqliteLoad::open(const std::vector<ShadowTable>& tables) {
  const auto chunks = loaded_chunks(scene_.session);
  for (const ShadowTable& table : tables) {
    Loading loading = begin(table);
    go_on_behind(chunks, loading);
    if (loading.copied) complete(loading, loading.taken);
    if (!loading.copied) loadings_.push_back(std::move(loading));
  }
}

bool SqliteLoad::run(const std::vector<ShadowTable>& tables, const std::stop_token& stop, Others others) {
  stop_ = stop;
  keys_ = others == Others::none ? scene_.session.keys() : nullptr;
  open(tables);
  std::vector<ChunkFeed::Table> to_feed;
  for (Loading& loading : loadings_)
    to_feed.push_back({loading.table, loading.mapped, &loading.mappers, loading.taken.up_to});
  const OrphanGuard orphans(scene_.session.connection(), scene_.session.replica_mode(), scene_.plans);
  ChunkLoader loader(scene_.session, scene_.quarantine, scene_.widen, &orphans);
  ChunkFeed feed(
      std::move(to_feed),
      [this](const auto& table, auto rows, auto bytes, const auto& stopped, Chunk& into) {
        return read_chunk(table, rows, bytes, stopped, into);
      },
      stop);
  // Where the server checks foreign keys by itself, a row must not come before its parent's transaction ends.
  const bool side_by_side = others == Others::none && scene_.session.replica_mode();
  while (auto taken = take(feed, loader, !side_by_side)) {
    taken->settles();
    loader.load(*taken->parts, taken->chunk);
    taken->settled();
  }
  if (at_ < loadings_.size() && !stopped_) {
    KnownParents known;
    ChunkLanes(scene_.session, scene_.quarantine, orphans, known, [&] {
      return take(feed, loader, true);
    }).run(lanes);
  }
  return !stopped_ && !pace_.stopped();
}

// While the shadow is being filled, a chunk is waited for.
bool SqliteLoad::read_chunk(const ChunkFeed::Table& table, std::size_t rows, std::size_t bytes,
                            const std::stop_token& stop, Chunk& into) {
  while (!stop.stop_requested()) {
    auto known = coordination_.work_so_far();
    if (shadow_.read_chunk(table.name, table.after, rows, bytes, into)) {
      if (keys_) keys_->begin_ahead();
      return true;
    }
    coordination_.wait_for_work(known, longest_wait, stop);
  }
  return false;
}

// Nothing at the end, at the first table that is mapped unless those are wanted, and where a stop came.
std::optional<ChunkLanes::Taken> SqliteLoad::take(ChunkFeed& feed, ChunkLoader& loader, bool mapped) {
  if (at_ == loadings_.size() || (loadings_[at_].mapped && !mapped)) return std::nullopt;
  Loading& loading = loadings_[at_];
  stopped_ = !pace_.wait_while_paused() || stop_.stop_requested();
  if (stopped_) return std::nullopt;
  const auto began = Coordination::Clock::now();
  if (!std::exchange(loading.begun, true)) loading.began = began;
  auto next = feed.next();
  stopped_ = !next;
  if (stopped_) return std::nullopt;
  auto prepared = std::make_shared<PreparedChunk>(std::move(*next));
  const Chunk& read = prepared->chunk;
  for (std::size_t i = 0; i < prepared->parts.size(); ++i)
    loader.fit(loading.mappers[i], prepared->rows(i), prepared->parts[i].lines);
  feed.go_on();
  loading.taken = {loading.recorded, loading.taken.number + 1, read.to, read.position,
                   loading.mapped ? read.rows.size() : 0};
  if (read.to.empty()) ++at_;
  return ChunkLanes::Taken{&prepared->parts, loading.taken,
                           [this, &loading, &feed, prepared, chunk = loading.taken, began] {
                             settled(loading, *prepared, chunk);
                             pace_.limit_rate(prepared->chunk.rows.size(), began);
                             feed.give_back(std::move(*prepared));
                           },
                           [this] {
                             if (keys_) keys_->chunk_is_next();
                           }};
}

void SqliteLoad::settled(Loading& loading, const PreparedChunk& prepared, const LoadedChunk& chunk) {
  loading.rows += loading.mapped ? chunk.rows : prepared.parts.front().loaded;
  for (std::size_t i = 0; i < prepared.parts.size(); ++i) loading.in_target[i] += prepared.parts[i].loaded;
  scene_.worked();
  show_progress(loading, prepared.chunk, chunk);
  if (!chunk.up_to.empty()) return;
  complete(loading, chunk);
  auto took = std::chrono::duration<double>(Coordination::Clock::now() - loading.began);
  log_event(LogLevel::info, "table copied",
            {{"table", loading.table}, {"rows", loading.rows}, {"seconds", took.count()}});
}

// The summary is a transaction of its own, which the copy waits for: now and then, and at the end.
void SqliteLoad::summarize(Loading& loading, const LoadedChunk& chunk) {
  const auto now = Coordination::Clock::now();
  if (loading.last.empty() || (!chunk.up_to.empty() && now - loading.summarized < summary_interval)) return;
  loading.summarized = now;
  auto* id = loading.last.size() == 1 ? std::get_if<std::int64_t>(&loading.last.front()) : nullptr;
  for (std::size_t i = 0; i < loading.mappers.size(); ++i)
    scene_.summary.progress(loading.shown(i), loading.in_target[i], chunk.number, key_as_json(loading.last),
                            id ? std::optional(*id) : std::nullopt);
}

void SqliteLoad::show_progress(Loading& loading, const Chunk& read, const LoadedChunk& chunk) {
  if (loading.summarized == Coordination::Clock::time_point{}) {
    for (std::size_t i = 0; i < loading.mappers.size(); ++i) scene_.summary.begin(loading.shown(i));
  }
  if (!read.rows.empty()) loading.last = key_of(loading.relation, read.rows.back());
  summarize(loading, chunk);
  coordination_.update([&](Status& status) {
    for (auto& each : status.tables) {
      if (each.source != loading.table) continue;
      each.rows_copied = loading.rows;
      if (loading.recorded == loading.table) each.state = chunk.up_to.empty() ? "copied" : "copying";
    }
  });
}

void SqliteLoad::complete(const Loading& loading, const LoadedChunk& chunk) {
  for (std::size_t i = 0; i < loading.mappers.size(); ++i)
    scene_.summary.complete(loading.shown(i), loading.in_target[i], chunk.number);
}

}  // namespace tidegate
