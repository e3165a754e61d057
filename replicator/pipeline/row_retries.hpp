#pragma once

#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "replicator/pipeline/apply_session.hpp"
#include "replicator/pipeline/coordination.hpp"

namespace tidegate {

struct Retried {
  std::uint64_t retried = 0, applied = 0;
  std::set<std::string> unreadable;  // tables that had rows which cannot be read again
};

struct RowName {
  std::string table;  // the source's, or a mapped relation of it
  Row key;
  // Of a mapped relation's row that no source row makes: `key` is the target's, and it may go while this is
  // its version.
  std::string version = {};
};

// Rows that are read again at the source while the stream goes on: those in quarantine, and those that a
// repair names. One lives as long as its session, and belongs to the apply thread.
class RowRetries {
 public:
  // `apply_once` moves the stream on by a batch.
  RowRetries(ApplySession& session, Coordination& coordination, std::function<void()> apply_once)
      : session_(session), coordination_(coordination), apply_once_(std::move(apply_once)) {}

  // The held rows with these ids; all, where empty.
  Retried retry(const std::vector<std::int64_t>& ids);
  void retry_table(const std::string& table);
  void retry_held();  // of all tables
  // What may fit now, of rows that were refused because others were in the way or were missing.
  void retry_conflicts();
  // Makes the target hold these rows as the source has them now; returns how many could be read again.
  std::uint64_t rewrite(const std::vector<RowName>& rows);

 private:
  void retry_held_of(const std::function<bool(const QuarantineEntry&)>& wanted);
  std::string table_of(const std::string& name) const;
  bool others_may_have_come();
  void find_taken_out();
  void forget(const std::vector<QuarantineEntry>& entries);

  ApplySession& session_;
  Coordination& coordination_;
  std::function<void()> apply_once_;
  std::uint64_t quarantine_seen_ = 0;  // Quarantine::changes() when retries were last considered
  std::uint64_t searched_ = 0;         // the same when rows that were taken out were last looked for
  std::uint64_t retried_at_ = 0;       // position at which waiting rows were last tried
  Coordination::Clock::time_point retry_from_{}, search_from_{};
};

}  // namespace tidegate
