// A statement of DDL: what it makes, and what takes that back. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "apply/schema/native/pg_tokens.hpp"

namespace tidegate::schema {

using native::QualifiedName;

// What a statement makes. `kind` is the word after CREATE ("table", "index", "type", ...), "column" or
// "constraint" of an ALTER TABLE ... ADD, "column type" of an ALTER COLUMN ... TYPE, "label" of an ALTER TYPE
// ... ADD VALUE; empty: nothing that has a name of its own.
struct Subject {
  std::string kind;
  QualifiedName name;  // of a column, constraint, index or policy: its table; of a label: its type. Schema
                       // public where none is said
  std::string part;    // the column's, constraint's, index's or label's own name; a function's arguments
  bool operator==(const Subject&) const = default;
  auto operator<=>(const Subject&) const = default;
};
Subject subject_of(std::string_view statement);

// Two statements with equal texts make the same: blanks, comments, quotes around names, CONCURRENTLY and IF
// NOT EXISTS are left out.
std::string plain_text(std::string_view statement);

// The statement that takes it back; empty where nothing needs to be done or can be.
std::string reverse_of(std::string_view statement);

// May it be in a transaction with others? CREATE INDEX CONCURRENTLY may not, nor may a BEGIN of the file's
// own.
bool fits_transaction(std::string_view statement);

// What stands between the first parenthesis at its outermost level and its end, cut at the commas: the
// columns and constraints of a CREATE TABLE, the labels of an enum. Without comments.
struct Member {
  std::string text;                   // as written
  std::vector<native::Token> tokens;  // places are those of `text`
};
std::vector<Member> members_of(std::string_view statement);
// Of a statement whose subject is a "column": its definition. Of a "column type": the type alone.
Member column_of(std::string_view statement);
std::string type_of(std::string_view statement);

std::string qualified(const QualifiedName& name);  // quoted for Postgres

}  // namespace tidegate::schema
