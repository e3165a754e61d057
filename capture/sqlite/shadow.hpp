// The shadow: a typeless, byte-exact copy of the source's tables in the state database, as of the last cut.
// Tables are named shadow_1, shadow_2, …; columns c0, c1, … so that nothing of the source's names can matter.
// Where the source tells rows apart by a key beside the rowid, a hidden column `rid` keeps the rowid that the
// row had in the source at the last cut, so that a range of rowids finds its rows. It is no part of events.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "capture/source.hpp"
#include "db/sqlite.hpp"

namespace tidegate {

// A row and its rowid in the source; 0 where the shadow keeps none.
struct PlacedRow {
  Row row;
  std::int64_t rowid = 0;
};

// A table of the source with its shadow and the statements that go over both.
class ShadowTable {
 public:
  ShadowTable(std::uint32_t id, SourceTable source, std::string fingerprint);

  std::uint32_t id() const { return relation_.id; }
  const SourceTable& source() const { return source_; }
  const Relation& relation() const { return relation_; }
  const std::string& fingerprint() const { return fingerprint_; }
  const std::string& name() const { return name_; }
  int width() const { return static_cast<int>(relation_.columns.size()); }

  std::string create_sql() const;
  // The index that finds rows by their rowid in the source; empty where none is needed. Apart, since a shadow
  // is filled faster without it.
  std::string create_index_sql() const;
  // The rows' columns, then `rid` where it is kept. All rows in key order, for the live table as SQLite plans
  // it or by sorting (key_sample.hpp chooses); within two bound rowids in the order of the rowids; or all in
  // whatever order is cheapest.
  // Those behind a bound rowid come in the order of the rowids as well.
  enum class Rows { all, all_sorted, in_rowid_range, behind_rowid, in_any_order };
  std::string select_live(Rows rows) const;
  // The smallest and the largest rowid; the key of the first row from a bound rowid on.
  std::string select_rowid_ends() const;
  std::string select_key_from_rowid() const;
  std::string select_shadow(Rows rows) const;
  std::string select_shadow_end() const;  // the largest rowid, where that is the key
  // From behind a bound key on, with a bound row limit as the last parameter.
  std::string select_shadow_after() const;
  std::string select_shadow_row() const;
  std::string select_shadow_rowid() const;
  std::string insert_sql() const;
  std::string update_sql() const;
  std::string update_rowid_sql() const;
  std::string delete_sql() const;
  // Takes the row that one of the selects stands at.
  void read(const sqlite::Statement& from, PlacedRow& into) const;
  // Binds the columns and, where it is kept, the rowid: the parameters of insert_sql().
  void bind_all(sqlite::Statement& insert, const PlacedRow& row) const;

  // The rowid orders the table, so that a range of rowids can be compared by itself.
  bool keyed_by_rowid() const { return source_.integer_key || source_.identity == Identity::rowid; }
  // The shadow has the hidden column; it stands before the others, since columns that the source adds come
  // last.
  bool keeps_rowid() const { return !keyed_by_rowid() && !source_.without_rowid; }
  // A range of rowids names rows of the table. Not where no name is left for its rowid.
  bool found_by_rowid() const { return !rowid_.empty(); }

 private:
  std::string live_columns() const;
  std::string live_order() const;
  std::string shadow_columns() const;
  std::string shadow_row() const;
  std::string shadow_key(const char* separator, const char* suffix) const;

  SourceTable source_;
  std::string fingerprint_, name_, rowid_;  // the last is how SQL reaches the rowid, empty where it cannot
  Relation relation_;
};

class Shadow {
 public:
  // Makes the tables that describe the shadow where they are not there yet.
  static void create_tables(sqlite::Database& state);
  static std::vector<ShadowTable> load(sqlite::Database& state);

  // In the caller's transaction:
  static ShadowTable add(sqlite::Database& state, const SourceTable& source);
  // To be called once for each added table, after it was filled.
  static void index(sqlite::Database& state, const ShadowTable& table);
  // While the first fill lasts: a table of so many rows whose shadow has not all of them, until it
  // is_filled().
  static void to_be_filled(sqlite::Database& state, const ShadowTable& table, std::uint64_t rows);
  static void is_filled(sqlite::Database& state, const ShadowTable& table);
  static std::optional<std::uint64_t> rows_to_fill(sqlite::Database& state, const ShadowTable& table);
  // No row of any table was ever there for a reader, nor was a table said to have none.
  static bool is_empty(sqlite::Database& state);
  static void remove_all(sqlite::Database& state);
  // The source's table got columns at its end (their values in the shadow are NULL until compared), or only
  // its indexes, constraints or other facts changed.
  static ShadowTable extend(sqlite::Database& state, const ShadowTable& before, const SourceTable& now);
};

// Chunks and rows out of the shadow, on a connection of its own, each at the journal's position of the same
// snapshot.
class ShadowReader : public SnapshotReader {
 public:
  explicit ShadowReader(const std::string& state_path);
  bool read_chunk(const std::string& table, const Row& after, std::size_t max_rows, std::size_t max_bytes,
                  Chunk& into) override;
  std::uint64_t count(const std::string& table) override;  // as measured, while the table is being filled
  // The shadow is one state of the source: not before the end of the first fill.
  bool is_whole();
  std::uint64_t end();  // the journal's last sequence
  RowAt read_row(const std::string& table, const Row& key) override;
  std::vector<ShadowTable> tables() { return Shadow::load(state_); }
  const Relation& relation(const std::string& name) { return table(name).relation(); }

 private:
  const ShadowTable& table(const std::string& name);

  sqlite::Database state_;
  std::vector<ShadowTable> tables_;
};

}  // namespace tidegate
