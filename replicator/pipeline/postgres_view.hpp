// A Postgres source as the apply thread sees it.
#pragma once

#include <vector>

#include "apply/schema/ddl.hpp"
#include "capture/postgres/catalog.hpp"
#include "replicator/config/settings.hpp"
#include "replicator/pipeline/enum_drift.hpp"
#include "replicator/pipeline/postgres_snapshot.hpp"
#include "replicator/pipeline/replicated_tables.hpp"
#include "replicator/pipeline/schema_watch.hpp"
#include "replicator/pipeline/source_view.hpp"

namespace tidegate {

// What the source's worker knows and its views share. Lives as long as the worker.
struct PostgresScene {
  const Settings& settings;
  Coordination& coordination;
  Ddl ddl;  // as approved
  ReplicatedTables tables;
  SchemaWatch* schema = nullptr;
  ControlStore* store = nullptr;
};

class PostgresView : public SourceView {
 public:
  explicit PostgresView(PostgresScene& scene) : source_(scene), pace_(scene.coordination) {}

  std::vector<SourceTable> tables() override;
  std::optional<std::uint64_t> rows_of(const std::string& table) override;
  Ddl ddl(const std::vector<SourceTable>& tables, const std::vector<TablePlan>& plans) override;
  std::unique_ptr<Sink> sink(const TargetScene& scene) override;
  bool load(const TargetScene& scene) override;
  bool copies_by_itself() const override {
    return source_.settings.source.on_schema_change == OnSchemaChange::carry;
  }
  bool in_doubt(const std::string& table) override { return source_.schema->in_doubt(table); }
  std::string schema_difference(const TargetScene& scene) override;
  NewShape shape_now(const TargetScene& scene, const TablePlan& plan) override;
  void meet_shape(const TargetScene& scene, const std::string& table,
                  const std::function<void()>& apply_once) override;
  std::vector<std::string> new_tables() override { return source_.schema->new_tables(); }
  NewTable new_table(const TargetScene& scene, const std::string& table) override;
  void cannot_take_in(const std::string& table, const std::string& why) override {
    source_.schema->cannot_take_in(table, why);
  }
  std::vector<std::string> make_partitions(const TargetScene& scene) override;
  bool follow_enums(const TargetScene& scene, const std::function<void()>& apply_once,
                    const std::function<void(const std::string&)>& copy_again) override;
  void accept_shape(const std::string& table) override;
  bool copy_again(const TargetScene& scene, const std::stop_token& stop) override;
  ChunkMap copied(TargetSession& session, const Plans& plans) override;
  bool passed_snapshot(const ChunkMap& copied, std::uint64_t sequence) override;
  std::vector<Finding> carry(const TargetScene& scene, const SchemaChange& change, Plans& plans) override;
  void set_sequences(const TargetScene& scene) override;
  void tend(const TargetScene& scene) override;
  bool can_read_again(const std::string& table) override {
    auto known = source_.tables.find(table);
    return known && !known->identity.empty();
  }
  bool retry(const QuarantineEntry& entry, TargetApplier& applier, const TargetScene& scene,
             const std::function<void()>& apply_once) override;
  std::vector<Row> source_keys_of(const TargetScene& scene, const TablePlan& relation,
                                  const TargetKeys& keys) override;
  std::uint64_t rewrite(const std::string& table, const std::vector<Row>& keys, TargetApplier& applier,
                        const TargetScene& scene, const std::function<void()>& apply_once) override;

 private:
  bool copy(const TargetScene& scene, const std::stop_token& stop);
  capture::PostgresTable table_now(const std::string& name);
  void publish(capture::PostgresTable& table);
  bool carries_types() const {
    return copies_by_itself() && source_.settings.target.schema == TargetSchema::create;
  }
  // Tables with a type whose labels' names were handed on.
  std::vector<std::string> tables_to_copy(const SchemaWatch::EnumsChanged& changed) const;
  bool carry_out(const TargetScene& scene, const EnumChange& change);
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
  std::optional<capture::PostgresTable> seen_;  // by shape_now()
  std::chrono::steady_clock::time_point tended_{}, enums_seen_{}, asked_{};
  std::optional<std::uint64_t> wish_after_snapshot_, snapshot_end_;
};

}  // namespace tidegate
