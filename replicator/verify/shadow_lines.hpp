// The rows of a SQLite source as its plan would write them, read from a snapshot of the shadow.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "apply/mapping/row_mapper.hpp"
#include "capture/sqlite/shadow.hpp"
#include "replicator/verify/line_merge.hpp"

namespace tidegate::verify {

// Rows that do not fit the plan are handed to `misfit` and left out.
using OnMisfit = std::function<void(const Reject&)>;

// In the order of the shadow; for an integer key, those behind `after` up to `up_to`.
struct IntegerRange {
  std::optional<std::int64_t> after, up_to;
};

class ShadowLines : public SourceLines {
 public:
  ShadowLines(sqlite::Database& shadow, const ShadowTable& table, const RowMapper& mapper,
              const IntegerRange& range, OnMisfit misfit);
  bool next() override;
  std::string_view line() const override { return line_; }
  std::string key() const override { return mapper_.source_key(row_); }
  std::string key_bytes() const override { return encode(key_of(mapper_.relation(), row_)); }

 private:
  const RowMapper& mapper_;
  OnMisfit misfit_;
  sqlite::Statement rows_;
  int width_;
  Row row_;
  std::string line_;
};

// The same rows, sorted by the printed key in a file that is gone with this object, and with a crash.
class SortedLines : public SourceLines {
 public:
  SortedLines(SourceLines& lines, const TablePlan& plan, const RowOrder& order, Speller& speller,
              const std::string& folder);
  ~SortedLines() override;
  bool next() override;
  std::string_view line() const override { return line_; }
  std::string key() const override { return rows_->text(1); }
  std::string key_bytes() const override { return std::string(rows_->bytes(2)); }

 private:
  struct Batch;
  void fill(SourceLines& lines);
  void write(Batch& batch);

  const TablePlan& plan_;
  const RowOrder& order_;
  Speller& speller_;
  std::unique_ptr<sqlite::Database> file_;
  std::optional<sqlite::Statement> insert_, rows_;
  std::int64_t written_ = 0;
  std::string line_;
};

// The target's rows, in the order that RowOrder says.
class CopiedLines : public TargetLines {
 public:
  CopiedLines(postgres::Connection& target, const TablePlan& plan, const RowOrder& order,
              const IntegerRange& range);
  // Those of which `where` is true.
  CopiedLines(postgres::Connection& target, const TablePlan& plan, const RowOrder& order,
              const std::string& where);
  bool next() override;
  std::string_view line() const override { return line_; }

 private:
  postgres::Connection& target_;
  std::string line_;
};

}  // namespace tidegate::verify
