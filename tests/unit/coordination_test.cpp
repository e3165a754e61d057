// Runs under the thread sanitizer too.
#include "replicator/pipeline/coordination.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <stdexcept>
#include <thread>

namespace tidegate {
namespace {

using namespace std::chrono_literals;
using Clock = Coordination::Clock;

constexpr auto long_enough = 20s;  // never waited for where things work

Clock::time_point soon() {
  return Clock::now() + 30ms;
}

TEST(Coordination, ACutThatBeganBeforeTheWishDoesNotServeIt) {
  Coordination meeting;
  auto running = meeting.begin_cut();
  auto wish = meeting.want_cut();
  EXPECT_TRUE(meeting.cut_wanted());
  meeting.cut_done(running, 5);
  EXPECT_TRUE(meeting.cut_wanted());
  EXPECT_FALSE(meeting.wait_for_cut(wish, soon(), {}));
  meeting.cut_done(meeting.begin_cut(), 7);
  EXPECT_FALSE(meeting.cut_wanted());
  EXPECT_EQ(meeting.wait_for_cut(wish, soon(), {}), 7u);
}

TEST(Coordination, OneCutServesAllEarlierWishes) {
  Coordination meeting;
  auto first = meeting.want_cut(), second = meeting.want_cut();
  meeting.cut_done(meeting.begin_cut(), 3);
  EXPECT_EQ(meeting.wait_for_cut(first, soon(), {}), 3u);
  EXPECT_EQ(meeting.wait_for_cut(second, soon(), {}), 3u);
  EXPECT_FALSE(meeting.cut_wanted());
  EXPECT_FALSE(meeting.wait_for_cut(meeting.want_cut(), soon(), {}));
}

TEST(Coordination, AnOldCutDoesNotTakeBackANewerOnesService) {
  Coordination meeting;
  auto old = meeting.begin_cut();
  auto wish = meeting.want_cut();
  meeting.cut_done(meeting.begin_cut(), 9);
  meeting.cut_done(old, 9);
  EXPECT_TRUE(meeting.wait_for_cut(wish, soon(), {}));
}

TEST(Coordination, AppliedIsAwaitedWhileStreamingOnly) {
  Coordination meeting;
  meeting.applied(10);
  EXPECT_FALSE(meeting.wait_for_applied(10, soon(), {}));
  meeting.streaming(true);
  EXPECT_TRUE(meeting.wait_for_applied(10, soon(), {}));
  EXPECT_FALSE(meeting.wait_for_applied(11, soon(), {}));
}

TEST(Coordination, WaitersHearFromOtherThreads) {
  Coordination meeting;
  auto wish = meeting.want_cut();
  std::jthread capture([&] {
    std::this_thread::sleep_for(20ms);
    meeting.cut_done(meeting.begin_cut(), 4);
  });
  std::jthread apply([&] {
    for (std::uint64_t i = 1; i <= 4; ++i) meeting.applied(i);
    meeting.streaming(true);
  });
  auto until = Clock::now() + long_enough;
  auto end = meeting.wait_for_cut(wish, until, meeting.stop_token());
  ASSERT_EQ(end, 4u);
  EXPECT_TRUE(meeting.wait_for_applied(*end, until, meeting.stop_token()));
  EXPECT_LT(Clock::now(), until);
}

// Also the work that came between the look for it and the sleep.
TEST(Coordination, WorkEndsTheIdleSleep) {
  const std::vector<std::function<void(Coordination&)>> works = {
      [](Coordination& meeting) { meeting.cut_done(meeting.begin_cut(), 1); },
      [](Coordination& meeting) { meeting.want_cut(); }, [](Coordination& meeting) { meeting.pause(true); }};
  for (auto before : {5ms, 0ms}) {
    for (const auto& work : works) {
      Coordination meeting;
      auto known = meeting.work_so_far();
      std::jthread worker([&] { std::this_thread::sleep_for(before), work(meeting); });
      if (before == 0ms) worker.join();
      auto until = Clock::now() + long_enough;
      meeting.wait_for_work(known, std::chrono::milliseconds(long_enough), meeting.stop_token());
      EXPECT_LT(Clock::now(), until);
    }
  }
}

TEST(Coordination, StopWakesEveryWaiter) {
  Coordination meeting;
  std::atomic<int> awake = 0;
  auto until = Clock::now() + long_enough;
  std::vector<std::jthread> waiters;
  auto wait = [&](auto work) { waiters.emplace_back([&, work] { work(), ++awake; }); };
  auto wish = meeting.want_cut();
  for (int i = 0; i < 3; ++i) {
    wait([&] { EXPECT_FALSE(meeting.wait_for_cut(wish, until, meeting.stop_token())); });
    wait([&] { EXPECT_FALSE(meeting.wait_for_applied(1, until, meeting.stop_token())); });
    wait([&] {
      meeting.wait_for_work(meeting.work_so_far(), std::chrono::milliseconds(long_enough),
                            meeting.stop_token());
    });
    wait([&] { meeting.wait_for_end(); });
  }
  std::this_thread::sleep_for(20ms);
  EXPECT_EQ(awake, 0);
  meeting.request_stop();
  waiters.clear();
  EXPECT_EQ(awake, 12);
  EXPECT_LT(Clock::now(), until);
}

TEST(Coordination, ALateWaiterIsNotKept) {
  Coordination meeting;
  meeting.request_stop();
  auto until = Clock::now() + long_enough;
  EXPECT_FALSE(meeting.wait_for_cut(meeting.want_cut(), until, meeting.stop_token()));
  EXPECT_FALSE(meeting.wait_for_applied(1, until, meeting.stop_token()));
  meeting.wait_for_work(meeting.work_so_far(), std::chrono::milliseconds(long_enough), meeting.stop_token());
  meeting.wait_for_end();
  EXPECT_LT(Clock::now(), until);
}

TEST(Coordination, TheFirstFailureCounts) {
  Coordination meeting;
  std::jthread worker([&] {
    meeting.fail(std::make_exception_ptr(std::runtime_error("first")));
    meeting.fail(std::make_exception_ptr(std::runtime_error("second")));
  });
  try {
    meeting.wait_for_end();
    FAIL() << "the failure was lost";
  } catch (const std::runtime_error& failure) {
    EXPECT_STREQ(failure.what(), "first");
  }
  EXPECT_TRUE(meeting.stop_token().stop_requested());
}

TEST(Coordination, ErrorsAreKeptOnceAndFew) {
  Coordination meeting;
  for (int i = 0; i < 3; ++i) meeting.report("target", "gone");
  EXPECT_THAT(meeting.status().errors, testing::SizeIs(1));
  for (int i = 0; i < 100; ++i) meeting.report("capture", "number " + std::to_string(i), "t");
  auto errors = meeting.status().errors;
  EXPECT_EQ(errors.back().message, "number 99");
  EXPECT_EQ(errors.back().table, "t");
  EXPECT_THAT(errors, testing::SizeIs(testing::Le(10u)));
  meeting.report("target", "gone");
  meeting.clear_report("capture");
  EXPECT_THAT(meeting.status().errors, testing::SizeIs(1));
  EXPECT_THAT(iso_now(), testing::MatchesRegex("20[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z"));
}

TEST(Coordination, StatusIsChangedByManyAtOnce) {
  Coordination meeting;
  {
    std::vector<std::jthread> writers;
    for (int i = 0; i < 4; ++i) {
      writers.emplace_back([&] {
        for (int n = 0; n < 500; ++n) {
          meeting.update([](Status& status) { status.step += 'x'; });
          meeting.throttle(5);
          meeting.applied(meeting.applied() + 1);
          (void)meeting.status();
        }
      });
    }
  }
  EXPECT_EQ(meeting.status().step.size(), 2000u);
  EXPECT_EQ(meeting.status().throttle_rows_per_second, 5u);
}

}  // namespace
}  // namespace tidegate
