#include "apply/mapping/back/reversal.hpp"

#include <algorithm>

#include "apply/mapping/expression_check.hpp"

namespace tidegate {
namespace {

using Kind = ReturnSource::Kind;

std::vector<std::string> names_of(const SourceTable& table) {
  std::vector<std::string> names;
  for (const SourceColumn& column : table.columns) names.push_back(column.name);
  return names;
}

bool is_read_in(const PlacedText& text, const std::vector<std::string>& names, std::size_t column) {
  const auto places = columns_read(text.text, names);
  return std::find(places.begin(), places.end(), column) != places.end();
}

bool is_read(const MapTarget& target, const std::vector<std::string>& names, std::size_t column) {
  if (target.condition && is_read_in(*target.condition, names, column)) return true;
  return std::any_of(target.columns.begin(), target.columns.end(),
                     [&](const MapColumn& each) { return is_read_in(each.expression, names, column); });
}

bool is_read(const ReturnPlan& plan, const std::vector<std::string>& names, std::size_t column) {
  return std::any_of(plan.outputs.begin(), plan.outputs.end(), [&](const ReturnOutput& output) {
    const auto& condition = output.from.map->condition;
    return (condition && is_read_in(*condition, names, column)) ||
           is_read(*output.from.target, names, column);
  });
}

Reversal told(const ReturnPlan& plan, const SourceTable& table) {
  Reversal reversal{plan.table, "", {}, {}, {}, {}, {}, {}, {}};
  for (const Finding& finding : plan.findings)
    (finding.level == Finding::Level::block ? reversal.refused : reversal.warned).push_back(finding);
  const auto names = names_of(table);
  for (std::size_t i = 0; i < names.size(); ++i) {
    const Kind kind = plan.columns[i].kind;
    auto& list = kind == Kind::passed      ? reversal.kept
                 : kind == Kind::key       ? reversal.remembered
                 : kind == Kind::given     ? reversal.given
                 : is_read(plan, names, i) ? reversal.lost
                                           : reversal.unread;
    list.push_back(names[i]);
  }
  const bool anchored = std::any_of(plan.columns.begin(), plan.columns.end(),
                                    [](const ReturnSource& source) { return source.kind != Kind::stays; });
  if (!anchored) return reversal;
  const MapTarget& anchor = *plan.outputs[plan.anchor].from.target;
  reversal.anchor = anchor.schema + "." + anchor.table;
  return reversal;
}

}  // namespace

std::vector<Reversal> reversals(const std::vector<MapDefinition>& maps,
                                const std::vector<SourceTable>& tables) {
  std::vector<Reversal> all;
  const auto follows = [](const MapTarget&) { return true; };
  for (const ReturnPlan& plan : plan_returns(maps, tables, follows)) {
    const auto table = std::find_if(tables.begin(), tables.end(),
                                    [&](const SourceTable& each) { return each.name == plan.table; });
    all.push_back(told(plan, *table));
  }
  return all;
}

}  // namespace tidegate
