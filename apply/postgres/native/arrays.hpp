// Parameters of the statements in statements.hpp. Pure.
#pragma once

#include <string>
#include <vector>

#include "apply/postgres/native/step.hpp"
#include "db/postgres.hpp"

namespace tidegate::native {

// Array literals, one for each value column and then one for each key column.
class Arrays {
 public:
  Arrays(const Target& target, Columns columns, bool with_key);

  void append(const Row& values, const Row& key);
  std::size_t rows() const { return rows_; }
  // Closes the literals; nothing may be appended any more.
  std::vector<postgres::Parameter> take();

 private:
  void append(std::size_t column, const Value& value, std::string& literal) const;

  const Target* target_;
  Columns columns_, key_;
  std::vector<std::string> literals_;
  std::size_t rows_ = 0;
};

// All columns of one row as scalars, without NULLs, and which are NULL.
struct Scalars {
  std::vector<bool> nulls;
  std::vector<postgres::Parameter> values;
};
Scalars scalars(const Table& table, const Row& row);

Columns all_columns(const Table& table);

}  // namespace tidegate::native
