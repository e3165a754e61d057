#include "capture/sqlite/sql_tokens.hpp"

#include <algorithm>

namespace tidegate::capture {
namespace {

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}
bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_space(char c) {
  return c == ' ' || (c >= '\t' && c <= '\r');
}
bool is_word_character(char c) {
  char l = lower(c);
  return (l >= 'a' && l <= 'z') || is_digit(c) || c == '_' || c == '$' ||
         static_cast<unsigned char>(c) >= 0x80;
}
bool is_hex_digit(char c) {
  return is_digit(c) || (lower(c) >= 'a' && lower(c) <= 'f');
}

class Cutter {
 public:
  explicit Cutter(std::string_view sql) : sql_(sql) {}

  std::vector<Token> run() {
    std::vector<Token> tokens;
    for (skip_gap(); at_ < sql_.size(); skip_gap()) {
      std::size_t start = at_;
      TokenKind kind = next();
      tokens.push_back({kind, sql_.substr(start, at_ - start)});
    }
    return tokens;
  }

 private:
  char peek(std::size_t ahead = 0) const { return at_ + ahead < sql_.size() ? sql_[at_ + ahead] : '\0'; }
  bool starts(std::string_view with) const { return sql_.substr(at_, with.size()) == with; }

  // An open comment runs to the end, as in SQLite.
  void skip_past(std::string_view end) {
    std::size_t found = sql_.find(end, at_ + 2);
    at_ = found == std::string_view::npos ? sql_.size() : found + end.size();
  }

  void skip_gap() {
    while (at_ < sql_.size()) {
      if (is_space(peek()) && peek() != '\v') {
        while (is_space(peek())) ++at_;  // a vertical tab counts only after another space
      } else if (starts("\xef\xbb\xbf")) {
        at_ += 3;
      } else if (starts("--")) {
        skip_past("\n");
      } else if (starts("/*") && at_ + 2 < sql_.size()) {
        skip_past("*/");
      } else {
        return;
      }
    }
  }

  TokenKind next() {
    char c = peek();
    if (c == '\'') return quoted('\'', TokenKind::string);
    if (c == '"' || c == '`') return quoted(c, TokenKind::quoted);
    if (c == '[') return bracketed();
    if (lower(c) == 'x' && peek(1) == '\'') return blob();
    if (is_digit(c) || (c == '.' && is_digit(peek(1)))) return number();
    if (is_word_character(c) && c != '$') return word(TokenKind::word);
    ++at_;
    return std::string_view("(),;.+-*/%<>=!|&~").find(c) != std::string_view::npos && c
               ? TokenKind::punctuation
               : TokenKind::broken;
  }

  TokenKind word(TokenKind kind) {
    while (is_word_character(peek())) ++at_;
    return kind;
  }

  TokenKind quoted(char quote, TokenKind kind) {
    for (++at_; at_ < sql_.size(); ++at_) {
      if (peek() == '\0') break;  // SQLite's text ends here
      if (peek() != quote) continue;
      if (peek(1) != quote) {
        ++at_;
        return kind;
      }
      ++at_;
    }
    at_ = sql_.size();
    return TokenKind::broken;
  }

  TokenKind bracketed() {
    std::size_t end = sql_.find(']', at_);
    bool closed =
        end != std::string_view::npos && sql_.substr(at_, end - at_).find('\0') == std::string_view::npos;
    at_ = closed ? end + 1 : sql_.size();
    return closed ? TokenKind::quoted : TokenKind::broken;
  }

  TokenKind blob() {
    std::size_t start = at_ + 2;
    ++at_;
    if (quoted('\'', TokenKind::blob) == TokenKind::broken) return TokenKind::broken;
    std::string_view digits = sql_.substr(start, at_ - start - 1);
    bool good = digits.size() % 2 == 0 && std::all_of(digits.begin(), digits.end(), is_hex_digit);
    return good ? TokenKind::blob : TokenKind::broken;
  }

  void digits() {
    while (is_digit(peek())) ++at_;
  }

  TokenKind number() {
    if (peek() == '0' && lower(peek(1)) == 'x' && is_hex_digit(peek(2))) {
      for (at_ += 2; is_hex_digit(peek());) ++at_;
      return is_word_character(peek()) ? word(TokenKind::broken) : TokenKind::number;
    }
    digits();
    if (peek() == '.') {
      ++at_;
      digits();
    }
    bool sign = peek(1) == '+' || peek(1) == '-';
    if (lower(peek()) == 'e' && is_digit(peek(sign ? 2 : 1))) {
      at_ += sign ? 2 : 1;
      digits();
    }
    return is_word_character(peek()) ? word(TokenKind::broken) : TokenKind::number;
  }

  std::string_view sql_;
  std::size_t at_ = 0;
};

}  // namespace

std::vector<Token> tokenize(std::string_view sql) {
  return Cutter(sql).run();
}

bool is(const Token& token, std::string_view keyword) {
  if (token.kind != TokenKind::word && token.kind != TokenKind::punctuation) return false;
  return std::equal(token.text.begin(), token.text.end(), keyword.begin(), keyword.end(),
                    [](char a, char b) { return lower(a) == lower(b); });
}

std::string unquoted(const Token& token) {
  if (token.kind != TokenKind::quoted && token.kind != TokenKind::string) return std::string(token.text);
  char quote = token.text.front() == '[' ? ']' : token.text.front();
  std::string_view inside = token.text.substr(1, token.text.size() - 2);
  std::string name;
  for (std::size_t i = 0; i < inside.size(); ++i) {
    name += inside[i];
    if (inside[i] == quote) ++i;  // doubled inside; a bracket cannot be
  }
  return name;
}

std::string joined(std::span<const Token> tokens) {
  std::string text;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    const char* end_of_last = i ? tokens[i - 1].text.data() + tokens[i - 1].text.size() : nullptr;
    if (i && tokens[i].text.data() != end_of_last) text += ' ';
    text += tokens[i].text;
  }
  return text;
}

std::string ascii_lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), lower);
  return out;
}

}  // namespace tidegate::capture
