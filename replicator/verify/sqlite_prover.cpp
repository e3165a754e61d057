#include "replicator/verify/sqlite_prover.hpp"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <charconv>
#include <mutex>

#include "apply/postgres/copy_line.hpp"
#include "capture/sqlite/compare.hpp"
#include "db/error.hpp"
#include "db/failpoint.hpp"
#include "replicator/log.hpp"
#include "replicator/pipeline/capture_worker.hpp"
#include "replicator/pipeline/mapping_setup.hpp"
#include "replicator/server_access.hpp"
#include "replicator/verify/mapped_comparison.hpp"
#include "replicator/verify/sample.hpp"
#include "replicator/verify/shadow_lines.hpp"
#include "replicator/verify/target_checks.hpp"

namespace tidegate::verify {
namespace {

using namespace std::chrono_literals;
using Clock = Coordination::Clock;

// README, "What is held how long".
constexpr auto longest_hold = 1500ms;
constexpr auto longest_meeting = std::chrono::minutes(15);
constexpr std::uint64_t most_wal_bytes = 256 << 20;
constexpr auto patience_for_cut = 10s;
constexpr std::int64_t rows_of_unit = 500'000;

std::uint64_t size_of_wal(const std::string& path) {
  struct stat facts;
  return stat((path + "-wal").c_str(), &facts) == 0 ? static_cast<std::uint64_t>(facts.st_size) : 0;
}

IntegerRange range_of(const Unit& unit) {
  auto number = [](const std::string& text) -> std::optional<std::int64_t> {
    std::int64_t value = 0;
    if (text.empty()) return std::nullopt;
    std::from_chars(text.data(), text.data() + text.size(), value);
    return value;
  };
  return {number(unit.after), number(unit.up_to)};
}

// What the live file has otherwise than the shadow of the same cut.
class ShadowDifferences : public Differences {
 public:
  ShadowDifferences(const ShadowTable& table, Findings& findings) : table_(table), findings_(findings) {}

  void inserted(const PlacedRow& live) override { found(Kind::missing, live.row, {}); }
  void removed(const PlacedRow& shadow) override { found(Kind::extra, shadow.row, {}); }
  void updated(const PlacedRow& shadow, const PlacedRow& live) override {
    std::vector<std::string> columns;
    for (std::size_t i = 0; i < live.row.size(); ++i)
      if (!identical(live.row[i], shadow.row[i])) columns.push_back(table_.relation().columns[i]);
    found(Kind::differs, live.row, std::move(columns));
  }
  void replaced(const PlacedRow& shadow, const PlacedRow& live) override { updated(shadow, live); }
  void moved(const PlacedRow& live) override { found(Kind::differs, live.row, {"rowid"}); }

 private:
  void found(Kind kind, const Row& row, std::vector<std::string> columns) {
    Row key = key_of(table_.relation(), row);
    add(findings_,
        {Side::shadow, kind, table_.source().name, key_as_json(key), encode(key), std::move(columns)});
  }
  const ShadowTable& table_;
  Findings& findings_;
};

// What all workers of one meeting share.
struct Scene {
  const Settings& settings;
  Clock::time_point met = Clock::now();
  std::unique_ptr<HeldCut> cut;
  std::uint64_t wal_before = 0;
  std::unique_ptr<SnapshotConnection> target;
  TargetState state;
  std::vector<ShadowTable> tables;
  std::vector<MapDefinition> maps = maps_of(settings);
  std::shared_ptr<KeyAnswers> keys = nullptr;

  const Held& held(const std::string& table) const {
    static const Held none;
    auto found = state.quarantine.find(table);
    return found == state.quarantine.end() ? none : found->second;
  }
  std::uint64_t held_nowhere(const std::string& table) const {
    auto found = state.held_nowhere.find(table);
    return found == state.held_nowhere.end() ? 0 : found->second;
  }
  const ShadowTable& table(const std::string& name) const {
    for (const ShadowTable& each : tables)
      if (each.source().name == name) return each;
    throw Error("table " + name + " is not in the shadow", "", Advice::stop);
  }
  postgres::ConnectOptions target_options() const {
    return connect_options(settings, "tidegate verify " + settings.pipeline);
  }
};

class SqliteWorker : public Worker {
 public:
  SqliteWorker(Scene& scene, sqlite::Database& shadow, bool has_live)
      : scene_(scene), shadow_(shadow), has_live_(has_live), speller_(scene.target_options()) {
    join();
  }

