#include "replicator/pipeline/chunk_feed.hpp"

#include <utility>

namespace tidegate {
namespace {

// One chunk is one target transaction: long enough that its commit does not matter, short enough that a crash
// repeats little, and a bound on memory.
constexpr std::size_t chunk_rows = 50000, chunk_bytes = 16 << 20;
// A row that is mapped becomes several, and takes about as long to map as to copy: chunks are smaller, and
// some wait, so that neither thread waits for the other.
constexpr std::size_t mapped_chunk_rows = 10000, mapped_chunk_bytes = 4 << 20;
constexpr std::size_t waiting_chunks = 2;

void prepare(const ChunkFeed::Table& table, PreparedChunk& into) {
  if (table.mapped) into.mapped = map_rows(*table.mapped, into.chunk.rows);
  if (!table.mapped) into.mapped.clear();
  into.parts.resize(table.mappers->size());
  for (std::size_t i = 0; i < into.parts.size(); ++i) {
    const RowMapper& mapper = (*table.mappers)[i];
    ChunkLoader::Part& part = into.parts[i];
    part = {&mapper, ChunkLoader::encode_lines(mapper, into.rows(i), std::move(part.lines))};
  }
}

}  // namespace

ChunkFeed::ChunkFeed(std::vector<Table> tables, Read read, std::stop_token stop)
    : tables_(std::move(tables)),
      read_(std::move(read)),
      thread_([this](const std::stop_token& own) { run(own); }),
      stopped_(std::move(stop), [this] { thread_.request_stop(); }) {}

ChunkFeed::~ChunkFeed() = default;

void ChunkFeed::run(const std::stop_token& stop) {
  std::exception_ptr failure;
  try {
    for (Table& table : tables_) {
      if (!feed(table, stop)) break;
    }
  } catch (...) {
    failure = std::current_exception();
  }
  std::lock_guard lock(mutex_);
  failure_ = failure;
  ended_ = true;
  changed_.notify_all();
}

bool ChunkFeed::feed(Table& table, const std::stop_token& stop) {
  const std::size_t rows = table.mapped ? mapped_chunk_rows : chunk_rows;
  const std::size_t bytes = table.mapped ? mapped_chunk_bytes : chunk_bytes;
  do {
    PreparedChunk prepared = spare();
    if (!read_(table, rows, bytes, stop, prepared.chunk)) return false;
    prepare(table, prepared);
    table.after = prepared.chunk.to;
    if (!push(std::move(prepared), table.mapped == nullptr, stop)) return false;
  } while (!table.after.empty());
  return true;
}

bool ChunkFeed::push(PreparedChunk prepared, bool plans_may_change, const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  ready_.push_back(std::move(prepared));
  held_ = plans_may_change;
  changed_.notify_all();
  return changed_.wait(lock, stop, [&] { return !held_ && ready_.size() < waiting_chunks; });
}

PreparedChunk ChunkFeed::spare() {
  std::lock_guard lock(mutex_);
  if (spare_.empty()) return {};
  PreparedChunk chunk = std::move(spare_.back());
  spare_.pop_back();
  return chunk;
}

std::optional<PreparedChunk> ChunkFeed::next() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return ended_ || !ready_.empty(); });
  if (ready_.empty() && failure_) std::rethrow_exception(failure_);
  if (ready_.empty()) return std::nullopt;
  PreparedChunk chunk = std::move(ready_.front());
  ready_.pop_front();
  changed_.notify_all();
  return chunk;
}

void ChunkFeed::go_on() {
  std::lock_guard lock(mutex_);
  held_ = false;
  changed_.notify_all();
}

void ChunkFeed::give_back(PreparedChunk copied) {
  std::lock_guard lock(mutex_);
  spare_.push_back(std::move(copied));
}

}  // namespace tidegate
