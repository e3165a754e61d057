// Rows of a mapped relation as its plan would write them, made anew from the source's rows.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "apply/mapping/mapped_table.hpp"
#include "apply/mapping/row_mapper.hpp"
#include "capture/postgres/catalog.hpp"
#include "capture/sqlite/shadow.hpp"
#include "db/postgres.hpp"
#include "replicator/verify/shadow_lines.hpp"
#include "replicator/verify/target_end.hpp"

namespace tidegate::verify {

// A source table's rows in one snapshot, in any order.
class SourceRows {
 public:
  virtual ~SourceRows() = default;
  // False at the end. The row is valid until the next call.
  virtual bool next() = 0;
  virtual const Row& row() const = 0;
};

class ShadowRows : public SourceRows {
 public:
  ShadowRows(sqlite::Database& shadow, const ShadowTable& table);
  bool next() override;
  const Row& row() const override { return row_; }

 private:
  sqlite::Statement rows_;
  int width_;
  Row row_;
};

// Of a Postgres source: the columns that `relation` names, as its server prints them.
class CopiedRows : public SourceRows {
 public:
  CopiedRows(postgres::Connection& source, const capture::PostgresTable& table, const Relation& relation);
  bool next() override;
  const Row& row() const override { return row_; }

 private:
  postgres::Connection& source_;
  std::string line_;
  Row row_;
};

// A table and the one relation that is looked at.
class MappedLines : public SourceLines {
 public:
  // Rows in quarantine of which the target has nothing go to `left_out`, like those that do not fit.
  MappedLines(SourceRows& rows, MappedTable& mapped, const RowMapper& mapper, const Held& held,
              OnMisfit left_out);
  bool next() override;
  std::string_view line() const override { return line_; }
  std::string key() const override { return mapper_.source_key(row_); }
  std::string key_bytes() const override { return encode(key_of(mapper_.relation(), row_)); }

 private:
  bool is_held_nowhere(const Row& row) const;

  SourceRows& rows_;
  MappedTable& mapped_;
  const RowMapper& mapper_;
  const Held& held_;
  OnMisfit left_out_;
  std::vector<std::optional<Row>> made_;
  Row row_;
  std::string line_;
};

}  // namespace tidegate::verify
