// SQL as Postgres writes it, cut into tokens and statements. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "apply/schema/native/native_plan.hpp"

namespace tidegate::native {

struct Token {
  enum class Kind {
    name,    // an identifier or keyword: `text` folded to lower case, or what stands in the quotes
    text,    // '…', E'…' or $tag$…$tag$: `text` is what it says
    symbol,  // one of ( ) [ ] , ; . or a run of operator characters
    number,
    comment,  // -- … or /* … */, as written
  } kind = Kind::symbol;
  std::string text;
  bool quoted = false;             // of a name: "…"
  std::size_t begin = 0, end = 0;  // where it stands

  bool is(std::string_view symbol) const { return kind == Kind::symbol && text == symbol; }
  bool is_word(std::string_view lower) const { return kind == Kind::name && !quoted && text == lower; }
};

// Throws std::invalid_argument, which says where, for a quote or comment that stays open.
std::vector<Token> tokens_of(std::string_view sql);

// (schema, name), also of an operator: (schema, "+").
using QualifiedName = std::pair<std::string, std::string>;

// Statements and the comments between them, in order; each without its semicolon. A line that begins with a
// backslash (psql's own commands) is left out. The body of a function between BEGIN ATOMIC and END is one
// piece.
struct Piece {
  bool comment = false;
  std::string text;
};
std::vector<Piece> pieces_of(std::string_view sql);

// Every schema.name in the statement, in order, those that are the whole of a text literal included
// ('public.a_seq'::regclass). `bodies`: those in any literal, as in a function's body, too.
std::vector<QualifiedName> names_in(std::string_view statement, bool bodies = false);

// The statement with the schemas of moved names replaced, in literals that are such a name too.
std::string with_moved(std::string_view statement, const MovedNames& moved);

}  // namespace tidegate::native
