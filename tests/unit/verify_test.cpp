#include <gmock/gmock.h>

#include "apply/postgres/copy_line.hpp"
#include "replicator/pipeline/apply_hold.hpp"
#include "replicator/verify/checksums.hpp"
#include "replicator/verify/report.hpp"
#include "replicator/verify/row_order.hpp"
#include "replicator/verify/seen_commits.hpp"
#include "replicator/verify/xid_snapshot.hpp"
#include "support/scratch.hpp"

namespace tidegate::verify {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

TEST(CopyLine, FieldsAreTakenApartAndRead) {
  std::vector<std::string_view> fields;
  split_fields("1\t\\N\t\ta\\tb\\\\N\n", fields);
  ASSERT_THAT(fields, ElementsAre("1", "\\N", "", "a\\tb\\\\N"));
  EXPECT_EQ(field_value(fields[1]), std::nullopt);
  EXPECT_EQ(field_value(fields[2]), "");
  EXPECT_EQ(field_value(fields[3]), "a\tb\\N");
}

TEST(XidSnapshot, SeesWhatHadCommitted) {
  XidSnapshot snapshot("100:110:103,107");
  EXPECT_TRUE(snapshot.sees(99));
  EXPECT_TRUE(snapshot.sees(102));
  EXPECT_FALSE(snapshot.sees(103));
  EXPECT_TRUE(snapshot.sees(109));
  EXPECT_FALSE(snapshot.sees(110));
  EXPECT_TRUE(XidSnapshot("5:5:").sees(4));
  EXPECT_THROW(XidSnapshot("5"), std::invalid_argument);
}

TEST(XidSnapshot, CountsOnAcrossAnEpoch) {
  const std::uint64_t epoch = std::uint64_t{1} << 32;
  XidSnapshot after(std::to_string(epoch + 3) + ":" + std::to_string(epoch + 5) + ":");
  EXPECT_TRUE(after.sees(4294967295u));
  EXPECT_TRUE(after.sees(4));
  EXPECT_FALSE(after.sees(5));
  XidSnapshot before(std::to_string(epoch - 5) + ":" + std::to_string(epoch - 2) + ":");
  EXPECT_TRUE(before.sees(4294967293u));
  EXPECT_FALSE(before.sees(4294967295u));
  EXPECT_FALSE(before.sees(3));
}

class SeenCommits : public testing::Test {
 protected:
  void append(std::uint32_t xid) {
    TransactionPart part;
    part.transaction = xid;
    part.first = part.last = true;
    part.stamp = SourceStamp{xid, xid + 1, xid, ""};
    sqlite::Transaction transaction(state_, sqlite::Transaction::Kind::immediate);
    journal_.append(part);
    transaction.commit();
  }
  bool sees(const char* snapshot, std::uint64_t applied, std::chrono::seconds recent = 10s) {
    return sees_applied(XidSnapshot(snapshot), reader_, applied, recent);
  }

