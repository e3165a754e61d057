// A Postgres server as a source: publication and slot, then the stream for as long as the daemon runs.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "capture/postgres/capture.hpp"
#include "replicator/control/store.hpp"
#include "replicator/journal/journal.hpp"
#include "replicator/pipeline/coordination.hpp"
#include "replicator/pipeline/postgres_view.hpp"
#include "replicator/pipeline/schema_watch.hpp"
#include "replicator/pipeline/source_worker.hpp"

namespace tidegate {

class PostgresWorker : public SourceWorker {
 public:
  PostgresWorker(const Settings& settings, const std::string& state_path, ControlStore& store,
                 Coordination& coordination);

  std::optional<PlannedPipeline> open(bool approved) override;
  // The publication, then the slot: what commits from here on is kept by the source's server until it is in
  // the journal.
  void prepare() override;
  void run() override;
  std::unique_ptr<SourceView> view() override;
  std::optional<std::chrono::microseconds> absorb(bool everything,
                                                  std::chrono::steady_clock::time_point until) override;
  std::unique_ptr<verify::Prover> prover(ApplyHold& hold) override;
  OpenTail* open_tail() override { return &open_tail_; }

 private:
  PostgresCaptureOptions capture_options() const;
  PostgresCaptureCallbacks callbacks();
  bool had_slot();  // of this pipeline, in an earlier run
  std::vector<capture::PostgresTable> to_publish(postgres::Connection& source,
                                                 const std::vector<capture::PostgresTable>& tables);
  void look_for_slot(postgres::Connection& source);
  bool make_slot();  // false where the stop came first
  void follow(const RelationChanged& change);
  void reopen();
  void capture_until_doubt(const std::stop_token& stop);
  void take_over(const capture::PostgresTable& now);
  std::uint64_t journal_stop(const std::vector<SchemaChange::Stopped>& stopped, bool within);
  void journal_doubts();
  void trim_now_and_then();
  void report_full_spool(const std::string& why);

  const Settings& settings_;
  std::string state_path_;
  ControlStore& store_;
  Coordination& coordination_;
  PostgresScene scene_;
  SchemaWatch schema_;
  std::unique_ptr<sqlite::Database> state_;
  std::unique_ptr<Journal> journal_;
  std::unique_ptr<PostgresCapture> capture_;
  std::chrono::steady_clock::time_point trimmed_{};
  OpenTail open_tail_;
};

}  // namespace tidegate
