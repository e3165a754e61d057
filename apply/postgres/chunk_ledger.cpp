#include "apply/postgres/chunk_ledger.hpp"

#include <algorithm>

#include "apply/postgres/resync_ledger.hpp"
#include "apply/postgres/row_errors.hpp"
#include "apply/postgres/statements.hpp"
#include "db/error.hpp"
#include "db/failpoint.hpp"

namespace tidegate {
namespace {

void read_keys(TargetSession& session, Ledger& ledger) {
  auto rows = session.connection().run(
      "SELECT source_table, column_name, key_order FROM tidegate.chunk_keys WHERE pipeline = $1"
      " ORDER BY source_table, place",
      {session.pipeline()});
  for (int i = 0; i < rows.rows(); ++i) {
    RecordedTable& table = ledger[std::string(rows.text(i, 0))];
    auto order = key_order_named(rows.text(i, 2));
    if (!order) {
      throw Refused("target-newer", "the target knows an order of keys that this tidegate does not know",
                    "use the version of tidegate that filled it");
    }
    table.key.emplace_back(rows.text(i, 1));
    table.orders.push_back(*order);
  }
}

// What others wrote into the table before its first chunk is not ours to remove, so this is only done where a
// chunk was copied. TRUNCATE needs a right of its own, and no foreign key that leads here.
void remove_rows(TargetSession& session, const TablePlan& plan) {
  auto& target = session.connection();
  const bool adopted = target
                           .run(
                               "SELECT EXISTS (SELECT FROM tidegate.adopted WHERE pipeline = $1 AND "
                               "target_table = $2)",
                               {session.pipeline(), shown_name(plan)})
                           .boolean(0, 0);
  if (adopted || !plan.from.empty()) {
    target.run(delete_all_sql(plan, session.pipeline()));
    return;
  }
  target.run("SAVEPOINT tidegate_empty");
  try {
    target.run("TRUNCATE ONLY " + quoted_name(plan));
  } catch (const Error& error) {
    if (error.code() != "42501" && error.code() != "0A000" && error.code() != "42809") throw;
    target.run("ROLLBACK TO SAVEPOINT tidegate_empty");
    target.run("DELETE FROM " + quoted_name(plan));
  }
  target.run("RELEASE SAVEPOINT tidegate_empty");
}

void release_rows(TargetSession& session, Quarantine& quarantine, const std::string& source_table) {
  std::vector<postgres::Command> commands;
  for (const auto& entry : list_quarantine(session.connection(), session.pipeline())) {
    if (entry.source_table == source_table) {
      commands.push_back(quarantine.release(source_table, entry.source_key));
    }
  }
  if (!commands.empty()) session.connection().pipeline(commands);
}

bool anything_copied(TargetSession& session, const std::string& source_table) {
  return session.connection()
      .run(
          "SELECT EXISTS (SELECT FROM tidegate.chunks WHERE pipeline = $1 AND source_table = $2"
          " AND sequence IS NOT NULL)",
          {session.pipeline(), source_table})
      .boolean(0, 0);
}

std::vector<postgres::Command> rows_of(const std::string& pipeline, const std::string& name,
                                       const RecordedTable& table) {
  std::vector<postgres::Command> commands{
      {"DELETE FROM tidegate.chunks WHERE pipeline = $1 AND source_table = $2", {pipeline, name}},
      {"DELETE FROM tidegate.chunk_keys WHERE pipeline = $1 AND source_table = $2", {pipeline, name}}};
  for (std::size_t i = 0; i < table.key.size(); ++i) {
    commands.push_back(
        {"INSERT INTO tidegate.chunk_keys(pipeline, source_table, place, column_name, key_order)"
         " VALUES ($1, $2, $3, $4, $5)",
         {pipeline, name, std::to_string(i + 1), table.key[i], std::string(name_of(table.orders[i]))}});
  }
  for (const RecordedChunk& chunk : table.chunks) {
    postgres::Parameter up_to;
    if (!chunk.up_to.empty()) up_to = postgres::bytea(encode(chunk.up_to));
    commands.push_back(
        {"INSERT INTO tidegate.chunks(pipeline, source_table, number, up_to) VALUES ($1, $2, $3, $4)",
         {pipeline, name, std::to_string(chunk.number), up_to}});
  }
  return commands;
}

void add_to(ChunkMap& map, const std::string& name, const RecordedTable& table) {
  if (!table.whole()) return;
  if (!table.by_key()) return map.add_before(name, {}, *table.chunks.front().mark);
  map.set_key(name, table.key, table.orders);
  for (const auto& chunk : table.chunks) map.add_before(name, chunk.up_to, *chunk.mark);
}

}  // namespace

bool RecordedTable::whole() const {
  return !chunks.empty() &&
         std::all_of(chunks.begin(), chunks.end(), [](const auto& chunk) { return chunk.mark.has_value(); });
}

std::uint64_t RecordedTable::rows() const {
  std::uint64_t rows = 0;
  for (const auto& chunk : chunks) rows += chunk.rows;
  return rows;
}

Ledger read_ledger(TargetSession& session) {
  Ledger ledger;
  read_keys(session, ledger);
  auto rows = session.connection().run(
      "SELECT source_table, number, up_to, sequence, rows FROM tidegate.chunks WHERE pipeline = $1"
      " ORDER BY source_table, number",
      {session.pipeline()});
  for (int i = 0; i < rows.rows(); ++i) {
    RecordedChunk& chunk = ledger[std::string(rows.text(i, 0))].chunks.emplace_back();
    chunk.number = static_cast<int>(rows.integer(i, 1));
    if (!rows.is_null(i, 2)) chunk.up_to = decode_row(postgres::from_bytea(rows.text(i, 2)));
    if (!rows.is_null(i, 3)) chunk.mark = static_cast<std::uint64_t>(rows.integer(i, 3));
    chunk.rows = static_cast<std::uint64_t>(rows.integer(i, 4));
  }
  return ledger;
}

void record_split(TargetSession& session, Quarantine& quarantine, const std::vector<TablePlan>& plans,
                  const RecordedTable& table) {
  const std::string& source = plans.front().source_table();
  quarantine.rolled_back();
  TargetTransaction transaction(session);
  const bool again = anything_copied(session, source);
  for (const TablePlan& plan : again ? plans : std::vector<TablePlan>{}) {
    remove_rows(session, plan);
    release_rows(session, quarantine, plan.source);
  }
  session.connection().pipeline(rows_of(session.pipeline(), source, table));
  failpoint("split-before-commit");
  transaction.commit();
  failpoint("split-after-commit");
  quarantine.committed();
}

ChunkMap chunk_map_of(const Ledger& ledger) {
  ChunkMap map;
  for (const auto& [name, table] : ledger) add_to(map, name, table);
  return map;
}

ChunkMap chunk_map_of(const Ledger& ledger, const Plans& plans) {
  ChunkMap map;
  for (const auto& [recorded, table] : ledger) {
    if (auto name = table_of_record(recorded, plans)) add_to(map, *name, table);
  }
  return map;
}

}  // namespace tidegate
