#include "capture/sqlite/key_sample.hpp"

#include <optional>

namespace tidegate {
namespace {

constexpr int samples = 64;
constexpr int most_descents = samples / 16;  // a few rows out of order do not matter

// How often a key is smaller than the one before it, over rows spread evenly by rowid.
int count_descents(sqlite::Database& live, const ShadowTable& table) {
  auto ends = live.prepare(table.select_rowid_ends());
  if (!ends.step() || ends.is_null(0)) return 0;
  const std::int64_t first = ends.integer(0);
  const auto span = static_cast<double>(ends.integer(1)) - static_cast<double>(first);
  auto next = live.prepare(table.select_key_from_rowid());
  std::optional<Row> before;
  int descents = 0;
  for (int i = 0; i < samples; ++i) {
    next.reset();
    next.bind(1, first + static_cast<std::int64_t>(span / samples * i));
    if (!next.step()) break;
    Row key;
    next.read_row(key, 0, static_cast<int>(table.relation().key.size()));
    descents += before && binary_order(key, *before) < 0;
    before = std::move(key);
  }
  return descents;
}

}  // namespace

std::string select_all_live(sqlite::Database& live, const ShadowTable& table) {
  const bool along_index =
      !table.keeps_rowid() || !table.found_by_rowid() || count_descents(live, table) <= most_descents;
  return table.select_live(along_index ? ShadowTable::Rows::all : ShadowTable::Rows::all_sorted);
}

}  // namespace tidegate
