#include "replicator/pipeline/mapping_samples.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "apply/encode.hpp"
#include "apply/mapping/expression_check.hpp"
#include "apply/postgres/row_errors.hpp"
#include "db/error.hpp"
#include "replicator/pipeline/mapping_setup.hpp"
#include "replicator/pipeline/source_scan.hpp"

namespace tidegate {
namespace {

constexpr int judged_rows = 100;

std::vector<Row> some_rows(const Settings& settings, const Relation& relation, int count) {
  std::vector<Row> rows;
  each_source_row(settings, relation, count, [&](const Row& row) { rows.push_back(row); });
  return rows;
}

std::string condition_of(const MapOutput& output) {
  std::vector<std::string> both;
  for (const auto& one : {output.map->condition, output.target->condition}) {
    if (one) both.push_back(one->text);
  }
  return fmt::format("{}", fmt::join(both, " and "));
}

const TablePlan* plan_named(const std::vector<TablePlan>& plans, const std::string& name) {
  auto found =
      std::find_if(plans.begin(), plans.end(), [&](const TablePlan& plan) { return plan.source == name; });
  return found == plans.end() ? nullptr : &*found;
}

// As the source's server names it.
std::string passed_type(const std::string& expression, const SourceTable& table, const Relation& relation) {
  const auto name = passed_column(expression, relation.columns);
  const SourceColumn* column = name ? table.column(*name) : nullptr;
  return column ? column->declared_type : "";
}

MapSample sample_of(MappedTable& mapped, std::size_t i, const TablePlan& plan) {
  MapSample sample{plan, condition_of(mapped.output(i)), {}, mapped.relation(i), {}, {}};
  for (const auto& column : mapped.output(i).target->columns)
    sample.expressions.push_back(column.expression.text);
  return sample;
}

// The values of one column that are not NULL, as elements of an array literal; nothing for those that cannot
// be encoded.
std::vector<std::optional<std::string>> encoded(const MapSample& sample, std::size_t column) {
  std::vector<std::optional<std::string>> values;
  for (const Row& row : sample.rows) {
    if (is_null(row[column])) continue;
    std::string literal;
    const bool fits = encode_array_element(row[column], sample.plan.columns[column], literal).state !=
                      Encoded::State::misfit;
    values.push_back(fits ? std::optional(std::move(literal)) : std::nullopt);
  }
  return values;
}

bool can_be_cast(postgres::Connection& target, const std::string& literal, const std::string& type) {
  try {
    target.run(fmt::format("SELECT FROM unnest($1::{}[])", type), {"{" + literal + "}"});
    return true;
  } catch (const Error& error) {
    if (!is_row_error(error)) throw;
    return false;
  }
}

void judge(postgres::Connection& target, const MapSample& sample, std::size_t place) {
  const ColumnPlan& column = sample.plan.columns[place];
  const auto values = encoded(sample, place);
  const bool any = std::any_of(values.begin(), values.end(), [&](const auto& literal) {
    return literal && can_be_cast(target, *literal, column.existing_type);
  });
  if (any || values.empty()) return;
  throw Refused(
      "map-type",
      fmt::format("{}: none of {} values that were tried for column {} of table {} can be written as {}",
                  column.where, values.size(), column.target, shown_name(sample.plan), column.existing_type),
      "correct the expression, with cast() for example, or the column");
}

}  // namespace

std::vector<MapSample> sample_maps(const Settings& settings, const PlannedPipeline& planned, int rows,
                                   bool shows_types) {
  std::vector<MapSample> samples;
  const auto maps = maps_of(settings);
  auto options = mapping_options(settings, nullptr);
  options.shows_types = shows_types;
  std::vector<std::string> done;
  for (const SourceTable& table : planned.tables) {
    const bool is_new = std::find(done.begin(), done.end(), table.name) == done.end();
    if (!is_mapped(maps, table.name) || !is_new) continue;
    done.push_back(table.name);
    const Relation relation = relation_of(table, options.printed);
    MappedTable mapped(outputs_of(maps, table.name), table, relation, options, 0);
    auto made = map_rows(mapped, some_rows(settings, relation, rows));
    for (std::size_t i = 0; i < mapped.size(); ++i) {
      const TablePlan* plan = plan_named(planned.plans, mapped.output(i).name);
      if (!plan) continue;
      samples.push_back(sample_of(mapped, i, *plan));
      samples.back().rows = std::move(made[i]);
      for (const auto& expression : samples.back().expressions)
        samples.back().types.push_back(options.printed ? passed_type(expression, table, relation) : "");
    }
  }
  return samples;
}

void refuse_uncastable(postgres::Connection& target, const Settings& settings,
                       const PlannedPipeline& planned) {
  if (settings.maps.empty()) return;
  for (const MapSample& sample : sample_maps(settings, planned, judged_rows)) {
    for (std::size_t i = 0; i < sample.plan.columns.size(); ++i) judge(target, sample, i);
  }
}

}  // namespace tidegate
