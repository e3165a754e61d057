#include "replicator/pipeline/apply_worker.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>

#include "apply/mapping/mapping_sink.hpp"
#include "apply/postgres/chunk_loader.hpp"
#include "apply/postgres/target_fence.hpp"
#include "replicator/log.hpp"
#include "replicator/pipeline/resyncs.hpp"

namespace tidegate {
namespace {

using namespace std::chrono_literals;

constexpr auto first_pause = 100ms, longest_pause = 5000ms;
constexpr std::string_view unique_violation = "23505", broken_reference = "23503";
constexpr auto longest_idle = 200ms;
constexpr auto retry_pause = 500ms;
constexpr auto audit_look = 1s;

bool worth_another_try(const Error& error) {
  return error.advice() != Advice::stop;
}

// Nothing but a cutover's journal may say that the target is live.
void refuse_unknown_cutover(bool target_is_open, bool parked) {
  if (!target_is_open || parked) return;
  throw Refused(
      "half-done", "the target says that it is live, and this state directory knows of no cutover",
      "change nothing; `tidegate explain half-done` says how to find out which side has the newest rows");
}

}  // namespace

struct ApplyWorker::Session {
  Session(const ApplyWorkerOptions& options, JournalReader& journal, SourceWorker& source)
      : view(source.view()),
        target(options.target, journal.incarnation()),
        journal(journal),
        tables(target, options.tables,
               [this](const auto& sources, const auto& plans) { return view->ddl(sources, plans); }),
        quarantine(target),
        summary(target),
        mapping(options.maps, options.mapping, [this](const std::string& name) { return described(name); }) {
    for (TablePlan& plan : tables.recorded()) plans.emplace(plan.source, std::move(plan));
  }

  std::unique_ptr<SourceView> view;
  TargetSession target;
  JournalReader& journal;
  TargetTables tables;
  Quarantine quarantine;
  CheckpointSummary summary;
  Plans plans;
  Mapping mapping;
  ChunkMap copied;
  std::unique_ptr<Sink> sink;
  std::unique_ptr<TargetApplier> applier;
  std::unique_ptr<Resyncs> resyncs;     // from phase streaming on
  std::uint64_t quarantine_seen = 0;    // Quarantine::changes() when retries were last considered
  std::optional<AuditHead> audit_head;  // as the target has it
  Coordination::Clock::time_point next_audit_look;
  std::uint64_t retried_at = 0;  // position at which waiting rows were last tried
  Coordination::Clock::time_point retry_from{};
  bool objects_pending = true;  // indexes and constraints that the target may lack yet

  std::optional<SourceTable> described(const std::string& name) {
    for (auto& table : view->tables()) {
      if (table.name == name) return std::move(table);
    }
    return std::nullopt;
  }
  // Those that are replicated as they are.
  std::vector<SourceTable> sources() {
    std::vector<SourceTable> sources;
    for (auto& table : view->tables()) {
      if (plans.contains(table.name)) sources.push_back(std::move(table));
    }
    return sources;
  }
  std::vector<TablePlan> plans_in_order() {
    std::vector<TablePlan> ordered;
    for (const auto& source : sources()) ordered.push_back(plans.at(source.name));
    return ordered;
  }
  // Of the relations that maps make of a table, or its own.
  std::vector<TablePlan> plans_of(const std::string& table) {
    std::vector<TablePlan> found;
    for (const auto& [name, plan] : plans) {
      if (plan.source_table() == table) found.push_back(plan);
    }
    std::sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a.source < b.source; });
    return found;
  }
  std::vector<TablePlan> mapped_plans() {
    std::vector<TablePlan> found;
    for (const auto& [name, plan] : plans) {
      if (!plan.from.empty()) found.push_back(plan);
    }
    return found;
  }
};

TargetScene ApplyWorker::scene(Session& session) {
  return {session.target, session.tables,  session.quarantine, session.summary,
          session.plans,  session.mapping, widener(session),   [this] { out_of_trouble(); }};
}

