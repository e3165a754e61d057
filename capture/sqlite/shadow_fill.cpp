#include "capture/sqlite/shadow_fill.hpp"

#include "capture/sqlite/live_read.hpp"
#include "db/failpoint.hpp"

namespace tidegate {
namespace {

// A step is worth its fsync, and is about a chunk of the copy that follows it.
constexpr std::size_t step_rows = 50'000, step_bytes = 16 << 20;

}  // namespace

// Behind what the shadow has.
sqlite::Statement ShadowFill::rows_left(sqlite::Database& live, const ShadowTable& table) {
  if (!table.keyed_by_rowid()) return live.prepare(table.select_live(ShadowTable::Rows::in_any_order));
  auto last = state_.prepare(table.select_shadow_end());
  if (!last.step() || last.is_null(0)) return live.prepare(table.select_live(ShadowTable::Rows::all));
  auto rows = live.prepare(table.select_live(ShadowTable::Rows::behind_rowid));
  rows.bind(1, last.integer(0));
  return rows;
}

void ShadowFill::fill(sqlite::Database& live, const ShadowTable& table) {
  auto rows = rows_left(live, table);
  write(table, [&](sqlite::Statement& insert) {
    return rows.step() ? std::optional(insert.bind_columns(rows)) : std::nullopt;
  });
}

std::vector<PlacedRow> ShadowFill::read_all(sqlite::Database& live, const ShadowTable& table,
                                            std::size_t& memory) {
  std::vector<PlacedRow> read;
  for (auto rows = rows_left(live, table); rows.step();) {
    table.read(rows, read.emplace_back());
    const std::size_t bytes = size_in_memory(read.back().row);
    if (bytes > memory) throw capture::wal_needed(live.path());
    memory -= bytes;
  }
  return read;
}

void ShadowFill::fill(const ShadowTable& table, const std::vector<PlacedRow>& rows) {
  write(table, [&, at = rows.begin()](sqlite::Statement& insert) mutable -> std::optional<std::size_t> {
    if (at == rows.end()) return std::nullopt;
    table.bind_all(insert, *at);
    return size_in_memory((at++)->row);
  });
}

void ShadowFill::write(const ShadowTable& table, const NextRow& next) {
  auto insert = state_.prepare(table.insert_sql());
  std::uint64_t written = 0;
  for (bool more = true; more;) {
    sqlite::Transaction step(state_, sqlite::Transaction::Kind::immediate);
    for (std::size_t rows = 0, bytes = 0; !table.keyed_by_rowid() || (rows < step_rows && bytes < step_bytes);
         ++rows) {
      const auto size = next(insert);
      more = size.has_value();
      if (!more) break;
      insert.run();
      bytes += *size;
      ++written;
    }
    if (!more) Shadow::index(state_, table), Shadow::is_filled(state_, table);
    failpoint("capture-before-fill-commit");
    step.commit();
    failpoint("capture-after-fill-commit");
    progress_(table.source().name, written);
  }
}

}  // namespace tidegate
