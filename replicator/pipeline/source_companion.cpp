#include "replicator/pipeline/source_companion.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <random>
#include <utility>

#include "replicator/config/units.hpp"
#include "replicator/log.hpp"
#include "replicator/server_access.hpp"

namespace tidegate {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr auto look_interval = 5s, beat_interval = 10s, rate_window = 60s;
constexpr double long_transaction = 60;  // seconds
constexpr const char* refused = "source";
constexpr std::string_view lock_not_available = "55P03";
constexpr auto pause_without_source = 1000ms, longest_wait = 200ms;

// Messages of other pipelines come by as well, and after a restart those of an earlier process once more: one
// of them must not be taken for an answer to a wish of now. A process id is no mark, since in a container it
// is always the same.
std::string marker_head(const Settings& settings) {
  static const std::string of_this_process = [] {
    std::random_device random;
    return fmt::format("{:08x}{:08x}", random(), random());
  }();
  return slot_name(settings) + " " + of_this_process + " ";
}

// `room`: what the disk has for the slot's WAL, where the server sets no limit; 0: nobody said.
SlotStatus slot_status(const std::string& name, const capture::SourceWatch& watch, std::uint64_t room) {
  SlotStatus status;
  status.name = name;
  status.wal_status = watch.slot ? watch.slot->wal_status : "gone";
  if (watch.slot) {
    status.lag_bytes = watch.slot->retained_bytes;
    if (auto left = watch.slot->safe_wal_size)
      status.left_bytes = static_cast<std::uint64_t>(std::max<std::int64_t>(0, *left));
    else if (room > 0)
      status.left_bytes = room - std::min(room, status.lag_bytes);
  }
  if (!watch.old.empty()) status.oldest_transaction_seconds = watch.old.front().seconds;
  return status;
}

}  // namespace

std::string SourceCompanion::marker(std::uint64_t wish, const Settings& settings) {
  return marker_head(settings) + std::to_string(wish);
}

std::optional<std::uint64_t> SourceCompanion::wish_in(const std::string& message, const Settings& settings) {
  std::string head = marker_head(settings);
  if (!message.starts_with(head)) return std::nullopt;
  std::uint64_t wish = 0;
  auto [end, error] = std::from_chars(message.data() + head.size(), message.data() + message.size(), wish);
  if (error != std::errc() || end != message.data() + message.size()) return std::nullopt;
  return wish;
}

std::optional<double> SourceCompanion::time_left(const Seen& before, const Seen& now,
                                                 std::uint64_t left_bytes) {
  double seconds = std::chrono::duration<double>(now.at - before.at).count();
  if (seconds <= 0 || now.written <= before.written) return std::nullopt;
  return static_cast<double>(left_bytes) * seconds / static_cast<double>(now.written - before.written);
}

// Transactional, and committed with synchronous_commit on: it comes behind everything that had been committed
// before, and at once.
void SourceCompanion::mark_wish() {
  auto wish = coordination_.begin_cut();
  if (wish <= marked_) return;
  capture::emit_message(*source_, marker(wish, settings_));
  marked_ = wish;
}

// So that the slot moves on though nothing of the published tables changes.
void SourceCompanion::beat() {
  if (Clock::now() - beat_ < beat_interval) return;
  beat_ = Clock::now();
  capture::emit_message(*source_, marker_head(settings_));
}

// Once for each trouble, not at each look.
void SourceCompanion::warn_of(const SlotStatus& slot, const capture::SourceWatch& seen) {
  const bool at_risk = slot.left_bytes && *slot.left_bytes < slot.lag_bytes;
  const bool is_held = slot.oldest_transaction_seconds.value_or(0) > long_transaction;
  if (at_risk && !std::exchange(at_risk_, at_risk)) {
    const bool has_limit = seen.slot && seen.slot->safe_wal_size;
    auto message =
        fmt::format("the source keeps {} of its log for slot {}, and {} {} more", format_size(slot.lag_bytes),
                    slot.name, has_limit ? "gives it up after" : "its disk ([source] wal_room) has room for",
                    format_size(*slot.left_bytes));
    log_warn("{}", message);
    coordination_.report("slot-at-risk", message);
  } else if (!at_risk && std::exchange(at_risk_, false)) {
    coordination_.clear_report("slot-at-risk");
  }
  if (is_held && !std::exchange(is_held_, true)) {
    const auto& oldest = seen.old.front();
    log_warn("{} has been open at the source for {:.0f} s: the source keeps its log from there on",
             oldest.pid ? fmt::format("a transaction of {} ({}, pid {})", oldest.user, oldest.application,
                                      oldest.pid)
                        : "prepared transaction " + oldest.prepared_name,
             oldest.seconds);
  }
  is_held_ = is_held;
}

void SourceCompanion::look_at_slot() {
  if (Clock::now() - looked_ < look_interval) return;
  looked_ = Clock::now();
  auto seen = capture::watch(*source_, slot_name(settings_));
  SlotStatus slot = slot_status(slot_name(settings_), seen, settings_.source.postgres.wal_room);
  if (seen.slot && slot.left_bytes) {
    written_.push_back({looked_, seen.slot->written});
    while (written_.front().at < looked_ - rate_window) written_.pop_front();
    slot.left_seconds = time_left(written_.front(), written_.back(), *slot.left_bytes);
  }
  warn_of(slot, seen);
  coordination_.update([&](Status& status) { status.slot = slot; });
}

// A table's size is asked for under a lock that an ALTER TABLE of the application may keep us waiting for,
// and `sync` with us.
void SourceCompanion::look_at_schema() {
  if (Clock::now() - schema_seen_ < settings_.source.postgres.schema_poll) return;
  schema_seen_ = Clock::now();
  try {
    schema_.look(*source_);
  } catch (const Error& error) {
    if (error.code() != lock_not_available) throw;
  }
}

void SourceCompanion::work() {
  if (!source_) {
    source_ = std::make_unique<postgres::Connection>(
        source_options(settings_, "tidegate companion " + settings_.pipeline));
    source_->run("SET synchronous_commit = on; SET lock_timeout = '500ms'");
    marked_ = 0;  // a marker may have been lost with the connection; one that comes twice does no harm
  }
  mark_wish();
  beat();
  look_at_slot();
  look_at_schema();
}

void SourceCompanion::run(std::stop_token stop) {
  while (!stop.stop_requested()) {
    try {
      work();
      coordination_.clear_report(refused);
      coordination_.wait_for_wish(marked_, longest_wait, stop);
    } catch (const Error& error) {
      log_debug("source: {}", error.what());
      // One that is away is reported by capture; a refusal is met here alone, and `sync` would wait in vain.
      if (error.advice() == Advice::stop) coordination_.report(refused, error.what());
      source_.reset();
      coordination_.wait_for_wish(UINT64_MAX, pause_without_source, stop);
    }
  }
}

}  // namespace tidegate
