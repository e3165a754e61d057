// A SQLite source as the apply thread sees it: through the shadow.
#pragma once

#include "apply/postgres/chunk_loader.hpp"
#include "capture/sqlite/shadow.hpp"
#include "replicator/config/settings.hpp"
#include "replicator/pipeline/source_view.hpp"
#include "replicator/pipeline/sqlite_load.hpp"

namespace tidegate {

class SqliteView : public SourceView {
 public:
  SqliteView(const Settings& settings, const std::string& state_path, Coordination& coordination)
      : settings_(settings), coordination_(coordination), pace_(coordination), shadow_(state_path) {}

  std::vector<SourceTable> tables() override;
  std::optional<std::uint64_t> rows_of(const std::string& table) override { return shadow_.count(table); }
  Ddl ddl(const std::vector<SourceTable>& tables, const std::vector<TablePlan>& plans) override;
  std::unique_ptr<Sink> sink(const TargetScene& scene) override;
  bool load(const TargetScene& scene) override;
  bool copy_again(const TargetScene& scene, const std::stop_token& stop) override;
  ChunkMap copied(TargetSession& session, const Plans& plans) override;
  bool passed_snapshot(const ChunkMap& copied, std::uint64_t sequence) override;
  std::vector<Finding> carry(const TargetScene& scene, const SchemaChange& change, Plans& plans) override {
    return scene.tables.carry(change.tables, plans);
  }
  void set_sequences(const TargetScene& scene) override;
  bool retry(const QuarantineEntry& entry, TargetApplier& applier, const TargetScene& scene,
             const std::function<void()>& apply_once) override;
  std::vector<Row> source_keys_of(const TargetScene& scene, const TablePlan& relation,
                                  const TargetKeys& keys) override;
  std::uint64_t rewrite(const std::string& table, const std::vector<Row>& keys, TargetApplier& applier,
                        const TargetScene& scene, const std::function<void()>& apply_once) override;

 private:
  std::vector<ShadowTable> tables_to_load(const TargetScene& scene);

  const Settings& settings_;
  Coordination& coordination_;
  Pace pace_;
  ShadowReader shadow_;
  std::optional<std::uint64_t> whole_from_;  // the journal's end when the shadow was first seen to be whole
};

}  // namespace tidegate
