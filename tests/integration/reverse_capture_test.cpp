#include "replicator/cutover/reverse_capture.hpp"

#include <gtest/gtest.h>

#include <barrier>

#include "integration/server.hpp"
#include "support/scratch.hpp"

namespace tidegate::cutover {
namespace {

using namespace std::chrono_literals;
using testing_support::ServerTest;

class Reverse : public ServerTest {
 protected:
  void SetUp() override {
    ServerTest::SetUp();
    if (!other_) return;
    other_->run("CREATE SCHEMA reversed; CREATE TABLE reversed.t(id int PRIMARY KEY)");
    settings_.pipeline = "reversed";
    settings_.target.end = parse_endpoint(testing_support::server().url);
    ReverseCapture(settings_, path()).make({"reversed.t"}, {});
  }
  void TearDown() override {
    if (!other_) return;
    ReverseCapture(settings_, path()).remove();
    other_->run("DROP SCHEMA reversed CASCADE");
  }
  // The server notices the end of a connection a moment later.
  void wait_until_free() {
    while (rows("SELECT FROM pg_catalog.pg_replication_slots WHERE slot_name = '" +
                reverse_slot_name(settings_) + "' AND active")
               .size() > 0)
      std::this_thread::sleep_for(5ms);
  }
  std::string path() const { return scratch_.file("back.db"); }

  testing_support::Scratch scratch_;
  Settings settings_;
};

void start_from_many_threads(ReverseCapture& capture) {
  constexpr int count = 8;
  std::barrier together(count);
  std::vector<std::jthread> threads;
  for (int i = 0; i < count; ++i) {
    threads.emplace_back([&] {
      together.arrive_and_wait();
      capture.start();
    });
  }
}

// After a restart the way back and the cutover both start it.
TEST_F(Reverse, StartedByManyAtOnceItRunsOnce) {
  for (int round = 0; round < 20; ++round) {
    wait_until_free();
    ReverseCapture capture(settings_, path());
    start_from_many_threads(capture);
    const auto until = ReverseCapture::Clock::now() + 100ms;
    while (ReverseCapture::Clock::now() < until) {
      ASSERT_EQ(capture.state().trouble, "") << "round " << round;
      std::this_thread::sleep_for(1ms);
    }
    ASSERT_TRUE(capture.wait_for(capture.mark(), ReverseCapture::Clock::now() + 30s, {}));
    EXPECT_NO_THROW(capture.rethrow());
  }
}

}  // namespace
}  // namespace tidegate::cutover
