// SQL text cut into tokens by SQLite's own rules. Pure, and total: any bytes give tokens, none make it throw.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tidegate::capture {

enum class TokenKind {
  word,         // keyword or bare identifier
  quoted,       // "x", `x` or [x]
  string,       // 'x'; SQLite takes it as an identifier where only a name can stand
  number,       // 12, 1.5e-3, .5, 0xff
  blob,         // x'00ff'
  punctuation,  // one character
  broken,       // a quote that is not closed, or bytes that SQLite would refuse
};

struct Token {
  TokenKind kind;
  std::string_view text;  // as written; points into the text that was cut
};

// White space and comments are dropped.
std::vector<Token> tokenize(std::string_view sql);

// Whether it is this keyword or character, bare, in any case.
bool is(const Token& token, std::string_view keyword);

// The name that a word, a quoted or a string token stands for; another token's text as it is.
std::string unquoted(const Token& token);

// The tokens of one text as written, comments gone and every gap one space: it can stand on one line.
std::string joined(std::span<const Token> tokens);

// ASCII letters only, as SQLite folds the case of names and keywords.
std::string ascii_lower(std::string_view text);

}  // namespace tidegate::capture
