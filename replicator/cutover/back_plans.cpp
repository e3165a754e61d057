#include "replicator/cutover/back_plans.hpp"

#include <algorithm>
#include <set>

#include "apply/mapping/back/condition_check.hpp"
#include "apply/postgres/legacy_side.hpp"
#include "apply/postgres/postgres_side.hpp"
#include "apply/postgres/target_tables.hpp"
#include "capture/postgres/catalog.hpp"
#include "replicator/cutover/mapped_way_back.hpp"
#include "replicator/pipeline/mapping_setup.hpp"

namespace tidegate::cutover {

std::vector<SourceTable> legacy_tables(postgres::Connection& legacy, const Settings& settings) {
  std::vector<SourceTable> tables;
  for (const auto& table : capture::read_catalog(legacy, settings.tables.include, settings.tables.exclude)) {
    SourceTable& described = tables.emplace_back(capture::as_source_table(table));
    auto keys = legacy.run(
        "SELECT c.oid, a.attname, c.confrelid::pg_catalog.regclass::text FROM pg_catalog.pg_constraint AS c "
        "CROSS JOIN pg_catalog.unnest(c.conkey) WITH ORDINALITY AS k(number, place) JOIN "
        "pg_catalog.pg_attribute AS a ON a.attrelid = c.conrelid AND a.attnum = k.number WHERE c.contype = "
        "'f' AND c.conrelid = $1::oid ORDER BY 1, k.place",
        {std::to_string(table.oid)});
    for (int i = 0; i < keys.rows(); ++i) {
      const bool is_new = i == 0 || keys.text(i, 0) != keys.text(i - 1, 0);
      if (is_new) described.foreign_keys.emplace_back().parent = keys.text(i, 2);
      described.foreign_keys.back().columns.emplace_back(keys.text(i, 1));
    }
  }
  return tables;
}

namespace {

void plan_unmapped(postgres::Connection& target, const std::vector<TablePlan>& forward, BackPlans& back) {
  std::vector<std::string> names;
  for (const auto& plan : forward) names.push_back(shown_name(plan));
  const auto tables =
      names.empty() ? std::vector<capture::PostgresTable>{} : capture::read_catalog(target, names, {});
  for (const auto& plan : forward) {
    const auto table = std::find_if(tables.begin(), tables.end(),
                                    [&](const auto& each) { return each.source == shown_name(plan); });
    if (table == tables.end())
      throw Refused("way-back-schema-changed", "the target has no table " + shown_name(plan) + " any more",
                    "restore the table");
    back.plans.push_back(plan_back(plan, table->identity));
    back.followed.push_back(back.plans.back().source);
  }
}

void plan_mapped(const MappedWayBack& mapped, const std::vector<SourceTable>& tables,
                 const std::set<std::string>& followed, BackPlans& back) {
  for (const ReturnPlan& plan : mapped.plans()) {
    const auto table = std::find_if(tables.begin(), tables.end(),
                                    [&](const SourceTable& each) { return each.name == plan.table; });
    back.plans.push_back(returned_plan(plan, *table));
    for (const ReturnOutput& output : plan.outputs) {
      const std::string name = output.from.target->schema + "." + output.from.target->table;
      const bool is_new = std::find(back.followed.begin(), back.followed.end(), name) == back.followed.end();
      if (is_new && followed.contains(name)) back.followed.push_back(name);
    }
  }
  back.findings = mapped.findings();
}

}  // namespace

BackPlans plans_back(postgres::Connection& target, postgres::Connection& legacy, const Settings& settings) {
  auto forward = recorded_plans(target, settings.pipeline);
  const auto mapped = std::stable_partition(forward.begin(), forward.end(),
                                            [](const auto& plan) { return plan.from.empty(); });
  const std::vector<TablePlan> made(mapped, forward.end());
  forward.erase(mapped, forward.end());
  BackPlans back;
  plan_unmapped(target, forward, back);
  if (made.empty()) return back;
  const auto tables = legacy_tables(legacy, settings);
  const auto followed = followed_tables(target, made);
  plan_mapped(MappedWayBack(settings, made, tables, followed), tables, followed, back);
  for (Finding& finding : condition_findings(target, maps_of(settings)))
    back.findings.push_back(std::move(finding));
  return back;
}

}  // namespace tidegate::cutover
