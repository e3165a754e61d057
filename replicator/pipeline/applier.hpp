// From the journal to the target, one target transaction at a time.
#pragma once

#include <cstdint>
#include <functional>

#include "apply/chunk_map.hpp"
#include "apply/postgres/quarantine.hpp"
#include "apply/sink.hpp"
#include "replicator/journal/journal.hpp"

namespace tidegate {

struct BatchLimits {
  std::size_t max_rows = 10000;
  std::size_t max_bytes = 16 << 20;
};

// What a batch did, for the counters.
struct BatchOutcome {
  std::uint64_t transactions = 0, changes = 0;
};

class Applier {
 public:
  // `carry` makes the target follow a schema change: it runs in the open target transaction, and may change
  // the plans.
  using CarrySchema = std::function<void(const SchemaChange&)>;
  Applier(TargetSession& session, JournalReader& journal, Quarantine& quarantine, Sink& sink, ChunkMap copied,
          BatchLimits limits, CarrySchema carry);

  // Whether a source transaction may be applied now; asked with its first part.
  using Limit = std::function<bool(const JournalReader::Entry&)>;
  // Applies whole source transactions from the session's position on, as many as the limits allow, and none
  // from the first on that `limit` (where there is one) refuses. False where nothing waits. After an Error
  // the session must be given up; its position in the target says what was committed.
  bool step(BatchOutcome& outcome, const Limit& limit = {});

  // Tries a quarantined row again, as the source has it now (absent: it is gone there), at the session's
  // position. True where the row is in quarantine no more.
  bool retry(const QuarantineEntry& entry, const Relation& relation, std::optional<Row> row);

  // Makes the target hold this row (absent: none with this key), at the session's position. `key` in the
  // relation's key order.
  void rewrite(const Relation& relation, const Row& key, std::optional<Row> row);

 private:
  struct Batch;
  void take(Batch& batch, JournalReader::Entry entry);
  void spill(Batch& batch);
  void remove_ranges(Batch& batch, const Relation& relation, const std::vector<KeyRange>& ranges);
  bool full() const;

  TargetSession& session_;
  JournalReader& journal_;
  Quarantine& quarantine_;
  Sink& sink_;
  ChunkMap copied_;
  BatchLimits limits_;
  CarrySchema carry_;
};

}  // namespace tidegate
