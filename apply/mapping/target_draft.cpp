#include "apply/mapping/target_draft.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>

#include "apply/mapping/draft_references.hpp"
#include "apply/mapping/expression_check.hpp"
#include "apply/mapping/keys/key_calls.hpp"
#include "apply/schema/ddl_parts.hpp"
#include "apply/schema/expression.hpp"
#include "apply/schema/tokens.hpp"

namespace tidegate {
namespace {

constexpr std::array supabase_schemas{"auth", "storage", "realtime"};
constexpr std::array built_in_types{"smallint",
                                    "integer",
                                    "int",
                                    "bigint",
                                    "real",
                                    "double precision",
                                    "numeric",
                                    "decimal",
                                    "boolean",
                                    "text",
                                    "varchar",
                                    "char",
                                    "bytea",
                                    "character varying",
                                    "character",
                                    "date",
                                    "time",
                                    "timestamp",
                                    "timestamptz",
                                    "json",
                                    "jsonb",
                                    "uuid",
                                    "interval",
                                    "inet",
                                    "cidr",
                                    "macaddr",
                                    "xml",
                                    "money",
                                    "time without time zone",
                                    "time with time zone",
                                    "timestamp with time zone",
                                    "timestamp without time zone",
                                    "tsvector",
                                    "point",
                                    "bit",
                                    "bit varying"};
// Of extensions: no enums, and not ours to make.
constexpr std::array extension_types{"citext", "hstore", "ltree", "vector", "geometry", "geography"};

// What a function gives, whatever it is given.
const std::map<std::string, const char*> function_types = {{"lower", "text"},
                                                           {"upper", "text"},
                                                           {"trim", "text"},
                                                           {"ltrim", "text"},
                                                           {"rtrim", "text"},
                                                           {"replace", "text"},
                                                           {"substr", "text"},
                                                           {"printf", "text"},
                                                           {"format", "text"},
                                                           {"split_name", "text"},
                                                           {"e164", "text"},
                                                           {"missing_email", "text"},
                                                           {"password_hash", "text"},
                                                           {"password_kind", "text"},
                                                           {"temporary_password", "text"},
                                                           {"json_object", "jsonb"},
                                                           {"json_array", "jsonb"},
                                                           {"json", "jsonb"},
                                                           {"array_to_json", "jsonb"},
                                                           {"json_to_array", "text[]"},
                                                           {"epoch_to_iso", "timestamptz"},
                                                           {"datetime", "timestamptz"},
                                                           {"date", "date"},
                                                           {"iso_to_epoch", "bigint"},
                                                           {"length", "bigint"},
                                                           {"unique_value", "text"},
                                                           {"uuid", "uuid"},
                                                           {"surrogate", "bigint"}};

template <typename Names>
bool has(const Names& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

std::vector<Token> words_of(const std::string& sql) {
  return tokens_of(sql).value_or(std::vector<Token>{});
}

// "varchar(40)[]" → "varchar"; of a name with a schema the name.
std::string bare(const std::string& type) {
  std::string name = ascii_lower(type.substr(0, type.find_first_of("([")));
  name.erase(name.find_last_not_of(' ') + 1);
  return name.substr(name.rfind('.') + 1);
}

bool is_built_in(const std::string& type) {
  return has(built_in_types, bare(type)) && (type.find('.') == type.npos || type.starts_with("pg_catalog."));
}

// The function whose call is the whole of the expression.
std::string only_call(const std::string& expression) {
  const auto words = words_of(expression);
  if (words.size() < 4 || words[0].kind != Token::Kind::word || !words[1].is_symbol("(")) return {};
  int depth = 0;
  for (std::size_t i = 1; i < words.size(); ++i) {
    depth += words[i].is_symbol("(") - words[i].is_symbol(")");
    if (depth == 0) return words[i + 1].kind == Token::Kind::end ? ascii_lower(words[0].text) : std::string();
  }
  return {};
}

void add_once(std::vector<std::string>& list, const std::string& text) {
  if (!has(list, text)) list.push_back(text);
}

// Texts that the expression may give: behind THEN and ELSE, in coalesce(), or alone.
std::vector<std::string> results_of(const std::string& expression) {
  const auto words = words_of(expression);
  const bool coalesces = only_call(expression) == "coalesce";
  std::vector<std::string> results;
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (words[i].kind != Token::Kind::text) continue;
    const bool given = i == 0 ? words.size() == 2
                              : words[i - 1].is_word("then") || words[i - 1].is_word("else") ||
                                    (coalesces && words[i - 1].is_symbol(","));
    if (given) add_once(results, words[i].text);
  }
  return results;
}

// CHECK (column IN ('a', 'b')) of the source.
std::vector<std::string> checked_values(const SourceTable& table, const std::string& column) {
  std::vector<std::string> values;
  for (const auto& check : table.checks) {
    const auto words = words_of(check.sql);
    const bool names_it = words.size() > 3 && ascii_lower(words[0].text) == ascii_lower(column) &&
                          words[1].is_word("in") && words[2].is_symbol("(");
    for (std::size_t i = 3; names_it && i < words.size(); ++i)
      if (words[i].kind == Token::Kind::text) add_once(values, words[i].text);
  }
  return values;
}

std::string one_line(std::string text) {
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text;
}

struct DraftColumn {
  std::string name, type, comment;
  bool not_null = false, identity = false, unique = false;
};

struct DraftTable {
  TablePlan plan;  // its name and key
  std::vector<DraftColumn> columns;
};

class Drafter {
 public:
  Drafter(const std::vector<MeasuredTable>& sources, const PlanOptions& options, bool printed)
      : sources_(sources), options_(options), printed_(printed) {}