  testing_support::Scratch scratch_;
  std::string path_ = scratch_.file("state.db");
  sqlite::Database state_ = open_state(path_);
  Journal journal_{state_};
  JournalReader reader_{path_};
};

// As a server says that was interrupted between the log's flush and the end of the commit.
TEST_F(SeenCommits, AnAppliedCommitThatSnapshotsDoNotSeeYetIsFound) {
  EXPECT_TRUE(sees("100:100:", 0));
  for (std::uint32_t xid : {103, 101, 104}) append(xid);
  EXPECT_TRUE(sees("105:105:", 3));
  EXPECT_FALSE(sees("101:105:101", 3));
  EXPECT_FALSE(sees("104:104:", 3));
  EXPECT_TRUE(sees("104:104:", 2));  // the last was not applied
  EXPECT_TRUE(sees("101:105:101", 1));
  EXPECT_TRUE(sees("101:105:101", 3, -10s)) << "all of them are older than that";
}

TablePlan plan_with_key(TargetType type, const std::string& existing = "") {
  TablePlan plan;
  plan.source = plan.target = "t";
  for (const char* name : {"body", "id"}) {
    ColumnPlan& column = plan.columns.emplace_back();
    column.source = column.target = name;
  }
  plan.columns[1].type = type;
  plan.columns[1].existing_type = existing;
  plan.key = {"id"};
  return plan;
}

std::weak_ordering order_of(const RowOrder& order, std::string_view a, std::string_view b) {
  return order.compare({"x", a}, {"y", b});
}

TEST(RowOrder, NumbersByValueTextsByBytes) {
  TablePlan numbers = plan_with_key(TargetType::bigint), texts = plan_with_key(TargetType::text);
  RowOrder by_number(numbers), by_bytes(texts);
  EXPECT_TRUE(by_number.has_integer_key());
  EXPECT_EQ(order_of(by_number, "9", "10"), std::weak_ordering::less);
  EXPECT_EQ(order_of(by_number, "-9", "-10"), std::weak_ordering::greater);
  EXPECT_EQ(order_of(by_bytes, "9", "10"), std::weak_ordering::greater);
  EXPECT_EQ(order_of(by_bytes, "a\\tb", "a b"), std::weak_ordering::less);  // a tab comes before a blank
  EXPECT_EQ(by_number.sql(), "\"id\"");
  EXPECT_EQ(by_bytes.sql(), "\"id\" COLLATE \"C\"");
}

TEST(RowOrder, WhatCannotBeReproducedIsSortedByPrint) {
  TablePlan prices = plan_with_key(TargetType::numeric), ruled = plan_with_key(TargetType::bigint);
  ruled.columns[1].rules.push_back({Misfit::not_a_number, Remedy::convert});
  EXPECT_FALSE(RowOrder(prices).is_natural());
  EXPECT_FALSE(RowOrder(ruled).is_natural());
  EXPECT_THAT(RowOrder(prices).sql(), HasSubstr("format('%s', \"id\") COLLATE \"C\""));
}

TEST(Checksums, EitherEndGetsTheSameExpressions) {
  Checksums sql({"ONLY \"s\".\"t\"", {"\"id\"", "\"b\""}, {"\"id\""}}, {"5", "9", 1}, true);
  EXPECT_EQ(
      sql.total(),
      "SELECT count(*), coalesce(sum(pg_catalog.hashtextextended(ROW(\"id\", \"b\")::pg_catalog.text, 0)), "
      "0) FROM ONLY \"s\".\"t\" WHERE \"id\" > 5 AND \"id\" <= 9");
  EXPECT_THAT(sql.columns_of({{std::string("a'b")}}), HasSubstr("WHERE (\"id\") IN (('a''b'))"));
  EXPECT_THAT(Checksums({"t", {"a"}, {}}, {}, false).rows_of({1, 2}), HasSubstr("convert_to"));
}

class StoreTest : public testing::Test {
 protected:
  testing_support::Scratch scratch;
  std::string path = scratch.file("control.db");
};

Findings findings_of(const Unit& unit) {
  Findings findings;
  findings.rows = 10;
  add(findings, {Side::target, Kind::differs, unit.table, "[7]", "x", {"name"}});
  findings.excepted.push_back({unit.table, "[8]", "too_long"});
  return findings;
}

TEST_F(StoreTest, ARunGoesOnWhereItWas) {
  Unit one{0, Side::target, "a", "public.a", "", "5", 10}, two{1, Side::target, "a", "public.a", "5", "", 10};
  {
    Store store(path);
    auto run = store.begin({}, "ann@host", {"clinic", "a.db", "postgresql://t"});
    store.plan(run.id, {one, two});
    store.finish(run.id, one, "17", findings_of(one));
  }
  Store store(path);
  auto run = store.newest().value();
  EXPECT_EQ(run.state, "running");
  EXPECT_TRUE(run.planned);
  auto left = store.pending(run.id);
  ASSERT_EQ(left.size(), 1u);
  EXPECT_EQ(left[0].after, "5");
  store.finish(run.id, two, "18", {});
  store.end(run.id, "completed", "");
  auto report = store.report().value();
  EXPECT_THAT(report.positions, ElementsAre("17", "18"));
  EXPECT_EQ(report.rows, 10u);
  EXPECT_EQ(report.differing, 1u);
  EXPECT_FALSE(report.is_equal());
  EXPECT_EQ(report.differences.at(0), findings_of(one).differences.at(0));
  EXPECT_EQ(report.excepted.at(0), findings_of(one).excepted.at(0));
}

TEST_F(StoreTest, ARunThatWasNotThroughIsNotEqual) {
  Store store(path);
  auto run = store.begin({}, "ann@host", {"clinic", "a.db", "postgresql://t"});
  store.end(run.id, "stopped", "");
  EXPECT_FALSE(store.report().value().is_equal());
}

Report a_report() {
  Report report;
  report.run.id = 3;
  report.run.state = "completed";
  report.run.ends = {"clinic", "/srv/a.db", "postgresql://postgres:***@t/db"};
  report.rows = 12345;
  report.differing = 1;
  report.positions = {"17"};
  report.tables.push_back({"a<b", "public.a<b", true, 12345, 1, 0, {}});
  report.differences.push_back({Side::target, Kind::differs, "a<b", "[\"k&1\"]", "", {"name", "age"}});
  return report;
}

TEST(Report, NamesKeyAndColumns) {
  EXPECT_THAT(to_text(a_report(), 10), HasSubstr("a<b [\"k&1\"] differs in name, age"));
  EXPECT_THAT(to_text(a_report(), 0), HasSubstr("and 1 more"));
  EXPECT_THAT(to_json(a_report()), HasSubstr(R"("key":["k&1"])"));
}

TEST(Report, ThePageNeedsNothingElseAndEscapesNames) {
  std::string page = to_html(a_report(), "1");
  EXPECT_THAT(page, HasSubstr("a&lt;b"));
  EXPECT_THAT(page, HasSubstr("k&amp;1"));
  EXPECT_THAT(page, Not(HasSubstr("a<b")));
  EXPECT_THAT(page, Not(HasSubstr("http")));
}

JournalReader::Entry entry_at(std::uint64_t sequence) {
  JournalReader::Entry entry;
  entry.sequence = sequence;
  return entry;
}

TEST(ApplyHold, ARestCountsOnlyUnderTheNewestLimit) {
  ApplyHold hold;
  std::stop_source stop;
  hold.limit([](const JournalReader::Entry& entry) { return entry.sequence <= 5; });
  auto old = hold.order();
  EXPECT_TRUE(old.limit(entry_at(5)));
  EXPECT_FALSE(old.limit(entry_at(6)));
  hold.limit([](const JournalReader::Entry&) { return false; });
  hold.rest(old, {"", 5, ""});
  EXPECT_EQ(hold.wait_for_rest(ApplyHold::Clock::now() + 20ms, stop.get_token()), std::nullopt);
  hold.rest(hold.order(), {"", 7, ""});
  EXPECT_EQ(hold.wait_for_rest(ApplyHold::Clock::now() + 20ms, stop.get_token())->sequence, 7u);
}

TEST(ApplyHold, TheScopesEndLiftsTheLimit) {
  ApplyHold hold;
  {
    HoldScope scope(hold);
    hold.limit([](const JournalReader::Entry&) { return false; });
    EXPECT_TRUE(hold.order().limit);
  }
  EXPECT_FALSE(hold.order().limit);
}

}  // namespace
}  // namespace tidegate::verify
