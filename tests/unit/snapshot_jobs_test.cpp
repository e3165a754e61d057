#include "replicator/pipeline/snapshot_jobs.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <cstddef>
#include <stdexcept>
#include <thread>

namespace tidegate {
namespace {

using namespace std::chrono_literals;

// Never looked into: a job is mapped where it has one.
alignas(std::max_align_t) std::byte some_table[1];

ChunkJob job(int number, bool mapped = false) {
  ChunkJob made;
  made.number = number;
  made.by_key = true;
  if (mapped) made.mapped = reinterpret_cast<MappedTable*>(some_table);
  return made;
}

struct Jobs {
  explicit Jobs(std::deque<ChunkJob> list)
      : jobs(std::move(list), 2, SnapshotJobs::Clock::now() + 1h, stop.get_token()) {}
  std::stop_source stop;
  SnapshotJobs jobs;
};

// Takes the next job on a thread of its own.
class Taker {
 public:
  explicit Taker(SnapshotJobs& jobs)
      : thread_([this, &jobs] {
          auto job = jobs.take();
          number_ = job ? job->number : 0;
        }) {}
  bool waits() const {
    std::this_thread::sleep_for(50ms);
    return number_ == -1;
  }
  int number() {
    thread_.join();
    return number_;
  }

 private:
  std::atomic<int> number_{-1};
  std::thread thread_;
};

TEST(SnapshotJobs, OrdinaryChunksAreCopiedSideBySide) {
  Jobs round({job(1), job(2)});
  EXPECT_EQ(round.jobs.take()->number, 1);
  EXPECT_EQ(round.jobs.take()->number, 2);
  EXPECT_FALSE(round.jobs.take());
}

TEST(SnapshotJobs, AMappedChunkWaitsForAllBeforeIt) {
  Jobs round({job(1), job(2, true), job(3, true)});
  auto parents = round.jobs.take();
  Taker child(round.jobs);
  EXPECT_TRUE(child.waits());
  round.jobs.copied({*parents, 10, {}});
  EXPECT_EQ(child.number(), 2);
  Taker grandchild(round.jobs);
  EXPECT_TRUE(grandchild.waits());
  round.jobs.left();
  EXPECT_EQ(grandchild.number(), 3);
}

TEST(SnapshotJobs, WhoWaitsIsToldThatTheRoundIsOver) {
  Jobs failing({job(1), job(2, true)});
  EXPECT_TRUE(failing.jobs.take());
  Taker child(failing.jobs);
  EXPECT_TRUE(child.waits());
  failing.jobs.ended(std::make_exception_ptr(std::runtime_error("gone")));
  EXPECT_EQ(child.number(), 0);

  Jobs closed({job(1), job(2, true)});
  EXPECT_TRUE(closed.jobs.take());
  Taker other(closed.jobs);
  EXPECT_TRUE(other.waits());
  closed.jobs.close();
  EXPECT_EQ(other.number(), 0);
}

}  // namespace
}  // namespace tidegate
