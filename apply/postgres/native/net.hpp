// The net change of a run of steps that may be reordered: inserts, updates and deletes by key, of no key that
// changes. Pure. Refers to the steps' rows: they must stay where they are.
#pragma once

#include <deque>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "apply/postgres/native/step.hpp"

namespace tidegate::native {

struct NetRow {
  enum class State { whole, partial, removed } state;
  bool born;              // its first change was an insert: the target did not hold it before
  const Row* row;         // values that are known; the key always is
  Columns absent;         // partial: columns that are not known
  Row* merged = nullptr;  // `row` where it is put together from several changes
};

class Net {
 public:
  struct TableRows {
    Target* target;
    std::vector<NetRow> rows;
    std::unordered_map<std::string, std::size_t> by_key;
  };

  void add(const Step& step);
  bool empty() const { return tables_.empty(); }
  const std::deque<TableRows>& tables() const { return tables_; }  // in order of appearance

 private:
  TableRows& rows_of(Target* target);
  void follow(NetRow& known, const Step& step);
  void merge(NetRow& known, const Change& change);

  std::deque<TableRows> tables_;
  std::unordered_map<Target*, TableRows*> by_target_;
  std::deque<Row> merged_;
};

}  // namespace tidegate::native
