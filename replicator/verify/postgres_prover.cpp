#include "replicator/verify/postgres_prover.hpp"

#include <algorithm>
#include <mutex>

#include "db/error.hpp"
#include "db/failpoint.hpp"
#include "replicator/journal/journal.hpp"
#include "replicator/log.hpp"
#include "replicator/pipeline/mapping_setup.hpp"
#include "replicator/server_access.hpp"
#include "replicator/verify/mapped_comparison.hpp"
#include "replicator/verify/narrowing.hpp"
#include "replicator/verify/seen_commits.hpp"
#include "replicator/verify/target_checks.hpp"
#include "replicator/verify/xid_snapshot.hpp"

namespace tidegate::verify {
namespace {

using namespace std::chrono_literals;
using Clock = Coordination::Clock;

// README, "What is held how long".
constexpr auto longest_hold = 1500ms;
constexpr auto longest_unseen = 10s;  // a commit that is journalled, and not in snapshots yet
constexpr auto longest_meeting = std::chrono::minutes(15);
// One scan of it takes some seconds; what is larger and has an integer for its key is cut.
constexpr std::uint64_t rows_of_unit = 5'000'000, least_rows_of_unit = 100'000;
constexpr std::uint64_t seconds_of_unit = 10;  // where there is a rate: servers know of none

struct Scene {
  const Settings& settings;
  Clock::time_point met = Clock::now();
  std::unique_ptr<SnapshotConnection> source, target;
  std::uint64_t sequence = 0;
  TargetState state;
  std::vector<capture::PostgresTable> tables;
  bool same_encoding = true;
  std::vector<MapDefinition> maps = maps_of(settings);
  std::shared_ptr<KeyAnswers> keys = nullptr;

  const capture::PostgresTable& table(const std::string& name) const {
    for (const auto& each : tables)
      if (each.source == name) return each;
    throw Error("table " + name + " is not replicated any more", "", Advice::stop);
  }
  std::string application() const { return "tidegate verify " + settings.pipeline; }
};

const ColumnPlan& column_of(const TablePlan& plan, const std::string& target) {
  return *std::find_if(plan.columns.begin(), plan.columns.end(),
                       [&](const ColumnPlan& column) { return column.target == target; });
}

ChecksumTable source_table(const capture::PostgresTable& table, const TablePlan& plan) {
  ChecksumTable out{
      (table.partitioned ? "" : "ONLY ") + capture::quoted_name(table.schema, table.name), {}, {}};
  for (const auto& column : plan.columns) out.columns.push_back(tidegate::quoted(column.source));
  for (const auto& name : plan.key) out.key.push_back(tidegate::quoted(column_of(plan, name).source));
  return out;
}

ChecksumTable target_table(const capture::PostgresTable& table, const TablePlan& plan) {
  ChecksumTable out{(table.partitioned ? "" : "ONLY ") + quoted_name(plan), {}, {}};
  for (const auto& column : plan.columns) out.columns.push_back(tidegate::quoted(column.target));
  for (const auto& name : plan.key) out.key.push_back(tidegate::quoted(name));
  return out;
}

std::uint64_t unit_size(const Request& request) {
  if (request.rate == 0) return rows_of_unit;
  return std::clamp(request.rate * seconds_of_unit, least_rows_of_unit, rows_of_unit);
}

bool is_integer(const std::string& type) {
  return type == "bigint" || type == "integer" || type == "smallint";
}

class PostgresProofWorker : public Worker {
 public:
  explicit PostgresProofWorker(Scene& scene)
      : scene_(scene),
        source_(source_options(scene.settings, scene.application())),
        target_(connect_options(scene.settings, scene.application())) {
    source_.join(scene.source->exported());
    target_.join(scene.target->exported());
  }

  void check(const Unit& unit, const Request& request, const Compared& compared, const std::stop_token&,
             Findings& findings) override {
    const TablePlan& plan = scene_.state.plans.at(unit.table);
    const auto& table = scene_.table(plan.source_table());
    if (!plan.from.empty()) return check_mapped(plan, table, request, compared, findings);
    ChecksumScope scope{unit.after, unit.up_to, 1};
    if (request.sample) scope.one_in = std::max<std::uint64_t>(1, table.estimated_rows / *request.sample);
    TablePair pair(plan, held(unit.table),
                   {source_.connection(), Checksums(source_table(table, plan), scope, scene_.same_encoding)},
                   {target_.connection(), Checksums(target_table(table, plan), scope, scene_.same_encoding)});
    if (request.counts) {
      pair.count(held_nowhere(unit.table), findings);
    } else {
      pair.compare(findings);
    }
    compared(findings.rows);
  }

