// The way back at work: on a thread of its own, while the target is live.
#pragma once

#include <string>
#include <thread>

#include "replicator/cutover/way_back.hpp"
#include "replicator/pipeline/coordination.hpp"

namespace tidegate::cutover {

class BackStream {
 public:
  BackStream(WayBack& way_back, Coordination& coordination)
      : way_back_(way_back), coordination_(coordination) {}

  // From `start` on, as the cutover journalled it; empty: there is no way back. Once is enough. What ends it
  // by itself is reported as "way-back-failed".
  void start(const std::string& start);
  // Returns when nothing more is written to the legacy database.
  void stop();

 private:
  WayBack& way_back_;
  Coordination& coordination_;
  std::jthread thread_;
};

}  // namespace tidegate::cutover
