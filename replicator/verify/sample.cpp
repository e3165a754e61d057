#include "replicator/verify/sample.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "apply/postgres/copy_line.hpp"

namespace tidegate::verify {
namespace {

constexpr std::size_t keys_at_once = 500;

void sort(std::vector<SampledRow>& rows, const RowOrder& order) {
  std::vector<std::string_view> a, b;
  std::sort(rows.begin(), rows.end(), [&](const SampledRow& left, const SampledRow& right) {
    split_fields(left.line, a);
    split_fields(right.line, b);
    return order.compare(a, b) < 0;
  });
}

}  // namespace

void merge_sample(std::vector<SampledRow> rows, const TablePlan& plan, const RowOrder& order,
                  postgres::Connection& target, LineMerge& merge) {
  sort(rows, order);
  for (std::size_t i = 0; i < rows.size(); i += keys_at_once) {
    auto some = std::span<const SampledRow>(rows).subspan(i, std::min(keys_at_once, rows.size() - i));
    ListedLines lines(some);
    CopiedLines copied(target, plan, order, keys_condition(plan, order, some));
    merge.run(lines, copied);
  }
}

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
