// The copy of a SQLite source's tables into the target: chunks of the shadow, each recorded with its rows.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "apply/postgres/chunk_loader.hpp"
#include "capture/sqlite/shadow.hpp"
#include "replicator/pipeline/chunk_feed.hpp"
#include "replicator/pipeline/chunk_lanes.hpp"
#include "replicator/pipeline/coordination.hpp"
#include "replicator/pipeline/pace.hpp"
#include "replicator/pipeline/source_view.hpp"

namespace tidegate {

class SqliteLoad {
 public:
  // While it runs, does anybody else of this pipeline write to the target?
  enum class Others { none, write };

  // The shadow's reader, the mapping and the session are the load's while it runs.
  SqliteLoad(const TargetScene& scene, ShadowReader& shadow, Coordination& coordination);
  ~SqliteLoad();

  // Goes on behind what is recorded in the target. False where the stop came first. Throws Error; chunks that
  // were settled are in the target then.
  bool run(const std::vector<ShadowTable>& tables, const std::stop_token& stop, Others others);

 private:
  struct Loading;
  Loading begin(const ShadowTable& table) const;
  static void go_on_behind(const std::vector<LoadedChunk>& chunks, Loading& loading);
  void open(const std::vector<ShadowTable>& tables);
  bool read_chunk(const ChunkFeed::Table& table, std::size_t rows, std::size_t bytes,
                  const std::stop_token& stop, Chunk& into);

  std::optional<ChunkLanes::Taken> take(ChunkFeed& feed, ChunkLoader& loader, bool mapped);
  void settled(Loading& loading, const PreparedChunk& prepared, const LoadedChunk& chunk);
  void show_progress(Loading& loading, const Chunk& read, const LoadedChunk& chunk);
  void summarize(Loading& loading, const LoadedChunk& chunk);
  void complete(const Loading& loading, const LoadedChunk& chunk);

  const TargetScene& scene_;
  ShadowReader& shadow_;
  Coordination& coordination_;
  Pace pace_;
  std::stop_token stop_;
  KeyOutbox* keys_ = nullptr;  // where it is the load that they are asked for
  std::deque<Loading> loadings_;
  std::size_t at_ = 0;  // the table of the next chunk
  bool stopped_ = false;
};

}  // namespace tidegate
