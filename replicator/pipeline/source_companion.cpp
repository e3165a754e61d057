#include "replicator/pipeline/source_companion.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <random>

#include "capture/postgres/watch.hpp"
#include "replicator/log.hpp"
#include "replicator/server_access.hpp"

namespace tidegate {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr auto look_interval = 5s, beat_interval = 10s;
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

SlotStatus slot_status(const std::string& name, const capture::SourceWatch& watch) {
  SlotStatus status;
  status.name = name;
  status.wal_status = watch.slot ? watch.slot->wal_status : "gone";
  if (watch.slot) {
    status.lag_bytes = watch.slot->retained_bytes;
    if (auto left = watch.slot->safe_wal_size)
      status.left_bytes = static_cast<std::uint64_t>(std::max<std::int64_t>(0, *left));
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

void SourceCompanion::look_at_slot() {
  if (Clock::now() - looked_ < look_interval) return;
  looked_ = Clock::now();
  SlotStatus slot = slot_status(slot_name(settings_), capture::watch(*source_, slot_name(settings_)));
  if (slot.left_bytes && *slot.left_bytes < slot.lag_bytes)
    log_warn("the source gives the slot {} up after {} more bytes of its log", slot.name, *slot.left_bytes);
  coordination_.update([&](Status& status) { status.slot = slot; });
}

// A table's size is asked for under a lock that an ALTER TABLE of the application may keep us waiting for,
// and `sync` with us.
void SourceCompanion::look_at_schema() {
  if (Clock::now() - schema_seen_ < look_interval) return;
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
