#include "replicator/pipeline/apply_session.hpp"

#include <algorithm>
#include <utility>

namespace tidegate {

ApplySession::ApplySession(const ApplyWorkerOptions& options, JournalReader& journal, SourceWorker& source)
    : view(source.view()),
      target(options.target, journal.incarnation()),
      journal(journal),
      tables(target, options.tables,
             [this](const auto& sources, const auto& plans) { return view->ddl(sources, plans); }),
      quarantine(target),
      summary(target),
      mapping(options.maps, options.mapping, [this](const std::string& name) { return described(name); }) {
  for (TablePlan& plan : tables.recorded()) plans.emplace(plan.source, std::move(plan));
}

TargetScene ApplySession::scene() {
  return {target, tables, quarantine, summary, plans, mapping, widen, worked};
}

std::optional<SourceTable> ApplySession::described(const std::string& name) {
  for (auto& table : view->tables()) {
    if (table.name == name) return std::move(table);
  }
  return std::nullopt;
}

std::vector<SourceTable> ApplySession::sources() {
  std::vector<SourceTable> sources;
  for (auto& table : view->tables()) {
    if (plans.contains(table.name)) sources.push_back(std::move(table));
  }
  return sources;
}

std::vector<TablePlan> ApplySession::plans_in_order() {
  std::vector<TablePlan> ordered;
  for (const auto& source : sources()) ordered.push_back(plans.at(source.name));
  return ordered;
}

std::vector<TablePlan> ApplySession::plans_of(const std::string& table) {
  std::vector<TablePlan> found;
  for (const auto& [name, plan] : plans) {
    if (plan.source_table() == table) found.push_back(plan);
  }
  std::sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a.source < b.source; });
  return found;
}

std::vector<TablePlan> ApplySession::mapped_plans() {
  std::vector<TablePlan> found;
  for (const auto& [name, plan] : plans) {
    if (!plan.from.empty()) found.push_back(plan);
  }
  return found;
}

std::vector<TablePlan> ApplySession::all_plans() {
  auto all = plans_in_order();
  for (auto& plan : mapped_plans()) all.push_back(std::move(plan));
  return all;
}

}  // namespace tidegate
