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
  std::optional<std::uint64_t> caught_up(Clock::time_point, std::stop_token) override { return std::nullopt; }
  void resume() override {}
  std::vector<Finding> ready_to_return() override { return ready(); }
  std::string prove(std::uint64_t) override { return "there is no way back"; }
  std::size_t rejects() override { return 0; }
  void remove() override {}
};

}  // namespace

std::unique_ptr<WayBack> no_way_back() {
  return std::make_unique<NoWayBack>();
}

}  // namespace tidegate::cutover
