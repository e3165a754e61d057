#include "capture/sqlite/narrowing/look.hpp"

#include <algorithm>

namespace tidegate::sqlite_wal {
namespace {

bool touches(const RowidRange& earlier, const RowidRange& later) {
  return later.first <= earlier.last || later.first - 1 == earlier.last;  // `first` is not the minimum here
}

std::vector<RowidRange> merged(std::vector<RowidRange> ranges) {
  std::sort(ranges.begin(), ranges.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<RowidRange> out;
  for (const RowidRange& range : ranges) {
    if (!out.empty() && touches(out.back(), range)) {
      out.back().last = std::max(out.back().last, range.last);
    } else {
      out.push_back(range);
    }
  }
  return out;
}

}  // namespace

Look Look::at_everything(std::string reason) {
  Look look;
  look.everything = true;
  look.reason = std::move(reason);
  return look;
}

void Look::add(const std::string& table, RowidRange range) {
  TableLook& look = tables[table];
  if (!look.whole) look.ranges.push_back(range);
}

void Look::add_whole(const std::string& table) {
  TableLook& look = tables[table];
  look.whole = true;
  look.ranges.clear();
}

void Look::tidy(std::size_t max_ranges) {
  for (auto& [name, look] : tables) {
    look.ranges = merged(std::move(look.ranges));
    bool all = look.ranges.size() == 1 && look.ranges.front() == RowidRange{};
    if (all || look.ranges.size() > max_ranges) add_whole(name);
  }
}

void Look::unite(const Look& other) {
  if (everything) return;
  if (other.everything) {
    *this = other;
    return;
  }
  for (const auto& [name, look] : other.tables) {
    if (look.whole) add_whole(name);
    for (const RowidRange& range : look.ranges) add(name, range);
  }
  tidy();
}

}  // namespace tidegate::sqlite_wal
