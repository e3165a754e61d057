#include "capture/postgres/catalog.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <sstream>

#include "db/error.hpp"

namespace tidegate::capture {
namespace {

// The system's tables, an extension's and our own stay out.
constexpr const char* tables_sql = R"(
SELECT c.oid, n.nspname, c.relname, c.relkind, c.relpersistence, c.relreplident, c.relfilenode,
  pg_catalog.pg_has_role(c.relowner, 'USAGE'),
  EXISTS (SELECT FROM pg_catalog.pg_inherits i WHERE i.inhrelid = c.oid)
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'f') AND NOT c.relispartition AND c.relpersistence <> 't'
  AND n.nspname NOT IN ('information_schema', 'tidegate') AND n.nspname !~ '^pg_'
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
                  AND d.objid = c.oid AND d.deptype = 'e')
ORDER BY n.nspname COLLATE "C", c.relname COLLATE "C")";

// A column under the database's own collation is in byte order where that is libc's C.
constexpr const char* columns_sql = R"(
SELECT a.attrelid, a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod),
  pg_catalog.format_type(a.atttypid, -1), a.attnotnull, a.attgenerated, a.attidentity,
  coalesce(pg_catalog.pg_get_expr(d.adbin, d.adrelid), ''), a.attcollation = 0 OR
  CASE WHEN a.attcollation = 100 THEN db.c ELSE o.collcollate IN ('C', 'POSIX') AND o.collprovider = 'c' END,
  coalesce(o.collisdeterministic, true), a.atthasmissing, a.attnum, a.xmin::text
FROM pg_catalog.pg_attribute a
  LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
  LEFT JOIN pg_catalog.pg_collation o ON o.oid = a.attcollation,
  (SELECT b.datcollate IN ('C', 'POSIX') AND
     coalesce(pg_catalog.to_jsonb(b)->>'datlocprovider', 'c') = 'c' AS c
   FROM pg_catalog.pg_database b WHERE b.datname = pg_catalog.current_database()) db
WHERE a.attrelid = ANY ($1::pg_catalog.oid[]) AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attrelid, a.attnum)";

constexpr const char* keys_sql = R"(
SELECT i.indrelid, i.indisprimary, i.indisreplident, i.indimmediate, a.attname
FROM pg_catalog.pg_index i, pg_catalog.unnest(i.indkey) WITH ORDINALITY k(number, place)
  JOIN pg_catalog.pg_attribute a ON a.attnum = k.number
WHERE i.indrelid = ANY ($1::pg_catalog.oid[]) AND a.attrelid = i.indrelid AND k.place <= i.indnkeyatts
  AND (i.indisprimary OR i.indisreplident) AND i.indisvalid
ORDER BY i.indrelid, i.indexrelid, k.place)";

// Leaves and inner partitions of each root; for an ordinary table itself.
constexpr const char* files_sql = R"(
SELECT r.oid, c.oid, c.relkind, c.relfilenode, n.nspname, c.relname, c.relreplident,
  CASE WHEN c.relkind = 'r' THEN greatest(c.reltuples::bigint, pg_catalog.pg_stat_get_live_tuples(c.oid), 0)
       ELSE 0 END,
  CASE WHEN c.relkind = 'r' THEN coalesce(pg_catalog.pg_table_size(c.oid), 0) ELSE 0 END,
  (SELECT coalesce(pg_catalog.md5(pg_catalog.string_agg(a.attnum || ' ' || a.xmin, ',' ORDER BY a.attnum)), '')
   FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped),
  (SELECT coalesce(pg_catalog.string_agg(i.inhrelid || ' ' || i.xmin, ',' ORDER BY i.inhrelid), '')
   FROM pg_catalog.pg_partition_ancestors(c.oid) p JOIN pg_catalog.pg_inherits i ON i.inhrelid = p.relid),
  CASE WHEN c.relkind = 'r' THEN coalesce(pg_catalog.pg_relation_size(c.oid), 1) = 0 ELSE false END,
  (SELECT coalesce(pg_catalog.string_agg(x.indexrelid || ' ' || x.xmin, ','), '')
   FROM pg_catalog.pg_index x WHERE x.indrelid = c.oid AND x.indisunique)
FROM pg_catalog.unnest($1::pg_catalog.oid[]) r(oid),
  LATERAL (SELECT t.relid FROM pg_catalog.pg_partition_tree(r.oid) t
           UNION SELECT r.oid) t
  JOIN pg_catalog.pg_class c ON c.oid = t.relid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
ORDER BY r.oid, n.nspname COLLATE "C", c.relname COLLATE "C")";

