#include "replicator/pipeline/chunk_lanes.hpp"

#include <chrono>
#include <string>
#include <thread>

namespace tidegate {
namespace {

constexpr std::chrono::milliseconds look_interval{200};

}  // namespace

void ChunkLanes::run(int lanes) {
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < lanes; ++i) threads.emplace_back([this] { work(); });
  }
  if (failure_) std::rethrow_exception(failure_);
}

void ChunkLanes::work() noexcept {
  try {
    copy_all();
  } catch (...) {
    fail();
  }
}

void ChunkLanes::fail() {
  std::lock_guard lock(mutex_);
  if (!failure_) failure_ = std::current_exception();
  changed_.notify_all();
}

void ChunkLanes::copy_all() {
  WorkerSession session(lease_);
  ChunkLoader loader(session, quarantine_, {}, &orphans_, &known_);
  std::uint64_t number = 0;
  while (auto taken = take(session.connection().backend_pid(), number)) {
    loader.copy_ahead(*taken->parts);
    wait_for_turn(number, session, loader);
    settle(number, *taken, loader);
  }
}

std::optional<ChunkLanes::Taken> ChunkLanes::take(int pid, std::uint64_t& number) {
  std::lock_guard one_at_a_time(taking_);
  {
    std::lock_guard lock(mutex_);
    if (failure_) return std::nullopt;
  }
  auto taken = take_();
  if (!taken) return std::nullopt;
  std::lock_guard lock(mutex_);
  number = taken_++;
  pids_[number] = pid;
  return taken;
}

// Two rows with one key, of which the later chunk's was written first, would wait for each other for ever:
// the server does not see that this transaction waits for the other's end.
void ChunkLanes::wait_for_turn(std::uint64_t number, WorkerSession& session, ChunkLoader& loader) {
  const auto comes = [&] { return failure_ || settled_ == number; };
  for (;;) {
    {
      std::unique_lock lock(mutex_);
      if (changed_.wait_for(lock, look_interval, comes)) return;
    }
    if (loader.is_ahead() && blocks_one_before(number, session)) loader.let_go();
  }
}

bool ChunkLanes::blocks_one_before(std::uint64_t number, WorkerSession& session) {
  std::string pids = "{";
  {
    std::lock_guard lock(mutex_);
    for (const auto& [each, pid] : pids_) {
      if (each < number) pids += (pids.size() > 1 ? "," : "") + std::to_string(pid);
    }
  }
  return session.connection()
      .run(
          "SELECT EXISTS (SELECT FROM unnest($1::int[]) AS w(pid)"
          " WHERE pg_catalog.pg_backend_pid() = ANY (pg_catalog.pg_blocking_pids(w.pid)))",
          {pids + "}"})
      .boolean(0, 0);
}

void ChunkLanes::settle(std::uint64_t number, const Taken& taken, ChunkLoader& loader) {
  {
    std::lock_guard lock(mutex_);
    if (failure_) return;
  }
  taken.settles();
  loader.settle(*taken.parts, taken.chunk);
  taken.settled();
  std::lock_guard lock(mutex_);
  settled_ = number + 1;
  pids_.erase(number);
  changed_.notify_all();
}

}  // namespace tidegate
