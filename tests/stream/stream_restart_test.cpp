// Ends at every place, connections that break, servers that are not what they were.
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

#include "stream/stream_rig.hpp"
#include "support/seeded.hpp"

extern char** environ;

namespace tidegate {
namespace {

using testing_support::eventually;
using testing_support::milliseconds;
using testing_support::Seeded;
using testing_support::source;
using testing_support::StreamTest;

class StreamRestart : public StreamTest {
 protected:
  // Small transactions, large ones that are streamed, and ones that are given up, until the destructor.
  class Load {
   public:
    Load(const std::string& schema, std::uint64_t seed)
        : thread_([=](const std::stop_token& token) {
            postgres::Connection connection(source());
            connection.run("SET search_path = " + schema);
            Seeded seeded(seed);
            for (int n = 1; !token.stop_requested(); ++n) {
              std::string many = seeded.one_in(15) ? "1500" : std::to_string(1 + seeded.below(3));
              connection.run("BEGIN; INSERT INTO t(x) SELECT repeat('x', 40) || i FROM generate_series(1, " +
                             many + ") i");
              connection.run("UPDATE t SET x = 'u" + std::to_string(n) +
                             "' WHERE id % 7 = 3 AND id > (SELECT max(id) FROM t) - 20");
              connection.run("SAVEPOINT s; DELETE FROM t WHERE id > (SELECT max(id) FROM t) - 5");
              connection.run(seeded.one_in(2) ? "ROLLBACK TO s" : "RELEASE s");
              connection.run(seeded.one_in(10) ? "ROLLBACK" : "COMMIT");
            }
          }) {}

   private:
    std::jthread thread_;
  };
  void SetUp() override {
    StreamTest::SetUp();
    if (!app_) return;
    app_->run("CREATE TABLE t (id serial PRIMARY KEY, x text)");
    publish("t");
  }
  static std::string told(const Seeded& seeded) { return seeded.told(); }
};

struct Crash : std::runtime_error {
  Crash() : std::runtime_error("crash") {}
};

// run() is left by an exception right behind a commit, that is before the server hears of it, or the
// connection is cut by the server; the next capture finds no more than the files.
TEST_F(StreamRestart, NothingIsLostAndNothingComesTwice) {
  Seeded seeded;
  SCOPED_TRACE(seeded.told());
  {
    Load load(name_, seeded.bits());
    for (int round = 0; round < Seeded::rounds(12); ++round) {
      std::atomic<int> left = static_cast<int>(1 + seeded.below(30));
      bool cut = seeded.one_in(2);
      on_committed_ = [&](const auto&) {
        if (--left == 0) throw Crash();
      };
      start();
      if (cut) {
        std::this_thread::sleep_for(milliseconds(seeded.below(150)));
        admin_->run("SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = '" +
                    name_ + "'");
      }
      wait_for_failure();
      stop();
    }
  }
  on_committed_ = nullptr;
  start();
  sync();
  expect_same({"t"});
}

TEST_F(StreamRestart, RunMayBeCalledAgainAfterTheConnectionBroke) {
  open();
  std::jthread worker([this](const std::stop_token& token) {
    while (!token.stop_requested()) {
      try {
        capture_->run(token, callbacks());
      } catch (const Error& error) {
        EXPECT_NE(error.advice(), Advice::stop) << error.what();
        std::this_thread::sleep_for(milliseconds(20));
      }
    }
  });
  {
    Load load(name_, 7);
    for (int i = 0; i < 5; ++i) {
      EXPECT_TRUE(eventually([&] { return capture_->progress().connected; }));
      std::this_thread::sleep_for(milliseconds(60));
      admin_->run("SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = '" +
                  name_ + "'");
    }
  }
  sync();
  expect_same({"t"});
  worker = std::jthread();
}

class SlowOutbox : public Outbox {
 public:
  SlowOutbox(Outbox*& journal, milliseconds pause) : journal_(journal), pause_(pause) {}
  std::uint64_t append(const TransactionPart& part) override {
    if (!std::exchange(slept_, true)) std::this_thread::sleep_for(pause_);
    return journal_->append(part);
  }