  bool takes(Side side) const override { return has_live_ || side != Side::shadow; }

  void check(const Unit& unit, const Request& request, const Compared& compared, const std::stop_token& stop,
             Findings& findings) override {
    if (unit.side == Side::shadow)
      return check_shadow(unit, scene_.table(unit.table), compared, stop, findings);
    const TablePlan& plan = scene_.state.plans.at(unit.table);
    const ShadowTable& table = scene_.table(plan.source_table());
    if (!plan.from.empty()) return check_mapped(plan, table, request, compared, findings);
    if (request.counts) return count(table, compared, findings);
    if (request.sample) return check_sample(table, *request.sample, compared, findings);
    check_target(unit, table, compared, findings);
  }

 private:
  void join() {
    target_.emplace(scene_.target_options());
    target_->join(scene_.target->exported());
  }

  void check_shadow(const Unit& unit, const ShadowTable& table, const Compared& compared,
                    const std::stop_token& stop, Findings& findings) {
    if (!scene_.cut->live) return;  // without WAL: the cut itself has compared all
    sqlite::Database& live = *scene_.cut->live;
    live.set_progress_check([&] { return stop.stop_requested(); });
    ShadowDifferences differences(table, findings);
    IntegerRange range = range_of(unit);
    CompareCounts counts =
        unit.after.empty() && unit.up_to.empty()
            ? compare_table(table, live, shadow_, differences)
            : compare_ranges(table, live, shadow_,
                             {{range.after ? *range.after + 1 : INT64_MIN, range.up_to.value_or(INT64_MAX)}},
                             differences);
    live.set_progress_check({});
    findings.rows += counts.live_rows;
    compared(counts.live_rows);
  }

  void check_target(const Unit& unit, const ShadowTable& table, const Compared& compared,
                    Findings& findings) {
    const TablePlan& plan = scene_.state.plans.at(unit.table);
    RowOrder order(plan);
    try {
      merge(unit, table, plan, order, compared, findings);
    } catch (const OrderBroken&) {
      log_debug("verify: the rows of {} are sorted", unit.table);
      order.sort_by_print();
      findings = {};
      join();  // the rows that come yet are given up
      merge(unit, table, plan, order, compared, findings);
    }
  }

  void check_mapped(const TablePlan& plan, const ShadowTable& table, const Request& request,
                    const Compared& compared, Findings& findings) {
    MappedComparison comparison(
        {scene_.settings, scene_.maps, scene_.keys, scene_.state, speller_, target_->connection(), compared},
        plan, table.source(), table.relation());
    ShadowRows rows(shadow_, table);
    comparison.run(rows, request, findings);
  }

  // Rows of the source at random, and what the target has under their keys. Rows that only the target has are
  // not looked for.
  void check_sample(const ShadowTable& table, std::uint64_t count, const Compared& compared,
                    Findings& findings) {
    const TablePlan& plan = scene_.state.plans.at(table.source().name);
    RowOrder order(plan);
    RowMapper mapper(plan, table.relation());
    LineMerge merge({plan, order, scene_.held(plan.source), speller_, compared}, findings);
    auto misfit = [&](const Reject&) {};  // they are as likely as others, but to be sure takes all rows
    ShadowLines all(shadow_, table, mapper, {}, misfit);
    std::unique_ptr<SortedLines> sorted;
    if (!order.is_natural())
      sorted = std::make_unique<SortedLines>(all, plan, order, speller_, scene_.settings.state_dir);
    std::mt19937_64 random(std::random_device{}());
    auto rows = take_sample(sorted ? static_cast<SourceLines&>(*sorted) : all, count, random);
    merge_sample(std::move(rows), plan, order, target_->connection(), merge);
  }

  void merge(const Unit& unit, const ShadowTable& table, const TablePlan& plan, const RowOrder& order,
             const Compared& compared, Findings& findings) {
    RowMapper mapper(plan, table.relation());
    LineMerge merge({plan, order, scene_.held(unit.table), speller_, compared}, findings);
    auto misfit = [&](const Reject& why) { merge.misfit(why.source_key, why.key_bytes); };
    IntegerRange range = range_of(unit);
    ShadowLines lines(shadow_, table, mapper, range, misfit);
    std::unique_ptr<SortedLines> sorted;
    if (!order.is_natural())
      sorted = std::make_unique<SortedLines>(lines, plan, order, speller_, scene_.settings.state_dir);
    CopiedLines copied(target_->connection(), plan, order, range);
    merge.run(sorted ? static_cast<SourceLines&>(*sorted) : lines, copied);
  }

