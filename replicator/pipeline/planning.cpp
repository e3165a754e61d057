#include "replicator/pipeline/planning.hpp"

#include "apply/schema/ddl.hpp"
#include "capture/sqlite/catalog.hpp"
#include "replicator/failure.hpp"
#include "replicator/pipeline/mapping_setup.hpp"
#include "replicator/pipeline/realtime.hpp"
#include "replicator/pipeline/rules_of_tables.hpp"
#include "replicator/pipeline/source_orphans.hpp"

namespace tidegate {

using namespace std::chrono_literals;

void refuse_blocking(const std::vector<Finding>& findings) {
  for (const auto& finding : findings) {
    if (finding.level == Finding::Level::block)
      throw Coded<Refused>(finding.code, finding.message, finding.mend);
  }
}

PlanOptions plan_options(const Settings& settings) {
  PlanOptions options;
  for (const auto& rule : settings.rules)
    options.rules.push_back({rule.table, rule.column, {rule.on, rule.remedy}});
  for (const auto& grant : settings.target.grants) options.grants.push_back({grant.role, grant.privileges});
  options.revoke_from = {"anon", "authenticated", "service_role"};
  return options;
}

CaptureOptions capture_options(const Settings& settings) {
  CaptureOptions options;
  options.path = settings.source.end.path;
  options.include = settings.tables.include;
  options.exclude = settings.tables.exclude;
  options.carry_schema_changes = settings.source.on_schema_change == OnSchemaChange::carry;
  options.may_write_barrier = settings.source.writers == Writers::waits;
  for (const auto& map : settings.maps) options.fill_last.push_back(map.from);  // as they are copied
  return options;
}

PlannedPipeline plan_pipeline(const std::vector<FilledTable>& tables, const Settings& settings) {
  PlannedPipeline planned;
  PlanOptions options = plan_options(settings);
  const auto maps = maps_of(settings);
  std::vector<FilledTable> mapped;
  for (const auto& table : tables) {
    if (is_mapped(maps, table.source.name)) {
      mapped.push_back(table);
      continue;
    }
    auto one = plan_table(table.source, table.measure, options);
    planned.tables.push_back(table.source);
    planned.measures.push_back(table.measure);
    planned.plans.push_back(std::move(one.plan));
    planned.findings.insert(planned.findings.end(), one.findings.begin(), one.findings.end());
  }
  planned.ddl = make_ddl(planned.tables, planned.plans, options);
  planned.findings.insert(planned.findings.end(), planned.ddl.findings.begin(), planned.ddl.findings.end());
  plan_maps(planned, mapped, settings);
  for (auto& finding : idle_rules(settings, planned.plans)) planned.findings.push_back(std::move(finding));
  return planned;
}

PlannedPipeline plan_from_catalogue(const Settings& settings) {
  if (settings.source.end.kind == Endpoint::Kind::postgres) return plan_postgres(settings);
  sqlite::Database live(settings.source.end.path, sqlite::Database::Mode::read_write, 5000ms);
  live.execute("PRAGMA query_only = ON");
  std::vector<FilledTable> tables;
  for (auto& source : capture::read_catalog(live, settings.tables.include, settings.tables.exclude)) {
    FilledTable& table = tables.emplace_back(FilledTable{std::move(source), {}});
    table.measure.columns.resize(table.source.columns.size());
  }
  return plan_pipeline(tables, settings);
}

namespace {

// The orphans of mapped tables are the mapping's own business: it says what becomes their parent.
std::vector<Finding> orphans_without_map(const std::vector<FilledTable>& filled, const Settings& settings) {
  const auto maps = maps_of(settings);
  std::vector<SourceTable> tables;
  for (const auto& table : filled) {
    if (!is_mapped(maps, table.source.name)) tables.push_back(table.source);
  }
  return find_orphans(settings.source.end.path, tables, declared_references(tables));
}

PlannedPipeline plan_from_file(const Settings& settings) {
  const auto tables = measure_source(capture_options(settings), [](const std::string&, std::uint64_t) {});
  PlannedPipeline planned = plan_pipeline(tables, settings);
  for (auto& finding : orphans_without_map(tables, settings)) planned.findings.push_back(std::move(finding));
  return planned;
}

}  // namespace

PlannedPipeline plan_from_source(const Settings& settings) {
  if (settings.source.end.kind == Endpoint::Kind::postgres) return plan_postgres(settings);
  try {
    return plan_from_file(settings);
  } catch (const Refused& refused) {
    if (refused.code() != "wal-needed") throw;
    PlannedPipeline planned = plan_from_catalogue(settings);
    auto level = settings.source.allow_wal ? Finding::Level::warn : Finding::Level::block;
    planned.findings.insert(
        planned.findings.begin(),
        {level, "wal-needed", "", "",
         refused.message() + ": rows are not counted here, and types are those that were declared",
         refused.mend()});
    return planned;
  }
}

std::vector<Finding> fit_findings(postgres::Connection& target, const PlannedPipeline& planned,
                                  const Settings& settings) {
  std::vector<MeasuredTable> measured;
  for (std::size_t i = 0; i < planned.tables.size(); ++i)
    measured.push_back({planned.tables[i], planned.measures[i]});
  auto plans = planned.plans;
  return examine_fit(target, plans, tables_options(settings), measured).findings;
}

std::vector<Finding> realtime_findings(postgres::Connection& target, const PlannedPipeline& planned,
                                       const Settings& settings) {
  std::vector<TablePlan> made;
  for (const TablePlan& plan : planned.plans) {
    if (plan.from.empty() && settings.target.schema == TargetSchema::create) made.push_back(plan);
  }
  return find_realtime(target, settings.target.realtime, made);
}

TargetTablesOptions tables_options(const Settings& settings) {
  return {plan_options(settings), settings.target.schema == TargetSchema::create, settings.adopt,
          static_cast<int>(settings.source.postgres.jobs)};
}

}  // namespace tidegate