 private:
  void check_mapped(const TablePlan& plan, const capture::PostgresTable& table, const Request& request,
                    const Compared& compared, Findings& findings) {
    if (!speller_) speller_.emplace(connect_options(scene_.settings, scene_.application()));
    const SourceTable described = capture::as_source_table(table);
    MappedComparison comparison(
        {scene_.settings, scene_.maps, scene_.keys, scene_.state, *speller_, target_.connection(), compared},
        plan, described, relation_of(described, true));
    CopiedRows rows(source_.connection(), table, comparison.source());
    comparison.run(rows, request, findings);
  }

  const Held& held(const std::string& table) const {
    static const Held none;
    auto found = scene_.state.quarantine.find(table);
    return found == scene_.state.quarantine.end() ? none : found->second;
  }
  std::uint64_t held_nowhere(const std::string& table) const {
    auto found = scene_.state.held_nowhere.find(table);
    return found == scene_.state.held_nowhere.end() ? 0 : found->second;
  }

  Scene& scene_;
  SnapshotConnection source_, target_;
  std::optional<Speller> speller_;  // for mapped relations
};

class PostgresMeeting : public Meeting {
 public:
  explicit PostgresMeeting(Scene scene) : scene_(std::move(scene)) {}

  std::string position() const override { return std::to_string(scene_.sequence); }
  std::vector<Remark> remarks(const std::vector<Unit>& units) override {
    Plans plans;
    for (const Unit& unit : units) plans.insert(*scene_.state.plans.find(unit.table));
    auto& target = scene_.target->connection();
    auto remarks = check_target(target, scene_.settings.pipeline, plans, scene_.settings.checks);
    for (Remark& remark : rows_of_nobody(target, scene_.state.plans, plans))
      remarks.push_back(std::move(remark));
    return remarks;
  }

  std::unique_ptr<Worker> worker() override { return std::make_unique<PostgresProofWorker>(scene_); }
  bool expired(Side) override { return Clock::now() - scene_.met > longest_meeting; }

  // The largest first, so that no worker is left with one at the end.
  std::vector<Unit> units(const Request& request) override {
    std::vector<Unit> units;
    auto tables = scene_.tables;
    std::stable_sort(tables.begin(), tables.end(),
                     [](const auto& a, const auto& b) { return a.estimated_rows > b.estimated_rows; });
    for (const auto& table : tables) {
      Request wanted = request;
      if (chosen({request.tables, {}}, table.name)) wanted.tables.clear();
      for (const TablePlan* plan : plans_of(scene_.state.plans, table.source, wanted))
        add_units(request, table, *plan, units);
    }
    return units;
  }

 private:
  void add_units(const Request& request, const capture::PostgresTable& table, const TablePlan& plan,
                 std::vector<Unit>& units) {
    auto ends = request.counts || !plan.from.empty() ? std::vector<std::string>()
                                                     : bounds(table, plan, unit_size(request));
    ends.emplace_back();
    std::string after;
    for (const auto& up_to : ends) {
      units.push_back({static_cast<int>(units.size()), Side::target, plan.source,
                       plan.schema + "." + plan.target, after, up_to, table.estimated_rows / ends.size()});
      after = up_to;
    }
  }

  std::vector<std::string> bounds(const capture::PostgresTable& table, const TablePlan& plan,
                                  std::uint64_t rows) {
    auto parts = static_cast<std::int64_t>(table.estimated_rows / rows);
    bool by_integer = plan.key.size() == 1 && is_integer(column_of(plan, plan.key.front()).existing_type);
    if (parts < 2 || !by_integer) return {};
    ChecksumTable named = source_table(table, plan);
    auto ends = scene_.source->connection().run("SELECT min(" + named.key.front() + "), max(" +
                                                named.key.front() + ") FROM " + named.from);
    if (ends.is_null(0, 0)) return {};
    std::vector<std::string> bounds;
    auto least = static_cast<std::uint64_t>(ends.integer(0, 0));
    auto step = (static_cast<std::uint64_t>(ends.integer(0, 1)) - least) / static_cast<std::uint64_t>(parts);
    for (std::int64_t i = 1; i < parts; ++i)
      bounds.push_back(
          std::to_string(static_cast<std::int64_t>(least + step * static_cast<std::uint64_t>(i))));
    return bounds;
  }