  void add(const MapDefinition& map, const MapTarget& target) {
    const auto source = std::find_if(sources_.begin(), sources_.end(),
                                     [&](const MeasuredTable& each) { return each.table.name == map.from; });
    if (source == sources_.end()) return;
    DraftTable& table = table_of(target);
    for (const MapColumn& column : target.columns) {
      const auto same = [&](const DraftColumn& each) { return each.name == column.target; };
      if (std::any_of(table.columns.begin(), table.columns.end(), same)) continue;
      table.columns.push_back(column_of(*source, target, column));
    }
  }

  // Of columns whose tables are all drafted, or Supabase's.
  void add(const DraftReference& reference) {
    DraftColumn* column = column_named(reference.schema, reference.table, reference.column);
    if (!column) return;
    const DraftColumn* parent =
        column_named(reference.parent_schema, reference.parent_table, reference.parent_column);
    const bool same_type = parent ? parent->type == column->type : column->type == "uuid";
    if (reference.certain && same_type)
      references_.push_back(reference);
    else
      add_comment(*column, fmt::format("names a row of {}.{}: a foreign key, where none of these is left out",
                                       reference.parent_schema, reference.parent_table));
  }

  Ddl drafted() {
    Ddl ddl;
    for (const auto& schema : schemas_)
      ddl.before_load.push_back("CREATE SCHEMA IF NOT EXISTS " + tidegate::quoted(schema));
    for (const auto& name : enum_order_) ddl.before_load.push_back(enum_statement(name));
    for (const DraftTable& table : tables_) {
      ddl.before_load.push_back(table_statement(table));
      for (auto& statement : ddl::access_statements(table.plan, options_))
        ddl.before_load.push_back(std::move(statement));
      add_unique(table, ddl);
    }
    for (const DraftReference& reference : references_) add_foreign_key(reference, ddl);
    return ddl;
  }

 private:
  DraftTable& table_of(const MapTarget& target) {
    for (DraftTable& each : tables_)
      if (each.plan.schema == target.schema && each.plan.target == target.table) return each;
    if (target.schema != "public") add_once(schemas_, target.schema);
    DraftTable& table = tables_.emplace_back();
    table.plan.schema = target.schema;
    table.plan.target = table.plan.source = target.table;
    table.plan.key = target.key.empty() ? std::vector<std::string>{"id"} : target.key;
    return table;
  }

  DraftColumn* column_named(const std::string& schema, const std::string& table, const std::string& name) {
    for (DraftTable& each : tables_) {
      if (each.plan.schema != schema || each.plan.target != table) continue;
      for (DraftColumn& column : each.columns)
        if (column.name == name) return &column;
    }
    return nullptr;
  }

  static void add_comment(DraftColumn& column, const std::string& text) {
    if (!column.comment.empty()) column.comment += "\n  -- ";
    column.comment += text;
  }

  DraftColumn column_of(const MeasuredTable& source, const MapTarget& target, const MapColumn& mapped) {
    DraftColumn column;
    column.name = mapped.target;
    const std::string& expression = mapped.expression.text;
    const auto asked = std::find_if(target.types.begin(), target.types.end(),
                                    [&](const MapType& each) { return each.column == mapped.target; });
    const auto passed = passed_column(expression, names_of(source.table));
    if (passed) column.not_null = source.table.column(*passed)->not_null && !target.contributor;
    if (asked != target.types.end())
      column.type = asked_type(asked->type.text, source.table, passed, expression);
    else if (passed)
      pass_on(column, source, *passed);
    else
      take_from_call(column, expression);
    return column;
  }

  static std::vector<std::string> names_of(const SourceTable& table) {
    std::vector<std::string> names;
    for (const auto& column : table.columns) names.push_back(column.name);
    return names;
  }

  std::string asked_type(const std::string& type, const SourceTable& source,
                         const std::optional<std::string>& passed, const std::string& expression) {
    if (is_built_in(type) || has(extension_types, bare(type))) return type;
    if (!enums_.contains(type)) enum_order_.push_back(type);
    auto& labels = enums_[type];
    for (const auto& label : passed ? checked_values(source, *passed) : results_of(expression))
      add_once(labels, label);
    return quoted_type(type);
  }

