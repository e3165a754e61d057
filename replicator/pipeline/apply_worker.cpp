#include "replicator/pipeline/apply_worker.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <thread>
#include <utility>

#include "apply/postgres/chunk_loader.hpp"
#include "apply/postgres/net_sink.hpp"
#include "capture/sqlite/shadow.hpp"
#include "db/failpoint.hpp"
#include "replicator/log.hpp"

namespace tidegate {
namespace {

using namespace std::chrono_literals;

// One chunk is one target transaction: long enough that its commit does not matter, short enough that a crash
// repeats little, and a bound on memory.
constexpr std::size_t chunk_rows = 50000;
constexpr std::size_t chunk_bytes = 16 << 20;
constexpr auto first_pause = 100ms, longest_pause = 5000ms;
constexpr std::string_view unique_violation = "23505", broken_reference = "23503";
constexpr auto longest_idle = 200ms;

bool stopped(const Coordination& coordination) {
  return coordination.stop_token().stop_requested();
}

void sleep_unless_stopped(const Coordination& coordination, std::chrono::milliseconds time) {
  auto until = Coordination::Clock::now() + time;
  while (!stopped(coordination) && Coordination::Clock::now() < until) std::this_thread::sleep_for(10ms);
}

bool worth_another_try(const Error& error) {
  return error.advice() != Advice::stop;
}

}  // namespace

struct ApplyWorker::Session {
  Session(const ApplyWorkerOptions& options, JournalReader& journal)
      : target(options.target, journal.incarnation()),
        journal(journal),
        tables(target, options.tables),
        quarantine(target),
        summary(target),
        shadow(options.state_path) {
    for (TablePlan& plan : tables.recorded()) plans.emplace(plan.source, std::move(plan));
  }

  TargetSession target;
  JournalReader& journal;
  TargetTables tables;
  Quarantine quarantine;
  CheckpointSummary summary;
  ShadowReader shadow;
  Plans plans;
  std::unique_ptr<Sink> sink;
  std::unique_ptr<Applier> applier;
  bool objects_pending = true;  // indexes and constraints that the target may lack yet

