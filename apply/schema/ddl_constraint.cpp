// Checks and foreign keys.
#include <algorithm>
#include <set>

#include "apply/schema/ddl_parts.hpp"
#include "apply/schema/expression.hpp"
#include "apply/schema/tokens.hpp"

namespace tidegate {
namespace {

using ddl::Schema;
using Level = Finding::Level;

std::set<std::string> lower_set(const std::vector<std::string>& names) {
  std::set<std::string> set;
  for (const std::string& name : names) set.insert(ascii_lower(name));
  return set;
}

bool is_binary(const std::string& collation) {
  return collation.empty() || ddl::same_name(collation, "BINARY");
}

// Whether the index holds exactly these columns, each by its bytes, over all rows.
bool is_plain_over(const SourceIndex& index, const std::set<std::string>& columns) {
  std::set<std::string> own;
  for (const SourceIndexPart& part : index.parts) {
    if (!part.column || !is_binary(part.collation)) return false;
    own.insert(ascii_lower(*part.column));
  }
  return !index.partial && own == columns;
}

// Whether Postgres will have a unique constraint or index on exactly these columns.
bool is_unique(const SourceTable& parent, const std::vector<std::string>& columns) {
  const auto wanted = lower_set(columns);
  if (lower_set(parent.primary_key) == wanted) return true;
  return std::any_of(parent.indexes.begin(), parent.indexes.end(),
                     [&](const SourceIndex& index) { return index.unique && is_plain_over(index, wanted); });
}

bool is_text(TargetType type) {
  return type == TargetType::text || type == TargetType::varchar;
}

bool types_match(const ColumnPlan& child, const ColumnPlan& parent) {
  return child.type == parent.type || (is_text(child.type) && is_text(parent.type));
}

// The columns of both ends on the target; `refusal` where they cannot be joined there.
struct Ends {
  std::size_t parent = 0;
  std::vector<std::string> columns, parent_columns;
  std::string refusal;
};

void resolve_columns(const Schema& schema, std::size_t i, const SourceForeignKey& key, Ends& ends) {
  for (std::size_t n = 0; n < key.columns.size(); ++n) {
    const ColumnPlan* child = ddl::written_column(schema.plans[i], key.columns[n]);
    const ColumnPlan* parent = ddl::written_column(schema.plans[ends.parent], key.parent_columns.at(n));
    if (!child || !parent) {
      ends.refusal = "a column of it is not there or is computed on the target";
      return;
    }
    if (!types_match(*child, *parent)) ends.refusal = "its columns have different types";
    const SourceColumn* source = schema.tables[ends.parent].column(parent->source);
    if (source && !is_binary(source->collation))
      ends.refusal = "its parent's column has a collation of its own";
    ends.columns.push_back(child->target);
    ends.parent_columns.push_back(parent->target);
  }
}

Ends resolve(const Schema& schema, std::size_t i, const SourceForeignKey& key) {
  Ends ends;
  const auto parent = std::find_if(schema.tables.begin(), schema.tables.end(),
                                   [&](const SourceTable& t) { return ddl::same_name(t.name, key.parent); });
  ends.parent = static_cast<std::size_t>(parent - schema.tables.begin());
  if (parent == schema.tables.end()) {
    ends.refusal = "its parent is not among the tables";
  } else if (key.columns.empty() || key.columns.size() != key.parent_columns.size() ||
             !is_unique(*parent, key.parent_columns)) {
    ends.refusal = "its parent's columns are not unique";
  } else {
    resolve_columns(schema, i, key, ends);
  }
  return ends;
}

// Whether a lookup by these columns can use the key or an index that covers all rows.
bool is_indexed(const SourceTable& table, const std::vector<std::string>& columns) {
  const auto wanted = lower_set(columns);
  const auto leads = [&](const std::vector<std::string>& names) {
    return names.size() >= columns.size() &&
           lower_set({names.begin(), names.begin() + static_cast<std::ptrdiff_t>(columns.size())}) == wanted;
  };
  if (leads(table.primary_key)) return true;
  return std::any_of(table.indexes.begin(), table.indexes.end(), [&](const SourceIndex& index) {
    std::vector<std::string> names;
    for (const SourceIndexPart& part : index.parts)
      names.push_back(part.column && is_binary(part.collation) ? *part.column : "");
    return !index.partial && leads(names);
  });
}

std::string listed(const std::vector<std::string>& columns) {
  return "(" + ddl::quoted_list(columns) + ")";
}

void add_foreign_key(Schema& schema, std::size_t i, const SourceForeignKey& key) {
  const TablePlan& plan = schema.plans[i];
  const std::string what = "the foreign key " + listed(key.columns) + " of " + quoted(plan.source);
  const Ends ends = resolve(schema, i, key);
  if (!ends.refusal.empty()) {
    schema.find(Level::warn, "foreign-key-not-carried", i, "", what + " is not carried over: " + ends.refusal,
                "make one like it in post_sql");
    return;
  }
  const std::string name =
      schema.names.take_constraint(plan.source, derived_name(plan.target, ends.columns, "fkey"));
  schema.objects.push_back(ddl::constraint(
      DdlObject::Kind::foreign_key, plan, name,
      "FOREIGN KEY " + listed(ends.columns) + " REFERENCES " + quoted_name(schema.plans[ends.parent]) + " " +
          listed(ends.parent_columns) + ddl::referential_action("DELETE", key.on_delete) +
          ddl::referential_action("UPDATE", key.on_update) + " DEFERRABLE INITIALLY IMMEDIATE"));
  if (!is_indexed(schema.tables[i], key.columns)) {
    schema.find(Level::note, "foreign-key-unindexed", i, "",
                what + " has no index: a delete in the parent reads the whole table",
                "CREATE INDEX ON " + quoted_name(plan) + " " + listed(ends.columns));
  }
}

}  // namespace

DdlObject ddl::constraint(DdlObject::Kind kind, const TablePlan& plan, const std::string& name,
                          const std::string& definition) {
  const std::string alter = "ALTER TABLE " + quoted_name(plan);
  return {kind,
          plan.source,
          name,
          {alter + " ADD CONSTRAINT " + quoted(name) + " " + definition + " NOT VALID",
           alter + " VALIDATE CONSTRAINT " + quoted(name)}};
}

std::string ddl::referential_action(const std::string& event, const std::string& action) {
  constexpr std::string_view known[] = {"RESTRICT", "SET NULL", "SET DEFAULT", "CASCADE"};
  return std::find(std::begin(known), std::end(known), action) == std::end(known)
             ? ""
             : " ON " + event + " " + action;
}

void ddl::add_checks(Schema& schema, std::size_t i) {
  const TablePlan& plan = schema.plans[i];
  for (const SourceCheck& check : schema.tables[i].checks) {
    const Translated condition = translate_condition(check.sql, schema.tables[i], plan);
    if (!condition) {
      schema.find(Level::warn, "check-not-translated", i, "",
                  "the check " + (check.name.empty() ? "" : quoted(check.name) + " ") + "of " +
                      quoted(plan.source) + " is not carried over: " + condition.refusal,
                  "make one like it in post_sql");
    } else if (!condition.never_false) {
      const std::string wanted = check.name.empty() ? derived_name(plan.target, {}, "check") : check.name;
      const std::string name = schema.names.take_constraint(plan.source, wanted);
      schema.objects.push_back(
          ddl::constraint(DdlObject::Kind::check, plan, name, "CHECK (" + condition.sql + ")"));
    }
  }
}

void ddl::add_foreign_keys(Schema& schema, std::size_t i) {
  for (const SourceForeignKey& key : schema.tables[i].foreign_keys) add_foreign_key(schema, i, key);
}

}  // namespace tidegate