 private:
  Outbox*& journal_;
  milliseconds pause_;
  bool slept_ = false;
};

// The journal takes three times as long as the server's patience, with the queue empty and with it full.
TEST_F(StreamRestart, ASlowJournalDoesNotCostTheConnection) {
  admin_->run("ALTER SYSTEM SET wal_sender_timeout = '1s'");
  admin_->run("SELECT pg_reload_conf()");
  std::this_thread::sleep_for(milliseconds(200));
  Outbox* journal = nullptr;
  options_.max_queue_bytes = 64 << 10;
  for (bool full : {false, true}) {
    SlowOutbox slow(journal, milliseconds(3000));
    open(&slow);
    journal = journal_.get();
    std::exception_ptr failure;
    std::jthread worker([&](const std::stop_token& token) {
      try {
        capture_->run(token, callbacks());
      } catch (...) {
        failure = std::current_exception();
      }
    });
    app_->run("INSERT INTO t(x) VALUES ('first')");
    if (full) {
      for (int i = 0; i < 400; ++i)
        app_->run("INSERT INTO t(x) SELECT repeat('z', 900) FROM generate_series(1, 40)");
    }
    sync();
    EXPECT_FALSE(failure) << "the connection was lost";
    worker = std::jthread();
    EXPECT_FALSE(failure);
    stop();
  }
  admin_->run("ALTER SYSTEM RESET wal_sender_timeout");
  admin_->run("SELECT pg_reload_conf()");
  expect_same({"t"});
}

TEST_F(StreamRestart, ASlotThatIsNotOursIsRefused) {
  start();
  app_->run("INSERT INTO t(x) VALUES ('a')");
  sync();
  stop();
  EXPECT_FALSE(ensure_slot(source(), name_, false, milliseconds(0)).made);
  app_->run("INSERT INTO t(x) VALUES ('b')");
  ASSERT_TRUE(eventually([&] { return !slot().active; }));
  admin_->run("SELECT pg_replication_slot_advance('" + name_ + "', pg_current_wal_lsn())");
  start();
  EXPECT_EQ(wait_for_failure(), "slot-ahead");
  EXPECT_TRUE(drop_slot(source(), name_));
  EXPECT_FALSE(drop_slot(source(), name_));
  start();
  EXPECT_EQ(wait_for_failure(), "slot-missing");
  admin_->run("SELECT pg_create_physical_replication_slot('" + name_ + "')");
  start();
  EXPECT_EQ(wait_for_failure(), "slot-not-ours");
  EXPECT_THROW(ensure_slot(source(), name_, false, milliseconds(0)), Refused);
  EXPECT_TRUE(drop_slot(source(), name_));
  EXPECT_TRUE(ensure_slot(source(), name_, false, milliseconds(0)).made);
  start();
  EXPECT_EQ(wait_for_failure(), "slot-ahead")
      << "a slot that was made anew does not go on where the old one was";
}

TEST_F(StreamRestart, AnotherHistoryIsRefused) {
  start();
  app_->run("INSERT INTO t(x) VALUES ('a')");
  sync();
  auto refused_with = [&](const std::string& change) {
    stop();
    open();
    state_->execute("SAVEPOINT before");
    auto held = CaptureState(*state_).held();
    state_->execute("UPDATE postgres_capture SET " + change + "; RELEASE before");
    start();
    std::string code = wait_for_failure();
    sqlite::Transaction transaction(*state_);
    CaptureState(*state_).save(*held);
    transaction.commit();
    return code;
  };
  EXPECT_EQ(refused_with("system_identifier = '1'"), "source-other-system");
  EXPECT_EQ(refused_with("timeline = 9"), "source-other-timeline");
  EXPECT_EQ(refused_with("end_lsn = end_lsn + 1000000000"), "source-went-back");
  stop();
  start();
  sync();
}

TEST_F(StreamRestart, SlotsAreLookedAtBeforeTheyAreUsed) {
  SlotState good = slot();
  EXPECT_NO_THROW(check_slot(good, name_, "legacy", good.confirmed_flush_lsn));
  auto code = [&](const std::function<void(SlotState&)>& change) -> std::string {
    SlotState slot = good;
    change(slot);
    try {
      check_slot(slot, name_, "legacy", 1000);
    } catch (const Refused& refused) {
      return refused.code();
    }
    return "";
  };
  good.confirmed_flush_lsn = 1000;
  EXPECT_EQ(code([](SlotState&) {}), "");
  EXPECT_EQ(code([](SlotState& slot) { slot.wal_status = "lost"; }), "slot-lost");
  EXPECT_EQ(code([](SlotState& slot) { slot.invalidation_reason = "rows_removed"; }), "slot-lost");
  EXPECT_EQ(code([](SlotState& slot) { slot.database = "other"; }), "slot-not-ours");
  EXPECT_EQ(code([](SlotState& slot) { slot.temporary = true; }), "slot-not-ours");
  EXPECT_EQ(code([](SlotState& slot) { slot.confirmed_flush_lsn = 1001; }), "slot-ahead");
  for (const char* bad : {"", "Upper", "a-b", "a\"b"}) EXPECT_THROW(check_slot_name(bad), Refused) << bad;
  EXPECT_THROW(check_slot_name(std::string(64, 'a')), Refused);
  EXPECT_NO_THROW(check_slot_name("good_1"));
}

TEST_F(StreamRestart, ASlotWaitsForOpenTransactionsOnlyAsLongAsItIsTold) {
  app_->run("BEGIN; INSERT INTO t(x) VALUES ('open')");
  try {
    ensure_slot(source(), name_ + "_2", false, milliseconds(300));
    ADD_FAILURE() << "the slot was made";
  } catch (const Error& error) {
    EXPECT_EQ(error.advice(), Advice::retry);
    EXPECT_THAT(error.what(), testing::HasSubstr("open in the source"));
  }
  app_->run("ROLLBACK");
  EXPECT_FALSE(find_slot(*app_, name_ + "_2"));
}

TEST_F(StreamRestart, ATemporarySlotExportsASnapshotOfItsConsistentPoint) {
  app_->run("INSERT INTO t(x) VALUES ('in')");
  postgres::ReplicationConnection exporter(source());
  auto created = exporter.create_temporary_slot(name_ + "_t", milliseconds(0));
  EXPECT_GT(created.consistent_point, 0u);
  EXPECT_TRUE(find_slot(*app_, name_ + "_t")->temporary);
  app_->run("INSERT INTO t(x) VALUES ('out')");
  postgres::Connection reader(source());
  reader.run("BEGIN ISOLATION LEVEL REPEATABLE READ; SET TRANSACTION SNAPSHOT " +
             postgres::literal(created.snapshot));
  EXPECT_EQ(reader.run("SELECT string_agg(x, ',') FROM " + name_ + ".t").text(0, 0), "in");
  EXPECT_EQ(exporter.identify().database, "legacy");
}

TEST(Lsn, TextAndBack) {
  EXPECT_EQ(postgres::parse_lsn("16/B374D848"), 0x16B374D848u);
  EXPECT_EQ(postgres::lsn_text(0x16B374D848), "16/B374D848");
  for (const char* bad : {"", "/", "1", "1/", "/1", "1/G", "1/123456789", "1/2/3", " 1/2"})
    EXPECT_THROW(postgres::parse_lsn(bad), Error) << bad;
}

// The process that the test below kills: it works in the parent's files until a failpoint ends it.
TEST(StreamChild, Runs) {
  const char* spec = std::getenv("TIDEGATE_STREAM_CHILD");
  if (!spec) GTEST_SKIP() << "is started by another test";
  PostgresCaptureOptions options;
  options.connection = source();
  std::string folder = spec, name = std::getenv("TIDEGATE_STREAM_CHILD_SLOT");
  options.slot = options.publication = name;
  options.spool_directory = folder + "/spool";
  options.max_part_bytes = 16 << 10;
  sqlite::Database state = open_state(folder + "/state.db");
  Journal journal(state);
  PostgresCapture capture(options, state, journal);
  for (auto until = std::chrono::steady_clock::now() + std::chrono::seconds(20);
       std::chrono::steady_clock::now() < until;) {
    try {
      PostgresCaptureCallbacks callbacks;
      callbacks.on_open = [](std::uint64_t) {};
      callbacks.take_back_open = [&] { journal.discard_open(); };
      capture.run({}, callbacks);
    } catch (const Error& error) {
      // The slot of the one that was killed before is still in use.
      std::this_thread::sleep_for(milliseconds(20));
    }
  }
}

TEST_F(StreamRestart, KilledAtEveryFailpoint) {
  Seeded seeded;
  SCOPED_TRACE(seeded.told());
  std::string folder = scratch_.file("");
  std::vector<std::string> names{"stream-before-commit",      "stream-after-commit",
                                 "stream-before-feedback",    "journal-after-append",
                                 "stream-before-open-commit", "stream-after-open-commit"};
  {
    Load load(name_, seeded.bits());
    for (const std::string& name : names) {
      for (int round = 0; round < Seeded::rounds(2); ++round) {
        std::string failpoint = name + ":" + std::to_string(2 + seeded.below(20));
        std::vector<std::string> texts{"TIDEGATE_FAILPOINT=" + failpoint, "TIDEGATE_STREAM_CHILD=" + folder,
                                       "TIDEGATE_STREAM_CHILD_SLOT=" + name_,
                                       "TIDEGATE_TEST_SOURCE=" + source().url};
        std::vector<char*> environment, arguments;
        for (auto& text : texts) environment.push_back(text.data());
        environment.push_back(nullptr);
        std::string program = "/proc/self/exe", filter = "--gtest_filter=StreamChild.Runs",
                    brief = "--gtest_brief=1";
        for (auto* text : {&program, &filter, &brief}) arguments.push_back(text->data());
        arguments.push_back(nullptr);
        pid_t child = 0;
        ASSERT_EQ(
            posix_spawn(&child, "/proc/self/exe", nullptr, nullptr, arguments.data(), environment.data()), 0);
        int status = 0;
        ASSERT_EQ(waitpid(child, &status, 0), child);
        EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) << failpoint << " was not reached";
      }
    }
  }
  ASSERT_TRUE(eventually([&] { return !slot().active; }));
  start();
  sync();
  expect_same({"t"});
}

}  // namespace
}  // namespace tidegate
