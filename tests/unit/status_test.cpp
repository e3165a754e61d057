#include "replicator/control/status.hpp"

#include <gmock/gmock.h>

#include <boost/json.hpp>
#include <set>
#include <sstream>

#include "replicator/control/metrics.hpp"
#include "replicator/control/render.hpp"

namespace tidegate {
namespace {

using testing::HasSubstr;
using testing::Not;

Status snapshot() {
  Status s;
  s.pipeline = "chinook";
  s.phase = "snapshot";
  s.step = "copying Track";
  s.source = "/srv/chinook.sqlite";
  s.target = "postgresql://postgres:***@db.example.org:5432/postgres";
  s.tables = {{"Artist", "public.Artist", "copied", 275, 275, 0},
              {"Track", "public.Track", "copying", 1200, 3503, 2},
              {"Album", "public.Album", "pending", 0, {}, 0}};
  s.stages = {"completed", "in_progress", "pending"};
  s.started_at = "2026-01-02T03:04:05Z";
  s.totals = {1475, 3778, 0, 0};
  s.quarantined = 2;
  s.errors = {{"2026-01-02T03:04:06Z", "08006", "the connection broke", ""}};
  s.position = "1/17";
  s.next_steps = {"tidegate quarantine list"};
  s.pid = 4711;
  s.version = "0.1.0";
  s.sampled_at_ms = 1767323055'000;  // 10 s after the start
  s.journal = {12'900'000, std::uint64_t{64} << 30, 2048.0};
  s.slot = {"tidegate_shop", "extended", 3 << 20, std::uint64_t{1} << 30, {}, 90.5};
  return s;
}

Status streaming() {
  Status s = snapshot();
  s.phase = "streaming";
  s.step = "";
  s.lag = {0.042, 0, 0};
  for (auto& table : s.tables) table.state = "streaming", table.rows_quarantined = 0;
  s.stages = {"completed", "completed", "pending"};
  s.quarantined = 0;
  s.errors.clear();
  s.totals = {3778, 3778, 1204, 15'600};
  s.rollback = {true, 0.1, 3, 1};
  s.next_steps = {"nothing to do"};
  return s;
}

TEST(StatusJson, HasEveryNameOfTheDesign) {
  const auto json = boost::json::parse(to_json(snapshot())).as_object();
  for (const char* name :
       {"pipeline", "live", "phase", "step", "lag", "tables", "stages", "started_at", "ended_at", "totals",
        "errors", "quarantined", "position", "rollback", "next_steps"})
    EXPECT_TRUE(json.contains(name)) << name;
  for (const char* name : {"seconds", "bytes", "transactions"})
    EXPECT_TRUE(json.at("lag").as_object().contains(name)) << name;
  for (const char* name : {"source", "target", "state", "rows_copied", "rows_total", "rows_quarantined"})
    EXPECT_TRUE(json.at("tables").as_array()[0].as_object().contains(name)) << name;
  for (const char* name : {"schema", "data", "verification"})
    EXPECT_TRUE(json.at("stages").as_object().contains(name)) << name;
  for (const char* name : {"ready", "lag_seconds"})
    EXPECT_TRUE(json.at("rollback").as_object().contains(name)) << name;
  EXPECT_TRUE(json.at("ended_at").is_null());
  EXPECT_TRUE(json.at("lag").at("seconds").is_null());
}

TEST(StatusJson, ComesBackAsItWas) {
  Status full = streaming();
  full.ended_at = "2026-01-02T04:00:00Z";
  full.throttle_rows_per_second = 500;
  full.totals.changes = ~std::uint64_t{0};
  for (const Status& status : {Status{}, snapshot(), full})
    EXPECT_EQ(status_from_json(to_json(status)), status);
}

TEST(StatusJson, AnotherVersionsStatusCanBeRead) {
  const Status s = status_from_json(
      R"({"phase":"streaming","lag":{"seconds":1},"new_field":[1],"tables":[{"source":"t"}],"quarantined":"many"})");
  EXPECT_EQ(s.phase, "streaming");
  EXPECT_EQ(s.lag.seconds, 1.0);
  EXPECT_EQ(s.tables.at(0).source, "t");
  EXPECT_EQ(s.quarantined, 0u);
  for (const char* text : {"", "[]", "3", "{"})
    EXPECT_THROW(status_from_json(text), std::invalid_argument) << text;
}

TEST(Rates, ComeFromTwoSamplesOfOneDaemon) {
  Status before = snapshot(), now = snapshot();
  now.sampled_at_ms += 2000;
  now.totals.rows_copied += 500;
  now.totals.changes += 8;
  now.tables[1].rows_copied += 500;
  const auto rates = rates_between(before, now);
  ASSERT_TRUE(rates);
  EXPECT_DOUBLE_EQ(rates->rows_per_second, 250);
  EXPECT_DOUBLE_EQ(rates->changes_per_second, 4);
  EXPECT_DOUBLE_EQ(rates->table_rows_per_second.at(1), 250);
  EXPECT_NEAR(*rates->seconds_left, (3778 - 1975) / 250.0, 1e-9);
  EXPECT_FALSE(rates_between(now, now));
  now.pid = 1;
  EXPECT_FALSE(rates_between(before, now));
}

TEST(Rates, OfATableThatIsCopiedAgainAreNotNegative) {
  Status before = snapshot(), now = snapshot();
  now.sampled_at_ms += 1000;
  now.totals.rows_copied = 0;
  const auto rates = rates_between(before, now);
  EXPECT_EQ(rates->rows_per_second, 0);
  EXPECT_FALSE(rates->seconds_left);
}

const Look plain{80, 12, false, false};

TEST(Render, ShowsWhatASnapshotDoes) {
  Rates rates{250, 0, 9.2, {0, 250, 0}};
  const std::string picture = render(snapshot(), plain, rates);
  for (const char* part : {"chinook", "snapshot", "10s", "/srv/chinook.sqlite -> postgresql://", "Track",
                           "1,200 / 3,503", "250 rows/s", "2 quarantined", "39 %", "9s left", "12.3 MiB\n",
                           "2 rows", "the connection broke [08006]", "tidegate quarantine list"})
    EXPECT_THAT(picture, HasSubstr(part)) << picture;
  EXPECT_LT(picture.find("Track"), picture.find("Artist")) << "what is being copied comes first";
}

TEST(Render, ShowsWhatARollbackWouldLose) {
  Status s = streaming();
  s.phase = "reversed";
  s.live = "target";
  EXPECT_THAT(render(s, plain, std::nullopt),
              HasSubstr("a rollback could lose 0.10 s | 3 transactions | 1 row rejected"));
  s.rollback = {};
  EXPECT_THAT(render(s, plain, std::nullopt), HasSubstr("no rollback now"));
}

TEST(Render, ShowsEachStepOfACutoverWithItsTime) {
  Status s = streaming();
  s.phase = "cutover";
  s.cutover.emplace();
  s.cutover->mode = "cutover";
  s.cutover->step = "drain";
  s.cutover->attempt = 2;
  s.cutover->steps = {{"guard", 1, 61'250.4}, {"hold", 2, 1.2}, {"drain", 2, 17.3}};
  std::string picture = render(s, plain);
  for (const char* part :
       {"live", "the source", "under way: drain, attempt 2", "guard 61.25 s, hold 1.2 ms, drain 17.3 ms ..."})
    EXPECT_THAT(picture, HasSubstr(part)) << picture;
  EXPECT_THAT(render_line(s, std::nullopt), HasSubstr(" cutover=drain step_ms=17"));
  s.cutover->outcome = "aborted";
  s.cutover->reason = "too slow";
  s.cutover->hold_ms = 501.5;
  picture = render(s, plain);
  EXPECT_THAT(picture, HasSubstr("aborted, attempt 2 | writers waited 501.5 ms | too slow"));
  EXPECT_THAT(render_line(s, std::nullopt), Not(HasSubstr("step_ms")));
}

TEST(Render, ShowsAWayBackThatIsBuiltAnew) {
  Status s = streaming();
  s.phase = "reversed";
  s.rollback = {};
  s.rollback.rebuilding = "table public.user: 2000 rows";
  EXPECT_THAT(render(s, plain), HasSubstr("being built anew: table public.user: 2000 rows"));
  EXPECT_EQ(status_from_json(to_json(s)).rollback, s.rollback);
}

TEST(Render, ShowsWhoHasNotMoved) {
  Status s = streaming();
  s.live = "target";
  s.phase = "reversed";
  s.cutover.emplace();
  s.cutover->mode = "cutover";
  s.cutover->outcome = "done";
  EXPECT_THAT(render(s, plain), Not(HasSubstr("not moved")));
  EXPECT_THAT(metrics_text(s), Not(HasSubstr("refused_writes_total"))) << "a SQLite file counts none";
  s.cutover->source_open_by = {"flask (pid 1)", "cron\x1b (pid 2)", "c (pid 3)",
                               "d (pid 4)",     "e (pid 5)",        "f (pid 6)"};
  s.cutover->refused_writes = 1234;
  s.cutover->writers =
      WritersSeen{"2026-03-01T12:00:00.001Z", "2026-03-01T12:00:00.018Z", 4.5, {}, {"gunicorn (pid 7)"}};
  const std::string picture = render(s, plain);
  EXPECT_THAT(picture, HasSubstr("1,234 writes at the old database's fence"));
  EXPECT_THAT(picture, HasSubstr("flask (pid 1), cron? (pid 2)"));
  EXPECT_THAT(picture, HasSubstr("and 1 more"));
  EXPECT_THAT(metrics_text(s),
              HasSubstr("tidegate_refused_writes_total{pipeline=\"" + s.pipeline + "\"} 1234\n"));
  EXPECT_EQ(status_from_json(to_json(s)), s);
  s.live = "source";
  EXPECT_THAT(render(s, plain), Not(HasSubstr("not moved")));
}

TEST(Render, ShowsTheStream) {
  const std::string picture = render(streaming(), plain, Rates{0, 210, {}, {}});
  for (const char* part :
       {"streaming", "1,204 transactions | 15,600 changes | 210 changes/s", "0.04 s | 0 transactions | 0 B"})
    EXPECT_THAT(picture, HasSubstr(part)) << picture;
  EXPECT_THAT(picture, Not(HasSubstr("quarantine ")));
}

// The reason stands at a sentence's end, and who reads it has no other terminal at three in the morning.
TEST(Render, AnErrorIsShownWhole) {
  Status s = streaming();
  s.errors = {{"", "disk", "write /a/state/directory/with/a/long/name/state.db: the disk is full", ""}};
  std::string words;
  std::istringstream picture(render(s, plain));
  for (std::string word; picture >> word;) words += word + " ";
  EXPECT_THAT(words, HasSubstr("state.db: the disk is full [disk]"));
}

TEST(Render, ShowsWhatTheSourceKeepsForTheSlot) {
  Status s = streaming();
  s.slot->oldest_transaction_seconds = 90;
  EXPECT_THAT(render(s, plain), HasSubstr("extended | keeps 3.0 MiB | held by a transaction of 1m 30s"));
  s.slot->oldest_transaction_seconds.reset();
  EXPECT_THAT(render(s, plain), HasSubstr("extended | keeps 3.0 MiB | 1.0 GiB left\n"));
  s.slot->left_seconds = 7200;
  EXPECT_THAT(render(s, plain), HasSubstr("1.0 GiB left, 2h"));
  EXPECT_EQ(status_from_json(to_json(s)).slot, s.slot);
  s.slot->wal_status = "lost";
  EXPECT_THAT(render(s, plain), HasSubstr("lost | keeps"));
  s.slot.reset();
  EXPECT_THAT(render(s, plain), Not(HasSubstr("  slot ")));
}

TEST(Render, WarnsBeforeTheDiskIsFull) {
  Status s = streaming();
  s.journal = {1 << 20, std::uint64_t{1} << 30, 1 << 20};
  EXPECT_THAT(render(s, plain), HasSubstr("1.0 MiB, grows 1.0 MiB/s, disk full in 17m 04s"));
}

TEST(Render, OnceCopiedShowsOnlyTablesThatNeedALook) {
  Status s = streaming();
  EXPECT_THAT(render(s, plain), HasSubstr("3 tables: 3 streaming"));
  s.tables[2].rows_quarantined = 1;
  const std::string picture = render(s, plain);
  EXPECT_THAT(picture, HasSubstr("Album  0  streaming, 1 quarantined\n  and 2 more: 2 streaming"));
  EXPECT_THAT(picture, Not(HasSubstr("###")));
}

TEST(Render, KeepsWithinTheTerminal) {
  Status s = snapshot();
  s.step = std::string(300, 's');
  s.tables[1].source = "ein_sehr_länger_Tabellenname_mit_Ümläuten_" + std::string(100, 'x');
  s.tables[1].rows_copied = 123'456'789'012;
  s.tables[1].rows_total = 999'999'999'999;
  s.errors.push_back({"", "", std::string(300, 'e'), ""});
  s.next_steps.push_back(std::string(300, 'n'));
  for (const int width : {60, 80, 100, 200})
    for (const bool colour : {false, true})
      for (const bool unicode : {false, true})
        for (const Status& status : {s, streaming(), Status{}}) {
          std::istringstream lines(
              render(status, {width, 12, colour, unicode}, Rates{1e9, 1e9, 1e6, {1e9, 1e9, 1e9}}));
          for (std::string line; std::getline(lines, line);) EXPECT_LE(columns_of(line), width) << line;
        }
}

TEST(Render, ColoursOnlyWhenAskedAndNothingElseChanges) {
  const std::string without = render(snapshot(), {80, 12, false, true});
  std::string with = render(snapshot(), {80, 12, true, true});
  EXPECT_EQ(without.find('\x1b'), std::string::npos);
  EXPECT_NE(with.find('\x1b'), std::string::npos);
  for (std::size_t begin; (begin = with.find('\x1b')) != std::string::npos;)
    with.erase(begin, with.find('m', begin) - begin + 1);
  EXPECT_EQ(with, without);
}

TEST(Render, ANameCannotSpeakToTheTerminal) {
  Status s = snapshot();
  s.tables[0].source = "evil\x1b[2Jname\n";
  s.step = "a\x1b]0;title\x07";
  const std::string picture = render(s, plain);
  EXPECT_EQ(picture.find('\x1b'), std::string::npos);
  EXPECT_THAT(picture, HasSubstr("evil?[2Jname?"));
}

TEST(Render, ATableWhoseRowsGoToSeveralIsShownByThose) {
  Status s = snapshot();
  s.tables = {{"user", "auth.users", "copying", 1, 2, 0},
              {"user", "public.profiles", "copying", 1, 2, 0},
              {"child", "public.children", "copying", 1, 2, 0}};
  const std::string shown = render(s, {100, 50, false, false});
  for (const char* name : {"auth.users", "public.profiles", "  child "}) EXPECT_THAT(shown, HasSubstr(name));
  EXPECT_THAT(shown, Not(HasSubstr("public.children")));
}

TEST(Render, ManyTablesAreCounted) {
  Status s = snapshot();
  for (int i = 0; i < 50; ++i)
    s.tables.push_back({"t" + std::to_string(i), "", i % 2 ? "copied" : "pending", 0, 10, 0});
  const std::string picture = render(s, {100, 5, false, false});
  EXPECT_THAT(picture, HasSubstr("and 48 more: 26 copied, 22 pending"));
}

TEST(Render, OneLineForLogs) {
  const std::string line = render_line(snapshot(), Rates{250, 0, 9.2, {}});
  EXPECT_EQ(line,
            "phase=snapshot rows=1475/3778 rows_per_s=250 changes_per_s=0 left_s=9 transactions=0 changes=0 "
            "quarantined=2 errors=1");
}

TEST(Metrics, AreWhatPrometheusReads) {
  Status s = snapshot();
  s.lag.seconds = 0.5;
  s.tables[0].source = "we\"ird\\\n";
  const std::string text = metrics_text(s);
  EXPECT_THAT(
      text, HasSubstr("# TYPE tidegate_lag_seconds gauge\ntidegate_lag_seconds{pipeline=\"chinook\"} 0.5\n"));
  EXPECT_THAT(text, HasSubstr("tidegate_phase{pipeline=\"chinook\",phase=\"snapshot\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("tidegate_phase{pipeline=\"chinook\",phase=\"streaming\"} 0\n"));
  EXPECT_THAT(text,
              HasSubstr("tidegate_table_rows_copied{pipeline=\"chinook\",table=\"we\\\"ird\\\\\\n\"} 275\n"));
  EXPECT_THAT(text, HasSubstr("tidegate_quarantined_rows{pipeline=\"chinook\"} 2\n"));
  EXPECT_THAT(text, Not(HasSubstr("tidegate_lag_bytes"))) << "what is not known has no sample";
  std::istringstream lines(text);
  std::set<std::string> samples;
  for (std::string line; std::getline(lines, line);) {
    if (line[0] == '#') continue;
    EXPECT_TRUE(samples.insert(line.substr(0, line.rfind(' '))).second) << "twice: " << line;
  }
}

}  // namespace
}  // namespace tidegate
