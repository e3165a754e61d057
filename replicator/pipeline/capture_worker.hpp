// A SQLite file as a source: the fill, then cut after cut, for as long as the daemon runs.
#pragma once

#include <functional>
#include <future>
#include <memory>
#include <string>
#include <vector>

#include "capture/sqlite/capture.hpp"
#include "replicator/journal/journal.hpp"
#include "replicator/pipeline/coordination.hpp"
#include "replicator/pipeline/source_worker.hpp"

namespace tidegate {

class CaptureWorker : public SourceWorker {
 public:
  CaptureWorker(const Settings& settings, const std::string& state_path, Coordination& coordination)
      : settings_(settings), state_path_(state_path), coordination_(coordination) {}

  // Switches to WAL where that was consented to, and fills the shadow where that was not done before.
  std::optional<PlannedPipeline> open(bool approved) override;
  void prepare() override {}
  // After a failure nothing is lost: the next cut compares everything.
  void run() override;
  std::unique_ptr<SourceView> view() override;

 private:
  std::optional<std::vector<FilledTable>> fill();
  void reopen();
  bool cut_if_due();
  void yield_to_the_application();
  void rest_after(std::chrono::microseconds work);
  void rest_until_next_look();
  void trim_now_and_then();

  const Settings& settings_;
  std::string state_path_;
  Coordination& coordination_;
  std::unique_ptr<sqlite::Database> state_;
  std::unique_ptr<Journal> journal_;
  std::unique_ptr<JournalReader> reader_;
  std::unique_ptr<SqliteCapture> capture_;
  std::chrono::microseconds last_cut_took_{0};
  std::chrono::steady_clock::time_point rested_by_{};  // when all owed rest will be over
  std::chrono::steady_clock::time_point trimmed_{};
};

}  // namespace tidegate
