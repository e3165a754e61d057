// A table as the source describes it: what capture read from the catalogue, and what the target's DDL is made
// from.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "proto/value.hpp"

namespace tidegate {

struct SourceColumn {
  std::string name;
  std::string declared_type;  // as written, e.g. "VARCHAR(80)"; empty where the column has none
  bool not_null = false;
  std::optional<std::string> default_sql;    // the source's expression, e.g. "CURRENT_TIMESTAMP" or "'x'"
  std::string collation = "BINARY";          // BINARY, NOCASE, RTRIM, or an application's own
  std::optional<std::string> generated_sql;  // the expression of GENERATED ALWAYS AS (...)
  bool generated_stored = false;
  bool operator==(const SourceColumn&) const = default;
};

struct SourceIndexPart {
  std::optional<std::string> column;  // absent for an expression
  std::string collation;
  bool descending = false;
  bool operator==(const SourceIndexPart&) const = default;
};

struct SourceIndex {
  std::string name;
  bool unique = false;
  bool is_constraint = false;  // made by UNIQUE in CREATE TABLE, not by CREATE INDEX
  bool partial = false;
  std::vector<SourceIndexPart> parts;
  std::string sql;  // CREATE INDEX as written; empty for a constraint
  bool operator==(const SourceIndex&) const = default;
};

struct SourceForeignKey {
  std::vector<std::string> columns;
  std::string parent;
  std::vector<std::string> parent_columns;  // always filled, with the parent's key where the DDL left it out
  std::string on_delete = "NO ACTION";      // NO ACTION, RESTRICT, SET NULL, SET DEFAULT, CASCADE
  std::string on_update = "NO ACTION";
  bool operator==(const SourceForeignKey&) const = default;
};

struct SourceCheck {
  std::string name;  // empty where it has none
  std::string sql;   // the expression inside CHECK ( ... )
  bool operator==(const SourceCheck&) const = default;
};

// How rows of a table are told apart in the shadow and in events.
enum class Identity {
  key,    // the declared primary key, which cannot be NULL
  rowid,  // no primary key, or one that may be NULL: events carry the rowid as a first column named `_rid`
};

struct SourceTable {
  std::string name;
  std::vector<SourceColumn> columns;     // in declared order, generated ones included
  std::vector<std::string> primary_key;  // in key order; empty where there is none
  Identity identity = Identity::key;
  bool integer_key = false;  // INTEGER PRIMARY KEY: the rowid itself
  bool autoincrement = false;
  bool without_rowid = false;
  std::optional<std::int64_t> last_sequence;  // sqlite_sequence.seq; not part of the fingerprint
  std::vector<SourceIndex> indexes;           // without the primary key's
  std::vector<SourceForeignKey> foreign_keys;
  std::vector<SourceCheck> checks;
  std::string create_sql;

  const SourceColumn* column(const std::string& name) const;
  // A name by which SQLite's SQL reaches the rowid: "rowid", "_rowid_" or "oid", whichever is no column;
  // empty where all three are.
  std::string rowid_name() const;
  bool operator==(const SourceTable&) const = default;
};

// What one column holds, measured over a whole table in one read snapshot. Counts are of rows; a value may
// count in several. Capture measures, the planner of the target's types reads it.
struct ColumnMeasure {
  std::uint64_t nulls = 0, integers = 0, reals = 0, texts = 0, blobs = 0;
  std::int64_t min_integer = 0, max_integer = 0;  // over integers; both 0 where there are none
  std::uint64_t integers_0_or_1 = 0;
  std::uint64_t whole_reals = 0;      // reals with no fraction
  double min_real = 0, max_real = 0;  // over finite reals
  std::uint64_t infinite_reals = 0;
  std::uint64_t max_text_length = 0;  // in characters
  std::uint64_t empty_texts = 0, texts_with_nul = 0, texts_invalid_utf8 = 0;
  std::uint64_t numeric_texts = 0;   // decimal numbers in the spelling of a decimal column (is_plain_decimal)
  std::uint64_t iso_datetimes = 0;   // YYYY-MM-DD[ T]HH:MM[:SS[.f]][zone], or a date alone
  std::uint64_t iso_dates = 0;       // YYYY-MM-DD alone (counted in iso_datetimes too)
  std::uint64_t iso_times = 0;       // HH:MM[:SS[.f]]
  std::uint64_t zero_dates = 0;      // begins with 0000-00-00
  std::uint64_t invalid_json = 0;    // texts that are not JSON, or not such as jsonb takes
  unsigned max_integral_digits = 0;  // over all numbers and numeric texts, as decimals print shortest
  unsigned max_fraction_digits = 0;
};

struct TableMeasure {
  std::uint64_t rows = 0;
  std::vector<ColumnMeasure> columns;  // one for each SourceTable::columns
};

// Adds one value to a column's measure. Pure.
void measure(ColumnMeasure& into, const Value& value);

}  // namespace tidegate
