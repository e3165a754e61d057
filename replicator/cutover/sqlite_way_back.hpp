// The way back into a legacy SQLite file.
#pragma once

#include <string>
#include <vector>

#include "apply/sqlite/sqlite_sink.hpp"
#include "replicator/cutover/journal_way_back.hpp"

namespace tidegate::cutover {

class SqliteWayBack : public JournalWayBack {
 public:
  // `journal_path`: back.db in the state directory. Changes nothing anywhere.
  SqliteWayBack(const Settings& settings, const std::string& journal_path);

  void prepare(std::stop_token stop) override;
  std::vector<Finding> ready() override;
  std::vector<Finding> ready_to_return() override;
  std::string prove(std::uint64_t sequence) override;
  std::size_t rejects() override;
  void remove() override;

 private:
  sqlite::Database look_at_legacy() const;  // query_only
  ReverseTables reverse_tables(sqlite::Database& legacy, std::vector<Finding>* findings) const;
  std::vector<TablePlan> plans() const;
  void find_legacy_trouble(std::vector<Finding>& findings) const;
  void work(const Position& start, const std::stop_token& stop) override;
  void find_rejects(std::vector<Finding>& findings) const;
  void hand_over_ids();
};

}  // namespace tidegate::cutover
