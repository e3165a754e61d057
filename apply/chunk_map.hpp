// The drop rule: a change that a snapshot chunk already showed is not applied again. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "proto/change.hpp"
#include "proto/key_order.hpp"

namespace tidegate {

// Keys behind `after` up to and with `up_to`; empty: from the first, to the last.
struct KeyRange {
  Row after, up_to;
  bool operator==(const KeyRange&) const = default;
};

// The chunks of a table follow each other in key order without gaps; the first begins before all keys, the
// last ends after all. Each was read at a place of the source's history: the journal's sequence for SQLite, a
// commit's LSN for Postgres. `at` is a change's place in the same measure: its sequence, or
// SourceStamp::commit_lsn.
class ChunkMap {
 public:
  // In key order; `up_to` empty for the last one. The chunk shows all up to `sequence`, and that one.
  void add(const std::string& table, Row up_to, std::uint64_t sequence) {
    add_until(table, std::move(up_to), sequence + 1, sequence);
  }
  // The chunk shows all that is before `mark`: a snapshot's consistent point.
  void add_before(const std::string& table, Row up_to, std::uint64_t mark) {
    add_until(table, std::move(up_to), mark, mark);
  }
  // Which columns the keys are, by the source's names, and how they compare. Without it: as SQLite's, by the
  // relation's key.
  struct Key {
    std::vector<std::string> columns;
    std::vector<KeyOrder> orders;
  };
  void set_key(const std::string& table, std::vector<std::string> columns, std::vector<KeyOrder> orders);
  Key key_of_table(const std::string& table) const;

  // The table's chunks were copied without columns that it has by now: all changes from here on are applied,
  // those that a chunk showed too. That goes back in time for a while, which is harmless until the newest
  // chunk is passed.
  void forget(const std::string& table) { tables_.erase(table); }

  // What of a change the chunks have not shown. Of a key change (`before` is filled) that can be one half:
  // the removal of the old key, or the new row, as an insert; as an update without `before`, where the source
  // did not send all of it and the row must be read again. Of a TRUNCATE that some chunks showed, the ranges
  // that were read before it, and no change: the rows in them are to be deleted, and no others.
  struct Unseen {
    std::optional<Change> change;
    std::vector<KeyRange> ranges;
  };
  Unseen unseen(const Relation& relation, Change change, std::uint64_t at) const;

  // From here on nothing is dropped any more: the newest sequence or mark.
  std::uint64_t newest() const { return newest_; }

 private:
  struct Chunk {
    Row up_to;
    std::uint64_t end = 0;  // shows all before
  };
  struct Table {
    std::vector<Chunk> chunks;
    std::uint64_t first_end = UINT64_MAX;  // before it, all chunks show everything
    Key key;
  };
  void add_until(const std::string& table, Row up_to, std::uint64_t end, std::uint64_t newest);
  const Table* chunked(const Relation& relation, std::uint64_t at) const;
  static bool shows(const Table& table, const Relation& relation, const Row& row, std::uint64_t at);
  static Unseen unseen_truncate(const Table& table, Change change, std::uint64_t at);

  std::map<std::string, Table> tables_;
  std::uint64_t newest_ = 0, last_end_ = 0;
};

}  // namespace tidegate