  Scene scene_;
};

std::string encoding_of(postgres::Connection& server) {
  return std::string(server.run("SHOW server_encoding").text(0, 0));
}

class PostgresProver : public Prover {
 public:
  PostgresProver(const Settings& settings, const std::string& state_path, Coordination& coordination,
                 const ReplicatedTables& tables, ApplyHold& hold)
      : settings_(settings),
        state_path_(state_path),
        coordination_(coordination),
        tables_(tables),
        hold_(hold) {}

  std::unique_ptr<Meeting> meet(int, const std::stop_token& stop) override {
    Scene scene{settings_, Clock::now(), nullptr, nullptr, 0, {}, tables_.all(), true};
    scene.source = std::make_unique<SnapshotConnection>(source_options(settings_, scene.application()));
    scene.target = std::make_unique<SnapshotConnection>(connect_options(settings_, scene.application()));
    if (!open_both(scene, stop)) return nullptr;
    scene.state = read_state(scene.target->connection(), settings_.pipeline);
    if (scene.state.sequence != scene.sequence || !scene.state.one_position) return nullptr;
    scene.same_encoding = encoding_of(scene.source->connection()) == encoding_of(scene.target->connection());
    return std::make_unique<PostgresMeeting>(std::move(scene));
  }

 private:
  bool open_both(Scene& scene, const std::stop_token& stop) {
    HoldScope scope(hold_);
    auto began = Clock::now();
    hold_.limit([](const JournalReader::Entry&) { return false; });
    coordination_.want_cut();  // wakes apply
    const auto rested = hold_.wait_for_rest(began + longest_hold, stop);
    if (!rested) return false;
    scene.source->begin();
    auto snapshot = std::make_shared<const XidSnapshot>(
        scene.source->connection().run("SELECT pg_catalog.pg_current_snapshot()").text(0, 0));
    JournalReader journal(state_path_);
    if (!sees_applied(*snapshot, journal, rested->sequence, longest_unseen)) return false;
    auto rests = bring_apply_to(snapshot, began + longest_hold, stop);
    if (!rests) return false;
    scene.sequence = *rests;
    failpoint("verify-apply-held-postgres");
    scene.target->begin();
    scene.keys = remembered_keys(settings_);
    log_debug("verify: apply was held for {:.1f} ms",
              std::chrono::duration<double, std::milli>(Clock::now() - began).count());
    return true;
  }

  // Where the target shows what the snapshot shows; nothing where it cannot be had now.
  std::optional<std::uint64_t> bring_apply_to(const std::shared_ptr<const XidSnapshot>& snapshot,
                                              Clock::time_point until, const std::stop_token& stop) {
    auto limit = [snapshot](const JournalReader::Entry& entry) {
      return !entry.part.stamp || snapshot->sees(entry.part.stamp->xid);
    };
    // All that the snapshot sees was committed before this marker, and stands before it in the stream.
    auto wish = coordination_.want_cut();
    auto marker = coordination_.wait_for_cut(wish, until, stop);
    if (!marker) return std::nullopt;
    hold_.limit(limit);
    auto rests = hold_.wait_for_rest(until, stop);
    if (!rests || !is_all(*snapshot, rests->sequence, *marker)) return std::nullopt;
    return rests->sequence;
  }

  // Nothing that the snapshot sees stands behind something that it does not see.
  bool is_all(const XidSnapshot& snapshot, std::uint64_t after, std::uint64_t up_to) {
    JournalReader journal(state_path_);
    while (auto entry = journal.next(after)) {
      if (entry->sequence > up_to) return true;
      if (entry->part.stamp && snapshot.sees(entry->part.stamp->xid)) return false;
      after = entry->sequence;
    }
    return true;
  }

  const Settings& settings_;
  std::string state_path_;
  Coordination& coordination_;
  const ReplicatedTables& tables_;
  ApplyHold& hold_;
};

}  // namespace

std::unique_ptr<Prover> make_postgres_prover(const Settings& settings, const std::string& state_path,
                                             Coordination& coordination, const ReplicatedTables& tables,
                                             ApplyHold& hold) {
  return std::make_unique<PostgresProver>(settings, state_path, coordination, tables, hold);
}

}  // namespace tidegate::verify
