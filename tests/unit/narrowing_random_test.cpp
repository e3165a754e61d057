// Narrowing against random apps: whatever a writer does between two cuts, every row that differs must lie in
// the look.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <random>

#include "capture/sqlite/narrowing/snapshot_chain.hpp"
#include "db/error.hpp"
#include "support/contents.hpp"
#include "support/live_file.hpp"
#include "support/random_app.hpp"
#include "support/seeded.hpp"

namespace tidegate::sqlite_wal {
namespace {

using sqlite::Database;
using std::chrono::milliseconds;
using testing_support::Contents;
using testing_support::LiveFile;
using testing_support::missed;
using testing_support::RandomApp;
using testing_support::read_contents;
using testing_support::Seeded;
using testing_support::Selectivity;
using testing_support::wal_writer_of;
using testing_support::writer_of;

// One file, many cuts.
void run_random_app(std::uint64_t seed, int cuts, Selectivity& selectivity) {
  std::mt19937_64 random(seed);
  LiveFile file;
  Database writer = writer_of(file.path());
  int page_size = 512 << (random() % 8);
  static constexpr const char* vacuums[] = {"NONE", "FULL", "INCREMENTAL"};
  std::string vacuum = vacuums[random() % 3];
  writer.execute("PRAGMA page_size = " + std::to_string(page_size) + "; PRAGMA auto_vacuum = " + vacuum);
  writer.execute("PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = " + std::to_string(random() % 200));
  writer.execute("PRAGMA busy_timeout = 0");
  SCOPED_TRACE("seed " + std::to_string(seed) + ", page size " + std::to_string(page_size) +
               ", auto_vacuum " + vacuum);
  RandomApp app(writer, random());
  app.create_schema();

  SnapshotChain::Options options;
  options.checkpoint_from = random() % 2 ? 64 << 20 : 100'000;
  options.writers_wait = random() % 2;
  options.wal_bound = random() % 5 ? 64 << 20 : 200'000;
  options.patience = milliseconds(0);
  SnapshotChain chain(file.path(), options);
  Contents before, last;
  for (int i = 0; i < cuts; ++i) {
    for (auto actions = random() % 4; actions > 0; --actions) app.act();
    if (random() % 40 == 0) app.many_rows_at_once();
    bool told = chain.changed();
    auto cut = chain.next();
    Contents after = read_contents(cut.connection);
    auto rows = missed(before, after, cut.look);
    ASSERT_TRUE(rows.empty()) << rows.size() << " rows missed at cut " << i << ", the first is "
                              << rows.front();
    ASSERT_TRUE(told || missed(last, after, Look{}).empty()) << "a change went unnoticed at cut " << i;
    last = after;
    if (random() % 10 == 0) continue;  // not applied: stays part of the next look
    selectivity.count(before, after, cut.look);
    before = std::move(after);
    chain.accept();
    if (random() % 100 == 0) chain.release();
    if (random() % 4 == 0) chain.tend();
  }
}

TEST(Narrowing, RandomAppNeverChangesARowUnseen) {
  std::uint64_t first = Seeded().seed();
  std::cout << "TIDEGATE_SEED=" << first << "\n";
  Selectivity selectivity;
  for (int i = 0; i < Seeded::rounds(6) && !::testing::Test::HasFatalFailure(); ++i) {
    run_random_app(first + static_cast<std::uint64_t>(i), 60, selectivity);
  }
  selectivity.print("random app");
}

// A writer in a process of its own, so that cuts fall between any two of its steps. It must be started before
// this process opens the file: a child would inherit SQLite's notion of which locks it holds.
class WriterProcess {
 public:
  WriterProcess(const std::string& path, std::uint64_t seed) {
    if (pipe(ready_) != 0) throw std::runtime_error("no pipe");
    child_ = fork();
    if (child_ == 0) write_until_killed(path, seed);
    char byte;
    if (read(ready_[0], &byte, 1) != 1) throw std::runtime_error("the writer did not start");
  }
  ~WriterProcess() {
    kill(child_, SIGKILL);
    waitpid(child_, nullptr, 0);
    close(ready_[0]);
    close(ready_[1]);
  }

 private:
  [[noreturn]] void write_until_killed(const std::string& path, std::uint64_t seed) {
    try {
      Database writer = wal_writer_of(path);
      writer.execute("PRAGMA busy_timeout = 30; PRAGMA wal_autocheckpoint = 20");
      RandomApp app(writer, seed);
      app.create_schema();
      if (write(ready_[1], "r", 1) != 1) _exit(1);
      while (true) act(writer, app);
    } catch (const std::exception& error) {
      std::cerr << "writer: " << error.what() << std::endl;
      _exit(1);
    }
  }

  static void act(Database& writer, RandomApp& app) {
    try {
      app.act();
    } catch (const Error& error) {
      if (error.advice() != Advice::retry) throw;
      if (writer.in_transaction()) writer.execute("ROLLBACK");
    }
  }

  int ready_[2];
  pid_t child_;
};

void follow_writer_process(std::uint64_t seed, const SnapshotChain::Options& options,
                           Selectivity& selectivity) {
  SCOPED_TRACE("seed " + std::to_string(seed));
  LiveFile file;
  WriterProcess writer(file.path(), seed);
  SnapshotChain chain(file.path(), options);
  Contents before;
  auto end = std::chrono::steady_clock::now() + std::chrono::seconds(Seeded::rounds(2));
  while (std::chrono::steady_clock::now() < end) {
    if (!chain.changed()) {
      chain.tend();
      continue;
    }
    auto cut = chain.next();
    Contents after = read_contents(cut.connection);
    auto rows = missed(before, after, cut.look);
    ASSERT_TRUE(rows.empty()) << rows.size() << " rows missed, the first is " << rows.front();
    selectivity.count(before, after, cut.look);
    before = std::move(after);
    chain.accept();
  }
  const auto& counts = chain.counts();
  std::cout << counts.resets_seen << " resets of the WAL, " << counts.checkpoints << " checkpoints, "
            << counts.barriers << " barriers, " << counts.let_go << " times let go\n";
}

TEST(Narrowing, AWriterProcessNeverChangesARowUnseen) {
  std::uint64_t first = Seeded().seed();
  std::cout << "TIDEGATE_SEED=" << first << "\n";
  for (bool writers_wait : {true, false}) {
    SnapshotChain::Options options;
    options.writers_wait = writers_wait;
    options.checkpoint_from = 150'000;
    options.wal_bound = 300'000;
    options.patience = milliseconds(20);
    Selectivity selectivity;
    follow_writer_process(first, options, selectivity);
    selectivity.print(writers_wait ? "writers wait" : "writers upgrade");
  }
}

}  // namespace
}  // namespace tidegate::sqlite_wal
