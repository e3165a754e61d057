#include "replicator/pipeline/resyncs.hpp"

#include <algorithm>

#include "db/failpoint.hpp"
#include "replicator/log.hpp"

namespace tidegate {
namespace {

using namespace std::chrono_literals;

constexpr auto first_pause = 1000ms, longest_pause = 30000ms;
constexpr const char *failed = "resync-failed", *changed = "schema-changed",
                     *not_carried = "table-not-carried";

std::string sentence_of(const std::exception_ptr& failure) {
  try {
    std::rethrow_exception(failure);
  } catch (const std::exception& known) {
    return known.what();
  }
}

}  // namespace

Resyncs::Resyncs(const LaneScene& scene, const TargetScene& pipeline, Plans& plans, SourceView& view)
    : scene_(scene),
      pipeline_(pipeline),
      session_(pipeline.session),
      plans_(plans),
      view_(view),
      resyncs_(read_resyncs(session_)),
      pause_(first_pause) {
  keep_journal();
}

Resync* Resyncs::find(const std::string& table) {
  auto found =
      std::find_if(resyncs_.begin(), resyncs_.end(), [&](const Resync& each) { return each.table == table; });
  return found == resyncs_.end() ? nullptr : &*found;
}

void Resyncs::put(Resync resync) {
  std::erase_if(resyncs_, [&](const Resync& each) { return each.table == resync.table; });
  resyncs_.push_back(std::move(resync));
  keep_journal();
}

// A lane that works is ahead of what is known of it here, which keeps more than it needs.
void Resyncs::keep_journal() const {
  std::optional<std::uint64_t> oldest;
  for (const Resync& each : resyncs_) {
    if (each.state != ResyncState::stopped) oldest = std::min(oldest.value_or(each.sequence), each.sequence);
  }
  scene_.coordination.keep_from(oldest);
}

void Resyncs::begin(Applier& applier) {
  for (const Resync& each : resyncs_) {
    if (each.held) applier.leave_out(each.table);
  }
}

bool Resyncs::is_held(const std::string& table) const {
  return std::any_of(resyncs_.begin(), resyncs_.end(),
                     [&](const Resync& each) { return each.table == table && each.held; });
}

bool Resyncs::is_known(const std::string& table) const {
  return std::any_of(resyncs_.begin(), resyncs_.end(),
                     [&](const Resync& each) { return each.table == table; });
}

std::vector<std::string> Resyncs::tables() const {
  std::vector<std::string> names;
  for (const Resync& each : resyncs_) names.push_back(each.table);
  return names;
}

void Resyncs::show() const {
  report_stopped();
  scene_.coordination.update([&](Status& status) {
    for (auto& table : status.tables) {
      for (const Resync& each : resyncs_) {
        if (each.table != table.source) continue;
        table.state = each.state == ResyncState::stopped ? "stopped" : "resync";
        table.left_out = each.held;
      }
    }
  });
}

StagingShape Resyncs::shape_of(const std::string& table) {
  auto shape = view_.shape_now(pipeline_, plans_.at(table));
  return {std::move(shape.plan), std::move(shape.changes), std::move(shape.wishes)};
}

void Resyncs::order(const std::string& table) {
  Resync* known = find(table);
  if (known && known->state != ResyncState::stopped) return;
  if (!known && view_.in_doubt(table)) {
    throw Refused("schema-changed",
                  "a change of the schema of table " + table + " is still on its way to the target",
                  "try again in a moment");
  }
  auto shape = shape_of(table);
  {
    TargetTransaction transaction(session_);
    put(begin_resync(session_, plans_.at(table), shape));
    transaction.commit();
  }
  failpoint("resync-begun");
  view_.accept_shape(table);
  settled_[table] = JournalReader(scene_.state_path).end();
  log_event(LogLevel::info, "resync begun", {{"table", table}});
  show();
}

void Resyncs::begin_anew(Applier& applier, const std::string& table) {
  Resync* known = find(table);
  if (!known || known->state == ResyncState::stopped) return;
  if (worker_ && worker_->table() == table) worker_.reset();
  if (known->is_first_copy()) return put(begin_first_copy(session_, plans_.at(table)));
  try {
    put(begin_resync(session_, plans_.at(table), shape_of(table)));
  } catch (const Refused& refused) {
    stop(applier, {table, refused.what()}, UINT64_MAX);
  }
}

void Resyncs::stop(Applier& applier, const SchemaChange::Stopped& stopped, std::uint64_t sequence) {
  if (!plans_.contains(stopped.table) && !pipeline_.mapping.maps(stopped.table)) return;
  if (auto settled = settled_.find(stopped.table); settled != settled_.end() && sequence <= settled->second)
    return;
  if (worker_ && worker_->table() == stopped.table) worker_.reset();
  put(stop_table(session_, stopped.table, stopped.why));
  refused_.erase(stopped.table);
  applier.leave_out(stopped.table);
  show();
}

// A crash before the new shape is accepted leaves a table that is stopped once more.
void Resyncs::rejoin_mapped(Applier& applier, const std::string& table,
                            const std::function<void()>& apply_once) {
  if (!is_held(table)) return;
  view_.meet_shape(pipeline_, table, apply_once);
  TargetTransaction transaction(session_);
  stream_again(session_, table);
  transaction.commit();
  failpoint("mapped-streams-again");
  pipeline_.mapping.forget(table);
  view_.accept_shape(table);
  failpoint("mapped-shape-accepted");
  applier.take_again(table);
  find(table)->held = false;
  log_event(LogLevel::info, "mapped table streams again", {{"table", table}});
  show();
}

void Resyncs::in_line(const std::string& table) {
  if (!is_known(table) || is_held(table)) return;
  TargetTransaction transaction(session_);
  end_resync(session_, table);
  transaction.commit();
  failpoint("mapped-in-line");
  forget(table);
  log_event(LogLevel::info, "mapped table is in line", {{"table", table}});
}

void Resyncs::take_in(Applier& applier, const std::string& table) {
  NewTable added = view_.new_table(pipeline_, table);
  {
    TargetTransaction transaction(session_);
    pipeline_.tables.make_new(added.plan, added.ddl);
    put(begin_first_copy(session_, added.plan));
    transaction.commit();
  }
  failpoint("resync-new-table");
  plans_.insert_or_assign(table, added.plan);
  applier.leave_out(table);
  view_.accept_shape(table);
  log_event(LogLevel::info, "new table is copied", {{"table", table}});
}

void Resyncs::take_in_new(Applier& applier) {
  for (const std::string& table : view_.new_tables()) {
    try {
      take_in(applier, table);
    } catch (const Error& error) {
      if (!session_.connection().usable() || session_.connection().in_transaction()) throw;
      if (error.advice() != Advice::stop) return;
      view_.cannot_take_in(table, error.what());
    } catch (const Refused& refused) {
      view_.cannot_take_in(table, refused.what());
    }
  }
}

// The source may be away, which its capture says.
void Resyncs::order_stopped() {
  if (!view_.copies_by_itself()) return;
  for (const std::string& table : tables()) {
    if (find(table)->state != ResyncState::stopped || refused_.contains(table)) continue;
    if (!plans_.contains(table)) continue;  // what its maps read changed: an operator looks first
    try {
      order(table);
    } catch (const Error& error) {
      if (!session_.connection().usable() || session_.connection().in_transaction()) throw;
      if (error.advice() != Advice::stop) return;
      refuse(table, error.what());
    } catch (const Refused& refused) {
      refuse(table, refused.what());
    }
  }
}

void Resyncs::refuse(const std::string& table, const std::string& why) {
  refused_.insert(table);
  log_warn("table {} is not copied again by itself: {}", table, why);
  scene_.coordination.report(not_carried, "table " + table + " is not copied again by itself: " + why, table);
}

// Once more after each change, since reports are cleared by their code.
void Resyncs::report_stopped() const {
  scene_.coordination.clear_report(changed);
  for (const Resync& each : resyncs_) {
    if (each.state != ResyncState::stopped) continue;
    const char* now = each.held ? " of the source is stopped, the others stream on: "
                                : " of the source streams again, and is not in line yet: ";
    scene_.coordination.report(changed,
                               "table " + each.table + now + each.why +
                                   ", and rows may have changed without events; run: tidegate resync " +
                                   each.table,
                               each.table);
  }
}

void Resyncs::start_next() {
  if (std::chrono::steady_clock::now() < not_before_) return;
  for (const Resync& each : resyncs_) {
    if (each.state == ResyncState::stopped) continue;
    worker_ = std::make_unique<ResyncWorker>(scene_, each, plans_);
    return;
  }
}

// What the lane had committed is read again, since its last answer may have been lost.
void Resyncs::look_for_failure() {
  auto failure = worker_->failure();
  if (!failure) return;
  std::string message = "resync of table " + worker_->table() + ": " + sentence_of(failure);
  worker_.reset();
  not_before_ = std::chrono::steady_clock::now() + pause_;
  pause_ = std::min<std::chrono::milliseconds>(pause_ * 2, longest_pause);
  log_warn("{}", message);
  scene_.coordination.report(failed, message);
  resyncs_ = read_resyncs(session_);
}

void Resyncs::hold(Applier& applier) {
  Resync& resync = *find(worker_->table());
  TargetTransaction transaction(session_);
  hold_for_merge(session_, resync.table);
  transaction.commit();
  failpoint("resync-held");
  resync.state = ResyncState::merging;
  resync.held = true;
  applier.leave_out(resync.table);
  show();
  worker_->held(session_.position().sequence);
}

void Resyncs::rejoin(Applier& applier) {
  std::string table = worker_->table();
  if (!worker_->come(session_.position().sequence)) return look_for_failure();
  plans_.insert_or_assign(table, worker_->plan());
  worker_.reset();
  TargetTransaction transaction(session_);
  end_resync(session_, table);
  transaction.commit();
  failpoint("resync-rejoined");
  applier.take_again(table);
  ended_ = true;
  pipeline_.quarantine.read_again();
  scene_.coordination.clear_report(failed);
  pause_ = first_pause;
  forget(table);
  log_event(LogLevel::info, "resync ended", {{"table", table}});
}

void Resyncs::forget(const std::string& table) {
  std::erase_if(resyncs_, [&](const Resync& each) { return each.table == table; });
  keep_journal();
  scene_.coordination.clear_report(not_carried);
  report_stopped();
  scene_.coordination.update([&](Status& status) {
    for (auto& each : status.tables) {
      if (each.source != table) continue;
      each.state = "streaming";
      each.left_out = false;
    }
  });
}

void Resyncs::tend(Applier& applier) {
  order_stopped();
  if (!worker_) start_next();
  if (!worker_) return;
  look_for_failure();
  if (!worker_) return;
  switch (worker_->wish()) {
    case ResyncWorker::Wish::nothing:
      return;
    case ResyncWorker::Wish::hold:
      return hold(applier);
    case ResyncWorker::Wish::rejoin:
      return rejoin(applier);
  }
}

}  // namespace tidegate
