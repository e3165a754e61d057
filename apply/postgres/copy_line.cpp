#include "apply/postgres/copy_line.hpp"

namespace tidegate {
namespace {

// The server writes these escapes only; any other character stands for itself.
char meant_by(char letter) {
  switch (letter) {
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
      return letter;
  }
}

}  // namespace

void split_fields(std::string_view line, std::vector<std::string_view>& fields) {
  fields.clear();
  if (line.ends_with('\n')) line.remove_suffix(1);
  for (;;) {
    auto tab = line.find('\t');
    fields.push_back(line.substr(0, tab));
    if (tab == line.npos) return;
    line.remove_prefix(tab + 1);
  }
}

bool is_null_field(std::string_view field) {
  return field == "\\N";
}

std::optional<std::string> field_value(std::string_view field) {
  if (is_null_field(field)) return std::nullopt;
  std::string value;
  value.reserve(field.size());
  for (std::size_t i = 0; i < field.size(); ++i) {
    bool escaped = field[i] == '\\' && i + 1 < field.size();
    value += escaped ? meant_by(field[++i]) : field[i];
  }
  return value;
}

}  // namespace tidegate
