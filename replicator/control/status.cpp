#include "replicator/control/status.hpp"

#include <boost/json.hpp>
#include <stdexcept>

namespace tidegate {

namespace {

namespace json = boost::json;

template <typename T>
json::value or_null(const std::optional<T>& value) {
  return value ? json::value(*value) : json::value(nullptr);
}

json::object json_of(const TableStatus& t) {
  return {{"source", t.source},
          {"target", t.target},
          {"state", t.state},
          {"rows_copied", t.rows_copied},
          {"rows_total", or_null(t.rows_total)},
          {"rows_quarantined", t.rows_quarantined},
          {"left_out", t.left_out}};
}

json::object json_of(const StatusError& e) {
  return {{"at", e.at}, {"code", e.code}, {"message", e.message}, {"table", e.table}};
}

json::object json_of(const CutoverStep& s) {
  return {{"step", s.step}, {"attempt", s.attempt}, {"ms", s.milliseconds}};
}

json::object json_of(const CutoverFinding& f) {
  return {{"level", f.level}, {"code", f.code}, {"message", f.message}, {"mend", f.mend}};
}

json::value json_of(const std::optional<SlotStatus>& slot) {
  if (!slot) return nullptr;
  return {{"name", slot->name},
          {"wal_status", slot->wal_status},
          {"lag_bytes", slot->lag_bytes},
          {"left_bytes", or_null(slot->left_bytes)},
          {"left_seconds", or_null(slot->left_seconds)},
          {"oldest_transaction_seconds", or_null(slot->oldest_transaction_seconds)}};
}

json::value json_of(const std::optional<VerifyStatus>& verify) {
  if (!verify) return nullptr;
  return {{"rows", verify->rows},
          {"rows_expected", verify->rows_expected},
          {"rows_per_second", verify->rows_per_second},
          {"differences", verify->differences},
          {"seconds_left", or_null(verify->seconds_left)}};
}

template <typename T>
json::array list_of(const std::vector<T>& items) {
  json::array list;
  for (const auto& item : items) {
    if constexpr (std::is_same_v<T, std::string>)
      list.emplace_back(item);
    else
      list.emplace_back(json_of(item));
  }
  return list;
}

json::value json_of(const std::optional<WritersSeen>& writers) {
  if (!writers) return nullptr;
  return {{"held_from", writers->held_from},
          {"held_until", writers->held_until},
          {"commits_per_second", writers->commits_per_second},
          {"commits_afterwards", or_null(writers->commits_afterwards)},
          {"in_transaction", list_of(writers->in_transaction)}};
}

json::value json_of(const std::optional<CutoverStatus>& cutover) {
  if (!cutover) return nullptr;
  return {{"run", cutover->run},
          {"mode", cutover->mode},
          {"step", cutover->step},
          {"attempt", cutover->attempt},
          {"outcome", cutover->outcome},
          {"reason", cutover->reason},
          {"hold_ms", or_null(cutover->hold_ms)},
          {"steps", list_of(cutover->steps)},
          {"findings", list_of(cutover->findings)},
          {"source_open_by", list_of(cutover->source_open_by)},
          {"refused_writes", or_null(cutover->refused_writes)},
          {"writers", json_of(cutover->writers)}};
}

// Reads the members of one object; what is absent, null or of another type leaves the default.
class Members {
 public:
  explicit Members(const json::value* value) : object_(value ? value->if_object() : nullptr) {}

  const json::value* find(std::string_view name) const {
    return object_ ? object_->if_contains(name) : nullptr;
  }
  Members in(std::string_view name) const { return Members(find(name)); }

  void read(std::string_view name, std::string& into) const {
    if (const auto* value = find(name); value && value->is_string()) into = value->get_string();
  }
  void read(std::string_view name, bool& into) const {
    if (const auto* value = find(name); value && value->is_bool()) into = value->get_bool();
  }
  template <typename Number>
  requires std::is_arithmetic_v<Number>
  void read(std::string_view name, Number& into) const {
    const auto* value = find(name);
    if (!value || !value->is_number()) return;
    boost::system::error_code failure;
    const auto number = value->to_number<Number>(failure);
    if (!failure) into = number;
  }
  template <typename T>
  void read(std::string_view name, std::optional<T>& into) const {
    const auto* value = find(name);
    if (!value || value->is_null()) return;
    T plain{};
    read(name, plain);
    into = plain;
  }
  template <typename T, typename Make>
  void read_list(std::string_view name, std::vector<T>& into, Make make) const {
    const auto* value = find(name);
    if (!value || !value->is_array()) return;
    for (const auto& item : value->get_array()) into.push_back(make(item));
  }