void ApplyWorker::run() {
  JournalReader journal(options_.state_path);
  auto pause = std::chrono::milliseconds(first_pause);
  while (!pace_.stopped()) {
    try {
      options_.target.filled_before = store_.fact("target_filled").has_value();
      Session session(options_, journal, source_);
      work(session);
    } catch (const Error& error) {
      if (!worth_another_try(error)) throw;
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
void ApplyWorker::check_position(Session& session) {
  const Position& position = session.target.position();
  auto digest = session.journal.digest_at(position.sequence);
  if (!digest || *digest != position.digest) {
    throw Refused(
        "target-not-in-history",
        fmt::format(
            "the target is at position {} of a history that this state directory does not have: one of "
            "them was restored from a backup or swapped",
            position.sequence),
        "to start again, empty the target's tables and its schema tidegate, and use a new state directory");
  }
}

// A mapped table's new columns change nothing until a map reads them.
SchemaChange ApplyWorker::unmapped(Session& session, SchemaChange change) {
  std::erase_if(change.tables, [&](const SourceTable& table) { return session.mapping.maps(table.name); });
  return change;
}

// What a map makes of a table has no copy of its own that could be made again beside the stream.
void ApplyWorker::refuse_mapped(Session& session, const std::string& table, const std::string& why) {
  if (!session.mapping.maps(table)) return;
  throw Refused("resync-mapped", "table " + table + " is mapped and cannot be copied again alone: " + why,
                "undo the change at the source; else empty the target with `tidegate reset --target` and "
                "begin again with a new state directory");
}

void ApplyWorker::work(Session& session) {
  check_position(session);
  if (auto& memory = options_.mapping.memory) {
    memory->meet(session.target.connection(), session.target.phase() == TargetPhase::fresh);
    session.target.carry(memory.get());
  }
  refuse_unknown_cutover(session.target.is_open(), coordination_.parked());
  show_tables(session);
  if (session.target.phase() == TargetPhase::fresh) create_tables(session);
  if (!store_.fact("target_filled")) store_.set_fact("target_filled", iso_now());
  if (session.target.phase() == TargetPhase::loading) load_or_say_why(session);
  fence(session);
  session.copied = session.view->copied(session.target, session.plans);
  auto carry = [&](const SchemaChange& change, std::uint64_t sequence) {
    for (const auto& finding :
         session.view->carry(scene(session), unmapped(session, change), session.plans)) {
      log_warn("schema change: {}", finding.message);
    }
    for (const auto& table : change.tables) session.resyncs->begin_anew(*session.applier, table.name);
    for (const auto& stopped : change.stopped) {
      refuse_mapped(session, stopped.table, stopped.why);
      session.resyncs->stop(*session.applier, stopped, sequence);
    }
    session.objects_pending = true;
  };
  session.sink = std::make_unique<MappingSink>(session.mapping, session.view->sink(scene(session)));
  session.applier = std::make_unique<TargetApplier>(session.target, session.quarantine, session.journal,
                                                    *session.sink, session.copied, options_.limits, carry);
  LaneScene lanes{session.target,      source_,         coordination_,
                  options_.state_path, options_.tables, options_.limits};
  session.resyncs = std::make_unique<Resyncs>(lanes, scene(session), session.plans, *session.view);
  session.resyncs->begin(*session.applier);
  if (session.target.phase() == TargetPhase::catching_up) catch_up(session);
  if (session.target.phase() == TargetPhase::building) build(session);
  if (session.target.phase() == TargetPhase::streaming) stream(session);
}

// Also tables that an earlier version of tidegate has filled without one.
void ApplyWorker::fence(Session& session) {
  if (session.target.is_open()) return;
  TargetTransaction transaction(session.target);
  auto plans = session.plans_in_order();
  for (auto& plan : session.mapped_plans()) plans.push_back(std::move(plan));
  fence_target(session.target, plans);
  transaction.commit();
}

Widen ApplyWorker::widener(Session& session) {
  return [this, &session](const std::string& table, const std::string& column) {
    if (!session.tables.widen_column(session.plans, table, column)) return false;
    std::string message =
        fmt::format("column {} of table {} was widened on the target for a value that came", column, table);
    log_warn("{}", message);
    coordination_.report("column-widened", message, table);
    return true;
  };
}

void ApplyWorker::enter_phase(Session& session, TargetPhase phase) {
  TargetTransaction transaction(session.target);
  auto command = session.target.change_phase(phase);
  session.target.connection().run(command.sql, command.parameters);
  transaction.commit();
  session.target.phase_changed(phase);
}

void ApplyWorker::create_tables(Session& session) {
  coordination_.update([](Status& status) {
    status.phase = "snapshot";
    status.step = "making the tables";
    status.stages.schema = "in_progress";
  });
  session.tables.create(session.view->tables(), store_.plans());
  for (TablePlan& plan : session.tables.recorded())
    session.plans.insert_or_assign(plan.source, std::move(plan));
  show_tables(session);
}

// A load that an operator must mend says so in the summary too; the next try sets it back to in_progress.
void ApplyWorker::load_or_say_why(Session& session) {
  try {
    load(session);
  } catch (const Error& error) {
    if (error.advice() == Advice::stop && session.target.connection().usable()) {
      session.summary.fail_unfinished(error.what());
    }
    throw;
  }
}

void ApplyWorker::load(Session& session) {
  coordination_.update([](Status& status) {
    status.phase = "snapshot";
    status.step = "copying";
    status.stages.schema = "completed";
    status.stages.data = "in_progress";
    if (!status.started_at) status.started_at = iso_now();
  });
  if (session.view->load(scene(session))) enter_phase(session, TargetPhase::catching_up);
}

void ApplyWorker::catch_up(Session& session) {
  coordination_.update([](Status& status) {
    status.phase = "catching_up";
    status.step = "applying what changed during the copy";
    status.stages.schema = status.stages.data = "completed";
  });
  show_quarantine(session);
  while (!session.view->passed_snapshot(session.copied, session.target.position().sequence)) {
    if (pace_.stopped()) return;
    auto known = coordination_.work_so_far();
    if (!apply_once(session)) coordination_.wait_for_work(known, longest_idle, coordination_.stop_token());
  }
  enter_phase(session, TargetPhase::building);
}

void ApplyWorker::build_objects(Session& session) {
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

void ApplyWorker::build(Session& session) {
  build_objects(session);
  session.view->set_sequences(scene(session));
  session.tables.set_mapped_sequences(session.mapped_plans());
  session.tables.analyze(session.plans_in_order());
  for (const auto& statement : session.view->ddl(session.sources(), session.plans_in_order()).at_end)
    session.target.connection().run(statement);
  enter_phase(session, TargetPhase::streaming);
  log_event(LogLevel::info, "indexes and constraints built");
}

void ApplyWorker::stream(Session& session) {
  coordination_.update([](Status& status) {
    status.phase = "streaming";
    status.step.clear();
    status.stages.schema = status.stages.data = "completed";
    for (auto& table : status.tables) table.state = "streaming";
  });
  show_quarantine(session);
  session.resyncs->show();
  coordination_.applied(session.target.position().sequence);
  coordination_.streaming(true);
  while (!pace_.stopped()) {
    if (session.objects_pending && !session.target.is_open()) build_objects(session);
    if (!coordination_.parked() && !session.target.is_open()) follow_source(session);
    auto known = coordination_.work_so_far();
    serve_orders(session);
    if (!coordination_.parked() && apply_once(session)) continue;
    if (coordination_.parked() || session.target.is_open()) {
      if (session.target.is_open()) keep_audit_head(session);
      coordination_.wait_for_work(known, longest_idle, coordination_.stop_token());
      continue;
    }
    session.view->tend(scene(session));
    serve_retries(session);
    serve_rewrites(session);
    retry_conflicts(session);
    if (quarantine_changed_.exchange(false)) show_quarantine(session);
    keep_audit_head(session);
    coordination_.wait_for_work(known, longest_idle, coordination_.stop_token());
  }
}

// So that entries cannot vanish from the audit's end unseen.
void ApplyWorker::keep_audit_head(Session& session) {
  if (Coordination::Clock::now() < session.next_audit_look) return;
  session.next_audit_look = Coordination::Clock::now() + audit_look;
  auto head = store_.audit_head();
  if (head == session.audit_head) return;
  // Once the target is live, forward transactions are refused; this is none.
  session.target.connection().run(
      "UPDATE tidegate.pipelines SET audit_head = $2 WHERE pipeline = $1 AND epoch = $3",
      {session.target.pipeline(), to_text(*head), std::to_string(session.target.epoch())});
  session.audit_head = head;
}

// What came to the source beside the stream, and tables that are copied.
void ApplyWorker::follow_source(Session& session) {
  auto before = session.plans.size();
  session.resyncs->take_in_new(*session.applier);
  if (session.plans.size() != before) {
    fence(session);
    show_streaming(session);
  }
  for (const auto& table : session.view->make_partitions(scene(session))) retry_table(session, table);
  session.resyncs->tend(*session.applier);
  if (session.resyncs->take_ended()) {
    fence(session);
    session.objects_pending = true;
    show_quarantine(session);
  }
  serve_resyncs(session);
}

void ApplyWorker::retry_table(Session& session, const std::string& table) {
  std::vector<std::int64_t> ids;
  for (const auto& entry : list_quarantine(session.target.connection(), session.target.pipeline())) {
    if (entry.source_table == table && entry.state == "held") ids.push_back(entry.id);
  }
  if (!ids.empty()) retry(session, ids);
}

void ApplyWorker::show_streaming(Session& session) {
  show_tables(session);
  coordination_.update([](Status& status) {
    for (auto& table : status.tables) table.state = "streaming";
  });
  session.resyncs->show();
  show_quarantine(session);
}

bool ApplyWorker::apply_once(Session& session) {
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
  if (session.quarantine.changes() != changes_before) show_quarantine(session);
  pace_.limit_rate(outcome.changes, began);
  return true;
}

void ApplyWorker::show_tables(Session& session) {
  std::vector<TableStatus> tables;
  auto chunks = loaded_chunks(session.target);
  for (const auto& table : session.view->tables()) {
    for (const auto& plan : session.plans_of(table.name)) {
      TableStatus& shown = tables.emplace_back();
      shown.source = table.name;
      shown.target = shown_name(plan);
      shown.rows_total = session.view->rows_of(table.name);
      for (const auto& chunk : chunks) {
        if (chunk.table == shown.source) shown.rows_copied += chunk.rows;
      }
    }
  }
  coordination_.update([&](Status& status) { status.tables = std::move(tables); });
}

void ApplyWorker::show_quarantine(Session& session) {
  std::map<std::pair<std::string, std::string>, std::uint64_t> counts;
  for (const auto& [relation, count] : count_quarantine(session.target)) {
    auto plan = session.plans.find(relation);
    if (plan == session.plans.end()) continue;
    counts[{plan->second.source_table(), shown_name(plan->second)}] += count;
  }
  coordination_.update([&](Status& status) {
    status.quarantined = 0;
    for (auto& table : status.tables) {
      auto found = counts.find({table.source, table.target});
      table.rows_quarantined = found == counts.end() ? 0 : found->second;
      status.quarantined += table.rows_quarantined;
    }
  });
}

std::future<void> ApplyWorker::at_rest(Work work) {
  std::unique_lock lock(retries_mutex_);
  auto answer = orders_.emplace_back(Order{std::move(work), {}}).answer.get_future();
  lock.unlock();
  coordination_.wake_apply();
  return answer;
}

void ApplyWorker::serve_orders(Session& session) {
  std::vector<Order> orders;
  {
    std::lock_guard lock(retries_mutex_);
    orders.swap(orders_);
  }
  for (auto& order : orders) {
    try {
      order.work(*session.view, scene(session));
      order.answer.set_value();
    } catch (const Error&) {
      order.answer.set_exception(std::current_exception());
      throw;
    } catch (...) {
      order.answer.set_exception(std::current_exception());
    }
  }
}

std::future<ApplyWorker::Retried> ApplyWorker::retry_quarantined(std::vector<std::int64_t> ids) {
  std::lock_guard lock(retries_mutex_);
  return retries_.emplace_back(RetryOrder{std::move(ids), {}}).answer.get_future();
}

void ApplyWorker::serve_retries(Session& session) {
  std::vector<RetryOrder> orders;
  {
    std::lock_guard lock(retries_mutex_);
    orders.swap(retries_);
  }
  for (auto& order : orders) {
    try {
      order.answer.set_value(retry(session, order.ids));
    } catch (...) {
      order.answer.set_exception(std::current_exception());
      throw;
    }
  }
}

std::future<void> ApplyWorker::resync(std::string table) {
  std::lock_guard lock(retries_mutex_);
  return resync_orders_.emplace_back(ResyncOrder{std::move(table), {}}).answer.get_future();
}

void ApplyWorker::serve_resyncs(Session& session) {
  std::vector<ResyncOrder> orders;
  {
    std::lock_guard lock(retries_mutex_);
    orders.swap(resync_orders_);
  }
  for (auto& order : orders) {
    try {
      refuse_mapped(session, order.table,
                    "its rows are those of several tables of the target, or of another shape");
      session.resyncs->order(order.table);
      order.answer.set_value();
    } catch (const Error& error) {
      order.answer.set_exception(std::current_exception());
      // What the target refuses concerns the one who asked.
      if (worth_another_try(error) || !session.target.connection().usable()) throw;
    } catch (const Refused&) {
      order.answer.set_exception(std::current_exception());
    }
  }
}

std::future<std::uint64_t> ApplyWorker::rewrite(std::vector<RowName> rows) {
  std::lock_guard lock(retries_mutex_);
  return rewrites_.emplace_back(RewriteOrder{std::move(rows), {}}).answer.get_future();
}

void ApplyWorker::serve_rewrites(Session& session) {
  std::vector<RewriteOrder> orders;
  {
    std::lock_guard lock(retries_mutex_);
    orders.swap(rewrites_);
  }
  for (auto& order : orders) {
    try {
      order.answer.set_value(rewrite(session, order.rows));
    } catch (...) {
      order.answer.set_exception(std::current_exception());
      throw;
    }
  }
}

std::uint64_t ApplyWorker::rewrite(Session& session, const std::vector<RowName>& rows) {
  std::uint64_t written = 0;
  for (const RowName& row : rows) {
    auto apply = [&] { apply_once(session); };
    if (session.view->rewrite(row.table, row.key, *session.applier, scene(session), apply)) ++written;
  }
  show_quarantine(session);
  return written;
}

ApplyWorker::Retried ApplyWorker::retry(Session& session, const std::vector<std::int64_t>& ids) {
  Retried counts;
  for (const auto& entry : list_quarantine(session.target.connection(), session.target.pipeline())) {
    if (!ids.empty() && std::find(ids.begin(), ids.end(), entry.id) == ids.end()) continue;
    const auto plan = session.plans.find(entry.source_table);
    const std::string table = plan == session.plans.end() ? entry.source_table : plan->second.source_table();
    if (!session.view->can_read_again(table)) {
      counts.unreadable.insert(entry.source_table);
      continue;
    }
    ++counts.retried;
    if (session.resyncs->is_held(table)) continue;
    auto apply = [&] { apply_once(session); };
    if (session.view->retry(entry, *session.applier, scene(session), apply)) ++counts.applied;
  }
  show_quarantine(session);
  return counts;
}

// A mapped row that waits for its parent or its owner: has the stream moved on since it was last tried?
bool ApplyWorker::others_may_have_come(Session& session) {
  const auto now = Coordination::Clock::now();
  const auto at = session.target.position().sequence;
  if (session.mapping.empty() || at == session.retried_at || now < session.retry_from) return false;
  session.retried_at = at;
  session.retry_from = now + retry_pause;
  return true;
}

// A row in quarantine may leave its old values in the target, and others that have taken them over in the
// source are then refused. Once a row has left the quarantine they may fit; each pass frees one at least, or
// is the last. A row that was not found is read again at once.
void ApplyWorker::retry_conflicts(Session& session) {
  bool released = session.quarantine.take_released();
  bool changed =
      std::exchange(session.quarantine_seen, session.quarantine.changes()) != session.quarantine.changes();
  const bool moved = others_may_have_come(session);
  if ((!released && !changed && !moved) || session.quarantine.size() == 0) return;
  std::vector<std::int64_t> ids;
  for (const auto& entry : list_quarantine(session.target.connection(), session.target.pipeline())) {
    bool conflict = entry.sqlstate == unique_violation || entry.sqlstate == broken_reference;
    bool missing = entry.reason == name_of(Misfit::row_missing);
    if (entry.state == "held" && (missing || ((released || moved) && conflict))) ids.push_back(entry.id);
  }
  if (!ids.empty()) retry(session, ids);
  session.quarantine_seen = session.quarantine.changes();
}

}  // namespace tidegate
