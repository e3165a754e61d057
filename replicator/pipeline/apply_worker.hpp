// The thread that fills the target: tables, snapshot, indexes, then the stream, from wherever the target says
// it is.
#pragma once

#include <atomic>
#include <functional>
#include <future>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "apply/mapping/mapping.hpp"
#include "apply/postgres/target_tables.hpp"
#include "apply/postgres/widening.hpp"
#include "replicator/control/store.hpp"
#include "replicator/pipeline/applier.hpp"
#include "replicator/pipeline/apply_hold.hpp"
#include "replicator/pipeline/coordination.hpp"
#include "replicator/pipeline/source_worker.hpp"

namespace tidegate {

struct ApplyWorkerOptions {
  TargetOptions target;
  TargetTablesOptions tables;
  BatchLimits limits;
  std::vector<MapDefinition> maps;
  MappingOptions mapping;
  std::string state_path;
};

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
  struct Retried {
    std::uint64_t retried = 0, applied = 0;
    std::set<std::string> unreadable;  // tables that had rows which cannot be read again
  };
  std::future<Retried> retry_quarantined(std::vector<std::int64_t> ids);
  // Has the table copied again while the others stream; the answer comes once that is recorded. Throws
  // Refused in the answer where it cannot be.
  std::future<void> resync(std::string table);
  // Runs `work` on the apply thread between two batches, once it streams. What it throws is in the future; an
  // Error also gives the connection up. Left undone where the daemon ends first.
  using Work = std::function<void(SourceView&, const TargetScene&)>;
  std::future<void> at_rest(Work work);
  // Makes the target hold these rows as the source has them now, once the stream has caught up; the answer
  // counts those that were read again.
  struct RowName {
    std::string table;  // the source's
    Row key;
  };
  std::future<std::uint64_t> rewrite(std::vector<RowName> rows);
  // For who must have the target at a position that he chooses.
  ApplyHold& hold() { return hold_; }
  // The counts in status are to be read again.
  void refresh_quarantine() { quarantine_changed_ = true; }

 private:
  void out_of_trouble();
  struct Session;  // all that lives as long as one connection
  struct RetryOrder {
    std::vector<std::int64_t> ids;
    std::promise<Retried> answer;
  };
  struct Order {
    Work work;
    std::promise<void> answer;
  };
  struct RewriteOrder {
    std::vector<RowName> rows;
    std::promise<std::uint64_t> answer;
  };
  void work(Session& session);
  static void refuse_mapped(Session& session, const std::string& table, const std::string& why);
  static SchemaChange unmapped(Session& session, SchemaChange change);
  void check_position(Session& session);
  void create_tables(Session& session);
  void fence(Session& session);
  void load_or_say_why(Session& session);
  void load(Session& session);
  void catch_up(Session& session);
  Widen widener(Session& session);
  TargetScene scene(Session& session);
  void build(Session& session);
  void build_objects(Session& session);
  void stream(Session& session);
  bool apply_once(Session& session);
  void serve_retries(Session& session);
  void follow_source(Session& session);
  void retry_table(Session& session, const std::string& table);
  void show_streaming(Session& session);
  void serve_resyncs(Session& session);
  void serve_orders(Session& session);
  void serve_rewrites(Session& session);
  std::uint64_t rewrite(Session& session, const std::vector<RowName>& rows);
  Retried retry(Session& session, const std::vector<std::int64_t>& ids);
  void retry_conflicts(Session& session);
  static bool others_may_have_come(Session& session);
  void enter_phase(Session& session, TargetPhase phase);
  void show_tables(Session& session);
  void show_quarantine(Session& session);
  void keep_audit_head(Session& session);

  ApplyWorkerOptions options_;
  SourceWorker& source_;
  Coordination& coordination_;
  ControlStore& store_;
  Pace pace_;
  ApplyHold hold_;
  std::mutex retries_mutex_;
  std::vector<RetryOrder> retries_;
  struct ResyncOrder {
    std::string table;
    std::promise<void> answer;
  };
  std::vector<ResyncOrder> resync_orders_;
  std::vector<Order> orders_;  // under the same mutex
  std::vector<RewriteOrder> rewrites_;
  std::atomic<bool> quarantine_changed_ = false;
  bool in_trouble_ = false;  // since the last failure nothing has been applied
};

}  // namespace tidegate
