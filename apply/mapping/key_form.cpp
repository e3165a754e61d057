#include "apply/mapping/key_form.hpp"

#include <algorithm>
#include <set>

#include "apply/mapping/expression_check.hpp"
#include "apply/mapping/keys/key_calls.hpp"
#include "apply/schema/planner.hpp"
#include "apply/schema/tokens.hpp"

namespace tidegate {
namespace {

using Names = std::vector<std::string>;

// The arguments of a call: what stands between its commas, inside of its own brackets.
Names arguments_of(const std::string& call) {
  const auto tokens = tokens_of(call).value_or(std::vector<Token>{});
  Names arguments;
  int depth = 0;
  std::size_t begin = 0;
  for (const Token& token : tokens) {
    const bool closes = token.is_symbol(")") && depth == 1;
    if (closes || (token.is_symbol(",") && depth == 1))
      arguments.push_back(call.substr(begin, token.begin - begin));
    if (token.is_symbol("(")) ++depth;
    if (token.is_symbol(")")) --depth;
    if ((token.is_symbol("(") || token.is_symbol(",")) && depth == 1) begin = token.end;
  }
  return arguments;
}

// lower(name) of a NOCASE column: SQLite compares and folds the same letters, so it tells apart what the
// column does.
std::optional<std::string> folded_column(const std::string& expression, const SourceTable& table,
                                         const Names& columns) {
  const auto tokens = tokens_of(expression).value_or(std::vector<Token>{});
  const bool folds = tokens.size() == 5 && (tokens[0].is_word("lower") || tokens[0].is_word("upper")) &&
                     tokens[1].is_symbol("(") && tokens[3].is_symbol(")");
  const auto name =
      folds ? passed_column(expression.substr(tokens[2].begin, tokens[2].end - tokens[2].begin), columns)
            : std::nullopt;
  const SourceColumn* column = name ? table.column(*name) : nullptr;
  return column && column->collation == "NOCASE" ? name : std::nullopt;
}

struct Held {
  std::set<std::string> as_they_are, folded;
};

void collect(const std::string& expression, const SourceTable& table, const Names& columns, Held& into) {
  if (auto passed = passed_column(expression, columns)) into.as_they_are.insert(*passed);
  if (auto folded = folded_column(expression, table, columns)) into.folded.insert(*folded);
  if (!key_call(expression)) return;
  for (const std::string& argument : arguments_of(expression)) collect(argument, table, columns, into);
}

bool holds(const Held& had, const Names& wanted) {
  return !wanted.empty() && std::all_of(wanted.begin(), wanted.end(), [&](const std::string& name) {
    return had.as_they_are.contains(name) || had.folded.contains(name);
  });
}

bool is_unique_of(const SourceIndex& index, const SourceTable& table, const Held& had) {
  return index.unique && !index.partial && !index.parts.empty() &&
         std::all_of(index.parts.begin(), index.parts.end(), [&](const SourceIndexPart& part) {
           const SourceColumn* column = part.column ? table.column(*part.column) : nullptr;
           return column && column->not_null &&
                  (had.as_they_are.contains(column->name) ||
                   (part.collation == "NOCASE" && had.folded.contains(column->name)));
         });
}

}  // namespace

bool tells_rows_apart(const MapTarget& target, const SourceTable& table) {
  Names columns{std::string(kRidSource)};
  for (const SourceColumn& column : table.columns) columns.push_back(column.name);
  Held had;
  for (const std::string& name : target.key)
    for (const MapColumn& column : target.columns)
      if (column.target == name) collect(column.expression.text, table, columns, had);
  const bool by_rowid = table.identity == Identity::rowid;
  const Names key = by_rowid ? Names{std::string(kRidSource)} : table.primary_key;
  return holds(had, key) ||
         std::any_of(table.indexes.begin(), table.indexes.end(),
                     [&](const SourceIndex& index) { return is_unique_of(index, table, had); });
}

}  // namespace tidegate
