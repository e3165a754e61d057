#include "apply/postgres/session.hpp"

#include <gmock/gmock.h>

#include <atomic>
#include <thread>

#include "server.hpp"

namespace tidegate {
namespace {

using testing::HasSubstr;
using testing_support::code_of;
using namespace std::chrono_literals;

class Lease : public testing_support::ServerTest {
 protected:
  static void write(TargetSession& session, const Position& to) {
    TargetTransaction transaction(session);
    session.connection().pipeline({session.advance_to(to)});
    transaction.commit();
    session.moved(to);
  }
};

TEST_F(Lease, BeginsAtTheBeginningAndGoesOnWhereItWas) {
  {
    TargetSession session(target(), "inc");
    EXPECT_EQ(session.position(), (Position{"inc", 0, ""}));
    EXPECT_EQ(session.phase(), TargetPhase::fresh);
    EXPECT_TRUE(session.replica_mode());
    write(session, {"inc", 7, "digest"});
  }
  TargetSession session(target(), "inc");
  EXPECT_EQ(session.position(), (Position{"inc", 7, "digest"}));
  write(session, {"inc", 8, "d8"});
}

TEST_F(Lease, WhoIsTakenOverCannotWrite) {
  TargetSession old(target(), "inc");
  write(old, {"inc", 1, "d"});
  TargetSession successor(target(), "inc");
  EXPECT_EQ(code_of([&] { TargetTransaction transaction(old); }), "TG001");
  EXPECT_EQ(code_of([&] { old.connection().pipeline({{"BEGIN", {}}, old.enter()}); }), "TG001");
  write(successor, {"inc", 2, "d"});
}

TEST_F(Lease, WhoIsWrongAboutThePositionCannotWrite) {
  TargetSession session(target(), "inc");
  session.moved({"inc", 5, "d"});
  EXPECT_EQ(code_of([&] { TargetTransaction transaction(session); }), "TG003");
  session.moved({"inc", 0, ""});
  write(session, {"inc", 1, "d"});
}

TEST_F(Lease, AJournalOfAnotherIncarnationIsRefused) {
  { TargetSession session(target(), "inc"); }
  auto before = rows("SELECT * FROM tidegate.pipelines ORDER BY pipeline");
  try {
    TargetSession other(target(), "other");
    FAIL();
  } catch (const Refused& refused) {
    EXPECT_THAT(refused.what(), HasSubstr("another state directory"));
  }
  EXPECT_EQ(rows("SELECT * FROM tidegate.pipelines ORDER BY pipeline"), before);
}

TEST_F(Lease, AControlRowThatIsGoneStopsEverything) {
  TargetSession session(target(), "inc");
  other_->run("DELETE FROM tidegate.pipelines WHERE pipeline = $1", {name_});
  EXPECT_EQ(code_of([&] { TargetTransaction transaction(session); }), "TG002");
}

TEST_F(Lease, AnEmptiedTargetIsNotFilledAgain) {
  auto options = target();
  options.filled_before = true;
  EXPECT_THROW(TargetSession(options, "inc"), Refused);
}

// kill -9 of a process does not end its session: what that one commits later must be seen by the successor.
TEST_F(Lease, TheSuccessorWaitsForAZombiesTransaction) {
  TargetSession zombie(target(), "inc");
  auto open = std::make_unique<TargetTransaction>(zombie);
  zombie.connection().pipeline({zombie.advance_to({"inc", 3, "d3"})});
  std::atomic<bool> took_over = false;
  Position found;
  std::jthread successor([&] {
    TargetSession session(target(), "inc");
    found = session.position();
    took_over = true;
  });
  // It stands in the queue for the row's lock, not anywhere else.
  auto until = std::chrono::steady_clock::now() + 15s;
  while (rows("SELECT FROM pg_locks WHERE NOT granted").empty() && std::chrono::steady_clock::now() < until) {
    std::this_thread::sleep_for(10ms);
  }
  EXPECT_FALSE(took_over);
  open->commit();
  open.reset();
  successor.join();
  EXPECT_EQ(found, (Position{"inc", 3, "d3"}));
}

TEST_F(Lease, WorkersGoOnBesideEachOther) {
  TargetSession session(target(), "inc");
  WorkerSession one(session), other(session);
  EXPECT_TRUE(one.replica_mode());
  WorkerTransaction first(one);
  WorkerTransaction second(other);
  session.moved({"inc", 5, "d"});  // they do not ask for the position
  first.commit();
  second.commit();
}

TEST_F(Lease, WorkersOfWhoIsTakenOverCannotWrite) {
  TargetSession old(target(), "inc");
  WorkerSession worker(old);
  TargetSession successor(target(), "inc");
  EXPECT_EQ(code_of([&] { WorkerTransaction transaction(worker); }), "TG001");
  WorkerSession late(old);
  EXPECT_EQ(code_of([&] { WorkerTransaction transaction(late); }), "TG001");
  WorkerSession heir(successor);
  WorkerTransaction its_own(heir);
}

TEST_F(Lease, TheSuccessorWaitsForAZombiesWorkers) {
  TargetSession zombie(target(), "inc");
  WorkerSession worker(zombie), other(zombie);
  auto open = std::make_unique<WorkerTransaction>(worker);
  std::atomic<bool> took_over = false;
  std::jthread successor([&] {
    TargetSession session(target(), "inc");
    took_over = true;
  });
  auto until = std::chrono::steady_clock::now() + 15s;
  while (rows("SELECT 1 FROM pg_locks WHERE NOT granted").empty() &&
         std::chrono::steady_clock::now() < until) {
    std::this_thread::sleep_for(10ms);
  }
  EXPECT_FALSE(took_over);
  open->commit();
  open.reset();
  successor.join();
  EXPECT_EQ(code_of([&] { WorkerTransaction transaction(other); }), "TG001");
}

TEST_F(Lease, PipelinesDoNotMeet) {
  TargetSession session(target(), "inc");
  auto options = target();
  options.pipeline += " (another)";
  TargetSession other(options, "other");
  write(session, {"inc", 1, "d"});
  write(other, {"other", 9, "d"});
  EXPECT_EQ(TargetSession(target(), "inc").position().sequence, 1u);
}

}  // namespace
}  // namespace tidegate