  void count(const ShadowTable& table, const Compared& compared, Findings& findings) {
    const TablePlan& plan = scene_.state.plans.at(table.source().name);
    findings.rows = static_cast<std::uint64_t>(shadow_.integer("SELECT count(*) FROM " + table.name()));
    findings.target_rows = static_cast<std::uint64_t>(
        target_->connection().run("SELECT count(*) FROM " + quoted_name(plan)).integer(0, 0));
    auto nowhere = scene_.held_nowhere(plan.source);
    if (*findings.target_rows + nowhere != findings.rows) {
      auto lacks = *findings.target_rows + nowhere < findings.rows;
      add(findings, {Side::target, lacks ? Kind::missing : Kind::extra, plan.source, "", "", {}});
    }
    compared(findings.rows);
  }

  Scene& scene_;
  sqlite::Database& shadow_;
  bool has_live_;  // the live file's connection is this worker's
  std::optional<SnapshotConnection> target_;
  Speller speller_;
};

class SqliteMeeting : public Meeting {
 public:
  explicit SqliteMeeting(Scene scene) : scene_(std::move(scene)) {}

  std::string position() const override { return std::to_string(scene_.cut->sequence); }

  std::vector<Unit> units(const Request& request) override {
    std::vector<Unit> units;
    for (Side side : {Side::shadow, Side::target}) {
      if (side == Side::shadow && (request.counts || request.sample)) continue;
      for (const ShadowTable& table : scene_.tables) add_units(request, table, side, units);
    }
    return units;
  }

  std::vector<Remark> remarks(const std::vector<Unit>& units) override {
    Plans plans;
    for (const Unit& unit : units)
      if (unit.side == Side::target) plans.insert(*scene_.state.plans.find(unit.table));
    auto& target = scene_.target->connection();
    auto remarks = check_target(target, scene_.settings.pipeline, plans, scene_.settings.checks);
    for (Remark& remark : rows_of_nobody(target, scene_.state.plans, plans))
      remarks.push_back(std::move(remark));
    return remarks;
  }

  std::unique_ptr<Worker> worker() override {
    std::lock_guard lock(mutex_);
    auto number = workers_++;
    return std::make_unique<SqliteWorker>(scene_, *scene_.cut->shadows.at(number), number == 0);
  }

  bool expired(Side side) override {
    if (Clock::now() - scene_.met > longest_meeting) return true;
    if (side != Side::shadow) return false;
    auto wal = size_of_wal(scene_.settings.source.end.path);
    return wal > scene_.wal_before + most_wal_bytes;
  }

  void done_with(Side side) override {
    if (side == Side::shadow) scene_.cut->live.reset();
  }

 private:
  // A mapped table is one unit against the live file, and one for each of its relations against the target.
  void add_units(const Request& request, const ShadowTable& table, Side side, std::vector<Unit>& units) {
    for (const TablePlan* plan : plans_of(scene_.state.plans, table.source().name, request)) {
      if (plan->from.empty()) return add_ranges(request, table, *plan, side, units);
      Unit unit{static_cast<int>(units.size()), side, plan->source, shown_name(*plan), "", "", 0};
      if (side == Side::shadow) unit.table = plan->from;
      unit.rows_expected = std::min(rows_of(table), request.sample.value_or(UINT64_MAX));
      units.push_back(std::move(unit));
      if (side == Side::shadow) return;
    }
  }

  std::uint64_t rows_of(const ShadowTable& table) {
    return static_cast<std::uint64_t>(
        scene_.cut->shadows.front()->integer("SELECT count(*) FROM " + table.name()));
  }

