// A Postgres source as the apply thread sees it.
#pragma once

#include <vector>

#include "apply/schema/ddl.hpp"
#include "capture/postgres/catalog.hpp"
#include "replicator/config/settings.hpp"
#include "replicator/pipeline/postgres_snapshot.hpp"
#include "replicator/pipeline/replicated_tables.hpp"
#include "replicator/pipeline/source_view.hpp"

namespace tidegate {

// What the source's worker knows and its views share. Lives as long as the worker.
struct PostgresScene {
  const Settings& settings;
  Coordination& coordination;
  Ddl ddl;  // as approved
  ReplicatedTables tables;
};

class PostgresView : public SourceView {
 public:
  explicit PostgresView(PostgresScene& scene) : source_(scene), pace_(scene.coordination) {}

  std::vector<SourceTable> tables() override;
  std::optional<std::uint64_t> rows_of(const std::string& table) override;
  Ddl ddl(const std::vector<SourceTable>& tables, const std::vector<TablePlan>& plans) override;
  std::unique_ptr<Sink> sink(const TargetScene& scene) override;
  bool load(const TargetScene& scene) override;
  ChunkMap copied(TargetSession& session) override;
  bool passed_snapshot(const ChunkMap& copied, std::uint64_t sequence) override;
  std::vector<Finding> carry(const TargetScene& scene, const SchemaChange& change, Plans& plans) override;
  void set_sequences(const TargetScene& scene) override;
  void tend(const TargetScene& scene) override;
  bool retry(const QuarantineEntry& entry, Applier& applier, const TargetScene& scene,
             const std::function<void()>& apply_once) override;

 private:
  void show_progress(const std::string& table, std::uint64_t rows, bool whole);
  void build_keys(const TargetScene& scene);
  PostgresSnapshotTable mapped_table(const capture::PostgresTable& table, const TargetScene& scene);
  // The place in the journal up to which all is captured that was committed when `wish` was made.
  std::optional<std::uint64_t> captured(std::uint64_t wish, std::chrono::milliseconds most);
  void bring_stream_here(const TargetScene& scene, const std::function<void()>& apply_once);
  postgres::Connection& source();

  PostgresScene& source_;
  Pace pace_;
  std::unique_ptr<postgres::Connection> connection_;
  std::chrono::steady_clock::time_point tended_{};
  std::optional<std::uint64_t> wish_after_snapshot_, snapshot_end_;
};

}  // namespace tidegate
