// Rows as the target would take them, tried in a temporary table with the columns, types and CHECKs of
// theirs: only its server knows what a uuid, a domain or another's constraint makes of a value.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "db/error.hpp"
#include "replicator/config/settings.hpp"
#include "replicator/doctor/kept_rows.hpp"
#include "replicator/pipeline/found_rows.hpp"

namespace tidegate {

class RowProbe {
 public:
  // `target` is in a transaction of its own that nobody commits, and outlives the probe. `checks`: those of
  // the table. `left_out`: columns whose values are made in the run.
  RowProbe(postgres::Connection& target, const TablePlan& plan, const Relation& relation,
           std::vector<Check> checks, const std::set<std::string>& left_out = {});

  // A row that encode() takes, and its name as people are shown it.
  void add(const Row& row, const std::string& name);
  void finish();
  std::vector<Finding> findings() const;  // once it has finished

 private:
  void choose_columns(const std::set<std::string>& left_out);
  bool make_table();
  void give_up();
  void add_constraints();
  void choose_checks();
  void ask(std::size_t first, std::size_t last);
  void ask_checks(std::size_t first, std::size_t last);
  void empty_table();
  void note(const KeptRow& kept, const Error& refusal);
  std::string column_refusing(const KeptRow& kept);

  postgres::Connection& target_;
  const TablePlan& whole_;
  TablePlan plan_;  // of the columns that are tried, in the temporary table
  const Relation& relation_;
  std::vector<Check> checks_;
  std::vector<KeptRow> kept_;
  std::size_t refused_ = 0;
  std::uint64_t not_tried_ = 0;
  std::map<std::string, FoundRows> refusals_;  // by what refuses
  std::vector<FoundRows> broken_;              // by check
  std::vector<Finding> findings_;
};

}  // namespace tidegate
