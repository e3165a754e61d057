#include "replicator/pipeline/source_companion.hpp"

#include <unistd.h>

#include <charconv>

#include "replicator/log.hpp"
#include "replicator/server_access.hpp"

namespace tidegate {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr auto look_interval = 5s, beat_interval = 10s;
constexpr auto pause_without_source = 1000ms, longest_wait = 200ms;

// Messages of other pipelines and of earlier processes come by as well.
std::string marker_head(const Settings& settings) {
  return slot_name(settings) + " " + std::to_string(getpid()) + " ";
}

}  // namespace

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
  source_->run("SELECT pg_catalog.pg_logical_emit_message(true, 'tidegate', $1)",
               {marker_head(settings_) + std::to_string(wish)});
  marked_ = wish;
}

// So that the slot moves on though nothing of the published tables changes.
void SourceCompanion::beat() {
  if (Clock::now() - beat_ < beat_interval) return;
  beat_ = Clock::now();
  source_->run("SELECT pg_catalog.pg_logical_emit_message(true, 'tidegate', $1)", {marker_head(settings_)});
}

void SourceCompanion::look_at_slot() {
  if (Clock::now() - looked_ < look_interval) return;
  looked_ = Clock::now();
  auto rows = source_->run(
      "SELECT coalesce(wal_status, 'lost'), pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_lsn(),"
      " coalesce(restart_lsn, confirmed_flush_lsn)), safe_wal_size,"
      " (SELECT extract(epoch FROM pg_catalog.max(pg_catalog.clock_timestamp() - xact_start))"
      " FROM pg_catalog.pg_stat_activity WHERE backend_xid IS NOT NULL AND pid <> "
      "pg_catalog.pg_backend_pid())"
      " FROM pg_catalog.pg_replication_slots WHERE slot_name = $1",
      {slot_name(settings_)});
  SlotStatus slot;
  slot.name = slot_name(settings_);
  slot.wal_status = rows.rows() ? std::string(rows.text(0, 0)) : "gone";
  if (rows.rows()) {
    slot.lag_bytes =
        rows.is_null(0, 1) ? 0 : static_cast<std::uint64_t>(std::max<std::int64_t>(0, rows.integer(0, 1)));
    if (!rows.is_null(0, 2))
      slot.left_bytes = static_cast<std::uint64_t>(std::max<std::int64_t>(0, rows.integer(0, 2)));
    if (!rows.is_null(0, 3)) slot.oldest_transaction_seconds = std::stod(std::string(rows.text(0, 3)));
  }
  if (slot.left_bytes && *slot.left_bytes < slot.lag_bytes)
    log_warn("the source gives the slot {} up after {} more bytes of its log", slot.name, *slot.left_bytes);
  coordination_.update([&](Status& status) { status.slot = slot; });
}

void SourceCompanion::work() {
  if (!source_) {
    source_ = std::make_unique<postgres::Connection>(
        source_options(settings_, "tidegate companion " + settings_.pipeline));
    source_->run("SET synchronous_commit = on");
    marked_ = 0;  // a marker may have been lost with the connection; one that comes twice does no harm
  }
  mark_wish();
  beat();
  look_at_slot();
}

void SourceCompanion::run(std::stop_token stop) {
  while (!stop.stop_requested()) {
    try {
      work();
      coordination_.wait_for_wish(marked_, longest_wait, stop);
    } catch (const Error& error) {
      log_debug("source: {}", error.what());
      source_.reset();
      coordination_.wait_for_wish(UINT64_MAX, pause_without_source, stop);
    }
  }
}

}  // namespace tidegate
