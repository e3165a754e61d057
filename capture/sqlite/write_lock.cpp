#include "capture/sqlite/write_lock.hpp"

#include <algorithm>
#include <thread>

#include "db/error.hpp"

namespace tidegate::capture {

using Clock = std::chrono::steady_clock;

std::unique_ptr<sqlite::Transaction> take_write_lock(sqlite::Database& writer,
                                                     std::chrono::milliseconds wait) {
  auto deadline = Clock::now() + wait;
  std::chrono::microseconds sleep{20};
  for (;;) {
    try {
      return std::make_unique<sqlite::Transaction>(writer, sqlite::Transaction::Kind::immediate);
    } catch (const Error& error) {
      if (error.advice() != Advice::retry) throw;
    }
    if (Clock::now() >= deadline) return nullptr;
    std::this_thread::sleep_for(sleep);
    sleep = std::min(sleep * 2, std::chrono::microseconds{200});
  }
}

}  // namespace tidegate::capture
