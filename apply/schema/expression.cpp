#include "apply/schema/expression.hpp"

#include <algorithm>
#include <charconv>
#include <optional>

#include "apply/schema/tokens.hpp"
#include "proto/iso_time.hpp"
#include "proto/text.hpp"

namespace tidegate {
namespace {

enum class Use { condition, generated, index_key, unique_key };

struct Untranslatable {
  std::string why;
};
[[noreturn]] void refuse(std::string why) {
  throw Untranslatable{std::move(why)};
}

// What an expression is on the target. `decimal` is a literal with a fraction; `time` is a point in time or
// of the day.
enum class Kind { null, integer, decimal, real, numeric, boolean, text, bytea, date, time, json };

struct Piece {
  std::string sql;
  Kind kind = Kind::null;
  bool literal = false;
  bool compound = false;  // needs brackets as an operand
  bool never_false = false;
  std::string text;       // a text literal's content
  std::string collation;  // of a text: a column's own, or an explicit one
  bool explicit_collation = false;
  TimeForm time_form = TimeForm::iso_text;
  TargetType type = TargetType::date;  // Kind::date and Kind::time only
};

Kind kind_of(TargetType type) {
  switch (type) {
    case TargetType::bigint:
      return Kind::integer;
    case TargetType::double_precision:
      return Kind::real;
    case TargetType::numeric:
      return Kind::numeric;
    case TargetType::boolean:
      return Kind::boolean;
    case TargetType::text:
    case TargetType::varchar:
      return Kind::text;
    case TargetType::bytea:
      return Kind::bytea;
    case TargetType::date:
      return Kind::date;
    case TargetType::timestamptz:
    case TargetType::time:
      return Kind::time;
    case TargetType::jsonb:
    case TargetType::native:
      return Kind::json;
  }
  return Kind::json;
}

bool is_number(Kind kind) {
  return kind == Kind::integer || kind == Kind::decimal || kind == Kind::real || kind == Kind::numeric;
}
bool is_zero_or_one(const Piece& p) {
  return p.literal && p.kind == Kind::integer && (p.sql == "0" || p.sql == "1");
}

std::string operand(const Piece& p) {
  return p.compound ? "(" + p.sql + ")" : p.sql;
}

Piece made(std::string sql, Kind kind) {
  Piece piece;
  piece.sql = std::move(sql);
  piece.kind = kind;
  return piece;
}
Piece compound(std::string sql, Kind kind) {
  Piece piece = made(std::move(sql), kind);
  piece.compound = true;
  return piece;
}

std::string upper_name(std::string_view text) {
  std::string upper(text);
  for (char& c : upper) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  return upper;
}

std::string collated_or_refused(const std::string& sql, const std::string& collation) {
  const auto collated = under_collation(sql, collation);
  if (!collated) refuse("a collation of the application's own");
  return *collated;
}

Piece text_literal(const std::string& text) {
  const TextFacts facts = scan_text(text);
  if (facts.has_nul || !facts.valid_utf8) refuse("a text that Postgres cannot hold");
  Piece piece = made(quoted_literal(text), Kind::text);
  piece.literal = true;
  piece.text = text;
  return piece;
}

// 0 and 1 beside a boolean are its values; a text beside a date is a date; a number beside a real is one.
void adapt_literal(Piece& literal, const Piece& other) {
  if (other.kind == Kind::boolean && is_zero_or_one(literal)) {
    literal.sql = literal.sql == "1" ? "true" : "false";
    literal.kind = Kind::boolean;
  } else if (other.kind == Kind::date && literal.literal && literal.kind == Kind::text) {
    const auto date = parse_iso_time(literal.text);
    if (!date || date->has_time) refuse("a date compared with a text that is none");
    literal.sql = "DATE " + literal.sql;
    literal.kind = Kind::date;
  } else if (literal.literal && is_number(literal.kind) &&
             (other.kind == Kind::real || other.kind == Kind::numeric)) {
    literal.kind = other.kind;
  }
}

// Makes two operands comparable in Postgres with SQLite's outcome, or refuses.
void agree(Piece& a, Piece& b) {
  adapt_literal(a, b);
  adapt_literal(b, a);
  if (a.kind == Kind::null || b.kind == Kind::null) return;
  if (is_number(a.kind) && is_number(b.kind)) return;
  if (a.kind != b.kind) refuse("a comparison of different types");
  if (a.kind == Kind::json) refuse("a comparison of JSON");
  if (a.kind != Kind::date && a.kind != Kind::time) return;
  const bool as_texts = a.kind == Kind::time && a.time_form == TimeForm::iso_text;
  if (as_texts || a.time_form != b.time_form || a.type != b.type)
    refuse("a comparison of times that SQLite makes as texts");
}

// The collation of a comparison: an explicit one, the left one first; else the left column's, else the
// right's.
std::string collation_of(const Piece& a, const Piece& b) {
  if (a.explicit_collation) return a.collation;
  if (b.explicit_collation) return b.collation;
  return a.collation.empty() ? b.collation : a.collation;
}

std::string comparable(const Piece& p, const std::string& collation, bool ordered) {
  if (p.kind != Kind::text) return operand(p);
  const bool binary = collation.empty() || collation == "BINARY";
  const std::string sql = binary ? operand(p) : collated_or_refused(operand(p), collation);
  return ordered && binary ? sql + " COLLATE \"C\"" : sql;
}

bool is_ordering(std::string_view op) {
  return op.find_first_of("<>") != op.npos && op != "<>";
}

Piece compare(Piece a, const std::string& op, Piece b) {
  agree(a, b);
  if (is_ordering(op) && (a.kind == Kind::boolean || b.kind == Kind::boolean)) refuse("an order of booleans");
  const std::string collation = collation_of(a, b);
  return compound(
      comparable(a, collation, is_ordering(op)) + " " + op + " " + comparable(b, collation, is_ordering(op)),
      Kind::boolean);
}

Piece as_condition(Piece p) {
  if (p.kind == Kind::boolean) return p;
  if (is_zero_or_one(p)) return made(p.sql == "1" ? "true" : "false", Kind::boolean);
  if (p.kind == Kind::null) return made("NULL::boolean", Kind::boolean);
  if (p.kind == Kind::integer) return compound(operand(p) + " <> 0", Kind::boolean);
  refuse("a value used as a condition");
}

Piece as_integer_if_boolean(const Piece& p) {
  return p.kind == Kind::boolean ? made("(" + p.sql + ")::int", Kind::integer) : p;
}

bool is_nonzero_literal(const Piece& p) {
  return p.literal && p.sql.find_first_of("123456789") != p.sql.npos;
}

Kind arithmetic_kind(const Piece& a, const Piece& b) {
  if (a.kind == Kind::integer && b.kind == Kind::integer) return Kind::integer;
  const bool real = a.kind == Kind::real || b.kind == Kind::real;
  const bool exact = a.kind == Kind::numeric || b.kind == Kind::numeric;
  if (!real || exact || !is_number(a.kind) || !is_number(b.kind))
    refuse("arithmetic that SQLite does in floating point");
  return Kind::real;
}

// Division by zero is NULL in SQLite and an error in Postgres, so a divisor must be a literal.
Piece arithmetic(Piece a, const std::string& op, Piece b) {
  a = as_integer_if_boolean(a);
  b = as_integer_if_boolean(b);
  const Kind kind = arithmetic_kind(a, b);
  const bool divides = op == "/" || op == "%";
  if (divides && !is_nonzero_literal(b)) refuse("a division by what may be zero");
  if (op == "%" && kind != Kind::integer) refuse("a remainder of reals");
  const bool wide = a.literal && a.kind == Kind::integer;  // Postgres would take 32 bits
  return compound(operand(a) + (wide ? "::bigint " : " ") + op + " " + operand(b), kind);
}

// An explicit collation reaches out of a function's arguments and of ||, up to the comparison around them.
void refuse_collation_inside(const Piece& p) {
  if (p.explicit_collation) refuse("COLLATE inside of an expression");
}

std::string as_text(const Piece& p) {
  refuse_collation_inside(p);
  if (p.kind == Kind::text) return operand(p);
  if (p.kind == Kind::integer) return "(" + p.sql + ")::text";
  refuse("a text made of a value that both print differently");
}

// A recursive descent over SQLite's grammar; each level binds tighter than the one before.
class Translator {
 public:
  Translator(std::string_view sql, const SourceTable& table, const TablePlan& plan, Use use)
      : table_(table), plan_(plan), use_(use) {
    auto tokens = tokens_of(sql);
    if (!tokens) refuse("text that is no expression");
    tokens_ = std::move(*tokens);
  }

