#include <algorithm>

#include "apply/schema/native/dump_filter.hpp"
#include "apply/schema/native/native_plan.hpp"
#include "apply/schema/native/target_extensions.hpp"
#include "capture/postgres/catalog.hpp"
#include "capture/postgres/pg_dump.hpp"
#include "capture/postgres/publication.hpp"
#include "replicator/doctor/postgres_source.hpp"
#include "replicator/pipeline/mapping_setup.hpp"
#include "replicator/pipeline/planning.hpp"
#include "replicator/pipeline/rules_of_tables.hpp"
#include "replicator/server_access.hpp"

namespace tidegate {
namespace {

std::map<std::string, std::string> extensions_of_target(const Settings& settings) {
  if (settings.target.end.kind != Endpoint::Kind::postgres) return {};
  auto target = connect_target(connect_options(settings, "tidegate plan"));
  return read_target_extensions(target).installed;
}

std::vector<std::string> left_out(postgres::Connection& source, const std::vector<SourceTable>& chosen) {
  std::vector<std::string> names;
  for (const auto& table : capture::read_catalog(source, {}, {})) {
    bool is_chosen = std::any_of(chosen.begin(), chosen.end(),
                                 [&](const auto& each) { return each.name == table.source; });
    if (!is_chosen) names.push_back(table.source);
  }
  return names;
}

// What keeps the source's server from being replicated, as doctor says it; its tables' troubles are among
// that.
std::vector<Finding> server_obstacles(postgres::Connection& source, const Settings& settings) {
  const auto& from = settings.source.postgres;
  auto facts = read_postgres_source(source, settings.tables, slot_name(settings), publication_name(settings));
  auto findings = findings_of(facts, {from.set_identity_full, from.accept_unbounded_wal, from.wal_room});
  std::erase_if(findings, [](const Finding& one) { return one.level != Finding::Level::block; });
  return findings;
}

bool keeps_from_dumping(const Finding& finding) {
  return finding.code == "table-not-readable" || finding.code == "no-tables";
}

void find_obstacles(const std::vector<capture::PostgresTable>& tables, const Settings& settings,
                    std::vector<Finding>& findings) {
  auto obstacles = capture::publication_obstacles(tables);
  if (!settings.source.postgres.set_identity_full) {
    for (auto& obstacle : capture::identity_obstacles(tables)) obstacles.push_back(std::move(obstacle));
  }
  for (const auto& obstacle : obstacles) {
    findings.push_back(
        {Finding::Level::block, obstacle.code, obstacle.table, "", obstacle.message, obstacle.mend});
  }
}

// COPY and INSERT cannot name what such a table has.
void find_empty(const TablePlan& plan, std::vector<Finding>& findings) {
  if (!plan.columns.empty()) return;
  findings.push_back({Finding::Level::block, "no-columns", plan.source, "",
                      "table " + plan.source + " has no column that could be copied",
                      "leave it out ([tables] exclude)"});
}

}  // namespace

PlannedPipeline plan_postgres(const Settings& settings) {
  auto source = connect_source(source_options(settings, "tidegate plan"));
  auto tables = capture::read_catalog(source, settings.tables.include, settings.tables.exclude);
  PlannedPipeline planned;
  const auto maps = maps_of(settings);
  std::vector<FilledTable> mapped;
  for (const auto& table : tables) {
    FilledTable filled{capture::as_source_table(table), {table.estimated_rows, {}}};
    if (is_mapped(maps, table.source)) {
      mapped.push_back(std::move(filled));
      continue;
    }
    planned.tables.push_back(std::move(filled.source));
    planned.measures.push_back(std::move(filled.measure));
  }
  planned.findings = server_obstacles(source, settings);
  if (std::any_of(planned.findings.begin(), planned.findings.end(), keeps_from_dumping)) return planned;
  auto dump = capture::dump_schema(source, tables, {settings.source.postgres.pg_bin, ""});
  auto schema =
      filter_dump(dump, {planned.tables, left_out(source, planned.tables), capture::read_extensions(source),
                         extensions_of_target(settings), plan_options(settings)});
  for (const auto& table : planned.tables) planned.plans.push_back(native_plan(table, schema.moved));
  planned.ddl = std::move(schema.ddl);
  planned.ddl.at_end = std::move(schema.at_end);
  planned.findings.insert(planned.findings.end(), planned.ddl.findings.begin(), planned.ddl.findings.end());
  for (const auto& plan : planned.plans) find_empty(plan, planned.findings);
  plan_maps(planned, mapped, settings);
  for (auto& finding : idle_rules(settings, planned.plans)) planned.findings.push_back(std::move(finding));
  return planned;
}

// What is made before the load would be made once more for the tables that are there, so that is asked for
// the new one alone.
PlannedPipeline plan_new_table(const Settings& settings,
                               const std::vector<capture::PostgresTable>& replicated,
                               const capture::PostgresTable& table) {
  auto source = connect_source(source_options(settings, "tidegate plan"));
  auto tables = replicated;
  tables.push_back(table);
  std::vector<SourceTable> described;
  for (const auto& each : tables) described.push_back(capture::as_source_table(each));
  auto others = left_out(source, described);
  DumpChoice choice{std::move(described), std::move(others), capture::read_extensions(source),
                    extensions_of_target(settings), plan_options(settings)};
  auto dump = capture::dump_schema(source, tables, {settings.source.postgres.pg_bin, ""});
  auto all = filter_dump(dump, choice);
  choice.tables = {capture::as_source_table(table)};
  auto own = filter_dump(dump, choice);
  PlannedPipeline planned;
  planned.tables = choice.tables;
  planned.plans = {native_plan(choice.tables.front(), own.moved)};
  planned.ddl.before_load = std::move(own.ddl.before_load);
  for (auto& object : all.ddl.after_load) {
    if (object.table == table.source) planned.ddl.after_load.push_back(std::move(object));
  }
  find_obstacles({table}, settings, planned.findings);
  find_empty(planned.plans.front(), planned.findings);
  return planned;
}

}  // namespace tidegate
