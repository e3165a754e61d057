#include "replicator/pipeline/resync_worker.hpp"

#include "apply/postgres/resync_merge.hpp"
#include "apply/postgres/target_tables.hpp"
#include "db/failpoint.hpp"
#include "replicator/log.hpp"
#include "replicator/pipeline/source_view.hpp"

namespace tidegate {
namespace {

using namespace std::chrono_literals;

constexpr auto between_looks = 50ms;

bool made_by_us(TargetSession& session, const std::string& table) {
  auto row = session.connection().run(
      "SELECT created_by_us FROM tidegate.tables WHERE pipeline = $1 AND source_table = $2",
      {session.pipeline(), table});
  return row.rows() == 1 && row.boolean(0, 0);
}

// The staging table has the shape that the table is to get.
TablePlan plan_to_be(const TablePlan& plan, const Resync& resync) {
  if (!resync.staging) return plan;
  TablePlan to_be = *resync.staging;
  to_be.source = plan.source;
  to_be.schema = plan.schema;
  to_be.target = plan.target;
  return to_be;
}

}  // namespace

// All that lives as long as the thread's connection. `own` says into which table the changes go; all plans
// are there so that references between the pipeline's tables are told from those of others.
struct ResyncWorker::Lane {
  Lane(const LaneScene& scene, const std::string& name, const Plans& all)
      : view(scene.source.view()),
        table(name),
        target(scene.lease, name),
        journal(scene.state_path),
        quarantine(target),
        summary(target),
        tables(target, scene.tables, [](const auto&, const auto&) { return Ddl{}; }),
        limits(scene.limits),
        plans(all) {}

  TargetScene scene(const Plans& of) {
    return {target, tables, quarantine, summary, of, unmapped, [](const auto&, const auto&) { return false; },
            [] {}};
  }
  void into(const TablePlan& plan) {
    own = {{table, plan}};
    plans.insert_or_assign(table, plan);
  }
  void begin_to_follow() {
    copied = view->copied(target, own);
    sink = view->sink(scene(plans));
    applier = std::make_unique<Applier>(journal, *sink, copied, limits, [](const auto&, auto) {});
    applier->take_only(table);
  }
  bool step(std::uint64_t until) {
    BatchOutcome outcome;
    return target.position().sequence < until &&
           applier->step(outcome, [until](const auto& entry) { return entry.sequence <= until; });
  }

  std::unique_ptr<SourceView> view;
  std::string table;
  TargetSession target;
  JournalReader journal;
  Quarantine quarantine;
  CheckpointSummary summary;
  TargetTables tables;
  BatchLimits limits;
  Plans plans, own;
  Mapping unmapped{{}, {}, {}};  // mapped tables have no lane
  ChunkMap copied;
  std::unique_ptr<Sink> sink;
  std::unique_ptr<Applier> applier;
};

ResyncWorker::ResyncWorker(const LaneScene& scene, Resync resync, const Plans& plans)
    : scene_(scene),
      resync_(std::move(resync)),
      plans_(plans),
      plan_(plan_to_be(plans.at(resync_.table), resync_)),
      until_(resync_.until) {
  thread_ = std::jthread([this](const std::stop_token& stop) { run_to_the_end(stop); });
}

void ResyncWorker::run_to_the_end(const std::stop_token& stop) {
  std::exception_ptr failure;
  try {
    run(stop);
  } catch (...) {
    failure = std::current_exception();
  }
  std::lock_guard lock(mutex_);
  failure_ = failure;
  ended_ = true;
  changed_.notify_all();
}

ResyncWorker::~ResyncWorker() = default;

ResyncWorker::Wish ResyncWorker::wish() const {
  std::lock_guard lock(mutex_);
  return ended_ ? Wish::nothing : wish_;
}

std::exception_ptr ResyncWorker::failure() const {
  std::lock_guard lock(mutex_);
  return failure_;
}

void ResyncWorker::wish(Wish wish) {
  std::lock_guard lock(mutex_);
  wish_ = wish;
}

void ResyncWorker::held(std::uint64_t until) {
  std::lock_guard lock(mutex_);
  wish_ = Wish::nothing;
  until_ = until;
  changed_.notify_all();
}

bool ResyncWorker::come(std::uint64_t sequence) {
  held(sequence);
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return ended_; });
  return !failure_;
}

std::optional<std::uint64_t> ResyncWorker::granted() const {
  std::lock_guard lock(mutex_);
  return until_;
}

void ResyncWorker::wait(const std::stop_token& stop, std::chrono::milliseconds most) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, stop, most, [this, had = until_] { return until_ != had; });
}

void ResyncWorker::run(const std::stop_token& stop) {
  Lane lane(scene_, resync_.table, plans_);
  lane.into(resync_.staging.value_or(plan_));
  if (resync_.state == ResyncState::copying) copy(lane, stop);
  if (resync_.state == ResyncState::following) follow(lane, stop);
  if (resync_.state == ResyncState::merging) merge(lane, stop);
  if (resync_.state == ResyncState::rejoining) rejoin(lane, stop);
}

void ResyncWorker::copy(Lane& lane, const std::stop_token& stop) {
  if (!lane.view->copy_again(lane.scene(lane.own), stop)) return;
  TargetTransaction transaction(lane.target);
  // A first copy is no staging table's: what follows it goes into the table itself.
  auto next = resync_.is_first_copy() ? ResyncState::rejoining : ResyncState::following;
  change_state(lane.target, resync_.table, next);
  transaction.commit();
  failpoint("resync-copied");
  resync_.state = next;
}

void ResyncWorker::follow(Lane& lane, const std::stop_token& stop) {
  lane.begin_to_follow();
  while (!stop.stop_requested() && !granted()) {
    if (lane.step(scene_.coordination.applied())) continue;
    if (lane.view->passed_snapshot(lane.copied, lane.target.position().sequence)) wish(Wish::hold);
    wait(stop, between_looks);
  }
  if (granted()) resync_.state = ResyncState::merging;
}

void ResyncWorker::merge(Lane& lane, const std::stop_token& stop) {
  if (!lane.applier) lane.begin_to_follow();
  while (lane.step(*granted())) {
    if (stop.stop_requested()) return;
  }
  bool ours = made_by_us(lane.target, resync_.table);
  MergeTask task{plan_, *resync_.staging, ours || !scene_.tables.adopt};
  OutsideReferences references(lane.target, plans_);
  {
    lane.quarantine.rolled_back();
    TargetTransaction transaction(lane.target);
    merge_rows(lane.target, lane.quarantine, references, task);
    take_over_records(lane.target, plan_, *resync_.staging);
    failpoint("resync-before-merge");
    transaction.commit();
  }
  failpoint("resync-after-merge");
  {
    std::lock_guard lock(mutex_);
    until_.reset();
  }
  resync_.state = ResyncState::rejoining;
  lane.into(plan_);
  lane.quarantine.committed();
  lane.quarantine.read_again();
  lane.begin_to_follow();
}

void ResyncWorker::rejoin(Lane& lane, const std::stop_token& stop) {
  if (!lane.applier) lane.begin_to_follow();
  while (!stop.stop_requested() && !granted()) {
    if (lane.step(scene_.coordination.applied())) continue;
    if (lane.view->passed_snapshot(lane.copied, lane.target.position().sequence)) wish(Wish::rejoin);
    wait(stop, between_looks);
  }
  while (granted() && lane.step(*granted())) {
    if (stop.stop_requested()) return;
  }
}

}  // namespace tidegate
