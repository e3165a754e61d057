// What a Postgres database holds that can be replicated: its tables, with what the change stream will give of
// each row.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "capture/sqlite/catalog.hpp"
#include "db/postgres.hpp"
#include "proto/table.hpp"

namespace tidegate::capture {

struct PostgresColumn {
  std::string name;
  std::string type;          // with modifier, as SQL takes it under an empty search_path: "numeric(10,2)"
  std::string type_unbound;  // without: "numeric"; "bpchar" and "\"bit\"" for the two that would mean (1)
  bool not_null = false;
  bool generated = false;  // GENERATED ALWAYS AS (…) STORED: the server does not publish it
  std::string identity;    // "a" GENERATED ALWAYS AS IDENTITY, "d" BY DEFAULT; "" neither
  std::string default_sql, generated_sql;
  bool c_collation = true;    // no collation at all, or C: ordered by its bytes
  bool deterministic = true;  // equal under its collation only where its bytes are
  bool has_missing = false;   // rows of before its ADD COLUMN read as a default that no event announced
  int number = 0;             // pg_attribute.attnum
  std::string version;        // equal to an earlier one as long as its definition was not written since
};

// What an UPDATE or DELETE says of the row as it was.
enum class ReplicaIdentity { primary_key, index, full, nothing };

struct OwnedSequence {
  std::string schema, name, column;  // column: the one that draws from it
};

// One file of rows: the table's own, or a leaf partition's. Another file number means rewritten rows, which
// the stream does not show.
struct TableFile {
  std::uint32_t oid = 0, file_node = 0;
  std::string schema, name;
  // Equal to an earlier one as long as no column's definition was written since, though it be to what it was,
  // as ALTER TYPE … USING does.
  std::string columns_version;
  std::string attached;     // the same for how it became a partition, and those above it
  bool never_used = false;  // nothing was ever in this file
  // Unique indexes, each with what is another one after it became or ceased to be the replica identity.
  std::map<std::uint32_t, std::string> indexes = {};
  // Held the same rows, but for what the stream told.
  bool same_rows(const TableFile& other) const {
    return oid == other.oid && file_node == other.file_node && attached == other.attached;
  }
};

struct PostgresTable {
  std::uint32_t oid = 0;
  std::string schema, name;
  std::string source;  // "schema.name", not quoted: how it is called in plans, events and status
  std::vector<PostgresColumn> columns;   // in order, generated ones included, dropped ones not
  std::vector<std::string> primary_key;  // in key order; empty where there is none
  bool deferrable_key = false;           // the primary key is DEFERRABLE, so it identifies nothing
  ReplicaIdentity replica_identity = ReplicaIdentity::primary_key;
  // The columns by which the stream names a row, in key order. Empty under `full` (all of them do) and where
  // there is no usable identity.
  std::vector<std::string> identity;
  bool partitioned = false;  // published as one table, whatever partition holds the row
  bool inherits = false;     // child of another table by INHERITS
  std::uint32_t file_node = 0;
  std::vector<TableFile> files;             // one, or one for each leaf partition
  std::vector<std::string> other_identity;  // partitions whose replica identity is another than the root's
  std::vector<std::string> foreign_partitions;  // partitions that are foreign tables: cannot be published
  std::vector<OwnedSequence> sequences;
  std::uint64_t estimated_rows = 0, bytes = 0;  // bytes without indexes
  bool owned = false;                           // our role is, or is a member of, its owner

  // The application's UPDATE and DELETE go on working once the table is published.
  bool usable_identity() const;
  bool has_missing_values() const;
};

// Ordinary and partitioned tables, by source name; without those of the system, of extensions and of schema
// tidegate, and without unlogged and temporary ones. A pattern without a dot is matched with the bare name in
// every schema, one with a dot with "schema.name"; `*` and `?`, ASCII case ignored; no include means all.
// Reads within the caller's transaction; without one the parts may disagree. `not_carried` gets the kinds
// "excluded table", "unlogged table", "foreign table" and "unmatched pattern".
// Throws Refused for a chosen table whose schema's name holds a dot: source names would not be unique.
std::vector<PostgresTable> read_catalog(postgres::Connection& source, const std::vector<std::string>& include,
                                        const std::vector<std::string>& exclude,
                                        std::vector<CatalogNote>* not_carried = nullptr);

// For plans, status and the journal's schema changes. `primary_key` holds the *identity*, since that is what
// events carry; the name splits at its first dot; an identity column's default is "GENERATED ALWAYS AS
// IDENTITY" or "GENERATED BY DEFAULT AS IDENTITY". Pure.
SourceTable as_source_table(const PostgresTable& table);

// Hex SHA-256 of all that rows and events depend on: oid, columns with numbers, types and rules, keys,
// replica identity. Not of files, estimates, sequences' values. Pure.
std::string fingerprint(const PostgresTable& table);

// Equal to an earlier one as long as nothing was done to the database's catalogue that read_catalog() could
// show. One statement without locks, for asking often.
std::string catalog_mark(postgres::Connection& source);

// What makes a table's partition on another server that has its parent; nothing where it is no partition any
// more.
std::optional<std::string> partition_statement(postgres::Connection& source, std::uint32_t oid);

// "schema"."name" for SQL.
std::string quoted_name(std::string_view schema, std::string_view name);

}  // namespace tidegate::capture