// What any statement about tables, columns, keys, partitions or enums writes; statistics are left out.
constexpr const char* mark_sql = R"(
SELECT pg_catalog.concat_ws(' ',
  (SELECT pg_catalog.sum(pg_catalog.hashtextextended(pg_catalog.concat_ws('/', c.oid, c.relfilenode, c.relnamespace, c.relname,
     c.relkind, c.relpersistence, c.relreplident, c.relispartition, c.relowner), 0)::numeric)
   FROM pg_catalog.pg_class c WHERE c.relkind IN ('r', 'p', 'f') AND c.oid >= 16384),
  (SELECT pg_catalog.sum(pg_catalog.hashtextextended(pg_catalog.concat_ws('/', a.attrelid, a.attnum, a.xmin), 0)::numeric)
   FROM pg_catalog.pg_attribute a WHERE a.attrelid >= 16384 AND a.attnum > 0),
  (SELECT pg_catalog.sum(pg_catalog.hashtextextended(pg_catalog.concat_ws('/', i.inhrelid, i.xmin), 0)::numeric)
   FROM pg_catalog.pg_inherits i),
  (SELECT pg_catalog.sum(pg_catalog.hashtextextended(pg_catalog.concat_ws('/', x.indexrelid, x.indisreplident,
     x.indisprimary, x.indisvalid, x.indimmediate, CASE WHEN x.indisunique THEN x.xmin END), 0)::numeric)
   FROM pg_catalog.pg_index x WHERE x.indrelid >= 16384),
  (SELECT pg_catalog.sum(pg_catalog.hashtextextended(pg_catalog.concat_ws('/', e.oid, e.enumtypid, e.enumlabel), 0)::numeric)
   FROM pg_catalog.pg_enum e))
)";

// Those that belong to a column, and those that a default draws from without that.
constexpr const char* sequences_sql = R"(
SELECT d.refobjid, n.nspname, s.relname, a.attname
FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_class s ON s.oid = d.objid AND s.relkind = 'S'
  JOIN pg_catalog.pg_namespace n ON n.oid = s.relnamespace
  JOIN pg_catalog.pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.deptype IN ('a', 'i')
  AND d.refclassid = d.classid AND d.refobjid = ANY ($1::pg_catalog.oid[])
UNION
SELECT f.adrelid, n.nspname, s.relname, a.attname
FROM pg_catalog.pg_attrdef f JOIN pg_catalog.pg_depend d ON d.objid = f.oid
    AND d.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass
    AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
  JOIN pg_catalog.pg_class s ON s.oid = d.refobjid AND s.relkind = 'S'
  JOIN pg_catalog.pg_namespace n ON n.oid = s.relnamespace
  JOIN pg_catalog.pg_attribute a ON a.attrelid = f.adrelid AND a.attnum = f.adnum
WHERE f.adrelid = ANY ($1::pg_catalog.oid[])
ORDER BY 1, 2, 3, 4)";

std::uint32_t oid_at(const postgres::Result& rows, int row, int column) {
  return static_cast<std::uint32_t>(rows.integer(row, column));
}

std::string text_at(const postgres::Result& rows, int row, int column) {
  return std::string(rows.text(row, column));
}

// "OID VERSION,OID VERSION"
std::map<std::uint32_t, std::string> versions_in(std::string_view list) {
  std::map<std::uint32_t, std::string> versions;
  std::istringstream words{std::string(list)};
  std::uint32_t oid = 0;
  for (std::string version; words >> oid && std::getline(words >> std::ws, version, ',');)
    versions[oid] = version;
  return versions;
}

bool fits(const std::string& pattern, const std::string& schema, const std::string& name) {
  const bool whole = pattern.find('.') != std::string::npos;
  return matches_glob(pattern, whole ? schema + "." + name : name);
}

ReplicaIdentity replica_identity_of(std::string_view letter) {
  if (letter == "i") return ReplicaIdentity::index;
  if (letter == "f") return ReplicaIdentity::full;
  return letter == "n" ? ReplicaIdentity::nothing : ReplicaIdentity::primary_key;
}

class Reader {
 public:
  Reader(postgres::Connection& source, const std::vector<std::string>& include,
         const std::vector<std::string>& exclude, std::vector<CatalogNote>* notes)
      : source_(source), include_(include), exclude_(exclude), notes_(notes) {}

  std::vector<PostgresTable> read() {
    add_tables();
    if (tables_.empty()) return {};
    add_columns();
    add_keys();
    add_files();
    add_sequences();
    for (PostgresTable& table : tables_) settle_identity(table);
    return std::move(tables_);
  }

 private:
  void note(std::string kind, std::string name, std::string detail = {}) {
    if (notes_) notes_->push_back({std::move(kind), std::move(name), std::move(detail)});
  }

