// The way back into a legacy Postgres database: the target's stream, written there by the sink that fills a
// target, under an account that the fence's transaction has made (apply/postgres/legacy_side.hpp).
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "apply/mapping/keys/key_memory.hpp"
#include "apply/plan.hpp"
#include "apply/postgres/native/native_sink.hpp"
#include "apply/postgres/quarantine.hpp"
#include "apply/postgres/session.hpp"
#include "apply/postgres/target_tables.hpp"
#include "capture/postgres/catalog.hpp"
#include "replicator/cutover/journal_way_back.hpp"
#include "replicator/cutover/source_look.hpp"

namespace tidegate::cutover {

class PostgresWayBack : public JournalWayBack {
 public:
  // `keys`: the key memory, which gets the pairs of rows that were born on the target; none where there is no
  // mapping, or all is taken away.
  PostgresWayBack(const Settings& settings, const std::string& journal_path,
                  std::shared_ptr<KeyMemory> keys = nullptr)
      : JournalWayBack(settings, journal_path), look_(settings), keys_(std::move(keys)) {}

  void prepare(std::stop_token stop) override;
  std::vector<Finding> ready() override;
  void resume() override;
  std::vector<Finding> ready_to_return() override;
  std::string prove(std::uint64_t sequence) override;
  std::size_t rejects() override;
  void remove() override { capture_.remove(); }
  void require_rebuildable() override;

 private:
  // What writes to the legacy database, under its account.
  struct Writing {
    Writing(const Settings& settings, const std::string& incarnation, NativeSink::Guards guards = {});
    TargetSession session;
    Plans plans;
    Quarantine quarantine;
    NativeSink sink;
  };
  void bring_in_line(const Beginning& beginning) override;
  void bring_mapped_in_line(const Beginning& beginning, Writing& writing);
  void work(const Position& start, const std::stop_token& stop) override;
  void find_legacy_trouble(std::vector<Finding>& findings);
  void find_rejects(std::vector<Finding>& findings);
  std::uint64_t known_position();
  void follow_into(Writing& writing, const std::stop_token& stop);
  void hand_over_ids();
  void hand_over_keys();

  SourceLook look_;
  std::shared_ptr<KeyMemory> keys_;
  std::vector<capture::PostgresTable> target_tables_;  // of ready_to_return(), those without a mapping
};

}  // namespace tidegate::cutover
