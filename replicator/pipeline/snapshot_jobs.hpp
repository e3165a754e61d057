// The chunks of one round, handed out to those who copy them.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <mutex>
#include <optional>
#include <stop_token>

#include "apply/mapping/row_mapper.hpp"
#include "apply/postgres/chunk_copier.hpp"
#include "capture/postgres/chunk_reader.hpp"

namespace tidegate {

// All that is needed to copy one chunk.
struct ChunkJob {
  const SnapshotTable* table = nullptr;
  const std::deque<RowMapper>* mappers = nullptr;  // one, or for each of a mapped table's outputs
  MappedTable* mapped = nullptr;
  ChunkCopier::Form form = ChunkCopier::Form::text;
  bool by_key = false;
  int number = 0;
  bool last = false;  // of its table
  Row after, up_to;   // as ChunkReader::open() takes them
};

// Threads take jobs and say what became of them; one thread, which started them, takes what they say.
class SnapshotJobs {
 public:
  using Clock = std::chrono::steady_clock;
  struct Copied {
    ChunkJob job;
    std::uint64_t rows = 0;
    Row last_key;  // empty where nobody knows: of a part by pages, or of an empty table
  };

  SnapshotJobs(std::deque<ChunkJob> jobs, int workers, Clock::time_point until, std::stop_token stop)
      : jobs_(std::move(jobs)), until_(until), stop_(std::move(stop)), working_(workers) {}

  // Nothing once the round is over: all copied, its time is up, a stop, or somebody failed. A table that is
  // read at once is not left half way because of the time, and each round copies something. A mapped chunk
  // waits until all before it are there: its rows look for their parents and owners.
  std::optional<ChunkJob> take();
  void close();  // hands out no more
  // What became of a job that was taken; a worker that fails with one in its hand ends instead.
  void copied(Copied what);
  void left();  // to the next round
  // Each worker's last words; `failure` is null where it found no more to do.
  void ended(std::exception_ptr failure);

  // Waits. Nothing once all workers have ended; throws then what the first of them failed on.
  std::optional<Copied> next();

 private:
  bool is_over() const;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<ChunkJob> jobs_;
  std::deque<Copied> copied_;
  Clock::time_point until_;
  std::stop_token stop_;
  std::exception_ptr failure_;
  int working_ = 0, in_hand_ = 0;
  bool taken_any_ = false;
};

}  // namespace tidegate