 private:
  const json::object* object_;
};

TableStatus table_in(const json::value& value) {
  const Members members(&value);
  TableStatus table;
  members.read("source", table.source);
  members.read("target", table.target);
  members.read("state", table.state);
  members.read("rows_copied", table.rows_copied);
  members.read("rows_total", table.rows_total);
  members.read("rows_quarantined", table.rows_quarantined);
  members.read("left_out", table.left_out);
  return table;
}

StatusError error_in(const json::value& value) {
  const Members members(&value);
  StatusError error;
  members.read("at", error.at);
  members.read("code", error.code);
  members.read("message", error.message);
  members.read("table", error.table);
  return error;
}

std::string text_in(const json::value& value) {
  return value.is_string() ? std::string(value.get_string()) : "";
}

void read_progress(const Members& root, Status& s) {
  const Members lag = root.in("lag"), stages = root.in("stages"), totals = root.in("totals"),
                journal = root.in("journal");
  lag.read("seconds", s.lag.seconds);
  lag.read("bytes", s.lag.bytes);
  lag.read("transactions", s.lag.transactions);
  stages.read("schema", s.stages.schema);
  stages.read("data", s.stages.data);
  stages.read("verification", s.stages.verification);
  totals.read("rows_copied", s.totals.rows_copied);
  totals.read("rows_total", s.totals.rows_total);
  totals.read("transactions", s.totals.transactions);
  totals.read("changes", s.totals.changes);
  journal.read("bytes", s.journal.bytes);
  journal.read("free_bytes", s.journal.free_bytes);
  journal.read("bytes_per_second", s.journal.bytes_per_second);
  root.in("rollback").read("ready", s.rollback.ready);
  root.in("rollback").read("lag_seconds", s.rollback.lag_seconds);
  root.in("rollback").read("lag_transactions", s.rollback.lag_transactions);
  root.in("rollback").read("rejects", s.rollback.rejects);
  root.in("rollback").read("rebuilding", s.rollback.rebuilding);
  root.in("throttle").read("rows_per_second", s.throttle_rows_per_second);
}

void read_slot(const Members& root, Status& s) {
  const auto* value = root.find("slot");
  if (!value || !value->is_object()) return;
  const Members members(value);
  SlotStatus& slot = s.slot.emplace();
  members.read("name", slot.name);
  members.read("wal_status", slot.wal_status);
  members.read("lag_bytes", slot.lag_bytes);
  members.read("left_bytes", slot.left_bytes);
  members.read("left_seconds", slot.left_seconds);
  members.read("oldest_transaction_seconds", slot.oldest_transaction_seconds);
}

CutoverStep step_in(const json::value& value) {
  const Members members(&value);
  CutoverStep step;
  members.read("step", step.step);
  members.read("attempt", step.attempt);
  members.read("ms", step.milliseconds);
  return step;
}

CutoverFinding finding_in(const json::value& value) {
  const Members members(&value);
  CutoverFinding finding;
  members.read("level", finding.level);
  members.read("code", finding.code);
  members.read("message", finding.message);
  members.read("mend", finding.mend);
  return finding;
}

void read_writers(const Members& cutover, std::optional<WritersSeen>& into) {
  const auto* value = cutover.find("writers");
  if (!value || !value->is_object()) return;
  const Members members(value);
  WritersSeen& writers = into.emplace();
  members.read("held_from", writers.held_from);
  members.read("held_until", writers.held_until);
  members.read("commits_per_second", writers.commits_per_second);
  members.read("commits_afterwards", writers.commits_afterwards);
  members.read_list("in_transaction", writers.in_transaction, text_in);
}

void read_cutover(const Members& root, Status& s) {
  const auto* value = root.find("cutover");
  if (!value || !value->is_object()) return;
  const Members members(value);
  CutoverStatus& cutover = s.cutover.emplace();
  members.read("run", cutover.run);
  members.read("mode", cutover.mode);
  members.read("step", cutover.step);
  members.read("attempt", cutover.attempt);
  members.read("outcome", cutover.outcome);
  members.read("reason", cutover.reason);
  members.read("hold_ms", cutover.hold_ms);
  members.read_list("steps", cutover.steps, step_in);
  members.read_list("findings", cutover.findings, finding_in);
  members.read_list("source_open_by", cutover.source_open_by, text_in);
  members.read("refused_writes", cutover.refused_writes);
  read_writers(members, cutover.writers);
}

void read_verify(const Members& root, Status& s) {
  const auto* value = root.find("verify");
  if (!value || !value->is_object()) return;
  const Members members(value);
  VerifyStatus& verify = s.verify.emplace();
  members.read("rows", verify.rows);
  members.read("rows_expected", verify.rows_expected);
  members.read("rows_per_second", verify.rows_per_second);
  members.read("differences", verify.differences);
  members.read("seconds_left", verify.seconds_left);
}

void read_words(const Members& root, Status& s) {
  root.read("pipeline", s.pipeline);
  root.read("live", s.live);
  root.read("phase", s.phase);
  root.read("step", s.step);
  root.read("started_at", s.started_at);
  root.read("ended_at", s.ended_at);
  root.read("quarantined", s.quarantined);
  root.read("position", s.position);
  root.read("source", s.source);
  root.read("target", s.target);
  root.read("pid", s.pid);
  root.read("version", s.version);
  root.read("sampled_at_ms", s.sampled_at_ms);
}

}  // namespace

std::string to_json(const Status& s) {
  return json::serialize(json::object{
      {"pipeline", s.pipeline},
      {"live", s.live},
      {"phase", s.phase},
      {"step", s.step},
      {"lag",
       {{"seconds", or_null(s.lag.seconds)},
        {"bytes", or_null(s.lag.bytes)},
        {"transactions", or_null(s.lag.transactions)}}},
      {"tables", list_of(s.tables)},
      {"stages",
       {{"schema", s.stages.schema}, {"data", s.stages.data}, {"verification", s.stages.verification}}},
      {"started_at", or_null(s.started_at)},
      {"ended_at", or_null(s.ended_at)},
      {"totals",
       {{"rows_copied", s.totals.rows_copied},
        {"rows_total", or_null(s.totals.rows_total)},
        {"transactions", s.totals.transactions},
        {"changes", s.totals.changes}}},
      {"errors", list_of(s.errors)},
      {"quarantined", s.quarantined},
      {"position", s.position},
      {"rollback",
       {{"ready", s.rollback.ready},
        {"lag_seconds", or_null(s.rollback.lag_seconds)},
        {"lag_transactions", or_null(s.rollback.lag_transactions)},
        {"rejects", s.rollback.rejects},
        {"rebuilding", s.rollback.rebuilding}}},
      {"next_steps", list_of(s.next_steps)},
      {"source", s.source},
      {"target", s.target},
      {"pid", s.pid},
      {"version", s.version},
      {"sampled_at_ms", s.sampled_at_ms},
      {"throttle", {{"rows_per_second", or_null(s.throttle_rows_per_second)}}},
      {"journal",
       {{"bytes", s.journal.bytes},
        {"free_bytes", or_null(s.journal.free_bytes)},
        {"bytes_per_second", or_null(s.journal.bytes_per_second)}}},
      {"slot", json_of(s.slot)},
      {"cutover", json_of(s.cutover)},

      {"verify", json_of(s.verify)}});
}

Status status_from_json(std::string_view text) {
  boost::system::error_code failure;
  const json::value value = json::parse(text, failure);
  if (failure || !value.is_object()) throw std::invalid_argument("not a status: it is no JSON object");
  const Members root(&value);
  Status status;
  read_words(root, status);
  read_progress(root, status);
  read_slot(root, status);
  read_cutover(root, status);
  read_verify(root, status);
  root.read_list("tables", status.tables, table_in);
  root.read_list("errors", status.errors, error_in);
  root.read_list("next_steps", status.next_steps, text_in);
  return status;
}

}  // namespace tidegate
