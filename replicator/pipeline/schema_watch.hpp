// Looks at the source's catalogue for what the change stream does not announce: rows of replicated tables
// that changed without events, and tables that nobody replicates.
#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <stop_token>
#include <string>
#include <vector>

#include "capture/postgres/enums.hpp"
#include "db/postgres.hpp"
#include "proto/change.hpp"
#include "replicator/config/settings.hpp"
#include "replicator/control/store.hpp"
#include "replicator/pipeline/coordination.hpp"
#include "replicator/pipeline/mapping_setup.hpp"
#include "replicator/pipeline/replicated_tables.hpp"

namespace tidegate {

class SchemaWatch {
 public:
  SchemaWatch(const Settings& settings, ControlStore& store, Coordination& coordination,
              ReplicatedTables& tables)
      : settings_(settings),
        store_(store),
        coordination_(coordination),
        tables_(tables),
        maps_(maps_of(settings)) {}

  // Before the slot is made: `now`, or what an earlier run knew, is what is compared with from here on. The
  // first look follows at once.
  void begin(const std::vector<capture::PostgresTable>& now, const std::vector<capture::EnumType>& enums);
  // Those of `now` that are followed: all of them before the first begin(), later not those that came since.
  std::vector<capture::PostgresTable> followed(const std::vector<capture::PostgresTable>& now) const;
  // One cheap question, and a closer look where its answer is another than the last time. Any one thread.
  void look(postgres::Connection& source);
  std::optional<capture::PostgresTable> known(const std::string& source_name) const;
  // The target is to follow this table to its new shape, in a transaction that is not durable yet.
  void carried(const capture::PostgresTable& table);
  // What was carried is durable.
  void committed();

  // Tables whose rows may have changed without events, and that were not told yet. Until they are, nothing
  // may be captured.
  std::vector<SchemaChange::Stopped> new_doubts() const;
  void told(const std::string& table, const std::string& why);
  const std::vector<MapDefinition>& maps() const { return maps_; }
  // Is asked to stop when a new doubt comes up.
  std::stop_token until_doubt() const;
  bool in_doubt(const std::string& table) const;
  // Tables that came to the source, where they are to be taken in; one that could not be, again when it has
  // changed.
  std::vector<std::string> new_tables() const;
  void cannot_take_in(const std::string& table, const std::string& why);
  // Leaf partitions that came to known tables: (root, partition), each told once.
  std::vector<std::pair<std::string, capture::TableFile>> take_new_partitions();
  // The source's enums, where they are not what the target was last said to follow.
  struct EnumsChanged {
    std::vector<capture::EnumType> before, now;
  };
  std::optional<EnumsChanged> enums_changed() const;
  bool follows(const std::vector<capture::EnumType>& enums) const;
  void enums_followed(const std::vector<capture::EnumType>& now);
  // The table is copied anew, from a state that is not before this one.
  void accept(const capture::PostgresTable& now);

 private:
  void compare(const std::vector<capture::PostgresTable>& now);
  void judge_known(const std::vector<capture::PostgresTable>& now);
  void ask_for_a_pause();
  bool carries() const { return settings_.source.on_schema_change == OnSchemaChange::carry; }
  void forget_refused(const std::vector<capture::PostgresTable>& now);
  void report_new(const std::vector<capture::PostgresTable>& now);
  void note_partitions(const capture::PostgresTable& before, const capture::PostgresTable& now);
  void report_partitions(const capture::PostgresTable& before, const capture::PostgresTable& now);
  void report_once(const std::string& table, const std::string& message);
  void keep();
  void keep_enums();

  const Settings& settings_;
  ControlStore& store_;
  Coordination& coordination_;
  ReplicatedTables& tables_;
  const std::vector<MapDefinition> maps_;
  mutable std::mutex mutex_;  // of what follows
  std::vector<capture::PostgresTable> known_, carried_;
  std::vector<capture::EnumType> followed_enums_, enums_;
  struct Doubt {
    std::string why;
    bool told = false;
  };
  std::map<std::string, Doubt> doubts_;
  std::map<std::string, std::string> new_tables_, refused_;  // with their fingerprints
  std::vector<std::pair<std::string, capture::TableFile>> new_partitions_;
  std::stop_source doubted_;
  std::set<std::string> reported_;
  std::string mark_;
  std::uint64_t accepted_ = 0;  // how often accept() was called
};

}  // namespace tidegate
