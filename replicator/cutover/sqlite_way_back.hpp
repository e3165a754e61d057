// The way back into a legacy SQLite file.
#pragma once

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "apply/mapping/keys/key_memory.hpp"
#include "apply/sqlite/sqlite_sink.hpp"
#include "replicator/cutover/journal_way_back.hpp"

namespace tidegate::cutover {

class SqliteWayBack : public JournalWayBack {
 public:
  // `journal_path`: back.db in the state directory. `keys`: the key memory, which gets the pairs of rows that
  // were born on the target; none where there is no mapping, or all is taken away. Changes nothing anywhere.
  SqliteWayBack(const Settings& settings, const std::string& journal_path,
                std::shared_ptr<KeyMemory> keys = nullptr);

  void prepare(std::stop_token stop) override;
  std::vector<Finding> ready() override;
  std::string record_start(Clock::time_point until) override;
  void resume() override;
  std::vector<Finding> ready_to_return() override;
  std::string prove(std::uint64_t sequence) override;
  std::size_t rejects() override;
  void remove() override;
  void require_rebuildable() override;

 private:
  void bring_in_line(const Beginning& beginning) override;
  sqlite::Database look_at_legacy() const;  // query_only
  // What is recorded on the target and lies in the legacy file, as of now.
  struct Tables {
    std::vector<TablePlan> plans;
    std::set<std::string> followed;
    std::vector<SourceTable> sources;
  };
  Tables look_at_tables(sqlite::Database& legacy) const;
  static ReverseTables reverse_tables(sqlite::Database& legacy, const Tables& tables,
                                      std::vector<Finding>* findings);
  std::vector<TablePlan> plans() const;
  // What keeps mapped rows from coming back, and what of them does not.
  std::vector<Finding> mapped_findings(const Tables& tables) const;
  void find_legacy_trouble(std::vector<Finding>& findings) const;
  void work(const Position& start, const std::stop_token& stop) override;
  void begin(LegacyFile& file, const Position& start) const;
  void find_rejects(std::vector<Finding>& findings) const;
  void hand_over_ids();
  void hand_over_keys();

  std::shared_ptr<KeyMemory> keys_;
};

}  // namespace tidegate::cutover