  Piece whole() {
    Piece piece = disjunction();
    if (peek().kind != Token::Kind::end) refuse("the words after a complete expression");
    return piece;
  }

 private:
  const Token& peek(std::size_t ahead = 0) const {
    return tokens_[std::min(at_ + ahead, tokens_.size() - 1)];
  }
  bool take_word(std::string_view word) { return peek().is_word(word) ? (++at_, true) : false; }
  bool take_symbol(std::string_view symbol) { return peek().is_symbol(symbol) ? (++at_, true) : false; }
  void expect(std::string_view symbol) {
    if (!take_symbol(symbol)) refuse("syntax that is not known");
  }
  // The first of `symbols` that stands here, taken; empty where none does.
  std::string take_any(std::initializer_list<std::string_view> symbols) {
    for (const auto symbol : symbols) {
      if (take_symbol(symbol)) return std::string(symbol);
    }
    return {};
  }

  // Each level of nesting passes here once; a limit keeps hostile DDL off the stack.
  Piece disjunction() {
    if (++depth_ > kDeepest) refuse("an expression nested too deeply");
    Piece left = conjunction();
    while (take_word("or")) {
      const Piece a = as_condition(left), b = as_condition(conjunction());
      left = compound(operand(a) + " OR " + operand(b), Kind::boolean);
      left.never_false = a.never_false || b.never_false;
    }
    --depth_;
    return left;
  }

