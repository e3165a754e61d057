// Chunks that are copied side by side, each over a connection of its own, and settled one after the other:
// what is asked of the target's rows, and recorded, is as if one connection had copied them all.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <vector>

#include "apply/postgres/chunk_loader.hpp"
#include "apply/postgres/session.hpp"

namespace tidegate {

class ChunkLanes {
 public:
  struct Taken {
    std::vector<ChunkLoader::Part>* parts;
    LoadedChunk chunk;
    std::function<void()> settled;          // to be called once it is in the target; owns the parts
    std::function<void()> settles = [] {};  // to be called before its transaction is completed
  };
  // The next chunk; nothing where there is none. Called by one thread at a time, and so are settles() and
  // settled(), in the chunks' order.
  using Take = std::function<std::optional<Taken>()>;

  ChunkLanes(const TargetSession& lease, Quarantine& quarantine, const OrphanGuard& orphans,
             KnownParents& known, Take take)
      : lease_(lease), quarantine_(quarantine), orphans_(orphans), known_(known), take_(std::move(take)) {}

  // Copies until nothing more is taken. Throws what the first of the lanes failed on: chunks that were
  // settled are in the target then, and nothing of the others.
  void run(int lanes);

 private:
  void work() noexcept;
  void copy_all();
  std::optional<Taken> take(int pid, std::uint64_t& number);
  void wait_for_turn(std::uint64_t number, WorkerSession& session, ChunkLoader& loader);
  bool blocks_one_before(std::uint64_t number, WorkerSession& session);
  void settle(std::uint64_t number, const Taken& taken, ChunkLoader& loader);
  void fail();

  const TargetSession& lease_;
  Quarantine& quarantine_;
  const OrphanGuard& orphans_;
  KnownParents& known_;
  Take take_;
  std::mutex mutex_, taking_;
  std::condition_variable changed_;
  std::uint64_t taken_ = 0, settled_ = 0;  // chunks
  std::map<std::uint64_t, int> pids_;      // the server's process of each chunk that is not settled yet
  std::exception_ptr failure_;
};

}  // namespace tidegate
