// The way back of mapped tables: what is planned of the settings, and the target as it is read.
// apply/mapping/README.md, "Way back".
#pragma once

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "apply/mapping/back/mapped_return.hpp"
#include "replicator/config/settings.hpp"
#include "replicator/journal/journal.hpp"

namespace tidegate::cutover {

// Those of the plans' target tables ("schema.table") whose changes the target lets us follow: only an owner
// may publish a table.
std::set<std::string> followed_tables(postgres::Connection& target, const std::vector<TablePlan>& plans);

class MappedWayBack {
 public:
  // `recorded`: all plans that the target has; `sources`: the legacy database's tables. They outlive it, and
  // `settings` does.
  MappedWayBack(const Settings& settings, const std::vector<TablePlan>& recorded,
                const std::vector<SourceTable>& sources, const std::set<std::string>& followed);

  // What keeps mapped rows from coming back, and columns whose changes wait for another table's.
  std::vector<Finding> findings() const;

  const std::vector<ReturnPlan>& plans() const { return plans_; }

  // What carries it out, as long as `legacy` is there. `journal_path`: back.db, which was applied to
  // `sequence`.
  struct Running;
  std::shared_ptr<Running> start(LegacySide& legacy, const std::string& journal_path,
                                 std::uint64_t sequence) const;
  // The same for a way back that is built anew: all is read of the target as `snapshot` sees it, which
  // outlives it.
  std::shared_ptr<Running> start_anew(LegacySide& legacy, postgres::Connection& snapshot) const;
  static MappedReturn* rows_of(const std::shared_ptr<Running>& running);

 private:
  std::vector<ReturnedTable> tables() const;

  const Settings& settings_;
  const std::vector<TablePlan>& recorded_;
  const std::vector<SourceTable>& sources_;
  std::set<std::string> followed_;
  std::vector<MapDefinition> maps_;
  std::vector<ReturnPlan> plans_;
};

}  // namespace tidegate::cutover