  Piece conjunction() {
    Piece left = negation();
    while (take_word("and")) {
      const Piece a = as_condition(left), b = as_condition(negation());
      left = compound(operand(a) + " AND " + operand(b), Kind::boolean);
      left.never_false = a.never_false && b.never_false;
    }
    return left;
  }

  Piece negation() {
    bool negated = false, any = false;
    while (take_word("not")) negated = !negated, any = true;
    Piece piece = equality();
    if (!any) return piece;
    piece = as_condition(piece);
    return negated ? compound("NOT " + operand(piece), Kind::boolean) : piece;
  }

  Piece equality() {
    Piece left = relation();
    while (true) {
      const std::string op = take_any({"==", "=", "!=", "<>"});
      if (!op.empty()) {
        left = compare(left, op == "==" ? "=" : op == "!=" ? "<>" : op, relation());
      } else if (auto piece = word_operator(left)) {
        left = std::move(*piece);
      } else {
        return left;
      }
    }
  }

  std::optional<Piece> word_operator(const Piece& left) {
    if (take_word("isnull")) return null_test(left, false);
    if (take_word("notnull")) return null_test(left, true);
    if (take_word("is")) return is_test(left);
    const bool negated = take_word("not");
    if (negated && take_word("null")) return null_test(left, true);
    if (take_word("in")) return in_list(left, negated);
    if (take_word("between")) return between(left, negated);
    if (take_word("like")) return like(left, negated);
    if (negated || peek().is_word("glob") || peek().is_word("match") || peek().is_word("regexp")) {
      refuse(peek().kind == Token::Kind::word ? upper_name(peek().text) : "NOT");
    }
    return std::nullopt;
  }

  Piece null_test(const Piece& p, bool negated) {
    return compound(operand(p) + (negated ? " IS NOT NULL" : " IS NULL"), Kind::boolean);
  }

  Piece is_test(const Piece& left) {
    const bool negated = take_word("not");
    if (take_word("null")) return null_test(left, negated);
    const bool distinct = take_word("distinct");
    if (distinct && !take_word("from")) refuse("syntax that is not known");
    return compare(left, negated != distinct ? "IS DISTINCT FROM" : "IS NOT DISTINCT FROM", relation());
  }

  Piece in_list(Piece left, bool negated) {
    expect("(");
    if (peek().is_word("select") || peek().is_symbol(")")) refuse("IN with a query or nothing");
    std::vector<Piece> members;
    do {
      members.push_back(disjunction());
      agree(left, members.back());
    } while (take_symbol(","));
    expect(")");
    const bool all = left.kind == Kind::boolean && holds_both(members);
    std::string list;
    for (const Piece& member : members)
      list += (list.empty() ? "" : ", ") + comparable(member, left.collation, false);
    Piece piece =
        compound(comparable(left, left.collation, false) + (negated ? " NOT IN (" : " IN (") + list + ")",
                 Kind::boolean);
    piece.never_false = all && !negated;
    return piece;
  }

