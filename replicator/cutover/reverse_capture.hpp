// The target as the way back's source: a publication and a slot of its own, consumed into a journal of its
// own (back.db in the state directory) from GUARD on. What tidegate itself writes to the target is left out.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "capture/postgres/capture.hpp"
#include "replicator/config/settings.hpp"
#include "replicator/journal/journal.hpp"

namespace tidegate::cutover {

std::string reverse_slot_name(const Settings& settings);
std::string reverse_publication_name(const Settings& settings);

// Slot and publication go from the target; false where there was no slot. Can be repeated. Throws Error where
// somebody consumes the slot.
bool drop_reverse_slot(const Settings& settings);

// The code of a capture that ended because its slot is of no use any more.
inline constexpr const char* kSlotLost = "way-back-slot-lost";

class ReverseCapture {
 public:
  using Clock = std::chrono::steady_clock;
  // Changes nothing anywhere. `journal_path`: back.db.
  ReverseCapture(const Settings& settings, std::string journal_path);
  ~ReverseCapture();  // ends the thread
  ReverseCapture(const ReverseCapture&) = delete;
  ReverseCapture& operator=(const ReverseCapture&) = delete;

  // The target has no slot any more that goes on where the journal ends: it gave it up, it was dropped, or
  // somebody else consumed it. Throws Error where the target is away.
  bool is_lost() const;
  // Makes the publication of exactly these tables ("schema.table") and then the slot, where they are not
  // there yet, waiting for the server's open transactions until the stop. A crash leaves one or both; they
  // are found again. Throws Refused where a table cannot be published, or the slot is not ours or lost.
  void make(const std::vector<std::string>& tables, const std::stop_token& stop);
  // Begins to consume on a thread of its own; once is enough, from whatever thread. Failures that may pass
  // are tried again; after another one it begins again.
  void start();

  // Takes all of it away again: the slot, the publication, the journal. Can be repeated. Throws Error where
  // the target is away.
  void remove();

  // Commits a marker on the target: its number. Throws Error where the target is away.
  std::uint64_t mark();
  // The journal's sequence up to which all is captured that was committed before the marker; absent where the
  // time or the stop came first. A marker may be lost with its connection; the next one stands for it.
  std::optional<std::uint64_t> wait_for(std::uint64_t mark, Clock::time_point until,
                                        const std::stop_token& stop);
  // Sleeps until something was captured behind the sequence `known`, or the time is up.
  void wait_for_work(std::uint64_t known, std::chrono::milliseconds most, const std::stop_token& stop);

  // All up to here is in the legacy database: old entries may go.
  void applied(std::uint64_t sequence);

  struct State {
    bool connected = false;
    std::string trouble;             // what failed last; empty while it works
    std::uint64_t bytes_behind = 0;  // of the server's log, between its end and what is journalled
    double lag_seconds =
        0;  // since the oldest marker that is not applied yet was sent; else the last one's trip
  };
  State state() const;
  // Throws what ended the capture for good.
  void rethrow() const;
  const std::string& journal_path() const { return journal_path_; }

 private:
  struct Mark {
    Clock::time_point sent;
    std::optional<std::uint64_t> sequence;  // once it was captured
  };
  void end();
  void work(const std::stop_token& stop);
  void consume(const std::stop_token& stop);
  PostgresCaptureOptions options() const;
  PostgresCaptureCallbacks callbacks(Journal& journal);
  void marker_passed(const std::string& content, std::uint64_t sequence);
  void trim_now_and_then(Journal& journal);

  const Settings& settings_;
  std::string journal_path_, mark_head_;
  mutable std::mutex mutex_;
  std::condition_variable_any changed_;
  std::uint64_t last_mark_ = 0, captured_ = 0;
  std::map<std::uint64_t, Mark> marks_;  // that are not applied yet
  std::chrono::duration<double> last_trip_{0};
  std::string trouble_;
  std::exception_ptr failure_;
  PostgresCapture* capture_ = nullptr;  // while it runs
  std::atomic<std::uint64_t> applied_{0};
  Clock::time_point trimmed_{};
  std::mutex marking_;
  std::unique_ptr<postgres::Connection> marker_;
  std::mutex starting_;  // of the thread
  std::jthread thread_;
};

}  // namespace tidegate::cutover
