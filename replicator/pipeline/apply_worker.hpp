// The thread that fills the target: tables, snapshot, indexes, then the stream, from wherever the target says
// it is.
#pragma once

#include <atomic>
#include <functional>
#include <future>
#include <optional>
#include <string>
#include <vector>

#include "replicator/control/store.hpp"
#include "replicator/pipeline/apply_hold.hpp"
#include "replicator/pipeline/apply_session.hpp"
#include "replicator/pipeline/coordination.hpp"
#include "replicator/pipeline/order_queue.hpp"
#include "replicator/pipeline/row_retries.hpp"
#include "replicator/pipeline/source_worker.hpp"

namespace tidegate {

class ApplyWorker {
 public:
  ApplyWorker(const ApplyWorkerOptions& options, SourceWorker& source, Coordination& coordination,
              ControlStore& store)
      : options_(options), source_(source), coordination_(coordination), store_(store), pace_(coordination) {}

  // Until the stop. A target that is away is waited for, with growing pauses; each time the position is read
  // from the target again. Throws what an operator must decide.
  void run();

  // Applies the held rows with these ids again (all, where empty) once the stream has caught up; the answer
  // counts.
  std::future<Retried> retry_quarantined(std::vector<std::int64_t> ids);
  // Has the table copied again while the others stream; the answer comes once that is recorded. A mapped one
  // that was stopped streams again, and is not in line before in_line(). Throws Refused in the answer where
  // it cannot be.
  std::future<void> resync(std::string table);
  std::future<void> in_line(std::string table);
  // Runs `work` on the apply thread between two batches, once it streams. What it throws is in the future; an
  // Error also gives the connection up. Left undone where the daemon ends first.
  using Work = std::function<void(SourceView&, const TargetScene&)>;
  std::future<void> at_rest(Work work);
  // Makes the target hold these rows as the source has them now, once the stream has caught up; the answer
  // counts those that were read again.
  std::future<std::uint64_t> rewrite(std::vector<RowName> rows);
  // For who must have the target at a position that he chooses.
  ApplyHold& hold() { return hold_; }
  // The counts in status are to be read again.
  void refresh_quarantine() { quarantine_changed_ = true; }

 private:
  void out_of_trouble();
  void work(ApplySession& session, RowRetries& retries);
  static SchemaChange unmapped(ApplySession& session, SchemaChange change);
  void check_position(ApplySession& session);
  void create_tables(ApplySession& session);
  void fence(ApplySession& session);
  void load_or_say_why(ApplySession& session);
  void load(ApplySession& session);
  void catch_up(ApplySession& session);
  Widen widener(ApplySession& session);
  // True where a new session is wanted.
  bool build(ApplySession& session);
  void build_objects(ApplySession& session);
  void stream(ApplySession& session, RowRetries& retries);
  bool apply_once(ApplySession& session);
  void order_or_report(ApplySession& session, const std::string& table);
  void follow_enums(ApplySession& session, RowRetries& retries);
  void follow_source(ApplySession& session, RowRetries& retries);
  void serve_resyncs(ApplySession& session);
  void serve_orders(ApplySession& session);
  void serve_rows(RowRetries& retries);
  void enter_phase(ApplySession& session, TargetPhase phase);
  void tell_of_scripts(ApplySession& session);
  void join_when_due(ApplySession& session);
  void keep_audit_head(ApplySession& session);

  ApplyWorkerOptions options_;
  SourceWorker& source_;
  Coordination& coordination_;
  ControlStore& store_;
  Pace pace_;
  ApplyHold hold_;
  OrderQueue<std::vector<std::int64_t>, Retried> retries_;
  OrderQueue<std::vector<RowName>, std::uint64_t> rewrites_;
  OrderQueue<std::string, void> resyncs_, in_line_;
  OrderQueue<Work, void> orders_;
  std::optional<AuditHead> audit_head_;  // as the target has it
  Coordination::Clock::time_point next_audit_look_, next_join_;
  std::atomic<bool> quarantine_changed_ = false;
  bool in_trouble_ = false;  // since the last failure nothing has been applied
};

}  // namespace tidegate
