// The way back at work: on a thread of its own, while the target is live.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
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
  // In the place of start(): builds the way back anew, hands over its start, and goes on with it. What fails
  // and may pass is tried again.
  void rebuild(std::function<void(const std::string& start)> built);
  // What rebuild() is doing; empty where it is not at work.
  std::string rebuilding() const;
  // What has ended it, as it was reported, with the page that explains it. Absent while it runs.
  struct Trouble {
    std::string message, page;
  };
  std::optional<Trouble> trouble() const;
  // Returns when nothing more is written to the legacy database.
  void stop();

 private:
  void run(const std::string& start, const std::stop_token& stop);
  std::string build(const std::stop_token& stop);
  void tell(const std::string& what);
  void fail(const std::string& what, const std::string& page);
  void begin_again();

  WayBack& way_back_;
  Coordination& coordination_;
  mutable std::mutex mutex_;
  std::condition_variable_any pause_;
  std::string rebuilding_;
  std::optional<Trouble> trouble_;
  std::jthread thread_;
};

}  // namespace tidegate::cutover
