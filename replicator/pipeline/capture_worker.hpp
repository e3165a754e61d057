// The thread that reads the source: the fill, then cut after cut, for as long as the daemon runs.
#pragma once

#include <functional>
#include <future>
#include <memory>
#include <string>
#include <vector>

#include "capture/sqlite/capture.hpp"
#include "replicator/journal/journal.hpp"
#include "replicator/pipeline/coordination.hpp"

namespace tidegate {

struct CaptureWorkerOptions {
  CaptureOptions capture;
  std::string state_path;
  std::chrono::seconds journal_retention{86400};
};

class CaptureWorker {
 public:
  CaptureWorker(const CaptureWorkerOptions& options, Coordination& coordination)
      : options_(options), coordination_(coordination) {}

  // The fill, where it was not done before: what it found. On the caller's thread, before run().
  std::optional<std::vector<FilledTable>> open();
  const std::string& incarnation() const { return journal_->incarnation(); }

  // Until the stop. Failures that may pass are reported and tried again with growing pauses; nothing is lost
  // meanwhile, since the next cut compares everything. Others end the daemon.
  void run();

 private:
  void reopen();
  bool cut_if_due();
  void yield_to_the_application();
  void rest_after(std::chrono::microseconds work);
  void rest_until_next_look();
  void trim_now_and_then();

  CaptureWorkerOptions options_;
  Coordination& coordination_;
  std::unique_ptr<sqlite::Database> state_;
  std::unique_ptr<Journal> journal_;
  std::unique_ptr<JournalReader> reader_;
  std::unique_ptr<SqliteCapture> capture_;
  std::chrono::steady_clock::time_point rested_by_{};  // when all owed rest will be over
  std::chrono::steady_clock::time_point trimmed_{};
};

}  // namespace tidegate
