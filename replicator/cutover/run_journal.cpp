#include "replicator/cutover/run_journal.hpp"

#include <chrono>
#include <filesystem>

#include "db/error.hpp"
#include "replicator/journal/journal.hpp"

namespace tidegate::cutover {
namespace {

std::int64_t now_us() {
  using namespace std::chrono;
  return duration_cast<microseconds>(system_clock::now().time_since_epoch()).count();
}

Refused unknown(const std::string& what) {
  return Refused("cutover-journal", "the journal of cutovers knows " + what + " that this tidegate does not",
                 "use the version of tidegate that began it");
}

Step read_step(const std::string& name) {
  if (auto step = step_named(name)) return *step;
  throw unknown("a step '" + name + "'");
}

Mode read_mode(const std::string& name) {
  if (auto mode = mode_named(name)) return *mode;
  throw unknown("a kind of run '" + name + "'");
}

}  // namespace

RunJournal::RunJournal(const std::string& path) : database_(open_state(path)) {
  database_.execute(
      "CREATE TABLE IF NOT EXISTS cutover_runs (number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL "
      "UNIQUE, mode TEXT NOT NULL, attempts INTEGER NOT NULL);"
      "CREATE TABLE IF NOT EXISTS cutover_steps (number INTEGER PRIMARY KEY AUTOINCREMENT, run TEXT NOT NULL "
      "REFERENCES cutover_runs(id), step TEXT NOT NULL, attempt INTEGER NOT NULL, way_back_start TEXT NOT "
      "NULL, reason TEXT NOT NULL, at_us INTEGER NOT NULL)");
}

std::unique_ptr<RunJournal> RunJournal::look_at(const std::string& path) {
  if (!std::filesystem::exists(path)) return nullptr;
  auto database = look_at_state(path);
  if (database.integer("SELECT count(*) FROM main.sqlite_schema WHERE name = 'cutover_steps'") == 0)
    return nullptr;
  return std::unique_ptr<RunJournal>(new RunJournal(std::move(database)));
}

void RunJournal::begin(const Run& run) {
  {
    std::lock_guard lock(mutex_);
    auto insert = database_.prepare("INSERT INTO cutover_runs(id, mode, attempts) VALUES (?, ?, ?)");
    insert.bind(1, std::string_view(run.id));
    insert.bind(2, name_of(run.mode));
    insert.bind(3, static_cast<std::int64_t>(run.attempts)).run();
  }
  enter(run);
}

void RunJournal::enter(const Run& run) {
  std::lock_guard lock(mutex_);
  auto insert = database_.prepare(
      "INSERT INTO cutover_steps(run, step, attempt, way_back_start, reason, at_us) VALUES (?, ?, ?, ?, ?, "
      "?)");
  insert.bind(1, std::string_view(run.id)).bind(2, name_of(run.step));
  insert.bind(3, static_cast<std::int64_t>(run.attempt)).bind(4, std::string_view(run.way_back_start));
  insert.bind(5, std::string_view(run.reason)).bind(6, now_us()).run();
}

std::optional<Run> RunJournal::last() {
  return find("ORDER BY s.number DESC");
}

std::optional<Run> RunJournal::settled() {
  return find("WHERE s.step = 'watch' ORDER BY r.number DESC, s.number DESC");
}

std::optional<Run> RunJournal::find(const char* which) {
  std::lock_guard lock(mutex_);
  auto row = database_.prepare(
      std::string("SELECT r.id, r.mode, r.attempts, s.step, s.attempt, s.way_back_start, s.reason FROM "
                  "cutover_runs AS r JOIN cutover_steps AS s ON s.run = r.id ") +
      which + " LIMIT 1");
  if (!row.step()) return std::nullopt;
  Run run;
  run.id = row.text(0);
  run.mode = read_mode(row.text(1));
  run.attempts = static_cast<std::uint64_t>(row.integer(2));
  run.step = read_step(row.text(3));
  run.attempt = static_cast<std::uint64_t>(row.integer(4));
  run.way_back_start = row.text(5);
  run.reason = row.text(6);
  return run;
}

std::vector<JournalledStep> RunJournal::steps(const std::string& run) {
  std::lock_guard lock(mutex_);
  std::vector<JournalledStep> steps;
  auto rows =
      database_.prepare("SELECT step, attempt, at_us FROM cutover_steps WHERE run = ? ORDER BY number");
  rows.bind(1, std::string_view(run));
  while (rows.step())
    steps.push_back({read_step(rows.text(0)), static_cast<std::uint64_t>(rows.integer(1)), rows.integer(2)});
  return steps;
}

}  // namespace tidegate::cutover
