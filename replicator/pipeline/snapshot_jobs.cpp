#include "replicator/pipeline/snapshot_jobs.hpp"

namespace tidegate {

bool SnapshotJobs::is_over() const {
  return jobs_.empty() || failure_ || stop_.stop_requested();
}

std::optional<ChunkJob> SnapshotJobs::take() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return is_over() || !jobs_.front().mapped || in_hand_ == 0; });
  if (is_over()) return std::nullopt;
  bool may_wait = jobs_.front().by_key || jobs_.front().number == 1;
  if (taken_any_ && may_wait && Clock::now() >= until_) return std::nullopt;
  taken_any_ = true;
  ++in_hand_;
  ChunkJob job = std::move(jobs_.front());
  jobs_.pop_front();
  return job;
}

void SnapshotJobs::close() {
  std::lock_guard lock(mutex_);
  jobs_.clear();
  changed_.notify_all();
}

void SnapshotJobs::left() {
  std::lock_guard lock(mutex_);
  --in_hand_;
  changed_.notify_all();
}

void SnapshotJobs::copied(Copied what) {
  std::lock_guard lock(mutex_);
  copied_.push_back(std::move(what));
  --in_hand_;
  changed_.notify_all();
}

void SnapshotJobs::ended(std::exception_ptr failure) {
  std::lock_guard lock(mutex_);
  if (!failure_) failure_ = std::move(failure);
  --working_;
  changed_.notify_all();
}

std::optional<SnapshotJobs::Copied> SnapshotJobs::next() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return !copied_.empty() || working_ == 0; });
  if (copied_.empty()) {
    if (failure_) std::rethrow_exception(failure_);
    return std::nullopt;
  }
  Copied what = std::move(copied_.front());
  copied_.pop_front();
  return what;
}

}  // namespace tidegate
