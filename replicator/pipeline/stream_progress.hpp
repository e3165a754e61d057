// How far the stream of a Postgres source is in the journal. Set by the capture thread, asked by the apply
// thread.
#pragma once

#include <cstdint>
#include <mutex>

namespace tidegate {

class StreamProgress {
 public:
  // All that committed at the source before `lsn` is in the journal, up to and with `sequence`.
  void reached(std::uint64_t lsn, std::uint64_t sequence) {
    std::lock_guard lock(mutex_);
    lsn_ = lsn;
    sequence_ = sequence;
  }
  // Is all that committed before `lsn` applied, if the journal is applied up to `sequence`?
  bool is_past(std::uint64_t lsn, std::uint64_t sequence) const {
    std::lock_guard lock(mutex_);
    return lsn_ >= lsn && sequence >= sequence_;
  }

 private:
  mutable std::mutex mutex_;
  std::uint64_t lsn_ = 0, sequence_ = 0;
};

}  // namespace tidegate
