// From a journal to what takes its changes, one transaction there at a time: the target, or on the way back
// the legacy database.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>

#include "apply/chunk_map.hpp"
#include "apply/postgres/quarantine.hpp"
#include "apply/sink.hpp"
#include "replicator/journal/journal.hpp"
#include "replicator/pipeline/open_tail.hpp"

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
  // the plans. `sequence` is where it stands in the journal.
  using CarrySchema = std::function<void(const SchemaChange&, std::uint64_t sequence)>;
  Applier(JournalReader& journal, Sink& sink, ChunkMap copied, BatchLimits limits, CarrySchema carry);

  // Whether a source transaction may be applied now; asked with its first part.
  using Limit = std::function<bool(const JournalReader::Entry&)>;
  // Applies whole source transactions from the sink's position on, as many as the limits allow, and none from
  // the first on that `limit` (where there is one) refuses. False where nothing waits. After an Error the
  // sink must be given up; the position in the target says what was committed.
  bool step(BatchOutcome& outcome, const Limit& limit = {});

  // A transaction that is still being journalled is begun too, and its parts are taken as they come. Where
  // capture gives it up, step() throws an Error of code `given_up`.
  void follow(OpenTail& tail) { tail_ = &tail; }
  static constexpr const char* given_up = "open-transaction";

  // Changes of this table are passed over from here on, or taken again. Not within a batch.
  void leave_out(const std::string& table) { left_out_.insert(table); }
  void take_again(const std::string& table) { left_out_.erase(table); }
  // All other tables' changes are passed over, and changes of the schema.
  void take_only(const std::string& table) { only_ = table; }

 protected:
  Sink& sink() { return sink_; }

 private:
  struct Batch;
  std::optional<JournalReader::Entry> next(const Batch& batch, bool within);
  void take(Batch& batch, JournalReader::Entry entry);
  bool wants(const std::string& table) const;
  void spill(Batch& batch);
  void pass_on(Batch& batch);
  void remove_ranges(Batch& batch, const Relation& relation, const std::vector<KeyRange>& ranges);
  bool full() const;

  JournalReader& journal_;
  Sink& sink_;
  OpenTail* tail_ = nullptr;
  ChunkMap copied_;
  BatchLimits limits_;
  CarrySchema carry_;
  std::set<std::string> left_out_;
  std::optional<std::string> only_;
};

// Towards a Postgres target, which has a quarantine.
class TargetApplier : public Applier {
 public:
  TargetApplier(TargetSession& session, Quarantine& quarantine, JournalReader& journal, Sink& sink,
                ChunkMap copied, BatchLimits limits, CarrySchema carry)
      : Applier(journal, sink, std::move(copied), limits, std::move(carry)),
        session_(session),
        quarantine_(quarantine) {}

  // Tries a quarantined row again, as the source has it now (absent: it is gone there), at the session's
  // position. True where the row is in quarantine no more.
  bool retry(const QuarantineEntry& entry, const Relation& relation, std::optional<Row> row);

  // Makes the target hold these rows (absent: none with this key), at the session's position and in one
  // transaction. Keys in the relation's key order.
  struct Reread {
    Row key;
    std::optional<Row> row;
  };
  void rewrite(const Relation& relation, std::vector<Reread> rows);

 private:
  TargetSession& session_;
  Quarantine& quarantine_;
};

}  // namespace tidegate
