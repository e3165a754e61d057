// The order in which both ends give the rows of a table, so that they can be merged. Pure.
#pragma once

#include <compare>
#include <string>
#include <string_view>
#include <vector>

#include "apply/plan.hpp"
#include "proto/value.hpp"

namespace tidegate::verify {

class RowOrder {
 public:
  explicit RowOrder(const TablePlan& plan);

  // The source's own order of keys is this one: bigints by number, texts and uuids by bytes, none of them
  // changed by a rule. A mapped relation's is not. Else both sides are sorted by the printed key.
  bool is_natural() const { return natural_; }
  void sort_by_print() { natural_ = false; }
  // The range of a bigint key of one column can be bound.
  bool has_integer_key() const { return natural_ && key_.size() == 1 && integers_.front(); }

  // ORDER BY's list for the target.
  std::string sql() const;
  // Two rows, by the fields of their lines.
  std::weak_ordering compare(const std::vector<std::string_view>& a,
                             const std::vector<std::string_view>& b) const;
  const std::vector<std::size_t>& key() const { return key_; }  // places in the plan's columns
  // The key as it is shown, from the target's line.
  Row key_of(const std::vector<std::string_view>& fields) const;

 private:
  const TablePlan* plan_;
  std::vector<std::size_t> key_;
  std::vector<bool> integers_;  // by the key's columns
  bool natural_;
};

}  // namespace tidegate::verify
