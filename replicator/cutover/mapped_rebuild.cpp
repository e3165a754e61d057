#include "replicator/cutover/mapped_rebuild.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <utility>
#include <vector>

#include "apply/mapping/back/whole_tables.hpp"
#include "db/failpoint.hpp"
#include "replicator/cutover/journal_way_back.hpp"
#include "replicator/cutover/target_rows.hpp"
#include "replicator/log.hpp"

namespace tidegate::cutover {
namespace {

constexpr const char* cursor = "tidegate_mapped";

// A full piece; what is left of one where they are at their end.
std::vector<Row> next_piece(RowsInPieces& rows) {
  std::vector<Row> piece;
  for (Row row; piece.size() < batches_back.max_rows && rows.next(row);) piece.push_back(std::move(row));
  return piece;
}

// A spool holds rows of values: what the legacy row is called on both sides is one.
Row joined(const ReturnedRows::Known& known) {
  Row row = known.key;
  row.insert(row.end(), known.name.begin(), known.name.end());
  return row;
}

ReturnedRows::Known parted(const Row& row, std::size_t key_width) {
  const auto behind = row.begin() + static_cast<std::ptrdiff_t>(key_width);
  return {Row(row.begin(), behind), Row(behind, row.end())};
}

std::vector<WholeTable> all_tables(const MappedReturn& rows) {
  std::vector<const ReturnedTable*> tables;
  for (const ReturnedRows* table : rows.tables()) tables.push_back(&table->table());
  return whole_tables(tables);
}

}  // namespace

// --- what the target does not have ---

void MappedRebuild::remove_surplus() {
  for (ReturnedRows* table : rows_.tables())
    if (!table->table().plan.contributes) remove_surplus(*table);
}

void MappedRebuild::remove_surplus(ReturnedRows& table) {
  ends_.tell("looking for rows of " + table.name() + " that the target does not have");
  SpooledRows there, surplus;
  note_what_is_there(table, there);
  const auto kept = left_out_of(ends_.target, ends_.pipeline, table.table().plan.anchor_output().from.name);
  table.each_mapped([&](const ReturnedRows::Known& row) {
    go_on_unless(ends_.stop);
    if (!there.has(row.key) && !kept.contains(key_as_json(row.key))) surplus.add(joined(row));
  });
  const auto removed = remove(table, surplus);
  if (removed > 0) log_info("way back: {} rows of {} are not on the target and went", removed, table.name());
}

void MappedRebuild::note_what_is_there(ReturnedRows& table, SpooledRows& there) {
  RowsInPieces rows(ends_.target, cursor, table.select_all());
  for (bool more = true; more;) {
    go_on_unless(ends_.stop);
    const auto piece = next_piece(rows);
    table.known(piece, [&](const Row& key) { there.add(key); });
    more = piece.size() == batches_back.max_rows;
  }
}

std::size_t MappedRebuild::remove(ReturnedRows& table, SpooledRows& surplus) {
  const std::size_t width = table.table().relation.key.size();
  std::size_t removed = 0;
  for (auto piece = surplus.take(batches_back.max_rows); !piece.empty();
       piece = surplus.take(batches_back.max_rows)) {
    go_on_unless(ends_.stop);
    std::vector<ReturnedRows::Known> going;
    for (const Row& row : piece) going.push_back(parted(row, width));
    removed += going.size();
    table.remove(std::move(going));
    ends_.sink.write(ends_.start);
    failpoint("rebuild-mapped-surplus-gone");
  }
  return removed;
}

// --- what it has ---

// Each row as an event of the stream that says no more than which row it is.
void MappedRebuild::write() {
  rows_.retry(false);
  for (const WholeTable& table : all_tables(rows_)) {
    const Relation relation{0, table.name, table.columns, {}};
    std::vector<std::string> columns;
    for (const auto& column : table.columns) columns.push_back(sqlite::quoted(column));
    RowsInPieces rows(ends_.target, cursor,
                      fmt::format("SELECT {} FROM {}", fmt::join(columns, ", "), table.from));
    std::uint64_t written = 0;
    for (Row row; rows.next(row);) {
      go_on_unless(ends_.stop);
      Change change;
      change.row = std::move(row);
      ends_.sink.add(relation, std::move(change));
      if (++written % batches_back.max_rows > 0) continue;
      flush();
      ends_.tell(fmt::format("table {} of the target: {} rows", table.name, written));
    }
    flush();
  }
  rows_.retry(true);
}

void MappedRebuild::settle(const std::function<std::size_t()>& rejects) {
  for (std::size_t before = 0; rejects() > 0 && rejects() != before;) {
    before = rejects();
    flush();
  }
}

void MappedRebuild::hold_orphans() {
  rows_.retry(false);
  for (ReturnedRows* table : rows_.tables()) {
    SpooledRows orphans;
    table->each_orphan([&](const Row& name) { orphans.add(name); });
    for (auto piece = orphans.take(batches_back.max_rows); !piece.empty();
         piece = orphans.take(batches_back.max_rows)) {
      go_on_unless(ends_.stop);
      table->hold(std::move(piece));
      flush();
    }
  }
  rows_.retry(true);
}

void MappedRebuild::flush() {
  ends_.sink.write(ends_.start);
  failpoint("rebuild-mapped-batch-written");
}

}  // namespace tidegate::cutover
