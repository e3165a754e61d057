#include "replicator/pipeline/applier.hpp"

#include "db/error.hpp"

namespace tidegate {

struct Applier::Batch {
  Position to;
  bool is_long = false;  // a target transaction is open, and earlier parts are in it
  BatchOutcome outcome;
};

Applier::Applier(JournalReader& journal, Sink& sink, ChunkMap copied, BatchLimits limits, CarrySchema carry)
    : journal_(journal), sink_(sink), copied_(std::move(copied)), limits_(limits), carry_(std::move(carry)) {}

bool Applier::full() const {
  return sink_.rows() >= limits_.max_rows || sink_.bytes() >= limits_.max_bytes;
}

void Applier::spill(Batch& batch) {
  batch.is_long = true;
  sink_.spill(batch.to.sequence);
}

void Applier::pass_on(Batch& batch) {
  batch.is_long = true;
  sink_.pass_on(batch.to.sequence);
}

// A TRUNCATE that some of the table's chunks were read after. What came before it in this transaction must be
// written first.
void Applier::remove_ranges(Batch& batch, const Relation& relation, const std::vector<KeyRange>& ranges) {
  spill(batch);
  sink_.remove_ranges(relation, copied_.key_of_table(relation.table), ranges);
}

bool Applier::wants(const std::string& table) const {
  return (!only_ || *only_ == table) && !left_out_.contains(table);
}

// A schema change comes first in its transaction: the tables are made to fit before its rows, in the same
// target transaction.
void Applier::take(Batch& batch, JournalReader::Entry entry) {
  batch.to.sequence = entry.sequence;
  batch.to.digest = std::move(entry.digest);
  if (entry.part.schema_change && !only_) {
    spill(batch);
    carry_(*entry.part.schema_change, entry.sequence);
    for (const auto& table : entry.part.schema_change->tables) copied_.forget(table.name);
  }
  std::unordered_map<std::uint32_t, const Relation*> relations;
  for (const Relation& relation : entry.part.relations) relations.emplace(relation.id, &relation);
  const std::uint64_t at = entry.part.stamp ? entry.part.stamp->commit_lsn : entry.sequence;
  for (Change& change : entry.part.changes) {
    const Relation& relation = *relations.at(change.relation);
    if (!wants(relation.table)) continue;
    auto unseen = copied_.unseen(relation, std::move(change), at);
    if (!unseen.ranges.empty()) remove_ranges(batch, relation, unseen.ranges);
    if (!unseen.change) continue;
    ++batch.outcome.changes;
    sink_.add(relation, std::move(*unseen.change));
  }
  if (entry.closes) ++batch.outcome.transactions;
}

// Within a transaction there is always one more: who reads its parts before the last is there waits for it. A
// part that was taken back and came again may be another one, which its predecessor's digest tells.
std::optional<JournalReader::Entry> Applier::next(const Batch& batch, bool within) {
  while (true) {
    auto seen = tail_ ? tail_->look() : OpenTail::Look{};
    auto entry = journal_.next(batch.to.sequence, seen.end);
    const bool follows = entry && (!within || entry->previous == batch.to.digest);
    if (follows || (!entry && !within)) return entry;
    if (entry || seen.end == 0) {
      throw Error("capture gave a transaction up that was being applied; it is applied when it comes again",
                  given_up, Advice::reconnect);
    }
    tail_->wait_beyond(seen);
  }
}

bool Applier::step(BatchOutcome& outcome, const Limit& limit) {
  Batch batch{sink_.position(), false, {}};
  bool at_boundary = true;
  while (auto entry = next(batch, !at_boundary)) {
    bool begun = batch.to.sequence != sink_.position().sequence;
    // Who came before a long one is not to wait for it.
    const bool begins_anew = entry->part.schema_change || full() || batch.is_long || !entry->closes;
    if (at_boundary && begun && begins_anew) break;
    if (at_boundary && limit && !limit(*entry)) break;
    if (full()) pass_on(batch);
    at_boundary = entry->closes;
    take(batch, std::move(*entry));
  }
  if (batch.to.sequence == sink_.position().sequence) return false;
  sink_.write(batch.to);
  outcome = batch.outcome;
  return true;
}

bool TargetApplier::retry(const QuarantineEntry& entry, const Relation& relation, std::optional<Row> row) {
  if (row) {
    sink().add(relation, Change{Operation::update, relation.id, std::move(*row), {}, {}});
    sink().write(session_.position());
  } else {
    TargetTransaction transaction(session_);
    session_.connection().pipeline({quarantine_.release(entry.source_table, entry.source_key)});
    transaction.commit();
    quarantine_.committed();
  }
  return !quarantine_.holds(entry.source_table, entry.source_key);
}

void TargetApplier::rewrite(const Relation& relation, std::vector<Reread> rows) {
  for (Reread& each : rows) {
    if (each.row) {
      sink().add(relation, Change{Operation::update, relation.id, std::move(*each.row), {}, {}});
      continue;
    }
    Row gone(relation.columns.size(), Null{});
    for (std::size_t i = 0; i < each.key.size(); ++i) gone[relation.key.at(i)] = each.key[i];
    sink().add(relation, Change{Operation::remove, relation.id, std::move(gone), {}, {}});
  }
  if (!rows.empty()) sink().write(session_.position());
}

}  // namespace tidegate
