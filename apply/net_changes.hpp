// The net change of a batch: for each target row what it is at the end, whatever happened to it in between.
// Pure.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "apply/mapping/row_mapper.hpp"
#include "apply/plan.hpp"
#include "proto/change.hpp"

namespace tidegate {

struct NetRow {
  bool remove = false;
  bool born = false;  // its first change in the batch was an insert, so the target did not hold it before
  Row row;            // the last one; of a removed row, as it was
};

class TableNet {
 public:
  TableNet(const TablePlan& plan, const Relation& relation) : mapper_(plan, relation) {}

  void add(Change change);
  const RowMapper& mapper() const { return mapper_; }
  const std::vector<NetRow>& rows() const { return rows_; }
  // Rows whose key the target cannot hold, by source key, with the reason; without one where the row is gone.
  const std::map<std::string, std::optional<Reject>>& unkeyed() const { return unkeyed_; }

 private:
  RowMapper mapper_;
  std::vector<NetRow> rows_;
  std::unordered_map<std::string, std::size_t> by_key_;
  std::map<std::string, std::optional<Reject>> unkeyed_;
};

// Plans by source table; a table without a plan is not replicated.
using Plans = std::unordered_map<std::string, TablePlan>;

class NetChanges {
 public:
  explicit NetChanges(const Plans& plans) : plans_(&plans) {}

  void add(const Relation& relation, Change change);
  // In the order in which the tables first appeared.
  const std::vector<std::unique_ptr<TableNet>>& tables() const { return tables_; }
  std::size_t rows() const { return rows_; }    // changes taken in
  std::size_t bytes() const { return bytes_; }  // memory held, about
  bool empty() const { return rows_ == 0; }

 private:
  const Plans* plans_;
  std::vector<std::unique_ptr<TableNet>> tables_;
  std::size_t rows_ = 0, bytes_ = 0;
};

}  // namespace tidegate
