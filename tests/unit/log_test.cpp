#include "replicator/log.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/json.hpp>
#include <filesystem>
#include <fstream>
#include <limits>
#include <thread>
#include <vector>

#include "replicator/failure.hpp"

namespace tidegate {
namespace {

class LogTest : public testing::Test {
 protected:
  void TearDown() override {
    start_log({});
    std::filesystem::remove(file);
  }
  std::vector<std::string> lines() const {
    std::vector<std::string> all;
    std::ifstream stream(file);
    for (std::string line; std::getline(stream, line);) all.push_back(line);
    return all;
  }
  std::string file =
      (std::filesystem::temp_directory_path() / fmt::format("tidegate-log-{}", getpid())).string();
};

TEST_F(LogTest, JsonLinesHaveTimeLevelEventAndFields) {
  start_log({LogFormat::json, LogLevel::info, file});
  log_event(LogLevel::warn, "table \"x\" copied",
            {{"table", "we\"ird\n"},
             {"rows", 12u},
             {"ratio", 0.5},
             {"done", true},
             {"inf", std::numeric_limits<double>::infinity()}});
  const auto line = boost::json::parse(lines().at(0)).as_object();
  EXPECT_EQ(line.at("level"), "warning");
  EXPECT_EQ(line.at("event"), "table \"x\" copied");
  EXPECT_EQ(line.at("ts").as_string().size(), std::string("2026-01-02T03:04:05.678Z").size());
  EXPECT_EQ(line.at("fields"),
            boost::json::parse(R"({"table":"we\"ird\n","rows":12,"ratio":0.5,"done":true,"inf":"inf"})"));
}

TEST_F(LogTest, TextStaysOnOneLine) {
  start_log({LogFormat::text, LogLevel::info, file});
  log_info("copied {} rows\nof it", 3);
  log_event(LogLevel::info, "chunk", {{"table", "a b\nc"}, {"n", 1}});
  const auto all = lines();
  ASSERT_EQ(all.size(), 2u);
  EXPECT_NE(all[0].find("info    copied 3 rows of it"), std::string::npos) << all[0];
  EXPECT_NE(all[1].find("chunk table=\"a b\\nc\" n=1"), std::string::npos) << all[1];
}

TEST_F(LogTest, LevelsBelowAreLeftOut) {
  start_log({LogFormat::text, LogLevel::warn, file});
  EXPECT_FALSE(log_enabled(LogLevel::info));
  log_info("no");
  log_debug("no {}", 1);
  log_error("yes");
  EXPECT_EQ(lines().size(), 1u);
}

TEST_F(LogTest, TheFileIsPrivateAndAppendedTo) {
  for (int i = 0; i < 2; ++i) {
    start_log({LogFormat::text, LogLevel::info, file});
    log_info("line");
  }
  struct stat facts {};
  ASSERT_EQ(stat(file.c_str(), &facts), 0);
  EXPECT_EQ(facts.st_mode & 0777, 0600u);
  EXPECT_EQ(lines().size(), 2u);
  EXPECT_THROW(start_log({LogFormat::text, LogLevel::info, "/no/such/folder/log"}), Usage);
}

TEST_F(LogTest, ManyThreadsWriteWholeLines) {
  start_log({LogFormat::json, LogLevel::info, file});
  {
    std::vector<std::jthread> writers;
    for (int i = 0; i < 4; ++i)
      writers.emplace_back([i] {
        for (int n = 0; n < 200; ++n) log_event(LogLevel::info, "event", {{"thread", i}, {"n", n}});
      });
  }
  const auto all = lines();
  EXPECT_EQ(all.size(), 800u);
  for (const auto& line : all) EXPECT_NO_THROW(boost::json::parse(line));
}

}  // namespace
}  // namespace tidegate
