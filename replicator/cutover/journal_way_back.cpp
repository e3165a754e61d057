#include "replicator/cutover/journal_way_back.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <set>
#include <thread>

#include "capture/postgres/rounds.hpp"
#include "db/failpoint.hpp"
#include "replicator/log.hpp"
#include "replicator/server_access.hpp"
#include "replicator/verify/store.hpp"

namespace tidegate::cutover {
namespace {

using namespace std::chrono_literals;

constexpr auto longest_idle = 200ms, pulse_interval = 1000ms;
constexpr auto trial_time = 10s;  // longer than the capture waits before it connects again
constexpr auto first_pause = 100ms, longest_pause = 5000ms;
constexpr std::size_t most_named = 5;  // tables in one sentence
constexpr auto rebuild_patience = 60s;
constexpr std::size_t longest_round_name = 54;  // a process number comes behind it

Finding blocked(std::string code, std::string message, std::string mend) {
  return {Finding::Level::block, std::move(code), "", "", std::move(message), std::move(mend)};
}

}  // namespace

std::string start_text(const Position& start) {
  return fmt::format("{} {} {}", start.incarnation, start.sequence, start.digest);
}

Position parse_start(const std::string& text) {
  Position start;
  const std::size_t first = text.find(' '), second = text.find(' ', first + 1);
  if (first != text.npos && second != text.npos) {
    start.incarnation = text.substr(0, first);
    start.digest = text.substr(second + 1, text.find(' ', second + 1) - second - 1);
    const auto read = std::from_chars(text.data() + first + 1, text.data() + second, start.sequence);
    if (read.ec == std::errc() && read.ptr == text.data() + second) return start;
  }
  throw Error("the journalled start of the way back cannot be read: " + text, "", Advice::stop);
}

std::string with_replaced(const std::string& start, const std::string& incarnation) {
  return start + " " + incarnation;
}

std::string replaced_by(const std::string& start) {
  constexpr int spaces = 3;
  const auto last = start.rfind(' ');
  return std::count(start.begin(), start.end(), ' ') == spaces ? start.substr(last + 1) : "";
}

void JournalWayBack::make_stream(const std::vector<std::string>& tables, const std::stop_token& stop) {
  std::lock_guard one_at_a_time(making_);
  if (capture_.is_lost()) {
    log_warn("way back: its slot on the target is lost, and is made anew");
    take_down();
    failpoint("back-after-lost-slot");
  }
  capture_.make(tables, stop);
  if (!stop.stop_requested()) capture_.start();
}

void JournalWayBack::take_down() {
  {
    std::lock_guard lock(mutex_);
    running_ = false;
    applied_ = 0;
  }
  capture_.remove();
}

std::uint64_t JournalWayBack::known_by(const std::optional<Position>& there) const {
  if (!there) return 0;
  return JournalReader(capture_.journal_path()).incarnation() == there->incarnation ? there->sequence : 0;
}

void JournalWayBack::find_stream_trouble(std::vector<Finding>& findings) {
  std::string why = "no marker came through it in time";
  try {
    if (capture_.wait_for(capture_.mark(), Clock::now() + trial_time, {})) return;
    if (auto trouble = capture_.state().trouble; !trouble.empty()) why = trouble;
  } catch (const Error& error) {
    why = error.what();
  }
  findings.push_back(
      blocked("way-back-not-streaming", "the stream from the target back is not there: " + why,
              "see `tidegate status`; what it waits for is in the target's pg_replication_slots"));
}

void JournalWayBack::find_foreign_writers(std::uint64_t known, std::vector<Finding>& findings) const {
  JournalReader journal(capture_.journal_path());
  const std::uint64_t from = std::max({journal.first() - 1, known, verified(journal)});
  std::set<std::string> tables;
  for (auto entry = journal.next(from); entry; entry = journal.next(entry->sequence)) {
    for (const Relation& relation : entry->part.relations) tables.insert(relation.table);
    if (tables.size() > most_named) break;
  }
  if (tables.empty()) return;
  std::string named;
  for (const auto& table : tables) named += (named.empty() ? "" : ", ") + table;
  findings.push_back(blocked("foreign-writer",
                             "somebody else than tidegate has written to the target: " + named,
                             "find who it is and stop it, let `tidegate verify` say what differs and mend "
                             "that with `tidegate repair`; a verify that finds nothing settles it"));
}

std::uint64_t JournalWayBack::verified(JournalReader& journal) const {
  const auto control = std::filesystem::path(capture_.journal_path()).parent_path() / "control.db";
  if (!std::filesystem::exists(control)) return 0;
  const auto proven = verify::Store(control.string()).proven_way_back();
  return proven && proven->incarnation == journal.incarnation() ? proven->sequence : 0;
}

std::string JournalWayBack::record_start(Clock::time_point until) {
  const auto sequence = capture_.wait_for(capture_.mark(), until, {});
  if (!sequence) throw Error("the stream from the target back did not answer in time", "", Advice::retry);
  JournalReader journal(capture_.journal_path());
  return start_text({journal.incarnation(), *sequence, journal.digest_at(*sequence).value_or("")});
}

void JournalWayBack::follow(Applier& applier, const Sink& sink, const std::function<std::size_t()>& rejects,
                            const std::stop_token& stop) {
  applied(sink.position().sequence);
  {
    std::lock_guard lock(mutex_);
    running_ = true;
  }
  while (!stop.stop_requested()) {
    capture_.rethrow();
    BatchOutcome outcome;
    const auto before = rejects();
    const bool moved = applier.step(outcome);
    if (moved || outcome.changes > 0) log_debug("way back: {} changes", outcome.changes);
    if (rejects() > before) log_warn("way back: {} rows do not fit into the legacy database", rejects());
    applied(sink.position().sequence);
    if (!moved) capture_.wait_for_work(sink.position().sequence, longest_idle, stop);
  }
}

void JournalWayBack::applied(std::uint64_t sequence) {
  capture_.applied(sequence);
  std::lock_guard lock(mutex_);
  applied_ = sequence;
  moved_.notify_all();
}

// A marker a second, so that the lag is known though nobody writes.
void JournalWayBack::pulse(const std::stop_token& stop) {
  std::mutex alone;
  std::condition_variable_any never;
  while (!stop.stop_requested()) {
    try {
      capture_.mark();
    } catch (const Error& error) {
      log_debug("way back: {}", error.what());
    }
    std::unique_lock lock(alone);
    never.wait_for(lock, stop, pulse_interval, [] { return false; });
  }
}

void JournalWayBack::run(const std::string& text, std::stop_token stop) {
  const Position start = parse_start(text);
  replaces_ = replaced_by(text);
  capture_.start();
  std::jthread pulsing([this](const std::stop_token& own) { pulse(own); });
  auto pause = std::chrono::milliseconds(first_pause);
  while (!stop.stop_requested()) {
    try {
      work(start, stop);
    } catch (const Error& error) {
      const bool passes = error.advice() != Advice::stop || error.code() == "SQLITE_FULL" ||
                          error.code() == "SQLITE_CANTOPEN";
      if (!passes) throw;
      log_warn("way back: {}", error.what());
      std::unique_lock lock(mutex_);
      moved_.wait_for(lock, stop, pause, [] { return false; });
      pause = std::min(pause * 2, std::chrono::milliseconds(longest_pause));
    }
  }
}

void go_on_unless(const std::stop_token& stop) {
  if (stop.stop_requested()) throw Error("the way back was told to stop", "", Advice::retry);
}

// Where the stream stands that has all of the transactions that the snapshot shows, and none that it does
// not.
Position JournalWayBack::first_unseen(std::uint64_t consistent_point, const std::stop_token& stop) {
  if (!capture_.wait_for(capture_.mark(), Clock::now() + rebuild_patience, stop)) {
    capture_.rethrow();
    throw Error("the new slot's stream did not come in time", "", Advice::retry);
  }
  JournalReader journal(capture_.journal_path());
  Position start{journal.incarnation(), 0, ""};
  for (auto entry = journal.next(0); entry; entry = journal.next(entry->sequence)) {
    if (entry->part.stamp && entry->part.stamp->commit_lsn >= consistent_point) break;
    if (entry->closes) start.sequence = entry->sequence, start.digest = entry->digest;
  }
  return start;
}

std::string JournalWayBack::rebuild(const Tell& tell, std::stop_token stop) {
  require_rebuildable();  // before what runs, or could run, is taken down
  tell("making a new slot on the target");
  take_down();
  failpoint("rebuild-slot-gone");
  prepare(stop);
  go_on_unless(stop);
  failpoint("rebuild-slot-made");
  const auto options = connect_options(settings_, "tidegate way back");
  const Round round(options, reverse_slot_name(settings_).substr(0, longest_round_name), stop);
  const Position start = first_unseen(round.consistent_point(), stop);
  postgres::Connection target(options);
  target.run("SET row_security = off; SET jit = off");
  const postgres::Transaction look(target, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
  target.run("SET TRANSACTION SNAPSHOT " + postgres::literal(round.snapshot()));
  bring_in_line({target, start, tell, stop});
  failpoint("rebuild-in-line");
  return start_text(start);
}

Lag JournalWayBack::lag() {
  std::uint64_t from = 0;
  {
    std::lock_guard lock(mutex_);
    if (!running_) return {};
    from = applied_;
  }
  const auto state = capture_.state();
  Lag lag;
  lag.seconds = state.lag_seconds;
  const auto backlog = JournalReader(capture_.journal_path()).backlog_after(from);
  lag.bytes = state.bytes_behind + backlog.bytes;
  lag.transactions = backlog.transactions;
  return lag;
}

std::optional<std::uint64_t> JournalWayBack::caught_up(Clock::time_point until, std::stop_token stop) {
  const auto sequence = capture_.wait_for(capture_.mark(), until, stop);
  std::unique_lock lock(mutex_);
  if (!sequence || !moved_.wait_until(lock, stop, until, [&] { return applied_ >= *sequence; }))
    return std::nullopt;
  return sequence;
}

void JournalWayBack::resume() {
  if (std::filesystem::exists(capture_.journal_path())) capture_.start();
}

}  // namespace tidegate::cutover
