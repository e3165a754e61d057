#include "replicator/pipeline/postgres_worker.hpp"

#include <algorithm>
#include <filesystem>
#include <thread>

#include "apply/postgres/session.hpp"
#include "capture/postgres/capture_state.hpp"
#include "capture/postgres/history.hpp"
#include "capture/postgres/publication.hpp"
#include "capture/postgres/slot.hpp"
#include "replicator/log.hpp"
#include "replicator/pipeline/ddl_store.hpp"
#include "replicator/pipeline/mapped_standing.hpp"
#include "replicator/pipeline/mapping_setup.hpp"
#include "replicator/pipeline/source_companion.hpp"
#include "replicator/server_access.hpp"
#include "replicator/verify/postgres_prover.hpp"

namespace tidegate {
namespace {

using namespace std::chrono_literals;

constexpr auto first_pause = 100ms, longest_pause = 5000ms;
constexpr auto trim_interval = 60s;
constexpr const char* slot_fact = "source_slot";
constexpr auto slot_patience = 10s;  // for the source's open transactions, between two looks at the stop

// What an operator may mend while the daemon waits: a source that is away, a full disk.
bool may_pass(const std::exception& failure) {
  auto* error = dynamic_cast<const Error*>(&failure);
  if (!error) return false;
  return error->advice() != Advice::stop || error->code() == "SQLITE_FULL" || error->code() == "SQLITE_IOERR";
}

// A server has no more than 1 GB for one value's text, and does not say of which row it speaks.
void explain_size(const std::exception& failure) {
  auto* error = dynamic_cast<const Error*>(&failure);
  if (!error || (error->code() != "XX000" && !error->code().starts_with("54"))) return;
  log_error(
      "the source's server could not decode a change (its log says at which LSN); the usual reason is a "
      "value of "
      "1 GB or more as text (a bytea of 512 MB, since hex doubles it); shorten such values at the source, "
      "then "
      "fill a new target from the beginning");
}

}  // namespace

PostgresWorker::PostgresWorker(const Settings& settings, const std::string& state_path, ControlStore& store,
                               Coordination& coordination)
    : settings_(settings),
      state_path_(state_path),
      store_(store),
      coordination_(coordination),
      scene_{settings, coordination, {}, {}, nullptr, nullptr},
      schema_(settings, store, coordination, scene_.tables) {
  scene_.schema = &schema_;
  scene_.store = &store_;
}

namespace {

// `all`, with these as they are now.
std::vector<capture::PostgresTable> with(std::vector<capture::PostgresTable> all,
                                         const std::vector<capture::PostgresTable>& these) {
  for (auto& table : all) {
    auto now = std::find_if(these.begin(), these.end(),
                            [&](const auto& each) { return each.source == table.source; });
    if (now != these.end()) table = *now;
  }
  return all;
}

}  // namespace

// What is made on the target is what was approved, whatever becomes of the source's schema.
std::optional<PlannedPipeline> PostgresWorker::open(bool approved) {
  if (approved && store_.fact("native_ddl")) return std::nullopt;
  auto planned = plan_postgres(settings_);
  store_.set_fact("native_ddl", ddl_to_json(planned.ddl));
  return planned;
}

void PostgresWorker::prepare() {
  scene_.ddl = ddl_from_json(store_.fact("native_ddl").value());
  auto source = connect_source(source_options(settings_, "tidegate prepare"));
  const bool goes_on = had_slot();
  if (goes_on) look_for_slot(source);
  auto tables = capture::read_catalog(source, settings_.tables.include, settings_.tables.exclude);
  capture::PublicationOptions options{settings_.source.postgres.set_identity_full, goes_on};
  auto published = to_publish(source, tables);
  auto changes = capture::ensure_publication(source, publication_name(settings_), published, options);
  tables = with(std::move(tables), published);
  scene_.tables.set(tables);
  schema_.begin(tables, capture::read_enums(source, tables));
  for (const auto& table : changes.identity_full) log_warn("table {} has REPLICA IDENTITY FULL now", table);
  if (goes_on) return;
  auto take_back = [&] {
    if (changes.created) capture::drop_publication(source, publication_name(settings_));
  };
  try {
    if (!make_slot()) take_back();
  } catch (const std::exception&) {
    take_back();
    throw;
  }
}

// A table that came meanwhile is published when it is taken in, and keeps nobody from going on. One that is
// published and not followed was being taken in when the daemon died.
std::vector<capture::PostgresTable> PostgresWorker::to_publish(
    postgres::Connection& source, const std::vector<capture::PostgresTable>& tables) {
  auto chosen = schema_.followed(tables);
  auto state = capture::read_publication(source, publication_name(settings_));
  if (!state) return chosen;
  for (const auto& table : tables) {
    bool is_published = std::binary_search(state->tables.begin(), state->tables.end(), table.source);
    bool is_chosen =
        std::ranges::any_of(chosen, [&](const auto& each) { return each.source == table.source; });
    if (is_published && !is_chosen) chosen.push_back(table);
  }
  return chosen;
}

bool PostgresWorker::had_slot() {
  if (store_.fact(slot_fact)) return true;
  sqlite::Database state = open_state(state_path_);
  return CaptureState(state).held().has_value();
}

namespace {

// Before anything is concluded from what the server shows: the tables of another one are not ours, whatever
// their names.
void look_at_history(const Settings& settings, sqlite::Database& state) {
  auto held = CaptureState(state).held();
  if (!held) return;
  postgres::ReplicationConnection source(source_options(settings, "tidegate look"));
  check_history(*held, source.identify());
}

}  // namespace

// One that was made anew would begin behind what the lost one had not given yet.
void PostgresWorker::look_for_slot(postgres::Connection& source) {
  sqlite::Database state = open_state(state_path_);
  look_at_history(settings_, state);
  auto held = CaptureState(state).held();
  std::string database(source.run("SELECT pg_catalog.current_database()").text(0, 0));
  check_slot(find_slot(source, slot_name(settings_)), slot_name(settings_), database,
             held ? held->end_lsn : 0);
}

bool PostgresWorker::make_slot() {
  auto stop = coordination_.stop_token();
  auto options = source_options(settings_, "tidegate slot");
  while (!stop.stop_requested()) {
    try {
      auto slot = ensure_slot(options, slot_name(settings_), false, slot_patience);
      if (slot.made) log_info("slot {} made at the source", slot_name(settings_));
      store_.set_fact(slot_fact, slot_name(settings_));
      coordination_.update([](Status& status) { status.step.clear(); });
      return true;
    } catch (const Error& error) {
      if (error.advice() != Advice::retry) throw;
      coordination_.update([](Status& status) {
        status.step = "waiting for the source's open transactions, which a new slot must see end";
      });
    }
  }
  return false;
}

PostgresCaptureOptions PostgresWorker::capture_options() const {
  PostgresCaptureOptions options;
  options.connection = source_options(settings_, "tidegate capture " + settings_.pipeline);
  options.slot = slot_name(settings_);
  options.publication = publication_name(settings_);
  options.skip_marked = mark_of(settings_.pipeline);  // what the way back writes
  options.spool_limit = settings_.source.postgres.spool_limit;
  options.spool_directory = (std::filesystem::path(state_path_).parent_path() / "spool").string();
  return options;
}

PostgresCaptureCallbacks PostgresWorker::callbacks() {
  PostgresCaptureCallbacks callbacks;
  callbacks.on_committed = [this](const PostgresCaptureCallbacks::Committed& group) {
    schema_.committed();
    open_tail_.close();
    coordination_.cut_done(0, group.sequence);
    trim_now_and_then();
  };
  callbacks.on_open = [this](std::uint64_t sequence) {
    open_tail_.reached(sequence);
    coordination_.wake_apply();
  };
  callbacks.take_back_open = [this] { journal_->discard_open(); };
  callbacks.on_spool_full = [this](const std::string& why) { report_full_spool(why); };
  callbacks.on_message = [this](const std::string& content, std::uint64_t sequence) {
    if (auto wish = SourceCompanion::wish_in(content, settings_)) coordination_.cut_done(*wish, sequence);
    coordination_.clear_report("capture");
  };
  callbacks.on_relation_changed = [this](const RelationChanged& change) { follow(change); };
  callbacks.copied_shape = [this](const RelationShape& now) -> std::optional<RelationShape> {
    auto known = schema_.known(now.table);
    if (!known) return std::nullopt;
    return shape_when_known(*known, now);
  };
  callbacks.key_order = [this](const RelationShape& shape) {
    auto table = scene_.tables.find(shape.table);
    return table ? table->identity : std::vector<std::string>{};
  };
  return callbacks;
}

namespace {

// What the pipeline knows of the table is what the stream describes now, since the table was copied anew.
bool is_known_shape(const RelationShape& now, const capture::PostgresTable& known) {
  std::vector<std::string> names, described;
  for (const auto& column : known.columns) {
    if (!column.generated) names.push_back(column.name);
  }
  for (const auto& column : now.columns) described.push_back(column.name);
  return now.oid == known.oid && names == described && same_identity(now, known);
}

// Within a transaction it is no end of it: nobody may commit what came before.
TransactionPart part_of_schema(bool within) {
  TransactionPart part;
  part.first = part.last = !within;
  return part;
}

}  // namespace

void PostgresWorker::take_over(const capture::PostgresTable& now) {
  scene_.tables.replace(now);
  schema_.carried(now);
}

// What no map reads of a mapped table changes nothing. In the journal the change of the schema stands right
// before the first transaction that needs it: the target follows, or the table is stopped.
void PostgresWorker::follow(const RelationChanged& change) {
  const std::string& name = change.now.table;
  auto stop = [&](const std::string& why) {
    journal_stop({{name, why}}, change.within);
    schema_.told(name, why);
  };
  auto known = schema_.known(name);
  if (!known) return stop("it is not the table that it was");
  // A source that is away just now throws Error, and is waited for as in the stream.
  postgres::Connection source(source_options(settings_, "tidegate look"));
  auto tables = capture::read_catalog(source, {name}, {});
  if (tables.size() != 1) return stop("it was dropped or renamed");
  const Standing found_there = standing(schema_.maps(), *known, &tables.front());
  const bool same = found_there.kind == Standing::Kind::same;
  if (same && is_known_shape(change.now, *known)) return;
  if (is_mapped(schema_.maps(), name)) {
    if (!same) return stop(found_there.why);
    if (!same_identity(change.now, *known) || !maps_read_the_same(schema_.maps(), change))
      return stop("columns that its maps read, or its replica identity, changed");
    return take_over(tables.front());
  }
  auto found = drift(change, *known, tables.front());
  if (auto* why = std::get_if<std::string>(&found)) return stop(*why);
  if (settings_.source.on_schema_change == OnSchemaChange::pause)
    return stop("it got new columns, and on_schema_change is \"pause\"");
  if (!coordination_.is_streaming()) return stop("it got new columns during the first copy");
  TransactionPart part = part_of_schema(change.within);
  part.schema_change = SchemaChange{{std::get<SourceTable>(std::move(found))}};
  journal_->append(part);
  take_over(tables.front());
  log_warn("the source's table {} got new columns; the target follows", name);
}

std::uint64_t PostgresWorker::journal_stop(const std::vector<SchemaChange::Stopped>& stopped, bool within) {
  TransactionPart part = part_of_schema(within);
  part.schema_change.emplace();
  part.schema_change->stopped = stopped;
  for (const auto& [table, why] : stopped) log_warn("table {} of the source is stopped: {}", table, why);
  return journal_->append(part);
}

// Nothing more is captured before the journal says so, so that nothing more is applied to such a table. Once
// more after each start, until the table was copied anew.
void PostgresWorker::journal_doubts() {
  auto doubts = schema_.new_doubts();
  if (doubts.empty()) return;
  look_at_history(settings_, *state_);
  sqlite::Transaction transaction(*state_, sqlite::Transaction::Kind::immediate);
  journal_->discard_open();  // or this would be its end
  auto sequence = journal_stop(doubts, false);
  transaction.commit();
  for (const auto& [table, why] : doubts) schema_.told(table, why);
  coordination_.cut_done(0, sequence);
}

void PostgresWorker::report_full_spool(const std::string& why) {
  std::string message =
      why + ": until the next connection the source's server keeps such transactions on its own disk";
  log_warn("{}", message);
  coordination_.report("spool-full", message);
}

void PostgresWorker::reopen() {
  capture_.reset();
  journal_.reset();
  state_ = std::make_unique<sqlite::Database>(open_state(state_path_));
  journal_ = std::make_unique<Journal>(*state_);
  capture_ = std::make_unique<PostgresCapture>(capture_options(), *state_, *journal_);
}

void PostgresWorker::trim_now_and_then() {
  auto now = std::chrono::steady_clock::now();
  if (now - trimmed_ < trim_interval) return;
  trimmed_ = now;
  auto retention = std::chrono::duration_cast<std::chrono::seconds>(settings_.journal.retention);
  journal_->trim(coordination_.needed_no_more(), retention);
}

void PostgresWorker::capture_until_doubt(const std::stop_token& stop) {
  if (!capture_) reopen();
  journal_doubts();
  std::stop_source until;
  std::stop_callback at_stop(stop, [&] { until.request_stop(); });
  std::stop_callback at_doubt(schema_.until_doubt(), [&] { until.request_stop(); });
  struct Ends {
    ~Ends() { tail.close(); }
    OpenTail& tail;
  } ends{open_tail_};
  coordination_.clear_report("spool-full");
  capture_->run(until.get_token(), callbacks());
}

void PostgresWorker::run() {
  auto stop = coordination_.stop_token();
  SourceCompanion companion(settings_, coordination_, schema_);
  // Ends with a failure of ours too: else nobody would hear of it.
  std::jthread beside([&](const std::stop_token& own) { companion.run(own); });
  std::stop_callback both(stop, [&] { beside.request_stop(); });
  auto pause = std::chrono::milliseconds(first_pause);
  while (!stop.stop_requested()) {
    try {
      capture_until_doubt(stop);
    } catch (const std::exception& failure) {
      if (!may_pass(failure)) {
        explain_size(failure);
        throw;
      }
      bool had_worked = capture_ && capture_->progress().connected;
      if (had_worked) pause = first_pause;
      log_warn("capture: {}", failure.what());
      coordination_.report("capture", failure.what());
      capture_.reset();
      std::this_thread::sleep_for(pause);
      pause = std::min(pause * 2, std::chrono::milliseconds(longest_pause));
    }
  }
}

std::optional<std::chrono::microseconds> PostgresWorker::absorb(bool,
                                                                std::chrono::steady_clock::time_point until) {
  const auto began = std::chrono::steady_clock::now();
  if (!coordination_.wait_for_cut(coordination_.want_cut(), until, coordination_.stop_token()))
    return std::nullopt;
  return std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - began);
}

std::unique_ptr<verify::Prover> PostgresWorker::prover(ApplyHold& hold) {
  return verify::make_postgres_prover(settings_, state_path_, coordination_, scene_.tables, hold);
}

std::unique_ptr<SourceView> PostgresWorker::view() {
  return std::make_unique<PostgresView>(scene_);
}

}  // namespace tidegate
