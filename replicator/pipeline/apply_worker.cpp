#include "replicator/pipeline/apply_worker.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "apply/mapping/mapping_sink.hpp"
#include "apply/postgres/target_fence.hpp"
#include "db/failpoint.hpp"
#include "replicator/log.hpp"
#include "replicator/pipeline/apply_status.hpp"
#include "replicator/pipeline/realtime.hpp"
#include "replicator/pipeline/target_scripts.hpp"

namespace tidegate {
namespace {

using namespace std::chrono_literals;

constexpr auto first_pause = 100ms, longest_pause = 5000ms;
constexpr auto longest_idle = 200ms;
constexpr auto audit_look = 1s;
constexpr auto between_joins = 10s;  // of a table that cannot join its publication yet

bool worth_another_try(const Error& error) {
  return error.advice() != Advice::stop;
}

bool is_of_connection() {
  try {
    throw;
  } catch (const Error&) {
    return true;
  } catch (...) {
    return false;
  }
}

// Of the exception at hand: does a new connection help, or is the one at hand needed no more?
bool passes_or_lost(ApplySession& session) {
  try {
    throw;
  } catch (const Error& error) {
    return worth_another_try(error) || !session.target.connection().usable();
  } catch (const Refused&) {
    return false;
  } catch (...) {
    return true;
  }
}

// Nothing but a cutover's journal may say that the target is live.
void refuse_unknown_cutover(bool target_is_open, bool parked) {
  if (!target_is_open || parked) return;
  throw Refused(
      "half-done", "the target says that it is live, and this state directory knows of no cutover",
      "change nothing; `tidegate explain half-done` says how to find out which side has the newest rows");
}

// What a rollback brings of pairs, or a crash leaves of answers, has no rows of its own to go with: the
// position stays where it is.
void send_keys(ApplySession& session) {
  KeyOutbox* keys = session.target.keys();
  const auto command = keys ? keys->unsent({"SELECT", {}}) : std::nullopt;
  if (!command) return;
  TargetTransaction transaction(session.target);
  session.target.connection().run(command->sql, command->parameters);
  failpoint("mapped-keys-before-commit");
  transaction.commit();
  failpoint("mapped-keys-after-commit");
  keys->sent();
}

}  // namespace

void ApplyWorker::run() {
  JournalReader journal(options_.state_path);
  auto pause = std::chrono::milliseconds(first_pause);
  while (!pace_.stopped()) {
    try {
      options_.target.filled_before = store_.fact("target_filled").has_value();
      ApplySession session(options_, journal, source_);
      session.widen = widener(session);
      session.worked = [this] { out_of_trouble(); };
      RowRetries retries(session, coordination_, [&] { apply_once(session); });
      work(session, retries);
    } catch (const Error& error) {
      if (!worth_another_try(error)) throw;
      if (error.code() == Applier::given_up) {
        log_info("{}", error.what());
        continue;
      }
      log_warn("target: {}", error.what());
      if (!in_trouble_) pause = first_pause;
      in_trouble_ = true;
      coordination_.clear_report("target");
      coordination_.report("target", error.what());
      pace_.sleep(pause);
      pause = std::min(pause * 2, std::chrono::milliseconds(longest_pause));
    }
  }
}

// A connection alone is no proof: a full disk lets one in and refuses every row.
void ApplyWorker::out_of_trouble() {
  if (std::exchange(in_trouble_, false)) coordination_.clear_report("target");
}

// The target's checkpoint must be a place in this journal's history; anything else means that one of the two
// was restored, swapped or damaged, and going on would lose or double rows.
void ApplyWorker::check_position(ApplySession& session) {
  const Position& position = session.target.position();
  auto digest = session.journal.digest_at(position.sequence);
  if (!digest || *digest != position.digest) {
    throw Refused(
        "target-not-in-history",
        fmt::format(
            "the target is at position {} of a history that this state directory does not have: one of "
            "them was restored from a backup or swapped",
            position.sequence),
        "use the pair that belongs together; `tidegate explain target-not-in-history` says how to begin "
        "again");
  }
}

// A mapped table's new columns change nothing until a map reads them.
SchemaChange ApplyWorker::unmapped(ApplySession& session, SchemaChange change) {
  std::erase_if(change.tables, [&](const SourceTable& table) { return session.mapping.maps(table.name); });
  return change;
}

void ApplyWorker::work(ApplySession& session, RowRetries& retries) {
  check_position(session);
  audit_head_.reset();
  if (auto& memory = options_.keys) {
    memory->meet(session.target.connection(), session.target.phase() == TargetPhase::fresh);
    session.target.carry(memory.get());
  }
  refuse_unknown_cutover(session.target.is_open(), coordination_.parked());
  show_tables(coordination_, session);
  if (session.target.phase() == TargetPhase::fresh) create_tables(session);
  if (!store_.fact("target_filled")) store_.set_fact("target_filled", iso_now());
  if (session.target.phase() == TargetPhase::loading) {
    if (run_seeds(session.target, options_.seeds)) return;  // to a new session
    load_or_say_why(session);
  }
  tell_of_scripts(session);
  fence(session);
  session.copied = session.view->copied(session.target, session.plans);
  auto carry = [&](const SchemaChange& change, std::uint64_t sequence) {
    for (const auto& finding :
         session.view->carry(session.scene(), unmapped(session, change), session.plans)) {
      log_warn("schema change: {}", finding.message);
    }
    for (const auto& table : change.tables) session.resyncs->begin_anew(*session.applier, table.name);
    for (const auto& stopped : change.stopped) session.resyncs->stop(*session.applier, stopped, sequence);
    session.objects_pending = true;
  };
  session.sink = std::make_unique<MappingSink>(session.mapping, session.view->sink(session.scene()));
  session.applier = std::make_unique<TargetApplier>(session.target, session.quarantine, session.journal,
                                                    *session.sink, session.copied, options_.limits, carry);
  if (auto* tail = source_.open_tail()) session.applier->follow(*tail);
  LaneScene lanes{session.target,      source_,         coordination_,
                  options_.state_path, options_.tables, options_.limits};
  session.resyncs = std::make_unique<Resyncs>(lanes, session.scene(), session.plans, *session.view);
  session.resyncs->begin(*session.applier);
  if (session.target.phase() == TargetPhase::catching_up) catch_up(session);
  if (session.target.phase() == TargetPhase::building && build(session)) return;  // to a new session
  if (session.target.phase() == TargetPhase::streaming) stream(session, retries);
}

// Also tables that an earlier version of tidegate has filled without one.
void ApplyWorker::fence(ApplySession& session) {
  if (session.target.is_open()) return;
  TargetTransaction transaction(session.target);
  fence_target(session.target, session.all_plans());
  transaction.commit();
}

Widen ApplyWorker::widener(ApplySession& session) {
  return [this, &session](const std::string& table, const std::string& column) {
    if (!session.tables.widen_column(session.plans, table, column)) return false;
    std::string message =
        fmt::format("column {} of table {} was widened on the target for a value that came", column, table);
    log_warn("{}", message);
    coordination_.report("column-widened", message, table);
    return true;
  };
}

void ApplyWorker::enter_phase(ApplySession& session, TargetPhase phase) {
  TargetTransaction transaction(session.target);
  auto command = session.target.change_phase(phase);
  session.target.connection().run(command.sql, command.parameters);
  transaction.commit();
  session.target.phase_changed(phase);
}

void ApplyWorker::create_tables(ApplySession& session) {
  coordination_.update([](Status& status) {
    status.phase = "snapshot";
    status.step = "making the tables";
    status.stages.schema = "in_progress";
  });
  session.tables.create(session.view->tables(), store_.plans());
  for (TablePlan& plan : session.tables.recorded())
    session.plans.insert_or_assign(plan.source, std::move(plan));
  show_tables(coordination_, session);
}

// A load that an operator must mend says so in the summary too; the next try sets it back to in_progress.
void ApplyWorker::load_or_say_why(ApplySession& session) {
  try {
    load(session);
  } catch (const Error& error) {
    if (error.advice() == Advice::stop && session.target.connection().usable()) {
      session.summary.fail_unfinished(error.what());
    }
    throw;
  }
}

void ApplyWorker::load(ApplySession& session) {
  coordination_.update([](Status& status) {
    status.phase = "snapshot";
    status.step = "copying";
    status.stages.schema = "completed";
    status.stages.data = "in_progress";
    if (!status.started_at) status.started_at = iso_now();
  });
  if (session.view->load(session.scene())) enter_phase(session, TargetPhase::catching_up);
}

void ApplyWorker::catch_up(ApplySession& session) {
  coordination_.update([](Status& status) {
    status.phase = "catching_up";
    status.step = "applying what changed during the copy";
    status.stages.schema = status.stages.data = "completed";
  });
  show_quarantine(coordination_, session);
  while (!session.view->passed_snapshot(session.copied, session.target.position().sequence)) {
    if (pace_.stopped()) return;
    auto known = coordination_.work_so_far();
    if (!apply_once(session)) coordination_.wait_for_work(known, longest_idle, coordination_.stop_token());
  }
  enter_phase(session, TargetPhase::building);
}

void ApplyWorker::build_objects(ApplySession& session) {
  auto findings = session.tables.build_objects(
      session.sources(), session.plans_in_order(),
      [this](const std::string& what) {
        coordination_.update([&](Status& status) { status.step = "building " + what; });
      },
      [&](const DdlObject& object) { return !session.resyncs->is_known(object.table); });
  for (const auto& finding : findings) {
    log_warn("{}", finding.message);
    coordination_.report(finding.code, finding.message, finding.table);
  }
  session.objects_pending = false;
  coordination_.update([](Status& status) { status.step.clear(); });
}

bool ApplyWorker::build(ApplySession& session) {
  build_objects(session);
  session.view->set_sequences(session.scene());
  session.tables.set_mapped_sequences(session.mapped_plans());
  session.tables.analyze(session.plans_in_order());
  for (const auto& statement : session.view->ddl(session.sources(), session.plans_in_order()).at_end)
    session.target.connection().run(statement);
  const bool scripts_ran = run_post_sql(session.target, options_.post_sql, session.all_plans());
  enter_phase(session, TargetPhase::streaming);
  log_event(LogLevel::info, "indexes and constraints built");
  return scripts_ran;
}

void ApplyWorker::stream(ApplySession& session, RowRetries& retries) {
  coordination_.update([](Status& status) {
    status.phase = "streaming";
    status.step.clear();
    status.stages.schema = status.stages.data = "completed";
    for (auto& table : status.tables) table.state = "streaming";
  });
  show_quarantine(coordination_, session);
  session.resyncs->show();
  coordination_.applied(session.target.position().sequence);
  coordination_.streaming(true);
  while (!pace_.stopped()) {
    if (session.objects_pending && !session.target.is_open()) build_objects(session);
    if (!coordination_.parked() && !session.target.is_open()) follow_source(session, retries);
    auto known = coordination_.work_so_far();
    serve_orders(session);
    if (!coordination_.parked() && !session.target.is_open()) send_keys(session);
    if (!coordination_.parked() && apply_once(session)) continue;
    if (coordination_.parked() || session.target.is_open()) {
      if (session.target.is_open()) keep_audit_head(session);
      coordination_.wait_for_work(known, longest_idle, coordination_.stop_token());
      continue;
    }
    session.view->tend(session.scene());
    join_when_due(session);
    serve_rows(retries);
    retries.retry_conflicts();
    if (quarantine_changed_.exchange(false)) show_quarantine(coordination_, session);
    keep_audit_head(session);
    coordination_.wait_for_work(known, longest_idle, coordination_.stop_token());
  }
}

void ApplyWorker::tell_of_scripts(ApplySession& session) {
  auto findings = seeds_out_of_step(session.target, options_.seeds);
  if (session.target.phase() == TargetPhase::streaming) {
    for (auto& finding : post_sql_out_of_step(session.target, options_.post_sql))
      findings.push_back(std::move(finding));
  }
  for (const Finding& finding : findings) coordination_.report(finding.code, finding.message);
}

// Nothing waits to be applied: clients are not sent what others wrote long ago.
void ApplyWorker::join_when_due(ApplySession& session) {
  if (options_.realtime.empty() || Coordination::Clock::now() < next_join_) return;
  next_join_ = Coordination::Clock::time_point::max();
  for (const char* code : {"realtime-no-publication", "realtime-no-table", "realtime-not-ours",
                           "realtime-no-identity", "realtime-refused"})
    coordination_.clear_report(code);
  for (const Finding& finding : join_realtime(session.target, options_.realtime)) {
    log_warn("{}", finding.message);
    coordination_.report(finding.code, finding.message, finding.table);
    if (finding.level != Finding::Level::note) next_join_ = Coordination::Clock::now() + between_joins;
  }
}

// So that entries cannot vanish from the audit's end unseen.
void ApplyWorker::keep_audit_head(ApplySession& session) {
  if (Coordination::Clock::now() < next_audit_look_) return;
  next_audit_look_ = Coordination::Clock::now() + audit_look;
  auto head = store_.audit_head();
  if (head == audit_head_) return;
  // Once the target is live, forward transactions are refused; this is none.
  session.target.connection().run(
      "UPDATE tidegate.pipelines SET audit_head = $2 WHERE pipeline = $1 AND epoch = $3",
      {session.target.pipeline(), to_text(*head), std::to_string(session.target.epoch())});
  audit_head_ = head;
}

void ApplyWorker::order_or_report(ApplySession& session, const std::string& table) {
  try {
    session.resyncs->order(table);
  } catch (const Refused& refused) {
    coordination_.report(
        "enum-changed",
        fmt::format("names of labels that rows of table {} have were handed on, and it is not "
                    "copied again by itself: {}; run: tidegate resync {}",
                    table, refused.message(), table),
        table);
  }
}

void ApplyWorker::follow_enums(ApplySession& session, RowRetries& retries) {
  const auto copy_again = [&](const std::string& table) {
    const bool mapped = session.mapping.maps(table);
    if (!mapped && !session.resyncs->is_known(table)) return order_or_report(session, table);
    TargetTransaction transaction(session.target);
    if (mapped) {
      session.resyncs->stop(*session.applier, {table, "names of an enum's labels were handed on"},
                            UINT64_MAX);
    } else {
      session.resyncs->begin_anew(*session.applier, table);
    }
    transaction.commit();
  };
  const auto apply = [&] { apply_once(session); };
  if (session.view->follow_enums(session.scene(), apply, copy_again)) retries.retry_held();
}

// What came to the source beside the stream, and tables that are copied.
void ApplyWorker::follow_source(ApplySession& session, RowRetries& retries) {
  auto before = session.plans.size();
  session.resyncs->take_in_new(*session.applier);
  if (session.plans.size() != before) {
    fence(session);
    show_streaming(coordination_, session);
  }
  for (const auto& table : session.view->make_partitions(session.scene())) retries.retry_table(table);
  follow_enums(session, retries);
  session.resyncs->tend(*session.applier);
  if (session.resyncs->take_ended()) {
    fence(session);
    session.objects_pending = true;
    show_quarantine(coordination_, session);
  }
  serve_resyncs(session);
}

bool ApplyWorker::apply_once(ApplySession& session) {
  if (!pace_.wait_while_paused()) return false;
  auto began = Coordination::Clock::now();
  auto changes_before = session.quarantine.changes();
  BatchOutcome outcome;
  auto order = hold_.order();
  bool applied = session.applier->step(outcome, order.limit);
  out_of_trouble();
  if (!applied && order.limit) hold_.rest(order, session.target.position());
  if (!applied) return false;
  auto sequence = session.target.position().sequence;
  coordination_.applied(sequence);
  coordination_.update([&](Status& status) {
    status.totals.transactions += outcome.transactions;
    status.totals.changes += outcome.changes;
    status.position = std::to_string(sequence);
  });
  if (session.quarantine.changes() != changes_before) show_quarantine(coordination_, session);
  pace_.limit_rate(outcome.changes, began);
  return true;
}

std::future<void> ApplyWorker::at_rest(Work work) {
  auto answer = orders_.place(std::move(work));
  coordination_.wake_apply();
  return answer;
}

void ApplyWorker::serve_orders(ApplySession& session) {
  orders_.serve([&](const Work& work) { work(*session.view, session.scene()); }, is_of_connection);
}

std::future<Retried> ApplyWorker::retry_quarantined(std::vector<std::int64_t> ids) {
  return retries_.place(std::move(ids));
}

std::future<std::uint64_t> ApplyWorker::rewrite(std::vector<RowName> rows) {
  return rewrites_.place(std::move(rows));
}

void ApplyWorker::serve_rows(RowRetries& retries) {
  const auto always = [] { return true; };
  retries_.serve([&](const auto& ids) { return retries.retry(ids); }, always);
  rewrites_.serve([&](const auto& rows) { return retries.rewrite(rows); }, always);
}

std::future<void> ApplyWorker::resync(std::string table) {
  return resyncs_.place(std::move(table));
}

std::future<void> ApplyWorker::in_line(std::string table) {
  return in_line_.place(std::move(table));
}

void ApplyWorker::serve_resyncs(ApplySession& session) {
  const auto order = [&](const std::string& table) {
    if (!session.mapping.maps(table)) return session.resyncs->order(table);
    session.resyncs->rejoin_mapped(*session.applier, table, [&] { apply_once(session); });
  };
  // What the target refuses concerns the one who asked.
  resyncs_.serve(order, [&] { return passes_or_lost(session); });
  in_line_.serve([&](const std::string& table) { session.resyncs->in_line(table); },
                 [&] { return passes_or_lost(session); });
}

}  // namespace tidegate
