#include "replicator/verify/store.hpp"

#include <boost/json.hpp>

#include <algorithm>

#include "db/failpoint.hpp"
#include "replicator/journal/journal.hpp"
#include "replicator/pipeline/coordination.hpp"

namespace tidegate::verify {
namespace {

namespace json = boost::json;

constexpr int runs_kept = 10;

constexpr const char* tables = R"sql(
CREATE TABLE IF NOT EXISTS verify_runs (id INTEGER PRIMARY KEY AUTOINCREMENT, started_at TEXT NOT NULL,
  ended_at TEXT NOT NULL DEFAULT '', by TEXT NOT NULL, state TEXT NOT NULL DEFAULT 'running', error TEXT NOT NULL DEFAULT '',
  request TEXT NOT NULL, planned INTEGER NOT NULL DEFAULT 0, pipeline TEXT NOT NULL, source TEXT NOT NULL, target TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS verify_units (run INTEGER NOT NULL, number INTEGER NOT NULL, side TEXT NOT NULL, source TEXT NOT NULL,
  target TEXT NOT NULL, after TEXT NOT NULL, up_to TEXT NOT NULL, rows_expected INTEGER NOT NULL, done INTEGER NOT NULL DEFAULT 0,
  position TEXT, rows INTEGER NOT NULL DEFAULT 0, target_rows INTEGER, differing INTEGER NOT NULL DEFAULT 0,
  excepted INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (run, number));
CREATE TABLE IF NOT EXISTS verify_differences (id INTEGER PRIMARY KEY, run INTEGER NOT NULL, side TEXT NOT NULL, kind TEXT NOT NULL,
  source TEXT NOT NULL, key TEXT NOT NULL, key_bytes BLOB NOT NULL, columns TEXT NOT NULL, version TEXT NOT NULL DEFAULT '');
CREATE INDEX IF NOT EXISTS verify_differences_run ON verify_differences (run);
CREATE TABLE IF NOT EXISTS verify_excepted (run INTEGER NOT NULL, source TEXT NOT NULL, key TEXT NOT NULL, reason TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS verify_way_back (run INTEGER PRIMARY KEY, incarnation TEXT NOT NULL, sequence INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS verify_remarks (run INTEGER NOT NULL, is_difference INTEGER NOT NULL, code TEXT NOT NULL,
  source TEXT NOT NULL, message TEXT NOT NULL);
)sql";

Side side_named(const std::string& name) {
  return name == name_of(Side::shadow) ? Side::shadow : Side::target;
}

Kind kind_named(const std::string& name) {
  return name == "missing" ? Kind::missing : name == "extra" ? Kind::extra : Kind::differs;
}

std::string list_text(const std::vector<std::string>& columns) {
  return json::serialize(json::array(columns.begin(), columns.end()));
}

std::vector<std::string> list_of(const std::string& text) {
  const json::value parsed = json::parse(text);
  std::vector<std::string> columns;
  for (const auto& column : parsed.as_array()) columns.emplace_back(column.as_string());
  return columns;
}

std::int64_t number(std::uint64_t count) {
  return static_cast<std::int64_t>(count);
}

std::uint64_t count(const sqlite::Statement& row, int column) {
  return static_cast<std::uint64_t>(row.integer(column));
}

std::optional<Run> newest_run(sqlite::Database& database) {
  auto row = database.prepare(
      "SELECT id, started_at, ended_at, by, state, error, request, planned, pipeline, source, target"
      " FROM verify_runs ORDER BY id DESC LIMIT 1");
  if (!row.step()) return std::nullopt;
  Run run{row.integer(0), row.text(1), row.text(2), row.text(3), row.text(4), row.text(5), {}, false, {}};
  run.request = request_from_json(row.text(6));
  run.planned = row.integer(7) != 0;
  run.ends = {row.text(8), row.text(9), row.text(10)};
  return run;
}

void forget_old_runs(sqlite::Database& database) {
  std::string kept = "(SELECT id FROM verify_runs ORDER BY id DESC LIMIT " + std::to_string(runs_kept) + ")";
  for (const char* table :
       {"verify_units", "verify_differences", "verify_excepted", "verify_remarks", "verify_way_back"})
    database.execute(std::string("DELETE FROM ") + table + " WHERE run NOT IN " + kept);
  database.execute("DELETE FROM verify_runs WHERE id NOT IN " + kept);
}

}  // namespace

Store::Store(const std::string& control_path) : database_(open_state(control_path)) {
  database_.execute(tables);
  auto known =
      database_.prepare("SELECT 1 FROM pragma_table_info('verify_differences') WHERE name = 'version'");
  if (!known.step())
    database_.execute("ALTER TABLE verify_differences ADD COLUMN version TEXT NOT NULL DEFAULT ''");
}

Run Store::begin(const Request& request, const std::string& by, const Ends& ends) {
  std::lock_guard lock(mutex_);
  sqlite::Transaction transaction(database_, sqlite::Transaction::Kind::immediate);
  auto insert = database_.prepare(
      "INSERT INTO verify_runs(started_at, by, request, pipeline, source, target) VALUES (?, ?, ?, ?, ?, ?)");
  insert.bind(1, std::string_view(iso_now())).bind(2, std::string_view(by));
  insert.bind(3, std::string_view(to_json(request))).bind(4, std::string_view(ends.pipeline));
  insert.bind(5, std::string_view(ends.source)).bind(6, std::string_view(ends.target)).run();
  forget_old_runs(database_);
  transaction.commit();
  return newest_run(database_).value();
}

std::optional<Run> Store::newest() {
  std::lock_guard lock(mutex_);
  return newest_run(database_);
}

namespace {

void insert_remarks(sqlite::Database& database, std::int64_t run, const std::vector<Remark>& remarks) {
  auto insert = database.prepare("INSERT INTO verify_remarks VALUES (?, ?, ?, ?, ?)");
  for (const Remark& remark : remarks) {
    insert.bind(1, run).bind(2, std::int64_t{remark.is_difference});
    insert.bind(3, std::string_view(remark.code)).bind(4, std::string_view(remark.table));
    insert.bind(5, std::string_view(remark.message)).run();
  }
}

}  // namespace

void Store::plan(std::int64_t run, const std::vector<Unit>& units, const std::vector<Remark>& remarks) {
  std::lock_guard lock(mutex_);
  sqlite::Transaction transaction(database_, sqlite::Transaction::Kind::immediate);
  auto insert = database_.prepare(
      "INSERT INTO verify_units(run, number, side, source, target, after, up_to, rows_expected)"
      " VALUES (?, ?, ?, ?, ?, ?, ?, ?)");
  for (const Unit& unit : units) {
    insert.bind(1, run).bind(2, std::int64_t{unit.number}).bind(3, name_of(unit.side));
    insert.bind(4, std::string_view(unit.table)).bind(5, std::string_view(unit.target));
    insert.bind(6, std::string_view(unit.after)).bind(7, std::string_view(unit.up_to));
    insert.bind(8, number(unit.rows_expected)).run();
  }
  auto planned = database_.prepare("UPDATE verify_runs SET planned = 1 WHERE id = ?");
  planned.bind(1, run).run();
  insert_remarks(database_, run, remarks);
  transaction.commit();
}

std::vector<Unit> Store::pending(std::int64_t run) {
  std::lock_guard lock(mutex_);
  auto rows = database_.prepare(
      "SELECT number, side, source, target, after, up_to, rows_expected FROM verify_units"
      " WHERE run = ? AND NOT done ORDER BY number");
  rows.bind(1, run);
  std::vector<Unit> units;
  while (rows.step()) {
    units.push_back({static_cast<int>(rows.integer(0)), side_named(rows.text(1)), rows.text(2), rows.text(3),
                     rows.text(4), rows.text(5), count(rows, 6)});
  }
  return units;
}

namespace {

void insert_difference(sqlite::Statement& insert, std::int64_t run, const Difference& difference) {
  insert.bind(1, run).bind(2, name_of(difference.side)).bind(3, name_of(difference.kind));
  insert.bind(4, std::string_view(difference.table)).bind(5, std::string_view(difference.key));
  insert.bind_blob(6, difference.key_bytes).bind(7, std::string_view(list_text(difference.columns)));
  insert.bind(8, std::string_view(difference.version)).run();
}

}  // namespace

void Store::finish(std::int64_t run, const Unit& unit, const std::string& position,
                   const Findings& findings) {
  std::lock_guard lock(mutex_);
  sqlite::Transaction transaction(database_, sqlite::Transaction::Kind::immediate);
  auto insert = database_.prepare(
      "INSERT INTO verify_differences(run, side, kind, source, key, key_bytes, columns, version) VALUES "
      "(?, ?, ?, ?, ?, ?, ?, ?)");
  for (const Difference& difference : findings.differences) insert_difference(insert, run, difference);
  auto except = database_.prepare("INSERT INTO verify_excepted VALUES (?, ?, ?, ?)");
  for (const Excepted& excepted : findings.excepted)
    except
        .bind_all(run, std::string_view(excepted.table), std::string_view(excepted.key),
                  std::string_view(excepted.reason))
        .run();
  auto update = database_.prepare(
      "UPDATE verify_units SET done = 1, position = ?, rows = ?, differing = ?, excepted = ?, target_rows = ?"
      " WHERE run = ? AND number = ?");
  update.bind(1, std::string_view(position)).bind(2, number(findings.rows));
  update.bind(3, number(findings.differing)).bind(4, number(findings.excepted.size()));
  update.bind(5, findings.target_rows ? Value(number(*findings.target_rows)) : Value(Null{}));
  update.bind(6, run).bind(7, std::int64_t{unit.number}).run();
  failpoint("verify-before-unit");
  transaction.commit();
  failpoint("verify-after-unit");
}

void Store::end(std::int64_t run, const std::string& state, const std::string& error) {
  std::lock_guard lock(mutex_);
  auto update = database_.prepare("UPDATE verify_runs SET state = ?, error = ?, ended_at = ? WHERE id = ?");
  update.bind(1, std::string_view(state)).bind(2, std::string_view(error));
  update.bind(3, std::string_view(iso_now())).bind(4, run).run();
}

void Store::note_way_back(std::int64_t run, const WayBackPlace& place) {
  std::lock_guard lock(mutex_);
  auto note = database_.prepare("INSERT OR REPLACE INTO verify_way_back VALUES (?, ?, ?)");
  note.bind(1, run).bind(2, std::string_view(place.incarnation)).bind(3, number(place.sequence)).run();
}

std::optional<Store::WayBackPlace> Store::proven_way_back() {
  std::lock_guard lock(mutex_);
  auto row = database_.prepare(
      "SELECT incarnation, sequence FROM verify_way_back AS w JOIN verify_runs AS r ON r.id = w.run WHERE "
      "r.state = 'completed' AND NOT EXISTS (SELECT 1 FROM verify_units AS u WHERE u.run = r.id AND "
      "differing "
      "> 0) AND NOT EXISTS (SELECT 1 FROM verify_remarks AS m WHERE m.run = r.id AND (is_difference OR code "
      "= "
      "'verify-table-in-resync')) ORDER BY r.id DESC LIMIT 1");
  if (!row.step()) return std::nullopt;
  return WayBackPlace{row.text(0), count(row, 1)};
}

Progress Store::progress(std::int64_t run) {
  std::lock_guard lock(mutex_);
  auto row = database_.prepare(
      "SELECT count(*), coalesce(sum(done), 0), coalesce(sum(rows), 0), coalesce(sum(rows_expected), 0),"
      " coalesce(sum(differing), 0) FROM verify_units WHERE run = ?");
  row.bind(1, run).step();
  auto remarks = database_.prepare("SELECT count(*) FROM verify_remarks WHERE run = ? AND is_difference");
  remarks.bind(1, run).step();
  return {count(row, 0), count(row, 1), count(row, 2), count(row, 3), count(row, 4) + count(remarks, 0)};
}

std::vector<Difference> Store::differences(std::int64_t run, std::size_t most) {
  std::lock_guard lock(mutex_);
  auto rows = database_.prepare(
      "SELECT side, kind, source, key, key_bytes, columns, version FROM verify_differences WHERE run = ? "
      "ORDER BY "
      "source, id "
      "LIMIT ?");
  rows.bind(1, run).bind(2, number(most));
  std::vector<Difference> differences;
  while (rows.step()) {
    differences.push_back({side_named(rows.text(0)), kind_named(rows.text(1)), rows.text(2), rows.text(3),
                           std::string(rows.bytes(4)), list_of(rows.text(5)), rows.text(6)});
  }
  return differences;
}

namespace {

// Of ranges of one table; of the two comparisons of a SQLite source the rows count once.
void read_tables(sqlite::Database& database, Report& report) {
  auto rows = database.prepare(
      "SELECT source, max(target), min(done), sum(CASE side WHEN 'target' THEN rows ELSE 0 END),"
      " sum(differing), sum(excepted), sum(target_rows) FROM verify_units WHERE run = ?"
      " GROUP BY source ORDER BY source");
  rows.bind(1, report.run.id);
  while (rows.step()) {
    TableResult& table = report.tables.emplace_back();
    table = {
        rows.text(0), rows.text(1), rows.integer(2) != 0, count(rows, 3), count(rows, 4), count(rows, 5), {}};
    if (!rows.is_null(6)) table.target_rows = count(rows, 6);
    report.rows += table.rows;
    report.differing += table.differences;
    report.excepted_rows += table.excepted;
  }
}

void read_positions(sqlite::Database& database, Report& report) {
  auto rows = database.prepare(
      "SELECT position FROM verify_units WHERE run = ? AND done GROUP BY position ORDER BY min(number)");
  rows.bind(1, report.run.id);
  while (rows.step()) report.positions.push_back(rows.text(0));
}

void read_excepted(sqlite::Database& database, Report& report, std::size_t most) {
  auto rows = database.prepare("SELECT source, key, reason FROM verify_excepted WHERE run = ? LIMIT ?");
  rows.bind(1, report.run.id).bind(2, number(most));
  while (rows.step()) report.excepted.push_back({rows.text(0), rows.text(1), rows.text(2)});
}

void read_remarks(sqlite::Database& database, Report& report) {
  auto rows = database.prepare(
      "SELECT is_difference, code, source, message FROM verify_remarks WHERE run = ? ORDER BY rowid");
  rows.bind(1, report.run.id);
  while (rows.step()) {
    report.remarks.push_back({rows.integer(0) != 0, rows.text(1), rows.text(2), rows.text(3)});
    if (report.remarks.back().is_difference) ++report.differing;
  }
}

}  // namespace

std::optional<Report> Store::report(std::size_t most) {
  auto run = newest();
  if (!run) return std::nullopt;
  Report report;
  report.run = *run;
  report.differences = differences(run->id, most);
  std::lock_guard lock(mutex_);
  read_tables(database_, report);
  read_positions(database_, report);
  read_excepted(database_, report, most);
  read_remarks(database_, report);
  return report;
}

bool Report::is_equal() const {
  return run.state == "completed" && differing == 0;
}

}  // namespace tidegate::verify
