// One source table in one version of its shape, and what becomes of its rows. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "apply/mapping/mapped_row.hpp"
#include "apply/mapping/row_mapper.hpp"
#include "apply/plan.hpp"
#include "proto/change.hpp"

namespace tidegate::native {

class Table {
 public:
  // Throws std::invalid_argument where the relation lacks what the plan reads, or where the source's replica
  // identity does not cover the plan's key: then an old row could not be found.
  Table(TablePlan given, Relation relation);

  const TablePlan& given() const { return given_; }
  // Without columns that this version of the source's table did not have yet.
  const TablePlan& plan() const { return plan_; }
  const Relation& relation() const { return relation_; }
  bool keyless() const { return key_.empty(); }
  const std::vector<std::size_t>& key_columns() const { return key_; }  // places in plan().columns

  const Value& value(const Row& row, std::size_t column) const { return row[places_[column]]; }

  // Takes values that were not sent from the old row where that has them, and forgets an old row that says no
  // more than the new one. After this `before` stands only where the key changed or the table is keyless.
  void complete(Change& change) const;
  // Plan columns that the change does not give.
  std::vector<std::size_t> absent_columns(const Change& change) const;

  // Why the mapping could not make a row of an insert or update; nothing where it could.
  std::optional<NamedMisfit> misfit(const Change& change) const;

  // Rows with equal keys are one row. A key that prints differently and is equal to the target (1 and 1.0) is
  // a key change at the source, and stays in order.
  std::string key(const Row& row) const;
  // The row's name in the quarantine; for a keyless table see keyless.hpp.
  Reject named(const Row& row) const;

 private:
  bool same_key(const Change& change) const;
  std::vector<std::string> key_arrays(const Row& row) const;

  TablePlan given_, plan_;
  Relation relation_;
  std::vector<std::size_t> places_, key_;
  std::vector<std::uint32_t> source_key_;  // places of the key in the row, in the quarantine's order
};

}  // namespace tidegate::native
