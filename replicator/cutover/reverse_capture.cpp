#include "replicator/cutover/reverse_capture.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <random>

#include "apply/postgres/session.hpp"
#include "capture/postgres/capture_state.hpp"
#include "capture/postgres/publication.hpp"
#include "capture/postgres/slot.hpp"
#include "capture/postgres/watch.hpp"
#include "db/failpoint.hpp"
#include "replicator/failure.hpp"
#include "replicator/log.hpp"
#include "replicator/server_access.hpp"

namespace tidegate::cutover {
namespace {

using namespace std::chrono_literals;

constexpr auto slot_patience = 10s;  // for the target's open transactions, between two looks at the stop
constexpr auto first_pause = 100ms, longest_pause = 5000ms;
constexpr auto trim_interval = 60s;
// More than this many wait for a target that is away; the oldest are of connections that were lost.
constexpr std::size_t most_marks = 1000;

// A slot's name has 63 characters at most.
std::string reversed(const std::string& name) {
  constexpr std::string_view suffix = "_back";
  return name.substr(0, 63 - suffix.size()) + std::string(suffix);
}

std::string random_word() {
  std::random_device random;
  return fmt::format("{:08x}{:08x}", random(), random());
}

bool tells_of_loss(const Refused& refused) {
  return refused.code() == "slot-missing" || refused.code() == "slot-lost" || refused.code() == "slot-ahead";
}

// What capture names as the way out is a source's: it would take the forward stream away.
Refused as_lost(const Refused& refused, const std::string& slot) {
  const std::string what =
      refused.code() == "slot-missing" ? fmt::format("the target has no replication slot {} any more", slot)
      : refused.code() == "slot-lost"
          ? fmt::format("the target has given up the replication slot {}", slot)
          : fmt::format(
                "the target's replication slot {} was consumed further than the way back's journal reaches",
                slot);
  return Refused(
      kSlotLost, what,
      "while the source is live `tidegate cutover --dry-run` makes a new one, while the target is live "
      "`tidegate resync --way-back`");
}

postgres::Lsn journalled(const std::string& path) {
  if (!std::filesystem::exists(path)) return 0;
  sqlite::Database state = open_state(path);
  const auto held = CaptureState(state).held();
  return held ? held->end_lsn : 0;
}

bool may_pass(const std::exception& failure) {
  auto* error = dynamic_cast<const Error*>(&failure);
  return error && (error->advice() != Advice::stop || error->code() == "SQLITE_FULL");
}

}  // namespace

std::string reverse_slot_name(const Settings& settings) {
  return reversed(slot_name(settings));
}
std::string reverse_publication_name(const Settings& settings) {
  return reversed(publication_name(settings));
}

bool drop_reverse_slot(const Settings& settings) {
  const auto options = connect_options(settings, "tidegate way back");
  auto target = connect_target(options);
  const bool was_there = drop_slot(options, reverse_slot_name(settings));
  failpoint("back-after-slot-dropped");
  capture::drop_publication(target, reverse_publication_name(settings));
  return was_there;
}

ReverseCapture::ReverseCapture(const Settings& settings, std::string journal_path)
    : settings_(settings),
      journal_path_(std::move(journal_path)),
      mark_head_(reverse_slot_name(settings) + " " + random_word() + " ") {}

ReverseCapture::~ReverseCapture() {
  end();
}

bool ReverseCapture::is_lost() const {
  auto target = connect_target(connect_options(settings_, "tidegate way back"));
  const auto slot = find_slot(target, reverse_slot_name(settings_));
  if (!slot) return std::filesystem::exists(journal_path_);
  try {
    check_slot(slot, slot->name, slot->database, journalled(journal_path_));
  } catch (const Refused& refused) {
    if (tells_of_loss(refused)) return true;
    throw;
  }
  return false;
}

void ReverseCapture::make(const std::vector<std::string>& names, const std::stop_token& stop) {
  auto target = connect_target(connect_options(settings_, "tidegate way back"));
  auto tables = capture::read_catalog(target, names, {});
  capture::ensure_publication(target, reverse_publication_name(settings_), tables, {});
  failpoint("back-after-publication");
  const auto options = connect_options(settings_, "tidegate way back");
  while (!stop.stop_requested()) {
    try {
      ensure_slot(options, reverse_slot_name(settings_), false, slot_patience);
      failpoint("back-after-slot");
      return;
    } catch (const Error& error) {
      if (error.advice() != Advice::retry) throw;
      log_info("way back: {}", error.what());
    }
  }
}

// Two captures on one journal would each take the other's progress for somebody else's.
void ReverseCapture::start() {
  std::lock_guard one_at_a_time(starting_);
  {
    std::lock_guard lock(mutex_);
    if (thread_.joinable() && !failure_) return;
    failure_ = nullptr;
  }
  thread_ = {};
  thread_ = std::jthread([this](const std::stop_token& stop) { work(stop); });
}

void ReverseCapture::end() {
  std::lock_guard one_at_a_time(starting_);
  thread_ = {};
}

void ReverseCapture::remove() {
  end();
  drop_reverse_slot(settings_);
  for (const char* suffix : {"", "-wal", "-shm"}) std::filesystem::remove(journal_path_ + suffix);
  std::lock_guard lock(mutex_);
  captured_ = applied_ = 0;
  marks_.clear();
  trouble_.clear();
  failure_ = nullptr;
}

PostgresCaptureOptions ReverseCapture::options() const {
  PostgresCaptureOptions options;
  options.connection = connect_options(settings_, "tidegate way back " + settings_.pipeline);
  options.slot = reverse_slot_name(settings_);
  options.publication = reverse_publication_name(settings_);
  options.spool_directory = (std::filesystem::path(journal_path_).parent_path() / "back-spool").string();
  options.skip_marked = mark_of(settings_.pipeline);
  return options;
}

PostgresCaptureCallbacks ReverseCapture::callbacks(Journal& journal) {
  PostgresCaptureCallbacks callbacks;
  callbacks.on_committed = [this, &journal](const PostgresCaptureCallbacks::Committed& group) {
    {
      std::lock_guard lock(mutex_);
      captured_ = group.sequence;
    }
    changed_.notify_all();
    trim_now_and_then(journal);
  };
  callbacks.on_message = [this](const std::string& content, std::uint64_t sequence) {
    marker_passed(content, sequence);
  };
  return callbacks;
}

// The stream keeps the order: one that has not come before a later one is lost.
void ReverseCapture::marker_passed(const std::string& content, std::uint64_t sequence) {
  if (!content.starts_with(mark_head_)) return;
  std::uint64_t number = 0;
  std::from_chars(content.data() + mark_head_.size(), content.data() + content.size(), number);
  std::lock_guard lock(mutex_);
  trouble_.clear();
  for (auto& [each, mark] : marks_) {
    if (each <= number && !mark.sequence) mark.sequence = sequence;
  }
  changed_.notify_all();
}

void ReverseCapture::trim_now_and_then(Journal& journal) {
  const auto now = Clock::now();
  if (now - trimmed_ < trim_interval || applied_ == 0) return;
  trimmed_ = now;
  journal.trim(applied_, std::chrono::duration_cast<std::chrono::seconds>(settings_.journal.retention));
}

void ReverseCapture::consume(const std::stop_token& stop) {
  sqlite::Database state = open_state(journal_path_);
  Journal journal(state);
  PostgresCapture capture(options(), state, journal);
  struct Shown {
    Shown(ReverseCapture& owner, PostgresCapture& capture) : owner(owner) { show(&capture); }
    ~Shown() { show(nullptr); }
    void show(PostgresCapture* shown) const {
      std::lock_guard lock(owner.mutex_);
      owner.capture_ = shown;
    }
    ReverseCapture& owner;
  } shown(*this, capture);
  try {
    capture.run(stop, callbacks(journal));
  } catch (const Refused& refused) {
    if (tells_of_loss(refused)) throw as_lost(refused, reverse_slot_name(settings_));
    throw;
  }
}

void ReverseCapture::work(const std::stop_token& stop) {
  auto pause = std::chrono::milliseconds(first_pause);
  while (!stop.stop_requested()) {
    try {
      consume(stop);
    } catch (const std::exception& failure) {
      log_warn("way back: {}", told(failure).message);
      std::unique_lock lock(mutex_);
      trouble_ = failure.what();
      if (!may_pass(failure)) failure_ = std::current_exception();
      changed_.notify_all();
      if (failure_) return;
      changed_.wait_for(lock, stop, pause, [] { return false; });
      pause = std::min(pause * 2, std::chrono::milliseconds(longest_pause));
    }
  }
}

std::uint64_t ReverseCapture::mark() {
  std::lock_guard one_at_a_time(marking_);
  std::uint64_t number = 0;
  {
    std::lock_guard lock(mutex_);
    number = ++last_mark_;
    marks_[number] = {Clock::now(), std::nullopt};
    if (marks_.size() > most_marks) marks_.erase(marks_.begin());
  }
  const std::string content = mark_head_ + std::to_string(number);
  if (marker_) {
    try {
      capture::emit_message(*marker_, content);
      return number;
    } catch (const Error& error) {  // the target was away since; a marker that comes twice does no harm
      log_debug("way back: {}", error.what());
      marker_.reset();
    }
  }
  auto fresh = std::make_unique<postgres::Connection>(connect_options(settings_, "tidegate way back marks"));
  fresh->run("SET synchronous_commit = on");
  capture::emit_message(*fresh, content);
  marker_ = std::move(fresh);
  return number;
}

// A marker that is gone was applied.
std::optional<std::uint64_t> ReverseCapture::wait_for(std::uint64_t mark, Clock::time_point until,
                                                      const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  std::optional<std::uint64_t> sequence;
  changed_.wait_until(lock, stop, until, [&] {
    auto found = marks_.find(mark);
    sequence = found == marks_.end() ? applied_.load() : found->second.sequence;
    return sequence.has_value() || failure_;
  });
  return sequence;
}

void ReverseCapture::wait_for_work(std::uint64_t known, std::chrono::milliseconds most,
                                   const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, stop, most, [&] { return captured_ > known || failure_; });
}

void ReverseCapture::applied(std::uint64_t sequence) {
  std::lock_guard lock(mutex_);
  applied_ = sequence;
  for (auto mark = marks_.begin(); mark != marks_.end();) {
    const bool done = mark->second.sequence && *mark->second.sequence <= sequence;
    if (done) last_trip_ = Clock::now() - mark->second.sent;
    mark = done ? marks_.erase(mark) : std::next(mark);
  }
  changed_.notify_all();
}

ReverseCapture::State ReverseCapture::state() const {
  std::lock_guard lock(mutex_);
  State state;
  state.trouble = trouble_;
  std::chrono::duration<double> lag = last_trip_;
  if (!marks_.empty())
    lag = std::max<std::chrono::duration<double>>(lag, Clock::now() - marks_.begin()->second.sent);
  state.lag_seconds = lag.count();
  if (!capture_) return state;
  const auto progress = capture_->progress();
  state.connected = progress.connected;
  if (progress.server_lsn > progress.durable_lsn)
    state.bytes_behind = progress.server_lsn - progress.durable_lsn;
  return state;
}

void ReverseCapture::rethrow() const {
  std::lock_guard lock(mutex_);
  if (failure_) std::rethrow_exception(failure_);
}

}  // namespace tidegate::cutover
