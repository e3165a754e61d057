#include "replicator/cutover/forward.hpp"

#include "apply/postgres/target_fence.hpp"
#include "db/failpoint.hpp"
#include "replicator/cutover/guard.hpp"
#include "replicator/cutover/proof.hpp"
#include "replicator/cutover/target_before.hpp"
#include "replicator/server_access.hpp"

namespace tidegate::cutover {
namespace {

using namespace std::chrono_literals;

constexpr auto open_time = 1min;

}  // namespace

std::vector<Finding> Forward::examine(std::chrono::milliseconds calm, std::stop_token stop) {
  return cutover::examine(parts_, order_, calm, stop);
}

bool Forward::prepare(Clock::time_point until) {
  parts_.legacy.prepare(parts_);
  auto target = connect_target(connect_options(parts_.settings, "tidegate look"));
  remember_target(parts_.store, target, parts_.settings.pipeline);
  failpoint("cutover-target-remembered");
  auto trip = round_trip(parts_.coordination, parts_.legacy.has_shadow(), until);
  if (trip) full_compare_ = trip->took;
  return trip.has_value();
}

bool Forward::drain(Clock::time_point until) {
  const bool everything = parts_.legacy.has_shadow() && fits_into_a_hold(full_compare_, order_);
  auto trip = round_trip(parts_.coordination, everything, until);
  failpoint("cutover-drained");
  if (trip) drained_ = trip->sequence;
  return trip.has_value();
}

std::optional<std::string> Forward::prove(Clock::time_point until) {
  parts_.legacy.require_same_schema();
  auto proof = prove_target(parts_, drained_, until);
  failpoint("cutover-proven");
  return proof ? std::optional(proof->contradiction) : std::nullopt;
}

void Forward::record_start(Run& run, Clock::time_point until) {
  if (!order_.no_way_back) run.way_back_start = parts_.way_back.record_start(until);
}

std::optional<std::string> Forward::settle() {
  const Says says = parts_.legacy.says(true);
  return says.is_live ? std::nullopt : std::optional(says.run);
}

bool Forward::open(const Run& run) {
  failpoint("cutover-before-open");
  auto opened = [id = run.id](SourceView&, const TargetScene& scene) {
    std::vector<TablePlan> plans;
    for (const auto& [name, plan] : scene.plans) plans.push_back(plan);
    open_target(scene.session, plans, id);
  };
  return on_target(parts_, opened, Clock::now() + open_time);
}

}  // namespace tidegate::cutover
