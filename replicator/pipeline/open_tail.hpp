// The parts of a long transaction that is being journalled: it is committed at the source, and its last part
// is still to come. Capture writes, apply reads them meanwhile into one target transaction.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>

namespace tidegate {

class OpenTail {
 public:
  // --- capture ---
  void reached(std::uint64_t sequence) { change(sequence); }  // durable up to here
  // The transaction is closed in the journal, or capture gave it up.
  void close() { change(0); }

  // --- apply ---
  struct Look {
    std::uint64_t end = 0;  // 0: no transaction is open
    std::uint64_t number = 0;
  };
  Look look() const {
    std::lock_guard lock(mutex_);
    return now_;
  }
  // Until it is another than was seen. Ends, since capture closes whatever it opened.
  void wait_beyond(const Look& seen) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return now_.number != seen.number; });
  }

 private:
  void change(std::uint64_t end) {
    {
      std::lock_guard lock(mutex_);
      if (end == 0 && now_.end == 0) return;
      now_ = {end, now_.number + 1};
    }
    changed_.notify_all();
  }

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  Look now_;
};

}  // namespace tidegate