  static std::string quoted_type(const std::string& type) {
    const auto dot = type.find('.');
    return dot == type.npos
               ? tidegate::quoted("public") + "." + tidegate::quoted(type)
               : tidegate::quoted(type.substr(0, dot)) + "." + tidegate::quoted(type.substr(dot + 1));
  }

  void pass_on(DraftColumn& column, const MeasuredTable& source, const std::string& name) {
    if (printed_) {
      column.type = source.table.column(name)->declared_type;
      if (is_built_in(column.type)) return;
      column.comment = fmt::format("text for {}, which is a type of the source's own", column.type);
      column.type = "text";
      return;
    }
    const auto plan = plan_table(source.table, source.measure, options_).plan;
    if (const ColumnPlan* same = ddl::written_column(plan, name)) column.type = sql_type(*same);
    if (column.type.empty()) take_text(column, name);
  }

  static void take_from_call(DraftColumn& column, const std::string& expression) {
    const std::string function = only_call(expression);
    const auto known = function_types.find(function);
    if (known == function_types.end()) return take_text(column, expression);
    column.type = known->second;
    column.identity = function == "surrogate";
    column.unique = function == "unique_value";
  }

  static void take_text(DraftColumn& column, const std::string& expression) {
    column.type = "text";
    column.comment = "text, since nothing says what this gives: " + one_line(expression);
  }

  std::string enum_statement(const std::string& name) const {
    std::vector<std::string> labels;
    for (const auto& label : enums_.at(name)) labels.push_back(quoted_literal(label));
    const std::string comment =
        labels.empty() ? "-- The mapping does not say which labels it has: add them here.\n" : "";
    return fmt::format("{}CREATE TYPE {} AS ENUM ({})", comment, quoted_type(name), fmt::join(labels, ", "));
  }

  static std::string table_statement(const DraftTable& table) {
    std::string lines;
    for (const DraftColumn& column : table.columns) {
      if (!column.comment.empty()) lines += "  -- " + column.comment + "\n";
      const bool is_key = has(table.plan.key, column.name);
      const bool identity = column.identity && is_key;
      lines += fmt::format("  {} {}{}{},\n", tidegate::quoted(column.name), column.type,
                           identity ? " GENERATED BY DEFAULT AS IDENTITY" : "",
                           column.not_null || is_key ? " NOT NULL" : "");
    }
    return fmt::format("CREATE TABLE {} (\n{}  CONSTRAINT {} PRIMARY KEY ({})\n)", quoted_name(table.plan),
                       lines, tidegate::quoted(ddl::primary_key_name(table.plan)),
                       ddl::quoted_list(table.plan.key));
  }

  static void add_unique(const DraftTable& table, Ddl& ddl) {
    for (const DraftColumn& column : table.columns) {
      if (!column.unique) continue;
      const std::string name = derived_name(table.plan.target, {column.name}, "key");
      ddl.after_load.push_back(
          {DdlObject::Kind::unique,
           table.plan.source,
           name,
           {fmt::format("ALTER TABLE {} ADD CONSTRAINT {} UNIQUE ({})", quoted_name(table.plan),
                        tidegate::quoted(name), tidegate::quoted(column.name))}});
    }
  }

  static void add_foreign_key(const DraftReference& reference, Ddl& ddl) {
    TablePlan child, parent;
    child.schema = reference.schema;
    child.target = child.source = reference.table;
    parent.schema = reference.parent_schema;
    parent.target = reference.parent_table;
    const std::string name = derived_name(reference.table, {reference.column}, "fkey");
    const std::string definition = fmt::format(
        "FOREIGN KEY ({}) REFERENCES {} ({}){}", tidegate::quoted(reference.column), quoted_name(parent),
        tidegate::quoted(reference.parent_column), ddl::referential_action("DELETE", reference.on_delete));
    ddl.after_load.push_back(ddl::constraint(DdlObject::Kind::foreign_key, child, name, definition));
  }

  const std::vector<MeasuredTable>& sources_;
  const PlanOptions& options_;
  bool printed_;
  std::vector<DraftReference> references_;
  std::vector<std::string> schemas_, enum_order_;
  std::map<std::string, std::vector<std::string>> enums_;  // labels by the name that the mapping gives
  std::vector<DraftTable> tables_;
};

}  // namespace

Ddl draft_tables(const std::vector<MapDefinition>& maps, const std::vector<MeasuredTable>& sources,
                 const PlanOptions& options, bool printed) {
  Drafter drafter(sources, options, printed);
  for (const MapDefinition& map : maps) {
    for (const MapTarget& target : map.to) {
      if (!has(supabase_schemas, target.schema)) drafter.add(map, target);
    }
  }
  std::vector<SourceTable> tables;
  for (const MeasuredTable& source : sources) tables.push_back(source.table);
  for (const DraftReference& reference : draft_references(maps, tables)) drafter.add(reference);
  return drafter.drafted();
}

}  // namespace tidegate