  void add_ranges(const Request& request, const ShadowTable& table, const TablePlan& plan, Side side,
                  std::vector<Unit>& units) {
    sqlite::Database& shadow = *scene_.cut->shadows.front();
    auto rows = shadow.integer("SELECT count(*) FROM " + table.name());
    Unit unit{0, side, plan.source, plan.schema + "." + plan.target, "", "", 0};
    bool in_ranges = table.keyed_by_rowid() && !request.counts && !request.sample &&
                     (side == Side::shadow || RowOrder(plan).has_integer_key());
    auto parts = in_ranges ? std::max<std::int64_t>(1, rows / rows_of_unit) : 1;
    auto ends = bounds(shadow, table, parts);
    for (std::int64_t i = 0; i < parts; ++i) {
      unit.after = i == 0 ? "" : std::to_string(ends[static_cast<std::size_t>(i - 1)]);
      unit.up_to = i + 1 == parts ? "" : std::to_string(ends[static_cast<std::size_t>(i)]);
      unit.rows_expected =
          std::min(static_cast<std::uint64_t>(rows / parts), request.sample.value_or(UINT64_MAX));
      unit.number = static_cast<int>(units.size());
      units.push_back(unit);
    }
  }

  // Evenly between the smallest and the largest key: rows may be denser here than there, which costs nothing
  // but evenness.
  static std::vector<std::int64_t> bounds(sqlite::Database& shadow, const ShadowTable& table,
                                          std::int64_t parts) {
    std::vector<std::int64_t> bounds;
    if (parts == 1) return bounds;
    std::string key = fmt::format("c{}", table.relation().key.front());
    auto least = shadow.integer(fmt::format("SELECT min({}) FROM {}", key, table.name()));
    auto most = shadow.integer(fmt::format("SELECT max({}) FROM {}", key, table.name()));
    auto step = (static_cast<std::uint64_t>(most) - static_cast<std::uint64_t>(least)) /
                static_cast<std::uint64_t>(parts);
    for (std::int64_t i = 1; i < parts; ++i)
      bounds.push_back(static_cast<std::int64_t>(static_cast<std::uint64_t>(least) +
                                                 step * static_cast<std::uint64_t>(i)));
    return bounds;
  }

  Scene scene_;
  std::mutex mutex_;
  std::size_t workers_ = 0;
};

class SqliteProver : public Prover {
 public:
  SqliteProver(const Settings& settings, CaptureWorker& capture, ApplyHold& hold)
      : settings_(settings), capture_(capture), hold_(hold) {}

  std::unique_ptr<Meeting> meet(int jobs, const std::stop_token& stop) override {
    Scene scene{settings_, Clock::now(), nullptr, size_of_wal(settings_.source.end.path), nullptr, {}, {}};
    scene.target = std::make_unique<SnapshotConnection>(scene.target_options());
    if (!open_both(scene, jobs, stop)) return nullptr;
    scene.state = read_state(scene.target->connection(), settings_.pipeline);
    if (scene.state.sequence != scene.cut->sequence || !scene.state.one_position) return nullptr;
    scene.tables = Shadow::load(*scene.cut->shadows.front());
    return std::make_unique<SqliteMeeting>(std::move(scene));
  }

 private:
  // Nothing behind the cut is in the journal when the limit is set, so apply cannot be past it.
  bool open_both(Scene& scene, int jobs, const std::stop_token& stop) {
    HoldScope scope(hold_);
    Clock::time_point held_since{};
    auto taken = [&](const HeldCut& cut) {
      hold_.limit([end = cut.sequence](const JournalReader::Entry& entry) { return entry.sequence <= end; });
      held_since = Clock::now();
    };
    scene.cut = capture_.hold_cut(jobs, taken, Clock::now() + patience_for_cut, stop);
    if (!scene.cut) return false;
    auto rests = hold_.wait_for_rest(Clock::now() + longest_hold, stop);
    if (!rests || rests->sequence != scene.cut->sequence) return false;
    failpoint("verify-apply-held");
    scene.target->begin();
    scene.keys = remembered_keys(settings_);
    log_debug("verify: apply was held for {:.1f} ms",
              std::chrono::duration<double, std::milli>(Clock::now() - held_since).count());
    return true;
  }

  const Settings& settings_;
  CaptureWorker& capture_;
  ApplyHold& hold_;
};

}  // namespace

std::unique_ptr<Prover> make_sqlite_prover(const Settings& settings, CaptureWorker& capture,
                                           ApplyHold& hold) {
  return std::make_unique<SqliteProver>(settings, capture, hold);
}

}  // namespace tidegate::verify
