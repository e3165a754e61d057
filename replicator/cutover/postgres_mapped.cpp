#include "replicator/cutover/postgres_mapped.hpp"

#include "apply/postgres/target_tables.hpp"
#include "replicator/cutover/back_plans.hpp"
#include "replicator/server_access.hpp"

namespace tidegate::cutover {

// A connection that fails is an Error, which the way back outlives.
PostgresMapped::Recorded PostgresMapped::recorded_at_target(const Settings& settings) {
  postgres::Connection target(connect_options(settings, "tidegate way back"));
  auto plans = recorded_plans(target, settings.pipeline);
  auto followed = followed_tables(target, plans);
  return {std::move(plans), std::move(followed)};
}

PostgresMapped::PostgresMapped(const Settings& settings, Into into)
    : into_(into),
      recorded_(recorded_at_target(settings)),
      tables_(legacy_tables(into.session.connection(), settings)),
      way_(settings, recorded_.plans, tables_, recorded_.followed),
      side_(into.session, into.quarantine, into.plans) {
  for (const Finding& finding : way_.findings())
    if (finding.level == Finding::Level::block) throw Refused(finding.code, finding.message, finding.mend);
}

void PostgresMapped::follow(NativeSink& native, const std::string& journal_path) {
  running_ = way_.start(side_, journal_path, into_.session.position().sequence);
  sink_.emplace(native, side_, rows());
}

void PostgresMapped::begin_anew(NativeSink& native, postgres::Connection& snapshot) {
  running_ = way_.start_anew(side_, snapshot);
  sink_.emplace(native, side_, rows());
}

}  // namespace tidegate::cutover
