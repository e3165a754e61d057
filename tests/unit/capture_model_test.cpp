// Random writes to a live file between cuts: whoever replays the journal has, after each cut, what the file
// had.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>

#include "support/capture_rig.hpp"
#include "support/seeded.hpp"

namespace tidegate {
namespace {

using testing_support::CaptureRig;
using testing_support::Replica;
using testing_support::Seeded;

constexpr const char* schema =
    "CREATE TABLE plain(id INTEGER PRIMARY KEY, a, b TEXT, c REAL);"
    "CREATE TABLE nocase(k TEXT COLLATE NOCASE NOT NULL PRIMARY KEY, a, b) WITHOUT ROWID;"
    "CREATE TABLE pair(b NOT NULL, k NOT NULL, a, PRIMARY KEY (k, b)) WITHOUT ROWID;"
    "CREATE TABLE keyless(a, b);"
    "CREATE TABLE nullable(k TEXT, b INT, a, PRIMARY KEY (k, b));"
    "CREATE TABLE made(id INTEGER PRIMARY KEY, a, b AS (typeof(a)), c TEXT UNIQUE COLLATE RTRIM);"
    "CREATE INDEX ix ON plain (a)";
// What is written at random: column lists of each table.
const std::array<std::pair<std::string, std::vector<std::string>>, 6> tables = {
    {{"plain", {"id", "a", "b", "c"}},
     {"nocase", {"k", "a", "b"}},
     {"pair", {"k", "b", "a"}},
     {"keyless", {"a", "b"}},
     {"nullable", {"k", "b", "a"}},
     {"made", {"id", "a", "c"}}}};

class Application {
 public:
  Application(sqlite::Database& app, Seeded& random) : app_(app), random_(random) {}

  // A few transactions, some of them rolled back.
  void work() {
    for (std::size_t transactions = random_.below(4); transactions > 0; --transactions) {
      app_.execute("BEGIN");
      for (std::size_t writes = 1 + random_.below(12); writes > 0; --writes) write();
      app_.execute(random_.one_in(5) ? "ROLLBACK" : "COMMIT");
    }
    if (random_.one_in(15)) app_.execute("VACUUM");
    if (random_.one_in(10)) app_.execute("PRAGMA wal_checkpoint(TRUNCATE)");
  }
  void change_schema() {
    std::string name = std::to_string(++schema_changes_);
    if (random_.one_in(2)) {
      app_.execute("ALTER TABLE keyless ADD COLUMN x" + name + " DEFAULT " + number());
    } else {
      app_.execute("CREATE TABLE new" + name + "(k PRIMARY KEY NOT NULL, v); INSERT INTO new" + name +
                   " VALUES (" + number() + ", " + value() + ")");
    }
  }

 private:
  std::string number() { return std::to_string(random_.below(12)); }
  // Few different values, so that keys meet.
  std::string value() {
    static const std::array<const char*, 22> pool = {"NULL",
                                                     "0",
                                                     "1",
                                                     "1.0",
                                                     "-0.0",
                                                     "0.0",
                                                     "'1'",
                                                     "x'31'",
                                                     "'a'",
                                                     "'A'",
                                                     "'a '",
                                                     "''",
                                                     "x''",
                                                     "2.5",
                                                     "1e99",
                                                     "1e999",
                                                     "-1",
                                                     "'\xc3\xa4'",
                                                     "'b'",
                                                     "'B'",
                                                     "CAST(x'ff' AS TEXT)",
                                                     "9223372036854775807"};
    return random_.one_in(3)     ? number()
           : random_.one_in(200) ? "randomblob(20000)"
                                 : pool[random_.below(pool.size())];
  }
  std::string where(const std::vector<std::string>& columns) {
    return " WHERE " + columns[random_.below(columns.size())] + " IS " + value();
  }
  void write() {
    const auto& [table, columns] = tables[random_.below(tables.size())];
    std::string sql;
    switch (random_.below(6)) {
      case 0:
        sql = "DELETE FROM " + table + (random_.one_in(40) ? "" : where(columns));
        break;
      case 1:
      case 2:
        sql = "UPDATE OR " + std::string(random_.one_in(2) ? "IGNORE " : "REPLACE ") + table + " SET " +
              columns[random_.below(columns.size())] + " = " + value() +
              (random_.one_in(8) ? "" : where(columns));
        break;
      default:
        sql = std::string(random_.one_in(2) ? "INSERT OR IGNORE" : "REPLACE") + " INTO " + table + "(";
        for (const auto& column : columns) sql += (&column == &columns[0] ? "" : ", ") + column;
        sql += ") VALUES (";
        for (const auto& column : columns) sql += (&column == &columns[0] ? "" : ", ") + value();
        sql += ")";
    }
    try {
      app_.execute(sql);
    } catch (const Error&) {
      // A text in an INTEGER PRIMARY KEY, NULL where it must not be: the application goes on without.
    }
  }

  sqlite::Database& app_;
  Seeded& random_;
  int schema_changes_ = 0;
};

// Journal and file at the same point: as many cuts as it takes is one.
void expect_replica_is_live(CaptureRig& rig, Replica& replica, int round) {
  for (const auto& table : rig.capture().tables()) {
    std::string name = table.source().name;
    testing_support::expect_same_rows(replica.table(name), testing_support::live_rows(rig.app(), table),
                                      name + " in round " + std::to_string(round));
  }
}

TEST(CaptureModel, ReplayingTheJournalGivesTheLiveFile) {
  for (int run = Seeded::rounds(4); run > 0 && !testing::Test::HasFailure(); --run) {
    Seeded random;
    SCOPED_TRACE(random.told());
    CaptureRig rig(schema);
    Application application(rig.app(), random);
    application.work();
    rig.fill();
    Replica replica;
    for (const auto& table : rig.capture().tables()) {
      replica.table(table.source().name) = testing_support::live_rows(rig.app(), table);
    }
    for (int round = 0; round < 40 && !testing::Test::HasFailure(); ++round) {
      application.work();
      if (random.one_in(10)) application.change_schema();
      if (random.one_in(8)) rig.restart();
      replica.take(rig.cut());
      expect_replica_is_live(rig, replica, round);
      if (random.one_in(4)) {
        EXPECT_THAT(rig.cut(), testing::IsEmpty()) << "a difference that does not end";
      }
    }
  }
}

}  // namespace
}  // namespace tidegate
