// SQL expressions over one row at a time, in an in-memory SQLite database. Compiled once; used by one thread.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "apply/schema/declared_type.hpp"
#include "db/sqlite.hpp"
#include "proto/value.hpp"

namespace tidegate {

// A column of the source's table, as comparisons see it.
struct EngineColumn {
  std::string name;
  Affinity affinity = Affinity::blob;
  std::string collation = "BINARY";
};

class RowEngine {
 public:
  // Adds functions to the engine's connection.
  using Functions = std::function<void(sqlite::Database&)>;

  // `alias`: as expressions may call the row, in `alias.column`.
  RowEngine(std::vector<EngineColumn> columns, const Functions& functions, std::string_view alias = "source");

  // Takes an expression in and gives its number. Throws std::invalid_argument, whose text is SQLite's and
  // which holds no value; offset() is then where in the expression it is, or -1.
  std::size_t add(const std::string& expression);
  int offset() const { return offset_; }
  // Places of the columns that some expression reads, ascending.
  const std::vector<std::size_t>& read() const { return read_; }

  // Evaluates the expressions with these numbers, in that order; `row` is as wide as the columns. Values that
  // no expression reads are not looked at. Throws Error where one of them fails.
  void evaluate(const Row& row, const std::vector<std::size_t>& expressions, Row& results);
  // Which of them fails for the row; nothing where none does.
  std::optional<std::size_t> failing(const Row& row, const std::vector<std::size_t>& expressions);

 private:
  struct Query {
    std::vector<std::size_t> expressions;
    sqlite::Statement statement;
  };
  Query& query_for(const std::vector<std::size_t>& expressions);
  void place(const Row& row);
  sqlite::Statement prepare_insert();

  std::vector<EngineColumn> columns_;
  std::string from_;
  sqlite::Database memory_;
  std::vector<std::string> expressions_;
  std::vector<std::size_t> read_;
  std::optional<sqlite::Statement> insert_;
  std::vector<Query> queries_;
  int offset_ = -1;
};

}  // namespace tidegate
