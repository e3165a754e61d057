#include "apply/postgres/native/range_removal.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace tidegate::native {
namespace {

// Chunks end at keys as the source's server orders them: bytes for text, whatever the target's collation is.
std::string collated(const std::string& expression, const std::string& type) {
  bool is_text = type == "text" || type == "character varying" || type == "bpchar" || type == "name";
  return is_text ? expression + " COLLATE \"C\"" : expression;
}

class Bounds {
 public:
  Bounds(const Table& table, const Shape& shape) : table_(table), shape_(shape) {}

  std::string compared(const char* comparison, const Row& bound) {
    std::vector<std::string> columns, values;
    for (std::size_t i = 0; i < bound.size(); ++i) {
      const std::size_t column = table_.key_columns()[i];
      const std::string& type = shape_.columns[column].type;
      parameters.emplace_back(std::get<std::string>(bound[i]));
      columns.push_back(collated("t." + quoted(table_.plan().columns[column].target), type));
      values.push_back(collated(fmt::format("${}::{}", parameters.size(), type), type));
    }
    return fmt::format("({}) {} ({})", fmt::join(columns, ", "), comparison, fmt::join(values, ", "));
  }

  std::vector<postgres::Parameter> parameters;

 private:
  const Table& table_;
  const Shape& shape_;
};

}  // namespace

postgres::Command remove_range(const Table& table, const Shape& shape, const KeyRange& range) {
  Bounds bounds(table, shape);
  std::vector<std::string> conditions = {"true"};
  if (!range.after.empty()) conditions.push_back(bounds.compared(">", range.after));
  if (!range.up_to.empty()) conditions.push_back(bounds.compared("<=", range.up_to));
  return {
      fmt::format("DELETE FROM {} AS t WHERE {}", quoted_name(table.plan()), fmt::join(conditions, " AND ")),
      std::move(bounds.parameters)};
}

}  // namespace tidegate::native
