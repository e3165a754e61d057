#include "apply/text_format.hpp"

#include <algorithm>
#include <array>

namespace tidegate {
namespace {

// For each byte the letter that stands for it after a backslash, or 0 where it stands for itself.
using Letters = std::array<char, 256>;

constexpr Letters copy_letters() {
  Letters letters{};
  letters['\\'] = '\\';
  letters['\b'] = 'b';
  letters['\f'] = 'f';
  letters['\n'] = 'n';
  letters['\r'] = 'r';
  letters['\t'] = 't';
  letters['\v'] = 'v';
  return letters;
}

constexpr Letters array_letters() {
  Letters letters{};
  letters['\\'] = '\\';
  letters['"'] = '"';
  return letters;
}

constexpr Letters kCopyLetters = copy_letters();
constexpr Letters kArrayLetters = array_letters();

char letter_for(const Letters& letters, char c) {
  return letters[static_cast<unsigned char>(c)];
}

void escape_tail(const Letters& letters, std::string& text, std::size_t start) {
  const auto tail = text.begin() + static_cast<std::ptrdiff_t>(start);
  const auto count = std::count_if(tail, text.end(), [&](char c) { return letter_for(letters, c) != 0; });
  std::size_t from = text.size();
  text.resize(from + static_cast<std::size_t>(count));
  // From the back; where both places meet, nothing before them needs an escape.
  for (std::size_t to = text.size(); to != from;) {
    const char c = text[--from];
    const char letter = letter_for(letters, c);
    text[--to] = letter != 0 ? letter : c;
    if (letter != 0) text[--to] = '\\';
  }
}

}  // namespace

void copy_escape_tail(std::string& line, std::size_t start) {
  escape_tail(kCopyLetters, line, start);
}

void copy_escape(std::string_view field, std::string& line) {
  const std::size_t start = line.size();
  line += field;
  copy_escape_tail(line, start);
}

void append_copy_null(std::string& line) {
  line += "\\N";
}

void array_escape_tail(std::string& literal, std::size_t start) {
  escape_tail(kArrayLetters, literal, start);
}

void append_array_element(std::string_view text, std::string& literal) {
  literal += '"';
  const std::size_t start = literal.size();
  literal += text;
  array_escape_tail(literal, start);
  literal += '"';
}

void append_array_null(std::string& literal) {
  literal += "NULL";
}

}  // namespace tidegate
