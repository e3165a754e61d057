// A source as the thread that fills the target needs it, whichever database it is. Made anew with each
// connection to the target, and used by that thread alone.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
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
#include "replicator/pipeline/row_search.hpp"

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

// A table's plan as of now, and how a table of the shape before becomes one of it: pieces for ALTER TABLE, of
// which the target may refuse the second kind.
struct NewShape {
  TablePlan plan;
  std::vector<std::string> changes, wishes;
};

struct NewTable {
  TablePlan plan;
  Ddl ddl;
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
  // Is a table that was stopped by a change of its schema to be copied again without being asked?
  virtual bool copies_by_itself() const { return false; }
  // Did the table's schema change in a way of which the stream will tell only later?
  virtual bool in_doubt(const std::string&) { return false; }
  // The first replicated table whose schema at the source is now another than the target has followed, in
  // words; empty: there is none.
  virtual std::string schema_difference(const TargetScene&) { return ""; }
  // What the table is at the source now, for a copy that begins after this: its plan, and what makes a table
  // like the target's into one of that shape. Throws Refused where the target cannot follow.
  virtual NewShape shape_now(const TargetScene&, const TablePlan& plan) { return {plan, {}, {}}; }
  // Of a mapped table that was stopped: looks at what it is at the source now, and moves the stream on until
  // it describes that. Throws Refused where the maps cannot read it so.
  virtual void meet_shape(const TargetScene&, const std::string&, const std::function<void()>&) {}
  // Tables that came to the source and are to be taken in, and the DDL and plan of one of them, which is
  // published then. Throws Refused where it cannot be; cannot_take_in() says so for good.
  virtual std::vector<std::string> new_tables() { return {}; }
  virtual NewTable new_table(const TargetScene&, const std::string&) { return {}; }
  virtual void cannot_take_in(const std::string&, const std::string&) {}
  // Makes the partitions that came to the source. Returns the tables that got some: rows may wait for them.
  virtual std::vector<std::string> make_partitions(const TargetScene&) { return {}; }
  // Gives the target's enums the labels that came to the source's, or new names; `apply_once` moves the
  // stream on, and `copy_again` is called for tables whose rows may be wrong since. True where some were
  // given: rows may wait for them.
  virtual bool follow_enums(const TargetScene&, const std::function<void()>&,
                            const std::function<void(const std::string&)>&) {
    return false;
  }
  // The copy has begun: what shape_now(), meet_shape() or new_table() saw of the table last is what it is
  // known as.
  virtual void accept_shape(const std::string&) {}
  // The same as load(), of tables whose plans name staging tables (apply/postgres/resync_ledger.hpp).
  virtual bool copy_again(const TargetScene& scene, const std::stop_token& stop) = 0;
  // What was copied for these plans, for the drop rule.
  virtual ChunkMap copied(TargetSession& session, const Plans& plans) = 0;
  // Has the stream, applied up to `sequence` of the journal, left all that was copied behind? Only then may
  // uniques and foreign keys be built.
  virtual bool passed_snapshot(const ChunkMap& copied, std::uint64_t sequence) = 0;

  // Within the open target transaction: makes the target follow a change of the source's schema, and changes
  // `plans`. Throws Refused where it cannot.
  virtual std::vector<Finding> carry(const TargetScene& scene, const SchemaChange& change, Plans& plans) = 0;

  virtual void set_sequences(const TargetScene& scene) = 0;
  // Now and then, while the stream rests.
  virtual void tend(const TargetScene&) {}
  // Has the table what finds one of its rows at the source?
  virtual bool can_read_again(const std::string&) { return true; }
  // Tries a quarantined row again, as the source has it now; `apply_once` moves the stream on. True where the
  // row is in quarantine no more.
  virtual bool retry(const QuarantineEntry& entry, TargetApplier& applier, const TargetScene& scene,
                     const std::function<void()>& apply_once) = 0;

  // Keys of rows of which the map of this relation makes rows with these keys of the target; all of the table
  // is read.
  virtual std::vector<Row> source_keys_of(const TargetScene& scene, const TablePlan& relation,
                                          const TargetKeys& keys) = 0;

  // Makes the target hold these rows as the source has them now, or none where the source has none; as
  // retry() does. All that are read at one position are one transaction of the target. Returns how many could
  // be read again.
  virtual std::uint64_t rewrite(const std::string& table, const std::vector<Row>& keys,
                                TargetApplier& applier, const TargetScene& scene,
                                const std::function<void()>& apply_once) = 0;
};

}  // namespace tidegate
