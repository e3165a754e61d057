#include "apply/postgres/native/native_sink.hpp"

#include <algorithm>
#include <iterator>
#include <unordered_set>
#include <utility>

#include "apply/postgres/key_range.hpp"
#include "apply/postgres/row_errors.hpp"
#include "db/failpoint.hpp"

namespace tidegate {
namespace {

using native::Step;
using native::Target;

// A part that is kept until the server has taken it is no larger.
constexpr std::size_t most_passed_on = 32 << 20;

// Where the session cannot switch the target's foreign keys off, they wait for the end of the transaction as
// far as they can.
void defer_constraints(const TargetSession& session, std::vector<postgres::Command>& commands) {
  if (!session.replica_mode()) commands.push_back({"SET CONSTRAINTS ALL DEFERRED", {}});
}

bool is_refused_truncate(const Error& error, std::span<const Step> steps) {
  return error.code() == "0A000" && std::any_of(steps.begin(), steps.end(), [](const Step& step) {
           return step.operation() == Operation::truncate;
         });
}

}  // namespace

NativeSink::NativeSink(TargetSession& session, Quarantine& quarantine, const Plans& plans, Guards guards)
    : session_(session),
      quarantine_(quarantine),
      plans_(plans),
      references_(session, guards.outside ? plans : Plans()),
      orphans_(session.connection(), guards.orphans && session.replica_mode(), plans),
      composer_(session, quarantine, references_) {}

Target* NativeSink::target_of(const Relation& relation) {
  if (auto known = checked_.find(relation.id);
      known != checked_.end() && (!known->second || known->second->table.relation() == relation)) {
    return known->second;
  }
  auto plan = plans_.find(relation.table);
  if (plan == plans_.end()) return checked_[relation.id] = nullptr;
  auto& target = targets_[relation.id];
  bool is_current = target && target->table.relation() == relation && target->table.given() == plan->second;
  if (!is_current) {
    if (target) replaced_.push_back(std::move(target));
    target = std::make_unique<Target>(Target{native::Table(plan->second, relation), std::nullopt});
  }
  return checked_[relation.id] = target.get();
}

// Consecutive ones of one source transaction are one statement there; to take those of two transactions
// together is the same.
bool NativeSink::joins_last_truncate(const Step& step) {
  if (step.operation() != Operation::truncate || steps_.empty()) return false;
  Step& last = steps_.back();
  bool joins = last.operation() == Operation::truncate &&
               last.change.restart_sequences == step.change.restart_sequences;
  if (joins) last.truncated.push_back(step.target);
  return joins;
}

void NativeSink::add(const Relation& relation, Change change) {
  Target* target = target_of(relation);
  if (!target) return;
  target->table.complete(change);
  if (target->table.plan().contributor && !change.before.empty()) {
    // Never moves a row: the old one gets its own values back, and the new one is its owner's to make.
    Change old{Operation::remove, change.relation, std::move(change.before), {}, {}};
    change.before = {};
    add(relation, std::move(old));
  }
  Step step{target, std::move(change)};
  if (joins_last_truncate(step)) return;
  if (step.operation() == Operation::truncate) step.truncated.push_back(target);
  bytes_ += sizeof(Step) + size_in_memory(step.change);
  steps_.push_back(std::move(step));
}

void NativeSink::ask_for_shapes() {
  for (Step& step : steps_) {
    if (step.target->statements) continue;
    settle();
    const auto& table = step.table();
    step.target->statements.emplace(table.plan(), table.key_columns(),
                                    native::shape_of(session_.connection(), table.plan()));
  }
}

void NativeSink::forget_steps() {
  steps_.clear();
  bytes_ = 0;
  checked_.clear();
  replaced_.clear();
}

void NativeSink::begin() {
  quarantine_.rolled_back();
  std::vector<postgres::Command> commands{{"BEGIN", {}}, session_.enter()};
  defer_constraints(session_, commands);
  session_.connection().pipeline(commands);
}

void NativeSink::write(const Position& to) {
  ask_for_shapes();
  if (long_is_open_ || any_watched()) {
    spill(to.sequence);
    finish(to);
    long_is_open_ = false;
  } else {
    write_at_once(to);
  }
  forget_steps();
}

void NativeSink::spill(std::uint64_t sequence) {
  ask_for_shapes();
  const bool watched = any_watched();
  auto rows = watched ? watched_rows() : WatchedRows();
  if (!rows.truncated.empty()) find_truncated(rows);
  send_part(sequence);
  settle();
  if (watched) hold_orphans(rows, sequence);
}

void NativeSink::pass_on(std::uint64_t sequence) {
  if (any_watched() || bytes_ > most_passed_on) return spill(sequence);
  ask_for_shapes();
  send_part(sequence);
}

void NativeSink::remove_ranges(const Relation& relation, const ChunkMap::Key& key,
                               const std::vector<KeyRange>& ranges) {
  auto plan = plans_.find(relation.table);
  if (plan == plans_.end()) return;
  settle();
  for (const KeyRange& range : ranges) session_.connection().run(delete_range_sql(plan->second, key, range));
}

bool NativeSink::any_watched() const {
  const auto watches = [this](const Target* target) {
    const TablePlan& plan = target->table.plan();
    return orphans_.watches(plan) || orphans_.is_parent(plan);
  };
  std::unordered_set<const Target*> targets;
  for (const Step& step : steps_) {
    targets.insert(step.target);
    targets.insert(step.truncated.begin(), step.truncated.end());
  }
  return std::ranges::any_of(targets, watches);
}

// Of this part: the truncate's table may have got them in it.
std::vector<Reject> NativeSink::written_before(const Step& truncate, const Target* target) const {
  std::vector<Reject> rows;
  for (const Step& step : steps_) {
    if (&step == &truncate) break;
    const bool writes = step.operation() == Operation::insert || step.operation() == Operation::update;
    if (writes && step.target == target) rows.push_back(step.table().named(step.change.row));
  }
  return rows;
}

// Those that the target has before the part. Whose rows are whose may be known by keys that were given in
// this very transaction.
void NativeSink::find_truncated(WatchedRows& watched) {
  settle();
  open_long();
  auto& target = session_.connection();
  target.pipeline({with_keys(session_.keys(), {"SELECT", {}})});
  for (Watched& truncated : watched.truncated) {
    auto there = orphans_.rows_with_contributions(target, truncated.plan);
    std::move(there.begin(), there.end(), std::back_inserter(truncated.rows));
  }
}

// Rows that were written, rows that went, and keys that changed.
NativeSink::WatchedRows NativeSink::watched_rows() const {
  WatchedRows watched;
  const auto note = [](auto& rows, const Step& step, const Row& row) {
    auto [entry, is_new] = rows.try_emplace(step.target);
    if (is_new) entry->second.plan = step.table().plan();
    entry->second.rows.push_back(step.table().named(row));
  };
  for (const Step& step : steps_) {
    const bool writes = step.operation() == Operation::insert || step.operation() == Operation::update;
    if (writes && orphans_.watches(step.table().plan())) note(watched.written, step, step.change.row);
    for (const Target* target : step.truncated)
      watched.truncated.push_back({target->table.plan(), written_before(step, target)});
    if (step.operation() == Operation::truncate || !orphans_.is_parent(step.table().plan())) continue;
    if (!step.change.before.empty()) {
      note(watched.gone, step, step.change.before);
      note(watched.moved, step, step.change.row);
    } else if (step.operation() == Operation::remove) {
      note(watched.gone, step, step.change.row);
    }
  }
  return watched;
}

void NativeSink::hold_orphans(const WatchedRows& watched, std::uint64_t sequence) {
  auto& target = session_.connection();
  for (const auto& [of, written] : watched.written)
    orphans_.hold_orphans(target, quarantine_, written.plan, written.rows, sequence);
  for (const Watched& truncated : watched.truncated) {
    orphans_.take_out_contributions(target, quarantine_, truncated.plan, truncated.rows, sequence);
    orphans_.take_out_children(target, quarantine_, truncated.plan, sequence);
  }
  for (const auto& [of, moved] : watched.moved)
    orphans_.part_from_contributions(target, quarantine_, moved.plan, moved.rows, sequence);
  for (const auto& [of, gone] : watched.gone)
    orphans_.take_out_children(target, quarantine_, gone.plan, gone.rows, sequence);
}

// All in one round trip. COMMIT is sent before the answers to what precedes it are known, and that is safe:
// the server skips all that follows a failed command up to the pipeline's end, so it commits everything or
// never sees the COMMIT; the lease and the rows that must be found are checked by commands that fail.
void NativeSink::write_at_once(const Position& to) {
  quarantine_.rolled_back();
  std::vector<postgres::Command> all{{"BEGIN", {}}, session_.enter()};
  defer_constraints(session_, all);
  for (auto& command : composer_.set_based(steps_, to.sequence)) all.push_back(std::move(command));
  all.push_back(session_.advance_to(to));
  failpoint("apply-before-batch");
  failpoint("apply-before-commit");
  try {
    run_with_commit(std::move(all));
    written(to);
  } catch (const Error& error) {
    if (!is_row_error(error) && !is_refused_truncate(error, steps_)) throw;
    bool at_commit = !session_.connection().in_transaction();
    if (!at_commit) session_.connection().run("ROLLBACK");
    begin();
    // Only its own statement can tell which row a constraint refuses. A row that would have been completed by
    // a later one is then held too, but named.
    if (at_commit) session_.connection().run("SET CONSTRAINTS ALL IMMEDIATE");
    write_after_refusal(error, steps_, to.sequence);
    finish(to);
  }
}

void NativeSink::open_long() {
  if (!std::exchange(long_is_open_, true)) begin();
}

// While the server works at one part the next one is composed, from a quarantine in which none of its rows
// was refused: if one is, both are done again.
void NativeSink::send_part(std::uint64_t sequence) {
  open_long();
  auto before = quarantine_.pending();
  auto commands = part_commands(sequence);
  if (settle()) {
    before = quarantine_.pending();
    commands = part_commands(sequence);
  }
  auto done = std::async(std::launch::async, [&target = session_.connection(),
                                              commands = std::move(commands)] { target.pipeline(commands); });
  sent_.emplace(Sent{std::move(steps_), std::move(replaced_), sequence, std::move(before), std::move(done)});
  forget_steps();
}

std::vector<postgres::Command> NativeSink::part_commands(std::uint64_t sequence) {
  std::vector<postgres::Command> commands{{"SAVEPOINT tidegate_part", {}}};
  for (auto& command : composer_.set_based(steps_, sequence)) commands.push_back(std::move(command));
  commands.push_back({"RELEASE SAVEPOINT tidegate_part", {}});
  return commands;
}

// Waits until the server is done with the part that was sent. True where it refused something of it: the part
// was written in another way, and the quarantine's account is another.
bool NativeSink::settle() {
  if (!sent_) return false;
  Sent part = std::move(*sent_);
  sent_.reset();
  auto& target = session_.connection();
  bool refused = false;
  try {
    part.done.get();
  } catch (const Error& error) {
    if (!is_row_error(error) && !is_refused_truncate(error, part.steps)) throw;
    target.run("ROLLBACK TO SAVEPOINT tidegate_part; RELEASE SAVEPOINT tidegate_part");
    quarantine_.restore(std::move(part.before));
    write_after_refusal(error, part.steps, part.sequence);
    refused = true;
  }
  failpoint("apply-in-long-transaction");
  return refused;
}

void NativeSink::write_after_refusal(const Error& error, std::span<const Step> steps,
                                     std::uint64_t sequence) {
  auto& target = session_.connection();
  auto before = quarantine_.pending();
  const bool truncate = is_refused_truncate(error, steps);
  target.run("SAVEPOINT tidegate_in_order");
  composer_.truncate_by_delete(truncate);
  try {
    write_in_order(steps, sequence);
  } catch (const Error& in_order) {  // a row was refused first, and now the TRUNCATE
    if (truncate || !is_refused_truncate(in_order, steps)) throw;
    target.run("ROLLBACK TO SAVEPOINT tidegate_in_order");
    quarantine_.restore(std::move(before));
    composer_.truncate_by_delete(true);
    write_in_order(steps, sequence);
  }
  composer_.truncate_by_delete(false);
  target.run("RELEASE SAVEPOINT tidegate_in_order");
}

// Throws Error in_doubt where the connection is lost: COMMIT may have been carried out.
void NativeSink::run_with_commit(std::vector<postgres::Command> commands) {
  commands.push_back({"COMMIT", {}});
  auto& target = session_.connection();
  try {
    auto results = target.pipeline(commands);
    if (results.back().command() == "COMMIT") return;
  } catch (const Error& error) {
    if (error.advice() != Advice::reconnect) throw;
    throw Error(error.what(), error.code(), Advice::in_doubt);
  }
  throw Error("commit on " + target.description() + ": the transaction had failed", "25P02", Advice::stop);
}

void NativeSink::finish(const Position& to) {
  failpoint("apply-before-commit");
  run_with_commit({session_.advance_to(to)});
  written(to);
}

void NativeSink::written(const Position& to) {
  failpoint("apply-after-commit");
  session_.moved(to);
  quarantine_.committed();
}

void NativeSink::write_in_order(std::span<const Step> steps, std::uint64_t sequence) {
  auto& target = session_.connection();
  bisect(
      target, 0, steps.size(),
      [&](std::size_t first, std::size_t last) {
        auto before = quarantine_.pending();
        try {
          target.pipeline(composer_.in_order(steps.subspan(first, last - first), sequence));
        } catch (const Error&) {
          quarantine_.restore(std::move(before));
          throw;
        }
      },
      [&](std::size_t i, const Error& error) { refuse(steps[i], error, sequence); });
}

void NativeSink::refuse(const Step& step, const Error& error, std::uint64_t sequence) {
  auto& target = session_.connection();
  auto refusal = composer_.refuse(step, error, sequence);
  bool done = !refusal.try_first.empty() && !attempt(target, [&] { target.pipeline(refusal.try_first); });
  if (!done && !refusal.otherwise.empty()) {
    attempt(target, [&] { target.pipeline(refusal.otherwise); });
  }
  target.pipeline(refusal.finally);
}

}  // namespace tidegate
