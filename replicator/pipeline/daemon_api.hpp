// What the daemon answers on its socket. control/endpoints.md describes it.
#pragma once

#include <string>

#include "replicator/control/api.hpp"
#include "replicator/control/store.hpp"
#include "replicator/cutover/cutover.hpp"
#include "replicator/pipeline/apply_worker.hpp"
#include "replicator/pipeline/coordination.hpp"
#include "replicator/verify/job.hpp"

namespace tidegate {

class DaemonApi {
 public:
  DaemonApi(Coordination& coordination, ControlStore& store, ApplyWorker& apply, cutover::Cutover& cutover,
            verify::Job& verify, const TargetOptions& target, const std::string& state_path)
      : coordination_(coordination),
        store_(store),
        apply_(apply),
        cutover_(cutover),
        verify_(verify),
        target_(target),
        state_path_(state_path) {}

  control::Response answer(const control::Request& request);
  // With lag, journal and next steps as of now.
  Status status();

 private:
  control::Response quarantine(const control::Request& request);
  control::Response accept(const control::Request& request);
  control::Response retry(const control::Request& request);
  control::Response resync(const control::Request& request);
  control::Response verify(const control::Request& request);
  control::Response repair(const control::Request& request);
  control::Response sync(const control::Request& request);
  control::Response sync_back(const control::Request& request);
  control::Response pause(const control::Request& request, bool paused);
  control::Response throttle(const control::Request& request);
  control::Response stop(const control::Request& request);
  control::Response health(bool ready);
  std::optional<control::Response> post(const control::Request& request);
  void audit(const char* action, const control::Request& request);

  Coordination& coordination_;
  ControlStore& store_;
  ApplyWorker& apply_;
  cutover::Cutover& cutover_;
  verify::Job& verify_;
  TargetOptions target_;
  std::string state_path_;
};

}  // namespace tidegate
