// SQL as SQLite writes it, cut into words. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tidegate {

struct Token {
  enum class Kind {
    word,           // a bare identifier or keyword; `text` as written
    quoted_name,    // [x] or `x`; `text` without the quotes
    double_quoted,  // "x": a name, or a text where no column has that name
    text,           // 'x'; `text` without the quotes
    blob,           // x'00ff'; `text` is the hex
    number,         // digits with a point or an exponent, or without; 0x… too
    symbol,         // an operator or a bracket
    end,
  } kind = Kind::end;
  std::string text;
  std::size_t begin = 0, end = 0;  // where it stands in the source

  bool is_symbol(std::string_view symbol) const { return kind == Kind::symbol && text == symbol; }
  bool is_word(std::string_view lower) const;  // ASCII case does not matter
};

// Without comments, with an `end` at the end; nothing where a quote or a comment stays open or a character is
// unknown.
std::optional<std::vector<Token>> tokens_of(std::string_view sql);

std::string ascii_lower(std::string_view text);

// The parts between the brackets of CREATE INDEX … ON t (…), and what stands after WHERE; all as written.
struct IndexText {
  std::vector<std::string> parts;  // without ASC and DESC
  std::string where;
};
std::optional<IndexText> split_create_index(std::string_view sql);

}  // namespace tidegate