  static bool holds_both(const std::vector<Piece>& members) {
    const auto has = [&](std::string_view sql) {
      return std::any_of(members.begin(), members.end(), [&](const Piece& p) { return p.sql == sql; });
    };
    return has("false") && has("true");
  }

  Piece between(const Piece& left, bool negated) {
    const Piece low = relation();
    if (!take_word("and")) refuse("syntax that is not known");
    const Piece high = relation();
    if (left.kind == Kind::boolean && low.sql == "0" && high.sql == "1") {
      Piece piece = compound(operand(left) + " IN (false, true)", Kind::boolean);
      if (negated) refuse("NOT BETWEEN on a boolean");
      piece.never_false = true;
      return piece;
    }
    const Piece from = compare(left, ">=", low), to = compare(left, "<=", high);
    const Piece both = compound(operand(from) + " AND " + operand(to), Kind::boolean);
    return negated ? compound("NOT " + operand(both), Kind::boolean) : both;
  }

  // SQLite's LIKE folds the case of ASCII only and knows no escape unless told.
  Piece like(const Piece& left, bool negated) {
    const Piece pattern = relation();
    std::string escape;
    if (take_word("escape")) {
      const Piece given = relation();
      if (!given.literal || given.kind != Kind::text || given.text.size() != 1)
        refuse("LIKE with such an ESCAPE");
      escape = given.text;
    }
    if (left.kind != Kind::text || !pattern.literal || pattern.kind != Kind::text)
      refuse("LIKE other than of a text and a literal");
    return compound("(" + operand(left) + " COLLATE \"C\")" + (negated ? " NOT ILIKE " : " ILIKE ") +
                        pattern.sql + " ESCAPE " + quoted_literal(escape),
                    Kind::boolean);
  }

  Piece relation() {
    Piece left = bits();
    while (true) {
      const std::string op = take_any({"<=", ">=", "<", ">"});
      if (op.empty()) return left;
      left = compare(left, op, bits());
    }
  }

  Piece bits() {
    Piece piece = sum();
    for (const auto* symbol : {"&", "|", "<<", ">>"}) {
      if (peek().is_symbol(symbol)) refuse("operators on bits");
    }
    return piece;
  }

  Piece sum() {
    Piece left = product();
    while (true) {
      const std::string op = take_any({"+", "-"});
      if (op.empty()) return left;
      left = arithmetic(left, op, product());
    }
  }

  Piece product() {
    Piece left = concatenation();
    while (true) {
      const std::string op = take_any({"*", "/", "%"});
      if (op.empty()) return left;
      left = arithmetic(left, op, concatenation());
    }
  }

  Piece concatenation() {
    Piece left = collated();
    while (true) {
      if (peek().is_symbol("->") || peek().is_symbol("->>")) refuse("operators on JSON");
      if (!take_symbol("||")) return left;
      const Piece right = collated();
      left = compound(as_text(left) + " || " + as_text(right), Kind::text);
    }
  }

  Piece collated() {
    Piece piece = unary();
    while (take_word("collate")) {
      piece.collation = upper_name(peek().text);
      piece.explicit_collation = true;
      ++at_;
      collated_or_refused("", piece.collation);
    }
    return piece;
  }

  Piece unary() {
    const std::string op = take_any({"-", "+", "~"});
    if (op.empty()) return primary();
    if (++depth_ > kDeepest) refuse("an expression nested too deeply");
    Piece piece = unary();
    --depth_;
    if (op == "~" || !is_number(piece.kind)) refuse("a sign before what is no number");
    if (op == "+") return piece;
    const bool literal = piece.literal;
    piece = compound("-" + operand(piece), piece.kind);
    piece.literal = literal;
    return piece;
  }

