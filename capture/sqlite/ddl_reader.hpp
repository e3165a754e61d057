// Reads what SQLite's pragmas do not tell out of the text of a CREATE TABLE. Pure; never throws on any text.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "proto/table.hpp"

namespace tidegate::capture {

struct GeneratedColumn {
  std::string column;
  std::string sql;  // the expression inside AS ( ... )
  bool stored = false;
  bool operator==(const GeneratedColumn&) const = default;
};

// Expressions are as written, but without comments and with every gap one space.
struct TableDdl {
  std::string table;
  std::vector<std::string> columns;  // in declared order, unquoted
  std::vector<SourceCheck> checks;   // of columns and of the table, in the order of the text
  std::vector<GeneratedColumn> generated;
  bool autoincrement = false;
  bool without_rowid = false;
  bool strict = false;
  bool has_on_conflict = false;    // some constraint has an ON CONFLICT clause
  bool has_deferred_keys = false;  // some foreign key is DEFERRABLE INITIALLY DEFERRED
  // What could not be followed, as phrases for an operator. What is said above then holds only for the rest
  // of the text: nothing is guessed, but something may be missing.
  std::vector<std::string> not_understood;
};

TableDdl read_table_ddl(std::string_view sql);

}  // namespace tidegate::capture
