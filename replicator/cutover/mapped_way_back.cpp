#include "replicator/cutover/mapped_way_back.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "replicator/pipeline/mapping_setup.hpp"
#include "replicator/server_access.hpp"
#include "replicator/verify/xid_snapshot.hpp"

namespace tidegate::cutover {
namespace {

using namespace std::chrono_literals;

constexpr auto between_looks = 2ms, longest_wait = 10000ms;

std::string name_of(const MapTarget& target) {
  return target.schema + "." + target.table;
}

// A commit comes by the stream a moment before snapshots see it.
class SeenTarget : public TargetLook {
 public:
  // `seen`: what was applied before needs no look.
  SeenTarget(const postgres::ConnectOptions& options, const std::string& journal_path, std::uint64_t seen)
      : target_(options), journal_(journal_path), seen_(seen) {
    target_.run("SET row_security = off; SET jit = off");
  }

  postgres::Connection& at(std::uint64_t sequence) override {
    const auto until = std::chrono::steady_clock::now() + longest_wait;
    while (!sees(sequence)) {
      if (std::chrono::steady_clock::now() > until)
        throw Error("the target does not show what it has committed", "", Advice::retry);
      std::this_thread::sleep_for(between_looks);
    }
    return target_;
  }
  void done() override { snapshot_.reset(); }

 private:
  bool sees(std::uint64_t sequence) {
    snapshot_.reset();
    snapshot_.emplace(target_, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
    const verify::XidSnapshot snapshot(target_.run("SELECT pg_catalog.pg_current_snapshot()").text(0, 0));
    for (; seen_ < sequence; ++seen_) {
      const auto entry = journal_.next(seen_);
      if (entry && entry->part.stamp && !snapshot.sees(entry->part.stamp->xid)) return false;
    }
    return true;
  }

  postgres::Connection target_;
  JournalReader journal_;
  std::uint64_t seen_;
  std::optional<postgres::Transaction> snapshot_;
};

class Snapshot : public TargetLook {
 public:
  explicit Snapshot(postgres::Connection& target) : target_(target) {}
  postgres::Connection& at(std::uint64_t) override { return target_; }
  void done() override {}

 private:
  postgres::Connection& target_;
};

}  // namespace

std::set<std::string> followed_tables(postgres::Connection& target, const std::vector<TablePlan>& plans) {
  std::set<std::string> followed;
  for (const TablePlan& plan : plans) {
    auto row = target.run(
        "SELECT pg_catalog.pg_has_role(relowner, 'USAGE') FROM pg_catalog.pg_class WHERE oid = "
        "pg_catalog.to_regclass($1)",
        {quoted_name(plan)});
    if (row.rows() == 1 && row.boolean(0, 0)) followed.insert(plan.schema + "." + plan.target);
  }
  return followed;
}

struct MappedWayBack::Running {
  Running(LegacySide& legacy, const MappedWayBack& of, std::unique_ptr<TargetLook> look)
      : keys(std::make_shared<ReturnKeys>(legacy.pairs(), remembered_keys(of.settings_))),
        target(std::move(look)),
        rows(legacy, *keys, *target, of.tables(), mapping_options(of.settings_, keys)) {}

  std::shared_ptr<ReturnKeys> keys;
  std::unique_ptr<TargetLook> target;
  MappedReturn rows;
};

MappedWayBack::MappedWayBack(const Settings& settings, const std::vector<TablePlan>& recorded,
                             const std::vector<SourceTable>& sources, const std::set<std::string>& followed)
    : settings_(settings),
      recorded_(recorded),
      sources_(sources),
      followed_(followed),
      maps_(maps_of(settings)),
      plans_(plan_returns(maps_, sources,
                          [&](const MapTarget& target) { return followed.contains(name_of(target)); })) {}

std::vector<Finding> MappedWayBack::findings() const {
  std::vector<Finding> found;
  for (const ReturnPlan& plan : plans_) {
    found.insert(found.end(), plan.findings.begin(), plan.findings.end());
    for (std::size_t i = 0; i < plan.columns.size(); ++i) {
      const auto& source = plan.columns[i];
      const std::string table = name_of(*plan.outputs[source.output].from.target);
      if (source.kind == ReturnSource::Kind::stays || followed_.contains(table)) continue;
      found.push_back(
          {Finding::Level::warn, "way-back-not-followed", plan.table, "",
           fmt::format("changes of {} alone do not come back: it is another role's, which alone could "
                       "publish it. A column of {} is read from it when the row of {} changes",
                       table, plan.table, name_of(*plan.outputs[plan.anchor].from.target)),
           "GRANT its owner's role to tidegate's role, if the platform lets you"});
      break;
    }
  }
  return found;
}

std::vector<ReturnedTable> MappedWayBack::tables() const {
  std::vector<ReturnedTable> tables;
  for (const ReturnPlan& plan : plans_) {
    const auto source = std::find_if(sources_.begin(), sources_.end(),
                                     [&](const SourceTable& table) { return table.name == plan.table; });
    ReturnedTable& table = tables.emplace_back(ReturnedTable{
        plan, *source, relation_of(*source, settings_.source.end.kind == Endpoint::Kind::postgres), {}});
    for (const ReturnOutput& output : plan.outputs) {
      const auto recorded = std::find_if(recorded_.begin(), recorded_.end(), [&](const TablePlan& each) {
        return each.source == output.from.name;
      });
      if (recorded == recorded_.end())
        throw Error("the target has no record of " + output.from.name, "", Advice::stop);
      table.plans.push_back(*recorded);
    }
  }
  return tables;
}

std::shared_ptr<MappedWayBack::Running> MappedWayBack::start(LegacySide& legacy,
                                                             const std::string& journal_path,
                                                             std::uint64_t sequence) const {
  if (maps_.empty()) return nullptr;
  return std::make_shared<Running>(
      legacy, *this,
      std::make_unique<SeenTarget>(connect_options(settings_, "tidegate way back rows"), journal_path,
                                   sequence));
}

std::shared_ptr<MappedWayBack::Running> MappedWayBack::start_anew(LegacySide& legacy,
                                                                  postgres::Connection& snapshot) const {
  if (maps_.empty()) return nullptr;
  return std::make_shared<Running>(legacy, *this, std::make_unique<Snapshot>(snapshot));
}

MappedReturn* MappedWayBack::rows_of(const std::shared_ptr<Running>& running) {
  return running ? &running->rows : nullptr;
}

}  // namespace tidegate::cutover
