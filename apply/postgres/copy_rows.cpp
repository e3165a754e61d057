#include "apply/postgres/copy_rows.hpp"

#include <string>

namespace tidegate {
namespace {

// The server writes these escapes only; any other character stands for itself.
char unescaped(char c) {
  switch (c) {
    case 'b':
      return '\b';
    case 'f':
      return '\f';
    case 'n':
      return '\n';
    case 'r':
      return '\r';
    case 't':
      return '\t';
    case 'v':
      return '\v';
    default:
      return c;
  }
}

Value value_of(std::string_view field) {
  if (field == "\\N") return Null{};
  std::string text;
  for (std::size_t i = 0; i < field.size(); ++i) {
    bool escape = field[i] == '\\' && i + 1 < field.size();
    text += escape ? unescaped(field[++i]) : field[i];
  }
  return text;
}

}  // namespace

Row row_of_copy_line(std::string_view line) {
  Row row;
  for (;;) {
    auto end = line.find('\t');
    row.push_back(value_of(line.substr(0, end)));
    if (end == std::string_view::npos) return row;
    line.remove_prefix(end + 1);
  }
}

}  // namespace tidegate