  bool any_fits(const std::vector<std::string>& patterns, const std::string& schema,
                const std::string& name) const {
    return std::any_of(patterns.begin(), patterns.end(),
                       [&](const std::string& pattern) { return fits(pattern, schema, name); });
  }

  // Whether the relation is to be replicated; says why not.
  bool is_taken(const postgres::Result& rows, int row) {
    const std::string schema = text_at(rows, row, 1), name = text_at(rows, row, 2);
    for (const auto* patterns : {&include_, &exclude_}) {
      for (const std::string& pattern : *patterns) {
        if (fits(pattern, schema, name)) matched_.insert(pattern);
      }
    }
    const bool in = include_.empty() || any_fits(include_, schema, name);
    const std::string shown = schema + "." + name;
    if (!in || any_fits(exclude_, schema, name)) return note("excluded table", shown), false;
    if (rows.text(row, 3) == "f") return note("foreign table", shown), false;
    if (rows.text(row, 4) == "u") return note("unlogged table", shown), false;
    return true;
  }

  void add_tables() {
    auto rows = source_.run(tables_sql);
    for (int i = 0; i < rows.rows(); ++i) {
      if (is_taken(rows, i)) add_table(rows, i);
    }
    for (const auto* patterns : {&include_, &exclude_}) {
      for (const std::string& pattern : *patterns) {
        if (!matched_.contains(pattern)) note("unmatched pattern", pattern);
      }
    }
  }

  void add_table(const postgres::Result& rows, int row) {
    PostgresTable table;
    table.oid = oid_at(rows, row, 0);
    table.schema = text_at(rows, row, 1);
    table.name = text_at(rows, row, 2);
    if (table.schema.find('.') != std::string::npos) {
      throw Refused(
          "schema-name-with-dot",
          "the name of schema " + table.schema + " holds a dot, so its tables' names are not unique",
          "rename the schema, or leave its tables out ([tables] exclude)");
    }
    table.source = table.schema + "." + table.name;
    table.partitioned = rows.text(row, 3) == "p";
    table.replica_identity = replica_identity_of(rows.text(row, 5));
    table.file_node = oid_at(rows, row, 6);
    table.owned = rows.boolean(row, 7);
    table.inherits = rows.boolean(row, 8);
    places_[table.oid] = tables_.size();
    oids_ += (oids_.empty() ? "" : ",") + std::to_string(table.oid);
    tables_.push_back(std::move(table));
  }

  postgres::Result ask(const char* sql) { return source_.run(sql, {"{" + oids_ + "}"}); }
  PostgresTable& table_at(const postgres::Result& rows, int row) {
    return tables_[places_.at(oid_at(rows, row, 0))];
  }

  void add_columns() {
    auto rows = ask(columns_sql);
    for (int i = 0; i < rows.rows(); ++i) {
      PostgresColumn column;
      column.name = text_at(rows, i, 1);
      column.type = text_at(rows, i, 2);
      column.type_unbound = text_at(rows, i, 3);
      column.not_null = rows.boolean(i, 4);
      column.generated = rows.text(i, 5) == "s";
      column.identity = text_at(rows, i, 6);
      (column.generated ? column.generated_sql : column.default_sql) = text_at(rows, i, 7);
      column.c_collation = rows.boolean(i, 8);
      column.deterministic = rows.boolean(i, 9);
      column.has_missing = rows.boolean(i, 10);
      column.number = static_cast<int>(rows.integer(i, 11));
      column.version = text_at(rows, i, 12);
      table_at(rows, i).columns.push_back(std::move(column));
    }
  }

  void add_keys() {
    auto rows = ask(keys_sql);
    for (int i = 0; i < rows.rows(); ++i) {
      PostgresTable& table = table_at(rows, i);
      if (rows.boolean(i, 1)) {
        table.primary_key.push_back(text_at(rows, i, 4));
        table.deferrable_key = !rows.boolean(i, 3);
      }
      if (rows.boolean(i, 2) && table.replica_identity == ReplicaIdentity::index)
        table.identity.push_back(text_at(rows, i, 4));
    }
  }

  void add_files() {
    auto rows = ask(files_sql);
    for (int i = 0; i < rows.rows(); ++i) {
      PostgresTable& table = table_at(rows, i);
      const std::string schema = text_at(rows, i, 4), name = text_at(rows, i, 5);
      if (replica_identity_of(rows.text(i, 6)) != table.replica_identity)
        table.other_identity.push_back(schema + "." + name);
      if (rows.text(i, 2) == "f") table.foreign_partitions.push_back(schema + "." + name);
      if (rows.text(i, 2) != "r") continue;
      table.files.push_back({oid_at(rows, i, 1), oid_at(rows, i, 3), schema, name, text_at(rows, i, 9),
                             text_at(rows, i, 10), rows.boolean(i, 11), versions_in(rows.text(i, 12))});
      table.estimated_rows += static_cast<std::uint64_t>(rows.integer(i, 7));
      table.bytes += static_cast<std::uint64_t>(rows.integer(i, 8));
    }
  }

