// Where the daemon's threads meet: what is asked of them, and how far they are. All under one mutex; every
// wait ends at the stop.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>

#include "replicator/control/status.hpp"

namespace tidegate {

class Coordination {
 public:
  using Clock = std::chrono::steady_clock;

  // --- status, changed by whoever knows ---
  void update(const std::function<void(Status&)>& change);
  Status status() const;
  // Keeps the newest few; an error that repeats is kept once.
  void report(const std::string& code, const std::string& message, const std::string& table = "");
  void clear_report(const std::string& code);
  void clear_report(const std::string& code, const std::string& table);

  // --- cuts: `sync` wants one that begins after it was called ---
  std::uint64_t want_cut();
  // The same, and that cut compares every row.
  std::uint64_t want_full_cut();
  bool take_full_wish();
  bool cut_wanted() const;
  std::uint64_t begin_cut();                                     // the newest wish that this cut serves
  void cut_done(std::uint64_t wish, std::uint64_t journal_end);  // everything up to journal_end is captured
  // The journal's end after a cut that served the wish; absent when the time is up.
  std::optional<std::uint64_t> wait_for_cut(std::uint64_t wish, Clock::time_point until,
                                            std::stop_token stop);

  // A file that cannot be read makes no backlog, so the lag is no shorter than this lasts.
  void capture_waits();
  void capture_works();
  std::chrono::duration<double> capture_has_waited() const;

  // Sleeps until a wish newer than `known` is there, or the time is up.
  void wait_for_wish(std::uint64_t known, std::chrono::milliseconds most, std::stop_token stop);

  // --- apply ---
  void applied(std::uint64_t sequence);
  std::uint64_t applied() const;
  // Somebody reads the journal from here on, though more is applied; nothing: nobody does.
  void keep_from(std::optional<std::uint64_t> sequence);
  // Up to here the journal may be trimmed.
  std::uint64_t needed_no_more() const;
  bool wait_for_applied(std::uint64_t sequence, Clock::time_point until, std::stop_token stop);
  // Sleeps until something was captured or asked for since `known` was taken, or the time is up. Who takes it
  // before he looks for work misses none.
  std::uint64_t work_so_far() const;
  void wait_for_work(std::uint64_t known, std::chrono::milliseconds most, std::stop_token stop);
  void streaming(bool is);
  bool is_streaming() const;

  // Wakes the apply thread, which then serves what it was asked.
  void wake_apply();

  // The cutover has the word: while parked nothing is captured and nothing applied; what is asked of the
  // apply thread is still done. Returns once no cut is under way.
  void park(bool parked);
  bool parked() const;
  // False: parked. Who got true says when his cut is over.
  bool enter_cut();
  void leave_cut();

  void pause(bool paused);
  bool paused() const;
  void throttle(std::optional<std::uint64_t> rows_per_second);
  std::optional<std::uint64_t> throttle() const;

  // --- the end ---
  // The first failure is the one that counts.
  void fail(std::exception_ptr failure);
  void request_stop();
  // Waits for either; throws the failure.
  void wait_for_end();
  std::stop_token stop_token() const { return stop_.get_token(); }

 private:
  void changed() { wake_.notify_all(); }

  mutable std::mutex mutex_;
  std::condition_variable_any wake_;
  std::stop_source stop_;
  Status status_;
  std::uint64_t cuts_wanted_ = 0, cuts_served_ = 0, captured_ = 0, applied_ = 0, work_ = 0;
  std::optional<std::uint64_t> kept_from_;
  bool streaming_ = false, paused_ = false, parked_ = false, in_cut_ = false, full_wanted_ = false;
  std::optional<std::uint64_t> throttle_;
  std::optional<Clock::time_point> capture_waits_since_;
  std::exception_ptr failure_;
};

// "2026-03-01T12:34:56Z"
std::string iso_now();

}  // namespace tidegate
