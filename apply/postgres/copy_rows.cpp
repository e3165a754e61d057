#include "apply/postgres/copy_rows.hpp"

#include <utility>
#include <vector>

#include "apply/postgres/copy_line.hpp"

namespace tidegate {

Row row_of_copy_line(std::string_view line) {
  std::vector<std::string_view> fields;
  split_fields(line, fields);
  Row row;
  row.reserve(fields.size());
  for (const auto field : fields) {
    auto value = field_value(field);
    row.push_back(value ? Value(std::move(*value)) : Value(Null{}));
  }
  return row;
}

}  // namespace tidegate
