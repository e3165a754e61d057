// What every way back has in common: the target's stream in a journal of its own, its lag, its markers, and
// the thread that brings what it holds into the legacy database.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "db/postgres.hpp"
#include "replicator/cutover/reverse_capture.hpp"
#include "replicator/cutover/way_back.hpp"
#include "replicator/pipeline/applier.hpp"

namespace tidegate::cutover {

class JournalWayBack : public WayBack {
 public:
  // `journal_path`: back.db in the state directory. Changes nothing anywhere.
  JournalWayBack(const Settings& settings, const std::string& journal_path)
      : settings_(settings), capture_(settings, journal_path) {}

  std::string record_start(Clock::time_point until) override;
  void run(const std::string& start, std::stop_token stop) override;
  std::string rebuild(const Tell& tell, std::stop_token stop) override;
  Lag lag() override;
  std::optional<std::uint64_t> caught_up(Clock::time_point until, std::stop_token stop) override;
  void resume() override;

 protected:
  // Brings what the journal holds behind `start` into the legacy database, until the stop or a failure.
  virtual void work(const Position& start, const std::stop_token& stop) = 0;
  // For work(), once the legacy database is ready: batch after batch until the stop. `rejects`: how many rows
  // did not fit until now.
  void follow(Applier& applier, const Sink& sink, const std::function<std::size_t()>& rejects,
              const std::stop_token& stop);

  // The target as a rebuilt way back begins with it.
  struct Beginning {
    postgres::Connection& target;  // in a transaction that sees what was committed before `start`
    Position start;
    const Tell& tell;
    const std::stop_token& stop;
  };
  // Makes the legacy database hold what the target holds, and its account say `start`. The stop ends it by an
  // Error (retry).
  virtual void bring_in_line(const Beginning& beginning) = 0;

  // For prepare(): makes what is not there yet, and begins to consume it. Where the slot is lost, slot and
  // journal are made anew: nothing is owed to a legacy database that is live, or is being brought in line.
  void make_stream(const std::vector<std::string>& tables, const std::stop_token& stop);
  // The legacy database's `there`, where it counts by the journal that is there now; 0 elsewhere.
  std::uint64_t known_by(const std::optional<Position>& there) const;

  void find_stream_trouble(std::vector<Finding>& findings);
  // All that is journalled before the point of no return was written by others, but for what an earlier way
  // back has brought into the legacy database, up to `known`, and what a verify of all rows has seen since.
  void find_foreign_writers(std::uint64_t known, std::vector<Finding>& findings) const;

  const Settings& settings_;
  ReverseCapture capture_;
  std::string replaces_;  // of the start that runs: replaced_by()

 private:
  void take_down();
  std::uint64_t verified(JournalReader& journal) const;
  Position first_unseen(std::uint64_t consistent_point, const std::stop_token& stop);
  void applied(std::uint64_t sequence);
  void pulse(const std::stop_token& stop);

  std::mutex making_;  // of the stream
  std::mutex mutex_;
  std::condition_variable_any moved_;
  std::uint64_t applied_ = 0;
  bool running_ = false;  // it has been, in this process
};

// About 20 ms of the legacy database's locks.
inline constexpr BatchLimits batches_back{2000, 4 << 20};

// Throws Error (retry) once the stop was requested.
void go_on_unless(const std::stop_token& stop);

// The start of the stream as the cutover's journal keeps it. parse_start throws Error (stop).
std::string start_text(const Position& start);
Position parse_start(const std::string& text);
// A start may say which earlier journal's position it stands for in the legacy database: its incarnation, or
// empty.
std::string with_replaced(const std::string& start, const std::string& incarnation);
std::string replaced_by(const std::string& start);

}  // namespace tidegate::cutover
