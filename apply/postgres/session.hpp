// A connection to the target that holds the pipeline's lease. Every transaction made through it begins by
// locking the control row and checking that this session is still the one that may write (a zombie of an
// earlier process is waited for, or refused by the server), so it needs no clock and no lock that could be
// left behind.
#pragma once

#include <memory>
#include <string>

#include "apply/mapping/keys/key_outbox.hpp"
#include "db/error.hpp"
#include "db/postgres.hpp"
#include "proto/position.hpp"

namespace tidegate {

struct TargetOptions {
  postgres::ConnectOptions connect;
  std::string pipeline;
  bool filled_before = false;  // the pipeline has written to its target, so it must be found there
};

enum class TargetPhase { fresh, loading, catching_up, building, streaming };
std::string_view name_of(TargetPhase phase);

// Every transaction that is begun by enter() begins with a logical message of prefix "tidegate" and this
// content, so that the way back knows it for one of ours.
std::string mark_of(const std::string& pipeline);

// For a target that another journal fills under this name.
Refused other_state_directory(const std::string& pipeline);

class TargetSession {
 public:
  // Connects, makes the control schema, and takes the lease: epoch + 1, in a transaction that waited for the
  // control row. Throws Refused, having changed nothing, where the target belongs to a journal of
  // another incarnation, or holds nothing of a pipeline that was there before.
  TargetSession(const TargetOptions& options, const std::string& incarnation);
  // A further connection under a session's lease, for the stream of one table (its lane): the position is
  // that of the table's row in tidegate.resyncs, which must be there. Waits for what an earlier connection of
  // the same lane may still be committing. May be called on another thread than the lease's.
  TargetSession(const TargetSession& lease, const std::string& lane);

  postgres::Connection& connection() { return connection_; }
  const std::string& pipeline() const { return options_.pipeline; }
  const Position& position() const { return position_; }  // what the target has, all of it and no more
  TargetPhase phase() const { return phase_; }
  // May this role switch triggers and foreign keys off for its session?
  bool replica_mode() const { return replica_mode_; }
  // The target is live: whatever enters is refused.
  bool is_open() const { return is_open_; }
  void opened() { is_open_ = true; }
  // Asks the target again.
  void look_whether_open();
  std::int64_t epoch() const { return epoch_; }
  const TargetOptions& options() const { return options_; }

  // First command of every transaction.
  postgres::Command enter() const;
  // Last commands before COMMIT; the caller calls moved() once that has succeeded.
  postgres::Command advance_to(const Position& next) const;
  postgres::Command change_phase(TargetPhase next) const;
  void moved(const Position& next);
  void phase_changed(TargetPhase next) { phase_ = next; }

  // Its entries go with every advance_to() from here on; the writers of other transactions ask for it.
  void carry(KeyOutbox* keys) { keys_ = keys; }
  KeyOutbox* keys() const { return keys_; }

 private:
  void refuse_empty_target();
  void take_lease(const std::string& incarnation);
  void find_lane();

  TargetOptions options_;
  std::string lane_;  // empty: the pipeline's own
  postgres::Connection connection_;
  Position position_;
  TargetPhase phase_ = TargetPhase::fresh;
  std::int64_t epoch_ = 0;
  bool replica_mode_ = false, is_open_ = false;
  KeyOutbox* keys_ = nullptr;
};

// `last`, and before it in the same statement what the key memory has to leave.
postgres::Command with_keys(KeyOutbox* keys, postgres::Command last);

// BEGIN, enter; rolls back unless committed.
class TargetTransaction {
 public:
  explicit TargetTransaction(TargetSession& session);
  void commit() { transaction_.commit(); }

 private:
  postgres::Transaction transaction_;
};

// A further connection under a session's lease, for work that goes on beside others': its transactions
// compare the epoch, but not the position. A session that takes over waits for them; after that they are
// refused.
class WorkerSession {
 public:
  explicit WorkerSession(const TargetSession& lease);

  postgres::Connection& connection() { return connection_; }
  const std::string& pipeline() const { return pipeline_; }
  bool replica_mode() const { return replica_mode_; }
  KeyOutbox* keys() const { return keys_; }
  postgres::Command enter() const;  // first command of every transaction

 private:
  std::string pipeline_;
  std::int64_t epoch_;
  postgres::Connection connection_;
  bool replica_mode_ = false;
  KeyOutbox* keys_ = nullptr;
};

// BEGIN, enter; rolls back unless committed.
class WorkerTransaction {
 public:
  explicit WorkerTransaction(WorkerSession& session);
  void commit() { transaction_.commit(); }

 private:
  postgres::Transaction transaction_;
};

}  // namespace tidegate
