// The parts of an expression on its way from SQLite to Postgres: what each is on the target, and how two are
// joined so that both databases mean the same. Every function throws Untranslatable where they would not.
// Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "apply/plan.hpp"

namespace tidegate::expression {

struct Untranslatable {
  std::string why;  // e.g. "GLOB"; never a literal of the expression
};
[[noreturn]] void refuse(std::string why);

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

Kind kind_of(TargetType type);
bool is_number(Kind kind);
// The piece's SQL, in brackets where an operator beside it needs them.
std::string operand(const Piece& p);
Piece made(std::string sql, Kind kind);
Piece compound(std::string sql, Kind kind);
Piece text_literal(const std::string& text);

std::string upper_name(std::string_view text);
// Throws where the collation is an application's own.
std::string collated_or_refused(const std::string& sql, const std::string& collation);
std::string collation_of(const Piece& a, const Piece& b);
// As an operand of a comparison under that collation.
std::string comparable(const Piece& p, const std::string& collation, bool ordered);
// An explicit collation reaches out of a function's arguments and of ||, up to the comparison around them.
void refuse_collation_inside(const Piece& p);

// 0 and 1 beside a boolean are its values; a text beside a date is a date; a number beside a real is one.
void adapt_literal(Piece& literal, const Piece& other);
// Makes two operands comparable in Postgres with SQLite's outcome.
void agree(Piece& a, Piece& b);

Piece compare(Piece a, const std::string& op, Piece b);
Piece arithmetic(Piece a, const std::string& op, Piece b);
Piece as_condition(Piece p);
std::string as_text(const Piece& p);
// `exact_case`: lower() and upper() fold ASCII only, as SQLite's do.
Piece call_function(const std::string& name, std::vector<Piece> args, bool exact_case);

}  // namespace tidegate::expression
