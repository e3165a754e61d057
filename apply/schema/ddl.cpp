#include "apply/schema/ddl.hpp"

#include <algorithm>
#include <stdexcept>

#include "apply/schema/ddl_parts.hpp"

namespace tidegate {
namespace {

using ddl::Schema;

// Names that are given come before names that are made up; tables before both.
void reserve_names(Schema& schema) {
  for (const TablePlan& plan : schema.plans) schema.names.take_relation(plan.source, plan.target);
  for (std::size_t i = 0; i < schema.tables.size(); ++i) ddl::reserve_key_names(schema, i);
  for (std::size_t i = 0; i < schema.tables.size(); ++i) ddl::reserve_given_names(schema, i);
}

void append(std::vector<std::string>& into, std::vector<std::string> more) {
  into.insert(into.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
}

std::vector<std::string> table_statements(Schema& schema, std::size_t i, const PlanOptions& options) {
  std::vector<std::string> statements = {ddl::create_table(schema, i)};
  append(statements, ddl::access_statements(schema.plans[i], options));
  return statements;
}

// What follows the load, each kind for all tables: foreign keys need every table's unique constraints.
void add_objects(Schema& schema) {
  for (std::size_t i = 0; i < schema.tables.size(); ++i) ddl::add_unique_keys(schema, i);
  for (std::size_t i = 0; i < schema.tables.size(); ++i) ddl::add_indexes(schema, i);
  for (std::size_t i = 0; i < schema.tables.size(); ++i) ddl::add_checks(schema, i);
  for (std::size_t i = 0; i < schema.tables.size(); ++i) ddl::add_foreign_keys(schema, i);
}

Schema schema_of(const std::vector<SourceTable>& tables, const std::vector<TablePlan>& plans,
                 const PlanOptions& options) {
  if (tables.size() != plans.size()) throw std::invalid_argument("ddl: as many plans as tables are needed");
  ddl::validate_privileges(options);
  Schema schema{tables, plans, {}, {}, {}, {}, {}};
  reserve_names(schema);
  return schema;
}

}  // namespace

void ddl::validate_privileges(const PlanOptions& options) {
  for (const Grant& grant : options.grants) {
    for (const std::string& privilege : grant.privileges) {
      if (privilege.empty() || privilege.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZ ") != privilege.npos) {
        throw std::invalid_argument("grant: not a privilege: " + privilege);
      }
    }
  }
}

std::vector<std::string> ddl::access_statements(const TablePlan& plan, const PlanOptions& options) {
  const std::string on_table = " ON TABLE " + quoted_name(plan);
  std::vector<std::string> statements;
  if (options.enable_rls)
    statements.push_back("ALTER TABLE " + quoted_name(plan) + " ENABLE ROW LEVEL SECURITY");
  statements.push_back("REVOKE ALL" + on_table + " FROM PUBLIC");
  for (const std::string& role : options.revoke_from)
    statements.push_back("REVOKE ALL" + on_table + " FROM " + quoted(role));
  for (const Grant& grant : options.grants) {
    if (grant.privileges.empty()) continue;
    std::string privileges;
    for (const std::string& p : grant.privileges) privileges += (privileges.empty() ? "" : ", ") + p;
    statements.push_back("GRANT " + privileges + on_table + " TO " + quoted(grant.role));
  }
  return statements;
}

Ddl make_ddl(const std::vector<SourceTable>& tables, const std::vector<TablePlan>& plans,
             const PlanOptions& options) {
  Schema schema = schema_of(tables, plans, options);
  Ddl result;
  if (options.schema != "public")
    result.before_load.push_back("CREATE SCHEMA IF NOT EXISTS " + quoted(options.schema));
  for (std::size_t i = 0; i < tables.size(); ++i)
    append(result.before_load, table_statements(schema, i, options));
  add_objects(schema);
  result.after_load = std::move(schema.objects);
  result.findings = std::move(schema.findings);
  return result;
}

std::vector<std::string> add_table_statements(const std::string& name, const std::vector<SourceTable>& tables,
                                              const std::vector<TablePlan>& plans,
                                              const PlanOptions& options) {
  Schema schema = schema_of(tables, plans, options);
  std::vector<std::string> statements;
  for (std::size_t i = 0; i < tables.size(); ++i) {
    if (tables[i].name == name) append(statements, table_statements(schema, i, options));
  }
  add_objects(schema);
  for (DdlObject& object : schema.objects) {
    if (object.table == name) append(statements, std::move(object.statements));
  }
  return statements;
}

}  // namespace tidegate
