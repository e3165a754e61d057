// A SQLite file as a source: the fill, then cut after cut, for as long as the daemon runs.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
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

  // Switches to WAL where that was consented to, and measures the source where its plan is not known yet.
  std::optional<PlannedPipeline> open(bool approved) override;
  void prepare() override {}
  // Fills the shadow where that was not done before, then takes cuts. After a failure nothing is lost: the
  // fill goes on, and the next cut compares everything.
  void run() override;
  std::unique_ptr<SourceView> view() override;
  void look_everywhere() override { look_everywhere_ = true; }
  std::optional<std::chrono::microseconds> absorb(bool everything,
                                                  Coordination::Clock::time_point until) override;
  std::unique_ptr<verify::Prover> prover(ApplyHold& hold) override;

  // The next cut is held, by connections of the caller's. `taken` is called on the capture thread before it
  // takes another: nothing behind this cut is in the journal yet. Absent where the time is up or the stop
  // came.
  using Taken = std::function<void(const HeldCut&)>;
  std::unique_ptr<HeldCut> hold_cut(int readers, const Taken& taken, Coordination::Clock::time_point until,
                                    const std::stop_token& stop);

 private:
  struct CutOrder {
    int readers;
    Taken taken;
    std::unique_ptr<HeldCut> held;
    bool done = false;
  };
  struct AbsorbOrder {
    bool everything;
    std::promise<std::chrono::microseconds> answer;
  };
  void serve_absorb();
  SqliteCapture::Cut take_cut();
  void fill();
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
  std::mutex order_mutex_;
  std::condition_variable_any order_changed_;
  std::atomic<bool> look_everywhere_ = false;
  CutOrder* order_ = nullptr;  // of who waits in hold_cut()
  std::optional<AbsorbOrder> absorb_;
  std::chrono::steady_clock::time_point snapshot_until_{};  // while parked it is kept for the next absorb
};

}  // namespace tidegate
