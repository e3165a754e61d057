// What a rollback asks of the way back into a SQLite file.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "apply/schema/planner.hpp"
#include "apply/sqlite/sqlite_side.hpp"
#include "capture/sqlite/catalog.hpp"
#include "db/failpoint.hpp"
#include "replicator/cutover/sqlite_way_back.hpp"
#include "replicator/server_access.hpp"

namespace tidegate::cutover {
namespace {

// What the target's identity column of each table has given out, by the legacy's table; those that have an
// AUTOINCREMENT, which must never give an id twice.
std::map<std::string, std::int64_t> given_out(const Settings& settings, const std::vector<TablePlan>& plans,
                                              const std::vector<SourceTable>& sources) {
  std::map<std::string, std::int64_t> highest;
  auto target = connect_target(connect_options(settings, "tidegate rollback"));
  for (const TablePlan& plan : plans) {
    if (!plan.from.empty()) continue;  // its rows came with ids of their own, which SQLite has noted
    const auto source = std::find_if(sources.begin(), sources.end(),
                                     [&](const SourceTable& table) { return table.name == plan.source; });
    if (source == sources.end() || !source->autoincrement || plan.key.size() != 1) continue;
    auto row = target.run(
        "SELECT pg_catalog.pg_sequence_last_value(pg_catalog.pg_get_serial_sequence($1, $2)::regclass)",
        {quoted_name(plan), plan.key.front()});
    if (!row.is_null(0, 0)) highest[plan.source] = row.integer(0, 0);
  }
  return highest;
}

}  // namespace

std::size_t SqliteWayBack::rejects() {
  auto legacy = look_at_legacy();
  return list_rejects(legacy).size();
}

void SqliteWayBack::find_rejects(std::vector<Finding>& findings) const {
  auto legacy = look_at_legacy();
  std::map<std::string, std::size_t> counts;
  for (const auto& reject : list_rejects(legacy))
    ++counts[reject.table + (reject.column.empty() ? "" : "." + reject.column) + ": " + reject.reason];
  for (const auto& [what, count] : counts)
    findings.push_back(
        {Finding::Level::block, "way-back-rejects", "", "",
         fmt::format("{} rows of the target do not fit into the legacy database ({})", count, what),
         "mend them on the target (the legacy file's table _tidegate_rejects has their keys), or "
         "give them up: tidegate rollback --accept-loss"});
}

std::vector<Finding> SqliteWayBack::ready_to_return() {
  std::vector<Finding> findings;
  find_stream_trouble(findings);
  find_legacy_trouble(findings);
  find_rejects(findings);
  return findings;
}

void SqliteWayBack::hand_over_ids() {
  LegacyFile file(settings_.source.end.path, settings_.pipeline);
  auto& legacy = file.database();
  const auto sources = capture::read_catalog(legacy, settings_.tables.include, settings_.tables.exclude);
  const auto given = given_out(settings_, plans(), sources);
  if (given.empty()) return;
  sqlite::Transaction transaction(legacy, sqlite::Transaction::Kind::immediate);
  for (const auto& [table, highest] : given) {
    auto update = legacy.prepare("UPDATE sqlite_sequence SET seq = max(seq, ?2) WHERE name = ?1");
    update.bind(1, std::string_view(table)).bind(2, highest).run();
    auto insert = legacy.prepare(
        "INSERT INTO sqlite_sequence(name, seq) SELECT ?1, ?2 WHERE NOT EXISTS (SELECT 1 FROM "
        "sqlite_sequence "
        "WHERE name = ?1)");
    insert.bind(1, std::string_view(table)).bind(2, highest).run();
  }
  failpoint("rollback-before-ids");
  transaction.commit();
}

// Before the legacy database takes writes: from then on the mapping asks for them.
void SqliteWayBack::hand_over_keys() {
  if (!keys_) return;
  auto legacy = look_at_legacy();
  const auto pairs = pairs_in(legacy);
  if (!pairs.empty()) keys_->take_pairs(pairs);
}

std::string SqliteWayBack::prove(std::uint64_t sequence) {
  JournalReader journal(capture_.journal_path());
  auto legacy = look_at_legacy();
  const auto there = position_in(legacy);
  if (!there) return "the legacy database does not say how far it has followed";
  if (there->incarnation != journal.incarnation() || there->sequence < sequence ||
      there->digest != journal.digest_at(there->sequence).value_or(""))
    return fmt::format("the legacy database is at position {} of the way back, not at {}", there->sequence,
                       sequence);
  hand_over_ids();
  hand_over_keys();
  return "";
}

}  // namespace tidegate::cutover