  Piece primary() {
    const Token token = peek();
    ++at_;
    switch (token.kind) {
      case Token::Kind::text:
        return text_literal(token.text);
      case Token::Kind::number:
        return number(token.text);
      case Token::Kind::blob:
        return blob(token.text);
      case Token::Kind::quoted_name:
        return column(token.text);
      case Token::Kind::double_quoted:
        return double_quoted(token.text);
      case Token::Kind::word:
        return word(token.text);
      default:
        break;
    }
    if (!token.is_symbol("(")) refuse("syntax that is not known");
    Piece piece = disjunction();
    if (peek().is_symbol(",")) refuse("row values");
    expect(")");
    return piece;
  }

  static Piece number(const std::string& text) {
    const bool whole = text.find_first_not_of("0123456789") == text.npos;
    if (!whole && !parse_decimal(text)) refuse("a number of that form");
    std::int64_t value = 0;
    if (whole && std::from_chars(text.data(), text.data() + text.size(), value).ec != std::errc())
      refuse("a number of that size");
    Piece piece = made(whole ? std::to_string(value) : text, whole ? Kind::integer : Kind::decimal);
    piece.literal = true;
    return piece;
  }

  static Piece blob(const std::string& hex) {
    if (hex.size() % 2 != 0 || hex.find_first_not_of("0123456789abcdefABCDEF") != hex.npos)
      refuse("a blob that is none");
    Piece piece = made("'\\x" + hex + "'::bytea", Kind::bytea);
    piece.literal = true;
    return piece;
  }

  const ColumnPlan* planned(const std::string& lower_name) const {
    const auto found = std::find_if(plan_.columns.begin(), plan_.columns.end(),
                                    [&](const ColumnPlan& c) { return ascii_lower(c.source) == lower_name; });
    return found == plan_.columns.end() ? nullptr : &*found;
  }

  const SourceColumn* declared(const std::string& name) const {
    const auto found = std::find_if(table_.columns.begin(), table_.columns.end(), [&](const SourceColumn& c) {
      return ascii_lower(c.name) == ascii_lower(name);
    });
    return found == table_.columns.end() ? nullptr : &*found;
  }

  Piece column(const std::string& first) {
    if (take_symbol(".")) {
      if (ascii_lower(first) != ascii_lower(table_.name)) refuse("a column of another table");
      const std::string name = peek().text;
      ++at_;
      return column(name);
    }
    const SourceColumn* source = declared(first);
    const ColumnPlan* target = planned(ascii_lower(first));
    if (!source || !target) refuse(source ? "a column that the target computes" : "a name that is no column");
    if (use_ == Use::generated && source->generated_sql) refuse("another generated column");
    Piece piece = made(quoted(target->target), kind_of(target->type));
    piece.time_form = target->time_form;
    piece.type = target->type;
    if (piece.kind == Kind::text) {
      piece.collation = upper_name(source->collation);
      collated_or_refused("", piece.collation);
    }
    return piece;
  }

  // SQLite takes "x" for a text where no column has that name.
  Piece double_quoted(const std::string& name) {
    return declared(name) || peek().is_symbol(".") ? column(name) : text_literal(name);
  }

  Piece word(const std::string& text) {
    const std::string name = ascii_lower(text);
    if (peek().is_symbol("(")) return function(name);
    if (declared(text) || peek().is_symbol(".")) return column(text);
    if (name == "null") return made("NULL", Kind::null);
    if (name == "true" || name == "false") return made(name, Kind::boolean);
    refuse(upper_name(text));
  }

  std::vector<Piece> arguments() {
    expect("(");
    std::vector<Piece> pieces;
    if (take_symbol(")")) return pieces;
    if (peek().is_symbol("*") || peek().is_word("distinct")) refuse("an aggregate");
    do pieces.push_back(disjunction());
    while (take_symbol(","));
    expect(")");
    std::for_each(pieces.begin(), pieces.end(), refuse_collation_inside);
    return pieces;
  }

  Piece function(const std::string& name) {
    std::vector<Piece> args = arguments();
    if (peek().is_word("over") || peek().is_word("filter")) refuse("a window");
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
      result = function_of_texts(name, args);
    }
    if (!result) refuse(name + "()");
    return *result;
  }

  static bool all_texts(const std::vector<Piece>& args, std::size_t from, std::size_t to) {
    return std::all_of(args.begin() + static_cast<std::ptrdiff_t>(from),
                       args.begin() + static_cast<std::ptrdiff_t>(to),
                       [](const Piece& p) { return p.kind == Kind::text; });
  }

