#include <fmt/format.h>

#include "apply/mapping/back/condition_check.hpp"
#include "apply/postgres/replica_mode.hpp"
#include "apply/postgres/target_fence.hpp"
#include "apply/postgres/target_fit.hpp"
#include "db/error.hpp"
#include "db/postgres.hpp"
#include "replicator/doctor/doctor.hpp"
#include "replicator/doctor/server_link.hpp"
#include "replicator/doctor/target_server.hpp"
#include "replicator/pipeline/daemon.hpp"
#include "replicator/pipeline/mapping_setup.hpp"
#include "replicator/pipeline/realtime.hpp"
#include "replicator/pipeline/rounded_columns.hpp"
#include "replicator/pipeline/target_scripts.hpp"
#include "replicator/server_access.hpp"

namespace tidegate {
namespace {

using Level = Finding::Level;

constexpr int oldest_server = 140000;  // PostgreSQL 14

bool may(postgres::Connection& target, const std::string& question) {
  return target.run(question).boolean(0, 0);
}

void check_rights(postgres::Connection& target, std::vector<Finding>& findings) {
  if (!may(target, "SELECT pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CREATE')")) {
    findings.push_back(
        {Level::block, "no-create-on-database", "", "",
         "the target's role may not create the schema tidegate",
         "GRANT CREATE ON DATABASE to it, or connect as the role `postgres` of the Supabase project"});
  }
  if (!may(target, "SELECT pg_catalog.has_schema_privilege('public', 'CREATE')")) {
    findings.push_back({Level::block, "no-create-on-schema", "", "",
                        "the target's role may not create tables in schema public",
                        "GRANT CREATE ON SCHEMA public to it"});
  }
}

void check_replica_mode(postgres::Connection& target, std::vector<Finding>& findings) {
  if (!may_set_replica_mode(target)) {
    findings.push_back(
        {Level::warn, "no-replica-mode", "", "",
         "the target's role may not set session_replication_role, so triggers and foreign keys of the target "
         "act on what tidegate writes",
         "connect as the role `postgres` of the Supabase project"});
  }
}

// The tables that a first run would meet. Those of a pipeline that is here already are tidegate's own.
void check_tables(postgres::Connection& target, const Settings& settings,
                  const std::optional<PlannedPipeline>& measured, std::vector<Finding>& findings) {
  bool known = may(target, "SELECT pg_catalog.to_regclass('tidegate.pipelines') IS NOT NULL") &&
               may(target, "SELECT EXISTS (SELECT FROM tidegate.pipelines WHERE pipeline = " +
                               postgres::literal(settings.pipeline) + ")");
  if (known) {
    const std::string live = ask_target(target, settings.pipeline).is_live ? " and is the live side" : "";
    findings.push_back({Level::note, "target-in-use", "", "",
                        "the target holds pipeline " + settings.pipeline + " already" + live +
                            ": `tidegate run` on the same state directory goes on with it",
                        ""});
    for (auto& finding : find_realtime(target, settings.target.realtime, {}))
      findings.push_back(std::move(finding));
    for (auto& finding : condition_findings(target, maps_of(settings)))
      findings.push_back(std::move(finding));
    return;
  }
  try {
    require_scripts(settings.target);
    const auto planned = measured ? *measured : plan_from_catalogue(settings);
    for (auto& finding : fit_findings(target, planned, settings)) findings.push_back(std::move(finding));
    for (auto& finding : find_rounded(target, settings, planned)) findings.push_back(std::move(finding));
    for (auto& finding : condition_findings(target, maps_of(settings)))
      findings.push_back(std::move(finding));
    for (auto& finding : find_what_acts(target, planned.plans, may_set_replica_mode(target)))
      findings.push_back(std::move(finding));
    for (auto& finding : realtime_findings(target, planned, settings)) findings.push_back(std::move(finding));
    for (auto& finding : find_unfilled(target, planned.plans)) findings.push_back(std::move(finding));
    for (auto& finding : find_published(target, planned.plans)) findings.push_back(std::move(finding));
  } catch (const Refused& refused) {
    findings.push_back({Level::block, refused.code(), "", "", refused.message(), refused.mend()});
  }
}

}  // namespace

std::vector<Finding> examine_target_tables(const Settings& settings,
                                           const std::optional<PlannedPipeline>& planned) {
  std::vector<Finding> findings;
  auto target = connect_target(connect_options(settings, "tidegate doctor"));
  check_tables(target, settings, planned, findings);
  return findings;
}

std::vector<Finding> examine_target(const Settings& settings) {
  std::vector<Finding> findings;
  auto target = connect_target(connect_options(settings, "tidegate doctor"));
  if (target.server_version() < oldest_server) {
    findings.push_back(
        {Level::block, "server-too-old", "", "", "the target is older than PostgreSQL 14", "upgrade it"});
  }
  check_rights(target, findings);
  check_replica_mode(target, findings);
  for (auto& finding : findings_of(read_link(target, settings.target.end, settings.target.ca_file), "target"))
    findings.push_back(std::move(finding));
  for (auto& finding : findings_of(read_target_server(target, settings)))
    findings.push_back(std::move(finding));
  return findings;
}

std::vector<Finding> examine_versions(const Settings& settings) {
  if (settings.source.end.kind != Endpoint::Kind::postgres) return {};
  auto source = connect_source(source_options(settings, "tidegate doctor"));
  auto target = connect_target(connect_options(settings, "tidegate doctor"));
  return version_findings(source.server_version(), target.server_version());
}

}  // namespace tidegate
