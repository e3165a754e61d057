// What becomes of each legacy row in a batch of the target's changes, whatever happened to it in between.
// Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "apply/sqlite/reverse_plan.hpp"
#include "proto/change.hpp"

namespace tidegate {

// Rows and keys are texts of the target, in the layout of ReverseTable::columns and of `key`.
struct ReverseRow {
  std::optional<Row> found_by;  // the key under which the legacy has it; absent: it is new in this batch
  bool remove = false;
  Row row;                   // as it is at the end
  std::vector<bool> absent;  // columns that the target did not send, since they did not change
  bool whole() const;        // none is absent
};

class ReverseNet {
 public:
  explicit ReverseNet(const ReverseTable& table) : table_(&table) {}

  // Throws Refused where the relation lacks a column of the table, or names its rows by other columns than
  // those before: the target's table was altered.
  void add(const Relation& relation, const Change& change);

  const ReverseTable& table() const { return *table_; }
  const std::vector<std::size_t>& key() const { return key_; }  // places in table().columns
  bool truncated() const { return truncated_; }                 // before any of rows()
  const std::vector<ReverseRow>& rows() const { return rows_; }
  // The key is that of a row which lies in the legacy and has another key at the end of the batch.
  bool is_left(const Row& key) const;
  Row key_of(const Row& row) const;

 private:
  struct Layout {
    Relation relation;
    std::vector<std::optional<std::size_t>> places;  // of each column of the table, in the relation's rows
  };
  const Layout& layout_of(const Relation& relation);
  Row in_layout(const Layout& layout, const Row& row) const;
  ReverseRow& row_at(const Row& key);
  void insert(Row row);
  void remove(const Row& key);
  void update(const Row& from, const Row& to, Row row, std::vector<bool> absent);

  const ReverseTable* table_;
  std::unordered_map<std::uint32_t, Layout> layouts_;
  std::vector<std::size_t> key_;
  bool truncated_ = false;
  std::vector<ReverseRow> rows_;
  std::unordered_map<std::string, std::size_t> now_at_;  // by the key of now, encoded
  std::unordered_map<std::string, std::size_t>
      removed_;  // that lay in the legacy under the key they had last
};

}  // namespace tidegate