  std::vector<ShadowTable> shadow_tables() { return shadow.tables(); }
  std::vector<SourceTable> sources() {
    std::vector<SourceTable> sources;
    for (const auto& table : shadow.tables()) {
      if (plans.contains(table.source().name)) sources.push_back(table.source());
    }
    return sources;
  }
  std::vector<TablePlan> plans_in_order() {
    std::vector<TablePlan> ordered;
    for (const auto& source : sources()) ordered.push_back(plans.at(source.name));
    return ordered;
  }
};

void ApplyWorker::run() {
  JournalReader journal(options_.state_path);
  auto pause = std::chrono::milliseconds(first_pause);
  while (!stopped(coordination_)) {
    try {
      options_.target.filled_before = store_.fact("target_filled").has_value();
      Session session(options_, journal);
      work(session);
    } catch (const Error& error) {
      if (!worth_another_try(error)) throw;
      log_warn("target: {}", error.what());
      if (!in_trouble_) pause = first_pause;
      in_trouble_ = true;
      coordination_.clear_report("target");
      coordination_.report("target", error.what());
      sleep_unless_stopped(coordination_, pause);
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

void ApplyWorker::work(Session& session) {
  check_position(session);
  show_tables(session);
  if (session.target.phase() == TargetPhase::fresh) create_tables(session);
  if (!store_.fact("target_filled")) store_.set_fact("target_filled", iso_now());
  if (session.target.phase() == TargetPhase::loading) load_or_say_why(session);
  ChunkMap copied;
  auto chunks = loaded_chunks(session.target);
  for (auto& chunk : chunks) copied.add(chunk.table, std::move(chunk.up_to), chunk.sequence);
  for (const auto& chunk : chunks) {
    if (!chunk.complete) copied.forget(chunk.table);
  }
  auto carry = [&](const SchemaChange& change) {
    for (const auto& finding : session.tables.carry(change.tables, session.plans)) {
      log_warn("schema change: {}", finding.message);
    }
    session.objects_pending = true;
  };
  session.sink =
      std::make_unique<NetSink>(session.target, session.quarantine, session.plans, widener(session));
  session.applier = std::make_unique<Applier>(session.target, session.journal, session.quarantine,
                                              *session.sink, std::move(copied), options_.limits, carry);
  if (session.target.phase() == TargetPhase::catching_up) catch_up(session);
  if (session.target.phase() == TargetPhase::building) build(session);
  if (session.target.phase() == TargetPhase::streaming) stream(session);
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
  std::vector<SourceTable> sources;
  for (const auto& table : session.shadow.tables()) sources.push_back(table.source());
  session.tables.create(sources, store_.plans());
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
  for (const ShadowTable& table : session.shadow_tables()) {
    if (session.plans.contains(table.source().name)) load_table(session, table);
    if (stopped(coordination_)) return;
  }
  enter_phase(session, TargetPhase::catching_up);
}

// Read and encoded on another thread while the chunk before is being copied; the shadow's reader is that
// thread's meanwhile.
struct ApplyWorker::PreparedChunk {
  Chunk chunk;
  ChunkLoader::Lines lines;
};

std::future<ApplyWorker::PreparedChunk> ApplyWorker::prepare_chunk(Session& session, const RowMapper& mapper,
                                                                   Row after) {
  return std::async(std::launch::async, [&session, &mapper, after = std::move(after)] {
    PreparedChunk prepared{session.shadow.read_chunk(mapper.plan().source, after, chunk_rows, chunk_bytes),
                           {}};
    prepared.lines = ChunkLoader::encode_lines(mapper, prepared.chunk.rows);
    return prepared;
  });
}

void ApplyWorker::load_table(Session& session, const ShadowTable& table) {
  const std::string& name = table.source().name;
  const TablePlan& plan = session.plans.at(name);
  std::string shown = plan.schema + "." + plan.target;
  RowMapper mapper(plan, table.relation());
  ChunkLoader loader(session.target, session.quarantine, widener(session));
  LoadedChunk chunk{name, 0, {}, 0, 0};
  std::uint64_t rows = 0;
  for (const auto& done : loaded_chunks(session.target)) {
    if (done.table != name) continue;
    rows += done.rows;
    if (done.up_to.empty()) return session.summary.complete(shown, rows, done.number);
    chunk.number = done.number;
    chunk.up_to = done.up_to;
  }
  session.summary.begin(shown);
  auto table_began = Coordination::Clock::now();
  auto coming = prepare_chunk(session, mapper, chunk.up_to);
  do {
    if (!wait_while_paused()) return;
    auto began = Coordination::Clock::now();
    auto [read, lines] = coming.get();
    loader.fit(mapper, read.rows, lines);
    if (!read.to.empty()) coming = prepare_chunk(session, mapper, read.to);
    chunk = {name, chunk.number + 1, read.to, read.position, 0};
    rows += loader.load(mapper, lines, chunk);
    out_of_trouble();
    if (!read.rows.empty()) {
      Row last = key_of(table.relation(), read.rows.back());
      auto* id = last.size() == 1 ? std::get_if<std::int64_t>(&last.front()) : nullptr;
      session.summary.progress(shown, rows, chunk.number, key_as_json(last),
                               id ? std::optional(*id) : std::nullopt);
    }
    coordination_.update([&](Status& status) {
      for (auto& each : status.tables) {
        if (each.source == name)
          each.rows_copied = rows, each.state = chunk.up_to.empty() ? "copied" : "copying";
      }
    });
    limit_rate(read.rows.size(), began);
  } while (!chunk.up_to.empty());
  session.summary.complete(shown, rows, chunk.number);
  auto took = std::chrono::duration<double>(Coordination::Clock::now() - table_began);
  log_event(LogLevel::info, "table copied", {{"table", name}, {"rows", rows}, {"seconds", took.count()}});
}

void ApplyWorker::catch_up(Session& session) {
  coordination_.update([](Status& status) {
    status.phase = "catching_up";
    status.step = "applying what changed during the copy";
    status.stages.schema = status.stages.data = "completed";
  });
  show_quarantine(session);
  while (!session.applier->passed_all_chunks()) {
    if (stopped(coordination_)) return;
    if (!apply_once(session)) coordination_.wait_for_work(longest_idle, coordination_.stop_token());
  }
  enter_phase(session, TargetPhase::building);
}

void ApplyWorker::build_objects(Session& session) {
  auto findings = session.tables.build_objects(
      session.sources(), session.plans_in_order(), [this](const std::string& what) {
        coordination_.update([&](Status& status) { status.step = "building " + what; });
      });
  for (const auto& finding : findings) {
    log_warn("{}", finding.message);
    coordination_.report(finding.code, finding.message, finding.table);
  }
  session.objects_pending = false;
  coordination_.update([](Status& status) { status.step.clear(); });
}

void ApplyWorker::build(Session& session) {
  build_objects(session);
  session.tables.set_sequences(session.sources(), session.plans_in_order());
  session.tables.analyze(session.plans_in_order());
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
  coordination_.applied(session.target.position().sequence);
  coordination_.streaming(true);
  while (!stopped(coordination_)) {
    if (session.objects_pending) build_objects(session);
    if (apply_once(session)) continue;
    serve_retries(session);
    retry_conflicts(session);
    if (quarantine_changed_.exchange(false)) show_quarantine(session);
    coordination_.wait_for_work(longest_idle, coordination_.stop_token());
  }
}

bool ApplyWorker::apply_once(Session& session) {
  if (!wait_while_paused()) return false;
  auto began = Coordination::Clock::now();
  auto changes_before = session.quarantine.changes();
  BatchOutcome outcome;
  bool applied = session.applier->step(outcome);
  out_of_trouble();
  if (!applied) return false;
  auto sequence = session.target.position().sequence;
  coordination_.applied(sequence);
  coordination_.update([&](Status& status) {
    status.totals.transactions += outcome.transactions;
    status.totals.changes += outcome.changes;
    status.position = std::to_string(sequence);
  });
  if (session.quarantine.changes() != changes_before) show_quarantine(session);
  limit_rate(outcome.changes, began);
  return true;
}

bool ApplyWorker::wait_while_paused() {
  while (coordination_.paused() && !stopped(coordination_)) {
    coordination_.wait_for_work(longest_idle, coordination_.stop_token());
  }
  return !stopped(coordination_);
}

void ApplyWorker::limit_rate(std::uint64_t rows, Coordination::Clock::time_point since) {
  auto limit = coordination_.throttle();
  if (!limit || *limit == 0) return;
  auto due = since + std::chrono::microseconds(rows * 1000000 / *limit);
  while (Coordination::Clock::now() < due && coordination_.throttle() == limit && !stopped(coordination_)) {
    std::this_thread::sleep_for(5ms);
  }
}

void ApplyWorker::show_tables(Session& session) {
  std::vector<TableStatus> tables;
  auto chunks = loaded_chunks(session.target);
  for (const auto& table : session.shadow.tables()) {
    auto plan = session.plans.find(table.source().name);
    if (plan == session.plans.end()) continue;
    TableStatus& shown = tables.emplace_back();
    shown.source = table.source().name;
    shown.target = plan->second.schema + "." + plan->second.target;
    shown.rows_total = session.shadow.count(shown.source);
    for (const auto& chunk : chunks) {
      if (chunk.table == shown.source) shown.rows_copied += chunk.rows;
    }
  }
  coordination_.update([&](Status& status) { status.tables = std::move(tables); });
}

void ApplyWorker::show_quarantine(Session& session) {
  auto counts = count_quarantine(session.target);
  coordination_.update([&](Status& status) {
    status.quarantined = 0;
    for (auto& table : status.tables) {
      auto found = counts.find(table.source);
      table.rows_quarantined = found == counts.end() ? 0 : found->second;
      status.quarantined += table.rows_quarantined;
    }
  });
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

// A row is read again from the shadow at a position of the journal; it is written only if the target is at
// that very position, so that it never shows a row from its future. Capture may have moved on meanwhile: then
// the stream first brings the target there.
ApplyWorker::Retried ApplyWorker::retry(Session& session, const std::vector<std::int64_t>& ids) {
  Retried counts;
  for (const auto& entry : list_quarantine(session.target.connection(), session.target.pipeline())) {
    if (!ids.empty() && std::find(ids.begin(), ids.end(), entry.id) == ids.end()) continue;
    auto found = session.shadow.read_row(entry.source_table, decode_row(entry.key_bytes));
    while (found.position != session.target.position().sequence && !stopped(coordination_)) {
      apply_once(session);
      found = session.shadow.read_row(entry.source_table, decode_row(entry.key_bytes));
    }
    ++counts.retried;
    const Relation& relation = session.shadow.relation(entry.source_table);
    if (session.applier->retry(entry, relation, std::move(found.row))) ++counts.applied;
  }
  show_quarantine(session);
  return counts;
}

// A row in quarantine may leave its old values in the target, and others that have taken them over in the
// source are then refused. Once a row has left the quarantine they may fit; each pass frees one at least, or
// is the last.
void ApplyWorker::retry_conflicts(Session& session) {
  if (!session.quarantine.take_released() || session.quarantine.size() == 0) return;
  std::vector<std::int64_t> ids;
  for (const auto& entry : list_quarantine(session.target.connection(), session.target.pipeline())) {
    bool conflict = entry.sqlstate == unique_violation || entry.sqlstate == broken_reference;
    if (entry.state == "held" && conflict) ids.push_back(entry.id);
  }
  if (!ids.empty()) retry(session, ids);
}

}  // namespace tidegate
