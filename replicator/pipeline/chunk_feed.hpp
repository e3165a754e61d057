// The chunks of tables that are being copied, in their order: read, mapped and encoded on a thread of the
// feed's own while those before are being copied.
#pragma once

#include <condition_variable>
#include <deque>
#include <exception>
#include <functional>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "apply/mapping/mapped_table.hpp"
#include "apply/postgres/chunk_loader.hpp"
#include "capture/sqlite/shadow.hpp"

namespace tidegate {

// Points into itself: moved, never copied.
struct PreparedChunk {
  PreparedChunk() = default;
  PreparedChunk(PreparedChunk&&) = default;
  PreparedChunk& operator=(PreparedChunk&&) = default;

  Chunk chunk;
  std::vector<std::vector<Row>> mapped;  // for each part; empty where the rows are written as they are
  std::vector<ChunkLoader::Part> parts;

  const std::vector<Row>& rows(std::size_t part) const { return mapped.empty() ? chunk.rows : mapped[part]; }
};

class ChunkFeed {
 public:
  struct Table {
    std::string name;
    MappedTable* mapped;                   // or nullptr
    const std::deque<RowMapper>* mappers;  // one for each target table
    Row after;                             // the key behind which its copy goes on
  };
  // Fills a chunk with at most so many rows and about so many bytes; waits where they are not there yet.
  // False where the stop came first. Called on the feed's thread.
  using Read = std::function<bool(const Table& table, std::size_t rows, std::size_t bytes,
                                  const std::stop_token& stop, Chunk& into)>;

  // What the tables point to, and what `read` uses, is the feed's thread's alone until the feed is gone.
  ChunkFeed(std::vector<Table> tables, Read read, std::stop_token stop);
  ~ChunkFeed();
  ChunkFeed(const ChunkFeed&) = delete;
  ChunkFeed& operator=(const ChunkFeed&) = delete;

  // The next chunk, waited for; nothing where the stop came first. Throws what the thread met.
  std::optional<PreparedChunk> next();
  // The plans of the chunk given last will not be changed any more: where the rows are written as they are,
  // the chunk behind is encoded only now.
  void go_on();
  // A chunk that was copied gives its memory.
  void give_back(PreparedChunk copied);

 private:
  void run(const std::stop_token& stop);
  bool feed(Table& table, const std::stop_token& stop);
  bool push(PreparedChunk prepared, bool plans_may_change, const std::stop_token& stop);
  PreparedChunk spare();

  std::vector<Table> tables_;
  Read read_;
  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::deque<PreparedChunk> ready_;
  std::vector<PreparedChunk> spare_;
  bool held_ = false, ended_ = false;
  std::exception_ptr failure_;
  std::jthread thread_;
  std::stop_callback<std::function<void()>> stopped_;
};

}  // namespace tidegate