  static std::string call(std::string_view name, const std::vector<Piece>& args) {
    std::string list;
    for (const Piece& arg : args) list += (list.empty() ? "" : ", ") + arg.sql;
    return std::string(name) + "(" + list + ")";
  }

  std::optional<Piece> function_of_texts(const std::string& name, const std::vector<Piece>& args) {
    const std::size_t n = args.size();
    if (n == 0 || args[0].kind != Kind::text) return std::nullopt;
    if ((name == "lower" || name == "upper") && n == 1) return folded(name, args[0]);
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

  Piece folded(const std::string& name, const Piece& arg) const {
    const bool as_written =
        use_ == Use::index_key;  // for speed only, so better as the new app's queries have it
    return made(name + "(" + operand(arg) + (as_written ? ")" : " COLLATE \"C\")"), Kind::text);
  }

  // With a start from 1 and a length from 0, both literals: other numbers mean something else in Postgres.
  static std::optional<Piece> part_of_text(const std::vector<Piece>& args) {
    const auto is_count = [](const Piece& p) {
      return p.literal && p.kind == Kind::integer && p.sql[0] != '-';
    };
    if (args.size() < 2 || args.size() > 3 || !is_count(args[1]) || args[1].sql == "0") return std::nullopt;
    if (args.size() == 3 && !is_count(args[2])) return std::nullopt;
    if (args[1].sql.size() > 9 || (args.size() == 3 && args[2].sql.size() > 9)) return std::nullopt;
    return made(call("substr", args), Kind::text);
  }

  static std::optional<Piece> choice(const std::string& name, std::vector<Piece>& args) {
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

  static constexpr int kDeepest = 100;
  const SourceTable& table_;
  const TablePlan& plan_;
  Use use_;
  std::vector<Token> tokens_;
  std::size_t at_ = 0;
  int depth_ = 0;
};

// Whether a generated column of `type` holds a value of `kind` as SQLite's affinity would leave it.
bool yields(Kind kind, TargetType type) {
  const Kind wanted = kind_of(type);
  if (kind == wanted) return kind != Kind::time && kind != Kind::json && kind != Kind::numeric;
  return kind == Kind::integer && (wanted == Kind::real || wanted == Kind::numeric);
}

template <typename Make>
Translated translated(Make make) {
  Translated result;
  try {
    const Piece piece = make();
    result.sql = piece.sql;
    result.never_false = piece.never_false;
  } catch (const Untranslatable& untranslatable) {
    result.refusal = untranslatable.why;
  }
  return result;
}

}  // namespace

std::string quoted_literal(std::string_view text) {
  std::string result = "'";
  for (const char c : text) result.append(c == '\'' ? 2 : 1, c);
  return result + '\'';
}

std::optional<std::string> under_collation(const std::string& sql, std::string_view collation) {
  const std::string name = upper_name(collation);
  if (name.empty() || name == "BINARY") return sql;
  if (name == "NOCASE") return "lower(" + sql + " COLLATE \"C\")";
  if (name == "RTRIM") return "rtrim(" + sql + ")";
  return std::nullopt;
}

Translated translate_condition(std::string_view sql, const SourceTable& table, const TablePlan& plan) {
  return translated([&] { return as_condition(Translator(sql, table, plan, Use::condition).whole()); });
}

Translated translate_generated(std::string_view sql, const SourceTable& table, const TablePlan& plan,
                               TargetType type) {
  return translated([&] {
    Piece piece = Translator(sql, table, plan, Use::generated).whole();
    if (type == TargetType::boolean) adapt_literal(piece, made("", Kind::boolean));
    if (!yields(piece.kind, type)) refuse("a result of another type than the column's");
    return piece;
  });
}

Translated translate_index_key(std::string_view sql, const SourceTable& table, const TablePlan& plan,
                               bool unique) {
  return translated([&] {
    Piece piece = Translator(sql, table, plan, unique ? Use::unique_key : Use::index_key).whole();
    if (piece.kind == Kind::json || piece.kind == Kind::null) refuse("a key that has no order");
    piece.sql = unique || piece.collation != "NOCASE" ? collated_or_refused(operand(piece), piece.collation)
                                                      : "lower(" + operand(piece) + ")";
    return piece;
  });
}

}  // namespace tidegate
