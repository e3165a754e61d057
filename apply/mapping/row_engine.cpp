#include "apply/mapping/row_engine.hpp"

#include <algorithm>
#include <iterator>
#include <stdexcept>

#include "apply/mapping/expression_check.hpp"
#include "db/error.hpp"

namespace tidegate {
namespace {

const char* type_of(Affinity affinity) {
  switch (affinity) {
    case Affinity::blob:
      return "";
    case Affinity::text:
      return "TEXT";
    case Affinity::numeric:
      return "NUMERIC";
    case Affinity::integer:
      return "INTEGER";
    case Affinity::real:
      return "REAL";
  }
  return "";
}

// An application's own collation is not here; without it texts compare by their bytes.
std::string collation_of(const EngineColumn& column) {
  const bool known = column.collation == "NOCASE" || column.collation == "RTRIM";
  return known ? " COLLATE " + column.collation : "";
}

constexpr std::string_view only_row = "_tidegate_row";

std::string create_sql(const std::vector<EngineColumn>& columns) {
  std::string list = std::string(only_row) + " INTEGER PRIMARY KEY";
  for (const auto& column : columns) {
    list += ", " + sqlite::quoted(column.name) + " " + type_of(column.affinity) + collation_of(column);
  }
  return "CREATE TABLE source(" + list + ")";
}

std::vector<std::string> names_of(const std::vector<EngineColumn>& columns) {
  std::vector<std::string> names;
  for (const auto& column : columns) names.push_back(column.name);
  return names;
}

constexpr std::string_view select = "SELECT (";

}  // namespace

RowEngine::RowEngine(std::vector<EngineColumn> columns, const Functions& functions, std::string_view alias)
    : columns_(std::move(columns)),
      from_(" FROM source AS " + sqlite::quoted(alias)),
      memory_(sqlite::Database::in_memory()) {
  memory_.refuse_double_quoted_texts();
  memory_.execute("PRAGMA journal_mode = OFF");
  memory_.execute(create_sql(columns_));
  if (functions) functions(memory_);
  memory_.execute("BEGIN");  // never ended: a transaction for each row would take longer than its expressions
}

std::size_t RowEngine::add(const std::string& expression) {
  auto complaint = memory_.complaint_about(std::string(select) + expression + ")" + from_);
  if (complaint) {
    offset_ = complaint->offset < 0 ? -1 : complaint->offset - static_cast<int>(select.size());
    throw std::invalid_argument(complaint->message);
  }
  std::vector<std::size_t> all;
  auto more = columns_read(expression, names_of(columns_));
  std::set_union(read_.begin(), read_.end(), more.begin(), more.end(), std::back_inserter(all));
  read_ = std::move(all);
  insert_.reset();
  expressions_.push_back(expression);
  return expressions_.size() - 1;
}

RowEngine::Query& RowEngine::query_for(const std::vector<std::size_t>& expressions) {
  for (Query& query : queries_) {
    if (query.expressions == expressions) return query;
  }
  std::string list;
  for (auto number : expressions) list += (list.empty() ? "(" : ", (") + expressions_[number] + ")";
  return queries_.emplace_back(Query{expressions, memory_.prepare("SELECT " + list + from_)});
}

sqlite::Statement RowEngine::prepare_insert() {
  std::string names(only_row), values = "1";
  for (auto column : read_) {
    names += ", " + sqlite::quoted(columns_[column].name);
    values += ", ?";
  }
  return memory_.prepare("INSERT OR REPLACE INTO source(" + names + ") VALUES (" + values + ")");
}

void RowEngine::place(const Row& row) {
  if (!insert_) insert_ = prepare_insert();
  int parameter = 0;
  for (auto column : read_) insert_->bind(++parameter, row[column]);
  insert_->run();
}

void RowEngine::evaluate(const Row& row, const std::vector<std::size_t>& expressions, Row& results) {
  results.clear();
  if (expressions.empty()) return;
  place(row);
  sqlite::Statement& statement = query_for(expressions).statement;
  try {
    statement.step();
    statement.read_row(results, 0, static_cast<int>(expressions.size()));
  } catch (const Error&) {
    statement.reset();
    throw;
  }
  statement.reset();
}

std::optional<std::size_t> RowEngine::failing(const Row& row, const std::vector<std::size_t>& expressions) {
  Row ignored;
  for (auto number : expressions) {
    try {
      evaluate(row, {number}, ignored);
    } catch (const Error&) {
      return number;
    }
  }
  return std::nullopt;
}

}  // namespace tidegate
