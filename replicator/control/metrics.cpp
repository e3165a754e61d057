#include "replicator/control/metrics.hpp"

#include <fmt/format.h>

#include <array>
#include <string_view>

namespace tidegate {

namespace {

constexpr std::array<std::string_view, 10> phases = {"new",       "snapshot", "catching_up", "streaming",
                                                     "paused",    "cutover",  "reversed",    "rollback",
                                                     "finalized", "failed"};

std::string label(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    if (c == '\n') {
      escaped += "\\n";
      continue;
    }
    if (c == '\\' || c == '"') escaped += '\\';
    escaped += c;
  }
  return escaped;
}

class Exposition {
 public:
  explicit Exposition(const std::string& pipeline) : pipeline_(label(pipeline)) {}

  void begin(std::string_view name, std::string_view type, std::string_view help) {
    name_ = name;
    text += fmt::format("# HELP tidegate_{0} {2}\n# TYPE tidegate_{0} {1}\n", name, type, help);
  }
  template <typename Number>
  void sample(Number value, const std::string& more = "") {
    text += fmt::format("tidegate_{}{{pipeline=\"{}\"{}}} {}\n", name_, pipeline_, more, value);
  }
  template <typename Number>
  void one(std::string_view name, std::string_view type, std::string_view help, Number value) {
    begin(name, type, help);
    sample(value);
  }
  template <typename Number>
  void one(std::string_view name, std::string_view type, std::string_view help,
           const std::optional<Number>& value) {
    if (value) one(name, type, help, *value);
  }

  std::string text;

 private:
  std::string pipeline_;
  std::string_view name_;
};

void add_phase(Exposition& out, const Status& s) {
  out.begin("phase", "gauge", "1 for the phase that the pipeline is in");
  for (const auto phase : phases) out.sample(s.phase == phase ? 1 : 0, fmt::format(",phase=\"{}\"", phase));
}

void add_tables(Exposition& out, const Status& s) {
  const auto each = [&](std::string_view name, std::string_view help, auto value) {
    out.begin(name, "gauge", help);
    for (const auto& table : s.tables)
      if (const std::optional<std::uint64_t> number = value(table))
        out.sample(*number, fmt::format(",table=\"{}\"", label(table.source)));
  };
  each("table_rows_copied", "rows of the table that the snapshot has copied",
       [](const TableStatus& t) { return std::optional(t.rows_copied); });
  each("table_rows_total", "rows of the table when the snapshot began",
       [](const TableStatus& t) { return t.rows_total; });
  each("table_rows_quarantined", "rows of the table in quarantine",
       [](const TableStatus& t) { return std::optional(t.rows_quarantined); });
}

}  // namespace

std::string metrics_text(const Status& s) {
  Exposition out(s.pipeline);
  out.one("up", "gauge", "1 while the daemon answers", 1);
  add_phase(out, s);
  out.one("live_is_target", "gauge", "1 once the target is the live side", s.live == "target" ? 1 : 0);
  out.one("lag_seconds", "gauge", "age of the newest change that is not yet in the target", s.lag.seconds);
  out.one("lag_bytes", "gauge", "journal bytes that are not yet in the target", s.lag.bytes);
  out.one("lag_transactions", "gauge", "source transactions that are not yet in the target",
          s.lag.transactions);
  out.one("rows_copied_total", "counter", "rows that the snapshot has copied", s.totals.rows_copied);
  out.one("rows_to_copy", "gauge", "rows of the source when the snapshot began", s.totals.rows_total);
  out.one("transactions_applied_total", "counter", "source transactions applied after the snapshot",
          s.totals.transactions);
  out.one("changes_applied_total", "counter", "row changes applied after the snapshot", s.totals.changes);
  out.one("quarantined_rows", "gauge", "rows that did not fit and wait for an operator", s.quarantined);
  out.one("recent_errors", "gauge", "errors that status shows", s.errors.size());
  out.one("journal_bytes", "gauge", "size of the journal", s.journal.bytes);
  out.one("journal_free_bytes", "gauge", "free space of the journal's file system", s.journal.free_bytes);
  if (s.slot) {
    out.one("slot_lag_bytes", "gauge", "WAL that the source keeps for the slot", s.slot->lag_bytes);
    out.one("slot_left_bytes", "gauge", "WAL until the source gives the slot up", s.slot->left_bytes);
    out.one("slot_left_seconds", "gauge", "the same as time, at the source's present rate",
            s.slot->left_seconds);
    out.one("slot_usable", "gauge", "0 once the source has given the slot up",
            s.slot->wal_status == "lost" || s.slot->wal_status == "gone" ? 0 : 1);
  }
  out.one("rollback_ready", "gauge", "1 while the way back is proven", s.rollback.ready ? 1 : 0);
  out.one("rollback_lag_seconds", "gauge", "what a rollback now would lose", s.rollback.lag_seconds);
  if (s.live == "target" && s.cutover)
    out.one("fenced_source_users", "gauge", "programs that have the fenced source open: they have not moved",
            s.cutover->source_open_by.size());
  if (s.cutover)
    out.one("refused_writes_total", "counter", "writes that the fence of the side that was left has refused",
            s.cutover->refused_writes);
  add_tables(out, s);
  return std::move(out.text);
}

}  // namespace tidegate
