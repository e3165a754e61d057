#include "apply/postgres/key_range.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <stdexcept>

#include "db/postgres.hpp"

namespace tidegate {
namespace {

// The target's column may be sorted under another collation than the source's. As text, uuid and bytea have
// the order that they have as bytes.
std::string comparable(const TablePlan& plan, const std::string& source_column, KeyOrder order) {
  auto column = std::find_if(plan.columns.begin(), plan.columns.end(),
                             [&](const ColumnPlan& each) { return each.source == source_column; });
  if (column == plan.columns.end()) {
    throw std::invalid_argument("the plan of table " + plan.source + " has no column for its key " +
                                source_column);
  }
  return quoted(column->target) + (order == KeyOrder::bytes ? "::text COLLATE \"C\"" : "");
}

std::string literals(const Row& bound) {
  std::vector<std::string> texts;
  for (const Value& value : bound) texts.push_back(postgres::literal(std::get<std::string>(value)));
  return fmt::format("{}", fmt::join(texts, ", "));
}

}  // namespace

std::string delete_range_sql(const TablePlan& plan, const ChunkMap::Key& key, const KeyRange& range) {
  std::vector<std::string> columns, conditions;
  for (std::size_t i = 0; i < key.columns.size(); ++i) {
    columns.push_back(comparable(plan, key.columns[i], key.orders[i]));
  }
  std::string compared = fmt::format("{}", fmt::join(columns, ", "));
  if (!range.after.empty()) conditions.push_back(fmt::format("({}) > ({})", compared, literals(range.after)));
  if (!range.up_to.empty())
    conditions.push_back(fmt::format("({}) <= ({})", compared, literals(range.up_to)));
  return fmt::format("DELETE FROM {}{}{}", quoted_name(plan), conditions.empty() ? "" : " WHERE ",
                     fmt::join(conditions, " AND "));
}

}  // namespace tidegate
