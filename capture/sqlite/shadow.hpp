// The shadow: a typeless, byte-exact copy of the source's tables in the state database, as of the last cut.
// Tables are named shadow_1, shadow_2, …; columns c0, c1, … so that nothing of the source's names can matter.
#pragma once

#include <string>
#include <vector>

#include "capture/source.hpp"
#include "db/sqlite.hpp"

namespace tidegate {

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
  // All rows in key order. With `after`, from behind a bound key on, with a bound row limit as the last
  // parameter.
  std::string select_live(bool in_rowid_range) const;
  std::string select_shadow(bool in_rowid_range) const;
  std::string select_shadow_after() const;
  std::string select_shadow_row() const;
  std::string insert_sql() const;
  std::string update_sql() const;
  std::string delete_sql() const;

  // The rowid orders the table, so that a range of rowids can be compared by itself.
  bool keyed_by_rowid() const { return source_.integer_key || source_.identity == Identity::rowid; }

 private:
  std::string live_columns() const;
  std::string live_order() const;
  std::string shadow_columns() const;
  std::string shadow_key(const char* separator, const char* suffix) const;

  SourceTable source_;
  std::string fingerprint_, name_;
  Relation relation_;
};

class Shadow {
 public:
  // Makes the tables that describe the shadow where they are not there yet.
  static void create_tables(sqlite::Database& state);
  static std::vector<ShadowTable> load(sqlite::Database& state);

  // In the caller's transaction:
  static ShadowTable add(sqlite::Database& state, const SourceTable& source);
  // The source's table got columns at its end (their values in the shadow are NULL until compared), or only
  // its indexes, constraints or other facts changed.
  static ShadowTable extend(sqlite::Database& state, const ShadowTable& before, const SourceTable& now);
};

// Chunks and rows out of the shadow, on a connection of its own, each at the journal's position of the same
// snapshot.
class ShadowReader : public SnapshotReader {
 public:
  explicit ShadowReader(const std::string& state_path);
  Chunk read_chunk(const std::string& table, const Row& after, std::size_t max_rows,
                   std::size_t max_bytes) override;
  std::uint64_t count(const std::string& table) override;
  RowAt read_row(const std::string& table, const Row& key) override;
  std::vector<ShadowTable> tables() { return Shadow::load(state_); }
  const Relation& relation(const std::string& name) { return table(name).relation(); }

 private:
  const ShadowTable& table(const std::string& name);
  std::uint64_t position();

  sqlite::Database state_;
  std::vector<ShadowTable> tables_;
};

}  // namespace tidegate
