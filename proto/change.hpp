// The vocabulary of change: what capture writes into the journal and apply reads from it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "proto/table.hpp"
#include "proto/value.hpp"

namespace tidegate {

// The shape of the rows of one table in one group of events. Every group names the relations that it uses.
struct Relation {
  std::uint32_t id = 0;  // of this table and version; valid within its pipeline
  std::string table;
  std::vector<std::string> columns;  // names, in row order; "_rid" first under Identity::rowid
  std::vector<std::uint32_t> key;    // places of the identity in the row, in key order; empty under
                                     // Postgres' identity FULL: rows are found by all their values
  bool operator==(const Relation&) const = default;
};

enum class Operation { insert, update, remove, truncate };

// SQLite's changes are whole: `row`, `changed` and `old` are filled, and a key that changed is a remove and
// an insert. Postgres sends what its replica identity gives: `absent` and `before` are for it, `changed` and
// `old` stay empty.
struct Change {
  Operation operation = Operation::insert;
  std::uint32_t relation = 0;
  Row row;  // the new row; for a remove the row as it was, where the source says so
            // (else only its key, and null elsewhere); for a truncate empty
  std::vector<std::uint32_t> changed;  // update only: places whose value changed, ascending; never a key's
  Row old;                             // update only: their values before, in the order of `changed`
  std::vector<std::uint32_t> absent = {};  // update only: places that the source did not send since they did
                                           // not change (TOAST), ascending; null in `row`
  Row before = {};  // update only, of a row's width: the row as it was under identity FULL; where only the
                    // key changed identity, its old values and null elsewhere; empty: the key is what it was
  bool restart_sequences = false;  // truncate only
  bool operator==(const Change&) const = default;
};

// Some tables changed their shape, or are new. Stands before the changes that need it.
struct SchemaChange {
  std::vector<SourceTable> tables;  // as they are now
  // Rows of these may have changed without events: nothing more of them may be applied.
  struct Stopped {
    std::string table, why;
    bool operator==(const Stopped&) const = default;
  };
  std::vector<Stopped> stopped = {};
  bool operator==(const SchemaChange&) const = default;
};

// Where a Postgres transaction stands in the source's history.
struct SourceStamp {
  std::uint64_t commit_lsn =
      0;  // the commit record's beginning: what a slot's exported snapshot is compared with
  std::uint64_t end_lsn = 0;  // its end: where a slot goes on after it
  std::uint32_t xid = 0;      // of the top-level transaction
  std::string origin;         // replication origin; empty: written here
  bool operator==(const SourceStamp&) const = default;
};

// A run of changes of one source transaction (for SQLite, of one cut). A long transaction has many parts.
struct TransactionPart {
  std::uint64_t transaction = 0;  // counts up by one per source transaction
  bool first = true;
  bool last = true;
  std::int64_t commit_time_us = 0;   // Unix time in microseconds, by the source's clock
  std::optional<SourceStamp> stamp;  // Postgres only
  std::optional<SchemaChange> schema_change;
  std::vector<Relation> relations;
  std::vector<Change> changes;
  bool operator==(const TransactionPart&) const = default;
};

// Protobuf, as proto/tidegate/v1/event.proto says. decode() throws std::invalid_argument, which names what is
// wrong and never holds a value, on bytes that are not a part.
std::string encode(const TransactionPart& part);
TransactionPart decode_part(std::string_view bytes);

// A key by itself: the bounds of chunks.
std::string encode(const Row& row);
Row decode_row(std::string_view bytes);

std::string encode(const SourceTable& table);
SourceTable decode_table(std::string_view bytes);

// A key as people and the quarantine see it: a JSON array of its values; blobs as "\\x…" hex, texts that are
// not UTF-8 as "text:\\x…". Keys that differ are shown differently, but for the text and the number Infinity.
std::string key_as_json(const Row& key);
Row key_of(const Relation& relation, const Row& row);

std::size_t size_in_memory(const Change& change);

}  // namespace tidegate