  void add_sequences() {
    auto rows = ask(sequences_sql);
    for (int i = 0; i < rows.rows(); ++i)
      table_at(rows, i).sequences.push_back({text_at(rows, i, 1), text_at(rows, i, 2), text_at(rows, i, 3)});
  }

  static void settle_identity(PostgresTable& table) {
    if (table.replica_identity == ReplicaIdentity::primary_key && !table.deferrable_key)
      table.identity = table.primary_key;
  }

  postgres::Connection& source_;
  const std::vector<std::string>&include_, &exclude_;
  std::vector<CatalogNote>* notes_;
  std::set<std::string> matched_;
  std::vector<PostgresTable> tables_;
  std::map<std::uint32_t, std::size_t> places_;  // by oid
  std::string oids_;
};

std::string list_of(const std::vector<std::string>& names) {
  std::string list;
  for (const std::string& name : names) list += quoted_name("", name) + " ";
  return list;
}

}  // namespace

bool PostgresTable::usable_identity() const {
  const bool all_alike = other_identity.empty();
  return all_alike && (replica_identity == ReplicaIdentity::full || !identity.empty());
}

bool PostgresTable::has_missing_values() const {
  return std::any_of(columns.begin(), columns.end(),
                     [](const PostgresColumn& column) { return column.has_missing; });
}

std::string quoted_name(std::string_view schema, std::string_view name) {
  std::string text;
  for (std::string_view part : {schema, name}) {
    if (part.empty()) continue;
    text += text.empty() ? "\"" : ".\"";
    for (char c : part) text += c == '"' ? "\"\"" : std::string(1, c);
    text += '"';
  }
  return text;
}

std::string catalog_mark(postgres::Connection& source) {
  return std::string(source.run(mark_sql).text(0, 0));
}

std::vector<PostgresTable> read_catalog(postgres::Connection& source, const std::vector<std::string>& include,
                                        const std::vector<std::string>& exclude,
                                        std::vector<CatalogNote>* not_carried) {
  return Reader(source, include, exclude, not_carried).read();
}

SourceTable as_source_table(const PostgresTable& table) {
  SourceTable as;
  as.name = table.source;
  as.primary_key = table.identity;
  for (const PostgresColumn& column : table.columns) {
    SourceColumn one;
    one.name = column.name;
    one.declared_type = column.type;
    one.not_null = column.not_null;
    if (!column.default_sql.empty()) one.default_sql = column.default_sql;
    if (!column.identity.empty())
      one.default_sql =
          column.identity == "a" ? "GENERATED ALWAYS AS IDENTITY" : "GENERATED BY DEFAULT AS IDENTITY";
    if (column.generated) one.generated_sql = column.generated_sql;
    one.generated_stored = column.generated;
    one.collation = column.c_collation ? "C" : column.deterministic ? "deterministic" : "nondeterministic";
    as.columns.push_back(std::move(one));
  }
  return as;
}

std::string fingerprint(const PostgresTable& table) {
  SourceTable shape = as_source_table(table);
  shape.create_sql = std::to_string(table.oid) + " " +
                     std::to_string(static_cast<int>(table.replica_identity)) +
                     (table.deferrable_key ? " deferrable " : " ") + list_of(table.primary_key);
  for (const PostgresColumn& column : table.columns) shape.create_sql += " " + std::to_string(column.number);
  return fingerprint(shape);
}

std::optional<std::string> partition_statement(postgres::Connection& source, std::uint32_t oid) {
  auto row = source.run(
      "SELECT n.nspname, c.relname, pn.nspname, p.relname, pg_catalog.pg_get_expr(c.relpartbound, c.oid)"
      " FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
      " JOIN pg_catalog.pg_inherits i ON i.inhrelid = c.oid JOIN pg_catalog.pg_class p ON p.oid = i.inhparent"
      " JOIN pg_catalog.pg_namespace pn ON pn.oid = p.relnamespace WHERE c.oid = $1 AND c.relispartition",
      {std::to_string(oid)});
  if (row.rows() == 0) return std::nullopt;
  return "CREATE TABLE " + quoted_name(row.text(0, 0), row.text(0, 1)) + " PARTITION OF " +
         quoted_name(row.text(0, 2), row.text(0, 3)) + " " + std::string(row.text(0, 4));
}

}  // namespace tidegate::capture
