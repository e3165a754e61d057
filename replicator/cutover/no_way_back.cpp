#include "replicator/cutover/way_back.hpp"

namespace tidegate::cutover {
namespace {

class NoWayBack : public WayBack {
 public:
  void prepare(std::stop_token) override {}
  std::vector<Finding> ready() override {
    return {{Finding::Level::block, "way-back-not-configured", "", "",
             "there is no way back: after the cutover nothing would bring the target's writes to the legacy "
             "database",
             "--no-way-back goes on without; a rollback then loses all that is written after the cutover"}};
  }
  std::string record_start(Clock::time_point) override { return ""; }
  void run(const std::string&, std::stop_token) override {}
  Lag lag() override { return {}; }
  bool caught_up(Clock::time_point, std::stop_token) override { return false; }
};

}  // namespace

std::unique_ptr<WayBack> no_way_back() {
  return std::make_unique<NoWayBack>();
}

}  // namespace tidegate::cutover
