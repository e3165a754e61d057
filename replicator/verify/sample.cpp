#include "replicator/verify/sample.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "apply/postgres/copy_line.hpp"

namespace tidegate::verify {

// Each row that comes takes the place of one of those that were chosen, less and less often.
std::vector<SampledRow> take_sample(SourceLines& lines, std::size_t count, std::mt19937_64& random) {
  std::vector<SampledRow> rows;
  for (std::size_t seen = 1; lines.next(); ++seen) {
    bool full = rows.size() == count;
    auto place = full ? std::uniform_int_distribution<std::size_t>(0, seen - 1)(random) : rows.size();
    if (place >= count) continue;
    if (!full) rows.emplace_back();
    rows[place] = {std::string(lines.line()), lines.key(), lines.key_bytes()};
  }
  return rows;
}

std::string keys_condition(const TablePlan& plan, const RowOrder& order, std::span<const SampledRow> rows) {
  std::vector<std::string> names, keys;
  for (const auto& name : plan.key) names.push_back(tidegate::quoted(name));
  std::vector<std::string_view> fields;
  for (const SampledRow& row : rows) {
    split_fields(row.line, fields);
    std::vector<std::string> values;
    for (auto column : order.key())
      values.push_back(postgres::literal(field_value(fields[column]).value_or("")));
    keys.push_back(fmt::format("({})", fmt::join(values, ", ")));
  }
  return fmt::format("({}) IN ({})", fmt::join(names, ", "), fmt::join(keys, ", "));
}

}  // namespace tidegate::verify
