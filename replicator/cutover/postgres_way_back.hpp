// The way back into a legacy Postgres database: the target's stream, written there by the sink that fills a
// target, under an account that the fence's transaction has made (apply/postgres/legacy_side.hpp).
#pragma once

#include <string>
#include <vector>

#include "apply/plan.hpp"
#include "apply/postgres/native/native_sink.hpp"
#include "apply/postgres/quarantine.hpp"
#include "apply/postgres/session.hpp"
#include "capture/postgres/catalog.hpp"
#include "replicator/cutover/journal_way_back.hpp"
#include "replicator/cutover/source_look.hpp"

namespace tidegate::cutover {

class PostgresWayBack : public JournalWayBack {
 public:
  PostgresWayBack(const Settings& settings, const std::string& journal_path)
      : JournalWayBack(settings, journal_path), look_(settings) {}

  void prepare(std::stop_token stop) override;
  std::vector<Finding> ready() override;
  std::vector<Finding> ready_to_return() override;
  std::string prove(std::uint64_t sequence) override;
  std::size_t rejects() override;
  void remove() override { capture_.remove(); }
  void require_rebuildable() override;

 private:
  // What writes to the legacy database, under its account.
  struct Writing {
    Writing(const Settings& settings, const std::string& incarnation);
    TargetSession session;
    Plans plans;
    Quarantine quarantine;
    NativeSink sink;
  };
  void bring_in_line(const Beginning& beginning) override;
  void work(const Position& start, const std::stop_token& stop) override;
  void find_legacy_trouble(std::vector<Finding>& findings);
  void find_rejects(std::vector<Finding>& findings);
  std::uint64_t known_position();
  void hand_over_ids();

  SourceLook look_;
  std::vector<capture::PostgresTable> target_tables_;  // of ready_to_return()
};

std::vector<std::string> target_names(const std::vector<TablePlan>& back);

// The plans from the target's tables back to the legacy's. Throws Refused where a table is mapped or cannot
// go back.
std::vector<TablePlan> plans_back(postgres::Connection& target, const Settings& settings);

}  // namespace tidegate::cutover
