#include "replicator/state_dir.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>

#include "replicator/failure.hpp"
#include "replicator/registry.hpp"

namespace tidegate {
namespace {

namespace fs = std::filesystem;

class StateDirTest : public testing::Test {
 protected:
  void SetUp() override { fs::create_directories(base); }
  void TearDown() override { fs::remove_all(base); }
  unsigned mode_of(const fs::path& path) {
    struct stat facts {};
    EXPECT_EQ(stat(path.c_str(), &facts), 0);
    return facts.st_mode & 0777;
  }
  fs::path base = fs::temp_directory_path() / fmt::format("tidegate-state-{}", getpid());
  fs::path path = base / ".tidegate" / "app";
};

TEST_F(StateDirTest, IsPrivate) {
  const StateDir held(path, "app");
  EXPECT_EQ(mode_of(path), 0700u);
  EXPECT_EQ(mode_of(path / "lock"), 0600u);
  EXPECT_EQ(held.file("state.db"), path / "state.db");
}

TEST_F(StateDirTest, ADirectoryThatOthersCouldReadIsClosed) {
  fs::create_directories(path);
  fs::permissions(path, fs::perms(0755));
  const StateDir held(path, "app");
  EXPECT_EQ(mode_of(path), 0700u);
}

TEST_F(StateDirTest, ASecondDaemonIsRefusedWithThePid) {
  const StateDir held(path, "app");
  try {
    StateDir second(path, "app");
    FAIL();
  } catch (const Refused& failure) {
    EXPECT_NE(std::string(failure.what()).find(fmt::format("pid {}", getpid())), std::string::npos)
        << failure.what();
    EXPECT_EQ(told(failure).code, "second-daemon");
  }
}

TEST_F(StateDirTest, AskingForTheHolderDisturbsNobody) {
  EXPECT_FALSE(lock_holder(path));
  {
    const StateDir held(path, "app");
    for (int i = 0; i < 3; ++i) {
      const auto holder = lock_holder(path);
      ASSERT_TRUE(holder);
      EXPECT_EQ(holder->pid, getpid());
      EXPECT_EQ(holder->pipeline, "app");
    }
    EXPECT_THROW(StateDir(path, "app"), Refused);
  }
  EXPECT_FALSE(lock_holder(path));
  EXPECT_NO_THROW(StateDir(path, "app"));
}

TEST_F(StateDirTest, TheLockGoesWithAKilledProcess) {
  int ready[2];
  ASSERT_EQ(pipe(ready), 0);
  const pid_t child = fork();
  if (child == 0) {
    const StateDir held(path, "app");
    if (write(ready[1], "x", 1) != 1) _exit(1);
    pause();
  }
  char byte = 0;
  ASSERT_EQ(read(ready[0], &byte, 1), 1);
  ASSERT_TRUE(lock_holder(path));
  EXPECT_EQ(lock_holder(path)->pid, child);
  EXPECT_THROW(StateDir(path, "app"), Refused);
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  EXPECT_NO_THROW(StateDir(path, "app"));
  close(ready[0]);
  close(ready[1]);
}

TEST_F(StateDirTest, AnotherPipelinesDirectoryIsRefusedByName) {
  { const StateDir held(path, "app"); }
  try {
    StateDir other(path, "shop");
    FAIL();
  } catch (const Refused& failure) {
    EXPECT_EQ(told(failure).code, "other-pipeline");
    EXPECT_NE(std::string(failure.what()).find("app, not shop"), std::string::npos);
  }
  EXPECT_NO_THROW(StateDir(path, "app"));
}

TEST_F(StateDirTest, ATornLockFileIsNoObstacle) {
  fs::create_directories(path);
  std::ofstream(path / "lock") << "{\"pid\": 12, \"ho";
  EXPECT_NO_THROW(StateDir(path, "app"));
}

TEST_F(StateDirTest, AFileInItsPlaceIsRefused) {
  std::ofstream(base / "file") << "x";
  EXPECT_THROW(StateDir(base / "file", "app"), Refused);
}

TEST_F(StateDirTest, FilesAreReplacedWhole) {
  const fs::path file = base / "f";
  write_file_atomically(file, "old");
  write_file_atomically(file, "new");
  std::string text;
  std::getline(std::ifstream(file), text);
  EXPECT_EQ(text, "new");
  EXPECT_EQ(mode_of(file), 0600u);
  EXPECT_EQ(std::distance(fs::directory_iterator(base), {}), 1);
  EXPECT_THROW(write_file_atomically(base / "no" / "f", "x"), Error);
}

TEST_F(StateDirTest, TheRegistryListsPipelinesByName) {
  const Registry registry({{"XDG_STATE_HOME", {base.string(), "environment"}}});
  EXPECT_TRUE(registry.entries().empty());
  EXPECT_TRUE(registry.add({"shop", "/a/.tidegate/shop"}));
  EXPECT_TRUE(registry.add({"app", "/b/.tidegate/app"}));
  EXPECT_TRUE(registry.add({"app", "/a/.tidegate/app"}));
  EXPECT_TRUE(registry.add({"app", "/a/.tidegate/app"}));
  std::ofstream(base / "tidegate/pipelines/torn") << "only one line";
  const auto entries = registry.entries();
  ASSERT_EQ(entries.size(), 3u);
  EXPECT_EQ(entries[0].state_dir, "/a/.tidegate/app");
  EXPECT_EQ(entries[1].state_dir, "/b/.tidegate/app");
  EXPECT_EQ(entries[2].pipeline, "shop");
  registry.remove("/a/.tidegate/app");
  EXPECT_EQ(registry.entries().size(), 2u);
}

TEST_F(StateDirTest, WithoutAHomeTheRegistryTakesNothing) {
  const Registry registry(Environment{});
  EXPECT_FALSE(registry.add({"app", "/a"}));
  EXPECT_TRUE(registry.entries().empty());
}

}  // namespace
}  // namespace tidegate
