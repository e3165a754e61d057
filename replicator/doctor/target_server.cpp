#include "replicator/doctor/target_server.hpp"

#include <fmt/format.h>

#include "capture/postgres/pg_dump.hpp"
#include "db/error.hpp"
#include "replicator/config/units.hpp"

namespace tidegate {
namespace {

using Level = Finding::Level;

constexpr const char* facts_sql = R"(
SELECT pg_catalog.pg_encoding_to_char(d.encoding),
  (SELECT r.rolreplication OR r.rolsuper FROM pg_catalog.pg_roles r WHERE r.rolname = current_user)
FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database())";

constexpr const char* acting_triggers_sql = R"(
SELECT t.tgname FROM pg_catalog.pg_trigger t JOIN pg_catalog.pg_proc p ON p.oid = t.tgfoid
JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
WHERE t.tgrelid = pg_catalog.to_regclass($1) AND NOT t.tgisinternal AND n.nspname <> 'tidegate'
  AND (t.tgenabled IN ('A', 'R') OR (t.tgenabled = 'O' AND NOT $2::boolean))
ORDER BY 1)";

std::string backup_obstacle(const Settings& settings, int server_version) {
  try {
    capture::find_pg_dump(settings.source.postgres.pg_bin, server_version);
    return "";
  } catch (const Refused& refused) {
    return refused.message();
  }
}

class Judge {
 public:
  explicit Judge(const TargetServerFacts& facts) : facts_(facts) {}

  std::vector<Finding> all() {
    if (facts_.encoding != "UTF8")
      find(Level::block, "target-encoding",
           "the target's database has the encoding " + facts_.encoding + ": texts may not fit into it",
           "make a database with ENCODING 'UTF8'");
    if (!facts_.backup_obstacle.empty())
      find(Level::warn, "no-backup-tool", "no backup of the target could be taken: " + facts_.backup_obstacle,
           fmt::format("install postgresql-client-{}, or say where it is ([source] pg_bin)",
                       facts_.server.version / 10000));
    way_back();
    return std::move(findings_);
  }

 private:
  void find(Level level, const char* code, std::string message, std::string mend) {
    findings_.push_back({level, code, "", "", std::move(message), std::move(mend)});
  }

  void way_back() {
    std::string why;
    if (facts_.server.wal_level != "logical") why = "its wal_level is " + facts_.server.wal_level;
    if (facts_.server.slots_free() < 1) why = "all of its replication slots are taken";
    if (facts_.server.senders_free() < 1) why = "all of its WAL senders are taken";
    if (!facts_.may_replicate) why = "our role may not replicate from it";
    if (!why.empty())
      return find(Level::warn, "no-way-back-yet", "after a cutover the target could not stream back: " + why,
                  "mend that before the cutover, or cut over without a way back");
    const auto limit = facts_.server.max_slot_wal_keep_size;
    find(Level::note, "way-back-slot-limit",
         limit < 0
             ? "after a cutover the target keeps WAL for the way back without limit, while tidegate is away"
             : fmt::format("after a cutover the target keeps {} of WAL for the way back: away for longer, "
                           "there is no rollback any more",
                           format_size(static_cast<std::uint64_t>(limit))),
         "");
  }

  const TargetServerFacts& facts_;
  std::vector<Finding> findings_;
};

void find_triggers(postgres::Connection& target, const TablePlan& plan, bool replica_mode,
                   std::vector<Finding>& findings) {
  auto rows = target.run(acting_triggers_sql, {quoted_name(plan), replica_mode ? "true" : "false"});
  for (int i = 0; i < rows.rows(); ++i)
    findings.push_back(
        {Level::warn, "target-trigger-fires", plan.source, "",
         fmt::format("trigger {} of {} acts on every row that tidegate writes", rows.text(i, 0),
                     shown_name(plan)),
         "disable it until the cutover (ALTER TABLE … DISABLE TRIGGER), unless it is meant to"});
}

void find_policies(postgres::Connection& target, const TablePlan& plan, std::vector<Finding>& findings) {
  auto row =
      target.run("SELECT pg_catalog.row_security_active(pg_catalog.to_regclass($1))", {quoted_name(plan)});
  if (row.is_null(0, 0) || !row.boolean(0, 0)) return;
  findings.push_back(
      {Level::block, "target-row-security", plan.source, "",
       "policies of " + shown_name(plan) + " hold for the target's role: rows would be refused, or not found",
       "connect as a role with BYPASSRLS, or as the table's owner"});
}

}  // namespace

TargetServerFacts read_target_server(postgres::Connection& target, const Settings& settings) {
  TargetServerFacts facts;
  facts.server = capture::watch(target, "").server;
  auto row = target.run(facts_sql);
  facts.encoding = row.text(0, 0);
  facts.may_replicate = row.boolean(0, 1);
  facts.backup_obstacle = backup_obstacle(settings, target.server_version());
  return facts;
}

std::vector<Finding> findings_of(const TargetServerFacts& facts) {
  return Judge(facts).all();
}

std::vector<Finding> version_findings(int source, int target) {
  constexpr int of_major = 10000;
  if (source / of_major == target / of_major) return {};
  const bool older = target < source;
  return {
      {older ? Level::warn : Level::note, older ? "target-older-than-source" : "target-newer-than-source", "",
       "",
       fmt::format("the source is PostgreSQL {}, the target {}{}", source / of_major, target / of_major,
                   older ? ": what only the newer one knows of types, indexes and DDL is refused there" : ""),
       older ? "look at `tidegate plan`, and rehearse it on a target of that version" : ""}};
}

std::vector<Finding> find_what_acts(postgres::Connection& target, const std::vector<TablePlan>& plans,
                                    bool replica_mode) {
  std::vector<Finding> findings;
  for (const TablePlan& plan : plans) {
    find_triggers(target, plan, replica_mode, findings);
    find_policies(target, plan, findings);
  }
  return findings;
}

}  // namespace tidegate
