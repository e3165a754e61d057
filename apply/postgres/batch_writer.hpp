// Writes net changes to the target: set-based, in one round trip where all goes well; row by row under
// savepoints, in the same transaction, where the target refuses some.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "apply/net_changes.hpp"
#include "apply/postgres/deferred_rows.hpp"
#include "apply/postgres/orphan_guard.hpp"
#include "apply/postgres/outside_references.hpp"
#include "apply/postgres/quarantine.hpp"
#include "apply/postgres/session.hpp"
#include "apply/postgres/widening.hpp"

namespace tidegate {

class BatchWriter {
 public:
  BatchWriter(TargetSession& session, Quarantine& quarantine, const Plans& plans, Widen widen = {});

  // One target transaction for whole source transactions: the rows, the quarantine, and the position `to`.
  // Throws Error; then nothing was written, unless the advice is in_doubt.
  void write(const NetChanges& changes, const Position& to);

  // A source transaction that is too long for one batch: begin, add its parts, commit. All or nothing as
  // well. After an Error the caller gives the session up.
  void begin_long();
  void add(const NetChanges& changes, std::uint64_t sequence);
  void commit_long(const Position& to);

 private:
  struct Part;
  static std::vector<Part> parts_of(const NetChanges& changes);
  std::vector<Part> parts_after_widening(const NetChanges& changes);
  bool widen_for(const std::vector<Part>& parts);
  std::vector<postgres::Command> commands(const std::vector<Part>& parts, std::uint64_t sequence);
  void hold_misfits(const Part& part, std::uint64_t sequence, std::vector<postgres::Command>& out);
  void release(const Part& part, const std::string& key, std::vector<postgres::Command>& out);
  void lift_sequence(const Part& part, std::vector<postgres::Command>& out);
  void write_carefully(const std::vector<Part>& parts, std::uint64_t sequence);
  void write_and_release(const Part& part, const std::vector<std::size_t>& places, std::size_t first,
                         std::size_t last, const std::vector<postgres::Command>& commands);
  void remember_sequences(const std::vector<Part>& parts);
  void forget_older(const std::vector<Part>& parts);
  void delete_carefully(const Part& part, std::uint64_t sequence);
  void upsert_carefully(const Part& part, std::uint64_t sequence);
  void settle_and_advance(const Position& to);
  void hold_orphans(const std::vector<Part>& parts, std::uint64_t sequence);
  void commit(const Position& to);

  TargetSession& session_;
  Quarantine& quarantine_;
  OutsideReferences references_;
  OrphanGuard orphans_;
  DeferredRows deferred_;
  Widen widen_;
  std::map<std::string, std::int64_t> highest_id_;  // per table: what its identity's sequence has reached
};

}  // namespace tidegate
