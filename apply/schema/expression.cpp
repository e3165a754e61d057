#include "apply/schema/expression.hpp"

#include <algorithm>
#include <charconv>
#include <optional>

#include "apply/schema/expression_piece.hpp"
#include "apply/schema/tokens.hpp"
#include "proto/text.hpp"

namespace tidegate {
namespace {

using namespace expression;

enum class Use { condition, generated, index_key, unique_key };

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
    return call_function(name, std::move(args), use_ != Use::index_key);
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
