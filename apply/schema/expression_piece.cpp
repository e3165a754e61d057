#include "apply/schema/expression_piece.hpp"

#include "apply/schema/expression.hpp"
#include "proto/iso_time.hpp"
#include "proto/text.hpp"

namespace tidegate::expression {

void refuse(std::string why) {
  throw Untranslatable{std::move(why)};
}

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
static bool is_zero_or_one(const Piece& p) {
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

static bool is_ordering(std::string_view op) {
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

static Piece as_integer_if_boolean(const Piece& p) {
  return p.kind == Kind::boolean ? made("(" + p.sql + ")::int", Kind::integer) : p;
}

static bool is_nonzero_literal(const Piece& p) {
  return p.literal && p.sql.find_first_of("123456789") != p.sql.npos;
}

static Kind arithmetic_kind(const Piece& a, const Piece& b) {
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

void refuse_collation_inside(const Piece& p) {
  if (p.explicit_collation) refuse("COLLATE inside of an expression");
}

std::string as_text(const Piece& p) {
  refuse_collation_inside(p);
  if (p.kind == Kind::text) return operand(p);
  if (p.kind == Kind::integer) return "(" + p.sql + ")::text";
  refuse("a text made of a value that both print differently");
}

}  // namespace tidegate::expression
