#include "replicator/verify/row_order.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>

#include "apply/postgres/copy_line.hpp"

namespace tidegate::verify {
namespace {

bool is_integer(const ColumnPlan& column) {
  const std::string& type = column.existing_type;
  return column.type == TargetType::bigint ||
         (column.type == TargetType::native && (type == "bigint" || type == "integer" || type == "smallint"));
}

bool is_text(const ColumnPlan& column) {
  const std::string& type = column.existing_type;
  bool plain = type.empty() || type == "text" || type == "character varying" || type == "uuid";
  return (column.type == TargetType::text || column.type == TargetType::varchar) && plain;
}

std::int64_t number_in(std::string_view field) {
  std::int64_t number = 0;
  std::from_chars(field.data(), field.data() + field.size(), number);
  return number;
}

std::size_t place_of(const TablePlan& plan, const std::string& target) {
  auto found = std::find_if(plan.columns.begin(), plan.columns.end(),
                            [&](const ColumnPlan& column) { return column.target == target; });
  return static_cast<std::size_t>(found - plan.columns.begin());
}

}  // namespace

RowOrder::RowOrder(const TablePlan& plan) : plan_(&plan), natural_(plan.from.empty()) {
  for (const auto& name : plan.key) {
    const ColumnPlan& column = plan.columns.at(key_.emplace_back(place_of(plan, name)));
    integers_.push_back(is_integer(column));
    natural_ = natural_ && column.rules.empty() && (is_integer(column) || is_text(column));
  }
}

std::string RowOrder::sql() const {
  std::vector<std::string> parts;
  for (std::size_t i = 0; i < key_.size(); ++i) {
    const ColumnPlan& column = plan_->columns[key_[i]];
    std::string name = quoted(column.target);
    bool bare = natural_ && (integers_[i] || column.existing_type == "uuid");
    parts.push_back(bare       ? name
                    : natural_ ? name + " COLLATE \"C\""
                               : "pg_catalog.format('%s', " + name + ") COLLATE \"C\"");
  }
  return fmt::format("{}", fmt::join(parts, ", "));
}

std::weak_ordering RowOrder::compare(const std::vector<std::string_view>& a,
                                     const std::vector<std::string_view>& b) const {
  for (std::size_t i = 0; i < key_.size(); ++i) {
    std::string_view left = a[key_[i]], right = b[key_[i]];
    if (left == right) continue;
    if (natural_ && integers_[i]) return number_in(left) <=> number_in(right);
    return field_value(left).value_or("").compare(field_value(right).value_or("")) <=> 0;
  }
  return std::weak_ordering::equivalent;
}

Row RowOrder::key_of(const std::vector<std::string_view>& fields) const {
  Row key;
  for (std::size_t i = 0; i < key_.size(); ++i) {
    if (integers_[i]) {
      key.emplace_back(number_in(fields[key_[i]]));
    } else {
      key.emplace_back(field_value(fields[key_[i]]).value_or(""));
    }
  }
  return key;
}

}  // namespace tidegate::verify
