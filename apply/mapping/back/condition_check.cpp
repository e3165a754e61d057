#include "apply/mapping/back/condition_check.hpp"

#include <fmt/format.h>

#include "apply/mapping/expression_check.hpp"
#include "apply/mapping/refusals.hpp"
#include "db/error.hpp"

namespace tidegate {
namespace {

std::string table_of(const MapTarget& target) {
  return quoted(target.schema) + "." + quoted(target.table);
}

bool is_there(postgres::Connection& target, const std::string& table) {
  return target.run("SELECT pg_catalog.to_regclass($1) IS NOT NULL", {table}).boolean(0, 0);
}

// A row of the table beside it, as where it is asked: an aggregate is none of a row.
std::string question(const std::string& table, const PlacedText& condition) {
  return fmt::format("SELECT t.*, ({}) IS TRUE FROM {} AS t LIMIT 0", condition.text, table);
}

std::optional<Error> complaint_about(postgres::Connection& target, const std::string& sql) {
  const bool within = target.in_transaction();
  if (within) target.run("SAVEPOINT tidegate_condition");
  std::optional<Error> complaint;
  try {
    target.run(sql);
  } catch (const Error& error) {
    if (error.advice() != Advice::stop || !target.usable()) throw;
    complaint = error;
  }
  if (within) target.run("ROLLBACK TO SAVEPOINT tidegate_condition; RELEASE SAVEPOINT tidegate_condition");
  return complaint;
}

Finding blocked(const Sentence& refused, const std::string& table) {
  return {Finding::Level::block, refused.code(), table, "", refused.message(), refused.mend()};
}

void judge(postgres::Connection& target, const MapTarget& output, const char* name,
           const PlacedText& condition, std::vector<Finding>& findings) {
  const std::string table = table_of(output);
  if (!is_balanced(condition.text))
    return findings.push_back(blocked(not_an_expression(condition, "a condition"), table));
  if (const auto complaint = complaint_about(target, question(table, condition)))
    findings.push_back(blocked(condition_is_refused(condition, name, output, complaint->what()), table));
}

// The key memory's own conditions are written by tidegate, and ask a table that may not be there yet.
bool by_hand(const PlacedText& condition) {
  return condition.text.find("tidegate.keys") == std::string::npos;
}

}  // namespace

std::vector<Finding> condition_findings(postgres::Connection& target,
                                        const std::vector<MapDefinition>& maps) {
  std::vector<Finding> findings;
  for (const MapDefinition& map : maps) {
    for (const MapTarget& output : map.to) {
      const bool rows = output.rows && by_hand(*output.rows);
      if ((!rows && !output.born) || !is_there(target, table_of(output))) continue;
      if (rows) judge(target, output, "rows", *output.rows, findings);
      if (output.born) judge(target, output, "born", *output.born, findings);
    }
  }
  return findings;
}

}  // namespace tidegate
