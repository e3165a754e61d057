// A source as the thread that fills the target needs it, whichever database it is. Made anew with each
// connection to the target, and used by that thread alone.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "apply/chunk_map.hpp"
#include "apply/mapping/mapping.hpp"
#include "apply/postgres/quarantine.hpp"
#include "apply/postgres/target_tables.hpp"
#include "apply/postgres/widening.hpp"
#include "apply/sink.hpp"
#include "replicator/pipeline/applier.hpp"
#include "replicator/pipeline/pace.hpp"

namespace tidegate {

// The target's side of one connection, as a source's view works with it.
struct TargetScene {
  TargetSession& session;
  TargetTables& tables;
  Quarantine& quarantine;
  CheckpointSummary& summary;
  const Plans& plans;
  Mapping& mapping;
  Widen widen;
  std::function<void()> worked;  // to be called when the target took something
};

class SourceView {
 public:
  virtual ~SourceView() = default;

  // As they are now, replicated or not.
  virtual std::vector<SourceTable> tables() = 0;
  // Counted or estimated.
  virtual std::optional<std::uint64_t> rows_of(const std::string& table) = 0;

  // What is made on the target for these tables, and when.
  virtual Ddl ddl(const std::vector<SourceTable>& tables, const std::vector<TablePlan>& plans) = 0;
  virtual std::unique_ptr<Sink> sink(const TargetScene& scene) = 0;

  // Copies what the target does not have yet of the snapshot. False where the stop came first.
  virtual bool load(const TargetScene& scene) = 0;
  // What was copied, for the drop rule.
  virtual ChunkMap copied(TargetSession& session) = 0;
  // Has the stream, applied up to `sequence` of the journal, left all that was copied behind? Only then may
  // uniques and foreign keys be built.
  virtual bool passed_snapshot(const ChunkMap& copied, std::uint64_t sequence) = 0;

  // Within the open target transaction: makes the target follow a change of the source's schema, and changes
  // `plans`. Throws Refused where it cannot.
  virtual std::vector<Finding> carry(const TargetScene& scene, const SchemaChange& change, Plans& plans) = 0;

  virtual void set_sequences(const TargetScene& scene) = 0;
  // Now and then, while the stream rests.
  virtual void tend(const TargetScene&) {}
  // Tries a quarantined row again, as the source has it now; `apply_once` moves the stream on. True where the
  // row is in quarantine no more.
  virtual bool retry(const QuarantineEntry& entry, Applier& applier, const TargetScene& scene,
                     const std::function<void()>& apply_once) = 0;
};

}  // namespace tidegate
