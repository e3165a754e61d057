// The parts of make_ddl(), one per kind of object. `i` counts tables and plans alike.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "apply/schema/ddl.hpp"
#include "apply/schema/names.hpp"

namespace tidegate::ddl {

struct Schema {
  const std::vector<SourceTable>& tables;
  const std::vector<TablePlan>& plans;
  Names names;
  std::map<std::string, std::string> key_names;                      // table → its primary key's constraint
  std::map<std::pair<std::string, std::string>, std::string> given;  // (table, index at the source) → name
  std::vector<DdlObject> objects;
  std::vector<Finding> findings;

  void find(Finding::Level level, std::string code, std::size_t i, const std::string& column,
            std::string message, std::string mend = {}) {
    findings.push_back({level, std::move(code), tables[i].name, column, std::move(message), std::move(mend)});
  }
};

// Added without a look at the rows, then validated in a transaction of its own.
DdlObject constraint(DdlObject::Kind kind, const TablePlan& plan, const std::string& name,
                     const std::string& definition);
// " ON DELETE CASCADE"; "" where it is the server's own.
std::string referential_action(const std::string& event, const std::string& action);

void reserve_key_names(Schema& schema, std::size_t i);
void reserve_given_names(Schema& schema, std::size_t i);

std::string create_table(Schema& schema, std::size_t i);
void add_unique_keys(Schema& schema, std::size_t i);
void add_indexes(Schema& schema, std::size_t i);
void add_checks(Schema& schema, std::size_t i);
void add_foreign_keys(Schema& schema, std::size_t i);

// Row level security, revokes and grants of one table.
std::vector<std::string> access_statements(const TablePlan& plan, const PlanOptions& options);
// Throws std::invalid_argument for a grant of something that is no privilege.
void validate_privileges(const PlanOptions& options);

// The written column of that name at the source, by SQLite's rule for names; null where there is none.
const ColumnPlan* written_column(const TablePlan& plan, const std::string& source_name);
std::string quoted_list(const std::vector<std::string>& names);
bool same_name(std::string_view a, std::string_view b);
std::string primary_key_name(const TablePlan& plan);

}  // namespace tidegate::ddl
