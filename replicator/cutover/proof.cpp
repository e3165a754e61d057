#include "replicator/cutover/proof.hpp"

#include <fmt/format.h>

#include <map>
#include <memory>

#include "replicator/journal/journal.hpp"

namespace tidegate::cutover {
namespace {

using namespace std::chrono_literals;

// What AUTOINCREMENT has given out, as of now: deleted rows count.
std::map<std::string, std::int64_t> given_out(const std::string& path) {
  sqlite::Database live(path, sqlite::Database::Mode::read_write, 0ms);
  live.execute("PRAGMA query_only = ON");
  std::map<std::string, std::int64_t> highest;
  if (live.integer("SELECT count(*) FROM main.sqlite_schema WHERE name = 'sqlite_sequence'") == 0)
    return highest;
  auto rows = live.prepare("SELECT name, seq FROM main.sqlite_sequence");
  while (rows.step()) highest[rows.text(0)] = rows.integer(1);
  return highest;
}

void set_sequences(SourceView& view, const TargetScene& scene,
                   const std::map<std::string, std::int64_t>& given) {
  std::vector<SourceTable> sources;
  std::vector<TablePlan> plans;
  for (auto& table : view.tables()) {
    auto plan = scene.plans.find(table.name);
    if (plan == scene.plans.end()) continue;
    if (auto found = given.find(table.name); found != given.end()) table.last_sequence = found->second;
    sources.push_back(std::move(table));
    plans.push_back(plan->second);
  }
  scene.tables.set_sequences(sources, plans);
  std::vector<TablePlan> mapped;
  for (const auto& [name, plan] : scene.plans)
    if (!plan.from.empty()) mapped.push_back(plan);
  scene.tables.set_mapped_sequences(mapped);
}

std::string contradiction(const TargetScene& scene, std::uint64_t sequence, const std::string& digest) {
  auto row = scene.session.connection().run(
      "SELECT p.sequence, p.digest, (SELECT count(*) FROM tidegate.quarantine AS q WHERE q.pipeline = "
      "p.pipeline AND q.state = 'held') FROM tidegate.pipelines AS p WHERE p.pipeline = $1",
      {scene.session.pipeline()});
  if (row.rows() != 1) return "the target does not know the pipeline";
  if (row.integer(0, 0) != static_cast<std::int64_t>(sequence) || row.text(0, 1) != digest)
    return fmt::format("the target is at position {}, the journal ends at {}", row.integer(0, 0), sequence);
  if (row.integer(0, 2) > 0)
    return fmt::format("{} rows of the last changes went to the quarantine", row.integer(0, 2));
  return "";
}

}  // namespace

std::optional<Proof> prove_target(Parts& parts, std::uint64_t sequence, Clock::time_point until) {
  JournalReader journal(parts.state_path);
  const std::string digest = journal.digest_at(sequence).value_or("");
  auto given =
      std::make_shared<std::map<std::string, std::int64_t>>(given_out(parts.settings.source.end.path));
  auto proof = std::make_shared<Proof>();
  auto work = [=](SourceView& view, const TargetScene& scene) {
    set_sequences(view, scene, *given);
    proof->contradiction = contradiction(scene, sequence, digest);
  };
  if (!on_target(parts, work, until)) return std::nullopt;
  return *proof;
}

}  // namespace tidegate::cutover
