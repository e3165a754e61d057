#include "apply/schema/tokens.hpp"

#include <algorithm>
#include <array>

namespace tidegate {
namespace {

using Kind = Token::Kind;

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}
bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool begins_word(char c) {
  return (lower(c) >= 'a' && lower(c) <= 'z') || c == '_' || (c & 0x80) != 0;
}
bool continues_word(char c) {
  return begins_word(c) || is_digit(c) || c == '$';
}

class Scanner {
 public:
  explicit Scanner(std::string_view sql) : sql_(sql) {}

  std::optional<std::vector<Token>> scan() {
    while (skip_blanks_and_comments() && at_ < sql_.size()) {
      begin_ = at_;
      if (!next()) return std::nullopt;
    }
    if (at_ < sql_.size()) return std::nullopt;
    begin_ = at_;
    add(Kind::end, "");
    return std::move(tokens_);
  }

 private:
  char peek(std::size_t ahead = 0) const { return at_ + ahead < sql_.size() ? sql_[at_ + ahead] : '\0'; }

  void add(Kind kind, std::string text) { tokens_.push_back({kind, std::move(text), begin_, at_}); }

  bool skip_to(std::string_view end) {
    const std::size_t found = sql_.find(end, at_ + 2);
    at_ = found == sql_.npos ? sql_.size() : found + end.size();
    return found != sql_.npos;
  }

  // False at a comment that stays open.
  bool skip_blanks_and_comments() {
    while (at_ < sql_.size()) {
      if (std::string_view(" \t\r\n\f").find(peek()) != std::string_view::npos) {
        ++at_;
      } else if (peek() == '-' && peek(1) == '-') {
        skip_to("\n");
      } else if (peek() == '/' && peek(1) == '*') {
        if (!skip_to("*/")) return at_ = begin_, false;
      } else {
        return true;
      }
    }
    return true;
  }

  bool next() {
    const char c = peek();
    if (lower(c) == 'x' && peek(1) == '\'') return ++at_, quoted('\'', Kind::blob);
    if (begins_word(c)) return word();
    if (is_digit(c) || (c == '.' && is_digit(peek(1)))) return number();
    switch (c) {
      case '\'':
        return quoted('\'', Kind::text);
      case '"':
        return quoted('"', Kind::double_quoted);
      case '`':
        return quoted('`', Kind::quoted_name);
      case '[':
        return quoted(']', Kind::quoted_name);
      default:
        return symbol();
    }
  }

  // A closing quote that is doubled stands for itself; a closing bracket cannot.
  bool quoted(char close, Kind kind) {
    std::string text;
    for (++at_; at_ < sql_.size(); ++at_) {
      if (peek() == close) {
        if (close == ']' || peek(1) != close) return ++at_, add(kind, std::move(text)), true;
        ++at_;
      }
      text += peek();
    }
    return false;
  }

  bool word() {
    while (continues_word(peek())) ++at_;
    add(Kind::word, std::string(sql_.substr(begin_, at_ - begin_)));
    return true;
  }

  bool number() {
    while (is_digit(peek()) || peek() == '.') ++at_;
    if (lower(peek()) == 'e') {
      ++at_;
      if (peek() == '+' || peek() == '-') ++at_;
    }
    while (continues_word(peek())) ++at_;
    add(Kind::number, std::string(sql_.substr(begin_, at_ - begin_)));
    return true;
  }

  bool symbol() {
    constexpr std::array<std::string_view, 11> kLong = {"->>", "->", "||", "<=", ">=", "<>",
                                                        "<<",  ">>", "==", "!=", "::"};
    const auto rest = sql_.substr(at_);
    const auto found = std::find_if(kLong.begin(), kLong.end(), [&](auto s) { return rest.starts_with(s); });
    const std::string_view text = found != kLong.end() ? *found : rest.substr(0, 1);
    if (found == kLong.end() && std::string_view("()+-*/%<>=,.~&|;?").find(text) == std::string_view::npos)
      return false;
    at_ += text.size();
    add(Kind::symbol, std::string(text));
    return true;
  }

  std::string_view sql_;
  std::size_t at_ = 0, begin_ = 0;
  std::vector<Token> tokens_;
};

// The text of tokens [from, to), without a closing ASC or DESC.
std::string part_text(std::string_view sql, const std::vector<Token>& tokens, std::size_t from,
                      std::size_t to) {
  if (to > from && (tokens[to - 1].is_word("asc") || tokens[to - 1].is_word("desc"))) --to;
  if (to <= from) return {};
  return std::string(sql.substr(tokens[from].begin, tokens[to - 1].end - tokens[from].begin));
}

}  // namespace

std::string ascii_lower(std::string_view text) {
  std::string result(text);
  std::transform(result.begin(), result.end(), result.begin(), lower);
  return result;
}

bool Token::is_word(std::string_view wanted) const {
  return kind == Kind::word && ascii_lower(text) == wanted;
}

std::optional<std::vector<Token>> tokens_of(std::string_view sql) {
  return Scanner(sql).scan();
}

std::optional<IndexText> split_create_index(std::string_view sql) {
  const auto tokens = tokens_of(sql);
  if (!tokens) return std::nullopt;
  const auto open =
      std::find_if(tokens->begin(), tokens->end(), [](const Token& t) { return t.is_symbol("("); });
  IndexText text;
  int depth = 0;
  auto at = static_cast<std::size_t>(open - tokens->begin());
  for (std::size_t from = at + 1; at < tokens->size(); ++at) {
    const Token& token = (*tokens)[at];
    depth += token.is_symbol("(") ? 1 : token.is_symbol(")") ? -1 : 0;
    if (depth > 1 || (depth == 1 && !token.is_symbol(","))) continue;
    text.parts.push_back(part_text(sql, *tokens, from, at));
    from = at + 1;
    if (depth == 0) break;
  }
  if (at >= tokens->size()) return std::nullopt;
  if (at + 1 < tokens->size() && (*tokens)[at + 1].is_word("where")) {
    text.where = std::string(sql.substr((*tokens)[at + 1].end));
  }
  return text;
}

}  // namespace tidegate
