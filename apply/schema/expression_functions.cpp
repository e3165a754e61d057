// SQLite's scalar functions in Postgres' words.
#include <algorithm>
#include <optional>

#include "apply/schema/expression_piece.hpp"

namespace tidegate::expression {
namespace {

bool all_texts(const std::vector<Piece>& args, std::size_t from, std::size_t to) {
  return std::all_of(args.begin() + static_cast<std::ptrdiff_t>(from),
                     args.begin() + static_cast<std::ptrdiff_t>(to),
                     [](const Piece& p) { return p.kind == Kind::text; });
}

std::string call(std::string_view name, const std::vector<Piece>& args) {
  std::string list;
  for (const Piece& arg : args) list += (list.empty() ? "" : ", ") + arg.sql;
  return std::string(name) + "(" + list + ")";
}

// For speed only an index key is better as the new app's queries have it.
Piece folded(const std::string& name, const Piece& arg, bool exact_case) {
  return made(name + "(" + operand(arg) + (exact_case ? " COLLATE \"C\")" : ")"), Kind::text);
}

// With a start from 1 and a length from 0, both literals: other numbers mean something else in Postgres.
std::optional<Piece> part_of_text(const std::vector<Piece>& args) {
  const auto is_count = [](const Piece& p) {
    return p.literal && p.kind == Kind::integer && p.sql[0] != '-';
  };
  if (args.size() < 2 || args.size() > 3 || !is_count(args[1]) || args[1].sql == "0") return std::nullopt;
  if (args.size() == 3 && !is_count(args[2])) return std::nullopt;
  if (args[1].sql.size() > 9 || (args.size() == 3 && args[2].sql.size() > 9)) return std::nullopt;
  return made(call("substr", args), Kind::text);
}

std::optional<Piece> function_of_texts(const std::string& name, const std::vector<Piece>& args,
                                       bool exact_case) {
  const std::size_t n = args.size();
  if (n == 0 || args[0].kind != Kind::text) return std::nullopt;
  if ((name == "lower" || name == "upper") && n == 1) return folded(name, args[0], exact_case);
  if (name == "trim" && n <= 2 && all_texts(args, 0, n)) return made(call("btrim", args), Kind::text);
  if ((name == "ltrim" || name == "rtrim") && n <= 2 && all_texts(args, 0, n))
    return made(call(name, args), Kind::text);
  // With an empty or NULL pattern or a NULL replacement the two differ.
  const bool literal = n == 3 && args[1].literal && args[2].literal && !args[1].text.empty();
  if (name == "replace" && literal && all_texts(args, 0, n)) return made(call("replace", args), Kind::text);
  if (name == "instr" && n == 2 && all_texts(args, 0, n)) return made(call("strpos", args), Kind::integer);
  if (name == "substr" || name == "substring") return part_of_text(args);
  return std::nullopt;
}

std::optional<Piece> choice(const std::string& name, std::vector<Piece>& args) {
  if (args.size() < 2 || (name != "coalesce" && args.size() != 2)) return std::nullopt;
  for (std::size_t i = 1; i < args.size(); ++i) agree(args[0], args[i]);
  Kind kind = args[0].kind;
  for (const Piece& arg : args) {
    if (kind != arg.kind) refuse(name + "() of different types");
  }
  const std::string collation = collation_of(args[0], args[1]);
  if (name == "nullif" && !collation.empty() && collation != "BINARY") return std::nullopt;
  Piece piece = made(call(name == "ifnull" ? "coalesce" : name, args), kind);
  piece.time_form = args[0].time_form;
  piece.type = args[0].type;
  return piece;
}

}  // namespace

Piece call_function(const std::string& name, std::vector<Piece> args, bool exact_case) {
  std::optional<Piece> result;
  if (name == "coalesce" || name == "ifnull" || name == "nullif") {
    result = choice(name, args);
  } else if (name == "json_valid" && args.size() == 1 && args[0].kind == Kind::json) {
    result = made("true", Kind::boolean);
    result->never_false = true;
  } else if (name == "abs" && args.size() == 1 &&
             (args[0].kind == Kind::integer || args[0].kind == Kind::real)) {
    result = made("abs(" + args[0].sql + ")", args[0].kind);
  } else if (name == "length" && args.size() == 1 &&
             (args[0].kind == Kind::text || args[0].kind == Kind::bytea)) {
    result = made("length(" + args[0].sql + ")", Kind::integer);
  } else {
    result = function_of_texts(name, args, exact_case);
  }
  if (!result) refuse(name + "()");
  return *result;
}

}  // namespace tidegate::expression
