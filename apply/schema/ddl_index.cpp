// Unique constraints and indexes.
#include <algorithm>

#include "apply/schema/ddl_parts.hpp"
#include "apply/schema/expression.hpp"
#include "apply/schema/tokens.hpp"

namespace tidegate {
namespace {

using ddl::Schema;
using Level = Finding::Level;

// One CREATE INDEX under way.
struct Keys {
  std::string list;                  // what stands in the brackets
  std::vector<std::string> columns;  // for the name; "expr" for an expression
  bool plain = true;                 // columns only, ascending, each compared by its bytes
  std::string refusal;
};

bool is_binary(const std::string& collation) {
  return collation.empty() || ddl::same_name(collation, "BINARY");
}

// What is translated for one part: the column under the index's own collation, or the expression as written.
std::string source_of(const SourceIndexPart& part, const std::string& written) {
  if (!part.column) return written;
  return quoted(*part.column) + (part.collation.empty() ? "" : " COLLATE " + part.collation);
}

void add_key(Keys& keys, const TablePlan& plan, const SourceIndexPart& part, const Translated& key) {
  if (!key) {
    if (keys.refusal.empty()) keys.refusal = key.refusal;
    return;
  }
  keys.list += (keys.list.empty() ? "" : ", ") + key.sql + (part.descending ? " DESC" : "");
  keys.columns.push_back(part.column.value_or("expr"));
  const ColumnPlan* column = part.column ? ddl::written_column(plan, *part.column) : nullptr;
  keys.plain = keys.plain && column && !part.descending && key.sql == quoted(column->target);
}

Keys keys_of(const Schema& schema, std::size_t i, const SourceIndex& index, const IndexText& written) {
  Keys keys;
  for (std::size_t part = 0; part < index.parts.size(); ++part) {
    const std::string text = part < written.parts.size() ? written.parts[part] : "";
    add_key(keys, schema.plans[i], index.parts[part],
            translate_index_key(source_of(index.parts[part], text), schema.tables[i], schema.plans[i],
                                index.unique));
  }
  return keys;
}

std::string name_for(Schema& schema, std::size_t i, const SourceIndex& index, const Keys& keys) {
  const TablePlan& plan = schema.plans[i];
  const auto given = schema.given.find({plan.source, index.name});
  if (given != schema.given.end()) return given->second;
  return schema.names.take_relation(plan.source,
                                    derived_name(plan.target, keys.columns, index.unique ? "key" : "idx"));
}

void tell_lost(Schema& schema, std::size_t i, const SourceIndex& index, const std::string& why) {
  const std::string what = index.is_constraint ? "a UNIQUE constraint" : "index " + quoted(index.name);
  schema.find(index.unique ? Level::warn : Level::note,
              index.unique ? "unique-not-translated" : "index-not-translated", i, "",
              what + " of " + quoted(schema.tables[i].name) + " is not carried over: " + why,
              "make one like it in post_sql");
}

void add_index(Schema& schema, std::size_t i, const SourceIndex& index) {
  const TablePlan& plan = schema.plans[i];
  const IndexText written = split_create_index(index.sql).value_or(IndexText{});
  const Keys keys = keys_of(schema, i, index, written);
  if (!keys.refusal.empty()) return tell_lost(schema, i, index, keys.refusal);
  std::string where;
  if (index.partial) {
    const Translated condition = translate_condition(written.where, schema.tables[i], plan);
    if (!condition) return tell_lost(schema, i, index, condition.refusal);
    where = " WHERE " + condition.sql;
  }
  const std::string name = name_for(schema, i, index, keys);
  const bool constraint = index.is_constraint && keys.plain;
  const std::string sql = constraint ? "ALTER TABLE " + quoted_name(plan) + " ADD CONSTRAINT " +
                                           quoted(name) + " UNIQUE (" + keys.list + ")"
                                     : std::string("CREATE ") + (index.unique ? "UNIQUE " : "") + "INDEX " +
                                           quoted(name) + " ON " + quoted_name(plan) + " (" + keys.list +
                                           ")" + where;
  schema.objects.push_back(
      {index.unique ? DdlObject::Kind::unique : DdlObject::Kind::index, plan.source, name, {sql}});
}

// A key under NOCASE or RTRIM forbids more than the target's primary key does.
void add_collated_key(Schema& schema, std::size_t i) {
  const SourceTable& table = schema.tables[i];
  SourceIndex index;
  index.unique = index.is_constraint = true;
  bool binary = true;
  for (const std::string& name : table.primary_key) {
    const SourceColumn* column = table.column(name);
    SourceIndexPart part;
    part.column = name;
    part.collation = column ? column->collation : "BINARY";
    binary = binary && is_binary(part.collation);
    index.parts.push_back(std::move(part));
  }
  if (!binary) add_index(schema, i, index);
}

}  // namespace

void ddl::reserve_given_names(Schema& schema, std::size_t i) {
  const TablePlan& plan = schema.plans[i];
  for (const SourceIndex& index : schema.tables[i].indexes) {
    if (index.is_constraint || index.name.empty()) continue;
    schema.given[{plan.source, index.name}] = schema.names.take_relation(plan.source, index.name);
  }
}

void ddl::add_unique_keys(Schema& schema, std::size_t i) {
  add_collated_key(schema, i);
  for (const SourceIndex& index : schema.tables[i].indexes) {
    if (index.unique) add_index(schema, i, index);
  }
}

void ddl::add_indexes(Schema& schema, std::size_t i) {
  for (const SourceIndex& index : schema.tables[i].indexes) {
    if (!index.unique) add_index(schema, i, index);
  }
}

}  // namespace tidegate
