// All rows of two snapshots, and which of those that differ a look leaves out.
#pragma once

#include <algorithm>
#include <cstdint>
#include <iostream>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "capture/sqlite/narrowing/look.hpp"
#include "db/sqlite.hpp"

namespace tidegate::testing_support {

inline std::uint64_t digest(const sqlite::Statement& row, int first_column) {
  std::uint64_t hash = 1469598103934665603ULL;
  auto mix = [&](std::string_view bytes) {
    for (unsigned char c : bytes) hash = (hash ^ c) * 1099511628211ULL;
    hash = (hash ^ 0xff) * 1099511628211ULL;
  };
  for (int i = first_column; i < row.columns(); ++i) {
    Value value = row.value(i);
    mix(std::to_string(value.index()));
    if (auto* real = std::get_if<double>(&value)) {
      mix({reinterpret_cast<const char*>(real), sizeof *real});
    } else if (!row.is_null(i)) {
      mix(row.bytes(i));
    }
  }
  return hash;
}

// All rows of one snapshot, by table; a table WITHOUT ROWID under the digests of its rows.
struct Contents {
  struct TableRows {
    bool keyed = false;
    std::map<std::int64_t, std::uint64_t> rows;
  };
  std::map<std::string, TableRows> tables;
};

inline Contents read_contents(sqlite::Database& database) {
  Contents contents;
  std::vector<std::pair<std::string, bool>> tables;
  auto list = database.prepare(
      "SELECT name, wr FROM pragma_table_list WHERE schema = 'main' AND type = 'table' AND name NOT IN "
      "('sqlite_schema', 'sqlite_temp_schema')");
  while (list.step()) tables.emplace_back(list.text(0), list.integer(1) != 0);
  for (const auto& [name, keyed] : tables) {
    auto& table = contents.tables[name];
    table.keyed = keyed;
    auto rows =
        database.prepare((keyed ? "SELECT 0, * FROM " : "SELECT rowid, * FROM ") + sqlite::quoted(name));
    while (rows.step()) {
      std::uint64_t hash = digest(rows, 1);
      table.rows[keyed ? static_cast<std::int64_t>(hash) : rows.integer(0)] = hash;
    }
  }
  return contents;
}

inline bool looks_at(const sqlite_wal::Look& look, const std::string& table, std::int64_t rowid, bool keyed) {
  if (look.everything) return true;
  auto found = look.tables.find(table);
  if (found == look.tables.end()) return false;
  if (found->second.whole) return true;
  return !keyed && std::any_of(found->second.ranges.begin(), found->second.ranges.end(),
                               [&](sqlite_wal::RowidRange r) { return r.first <= rowid && rowid <= r.last; });
}

// Every row that is in one of the two only, or differs, and is not looked at.
inline std::vector<std::string> missed(const Contents& before, const Contents& after,
                                       const sqlite_wal::Look& look) {
  std::vector<std::string> out;
  auto compare = [&](const Contents& one, const Contents& other) {
    for (const auto& [name, table] : one.tables) {
      auto there = other.tables.find(name);
      for (const auto& [rowid, hash] : table.rows) {
        bool same = false;
        if (there != other.tables.end()) {
          auto row = there->second.rows.find(rowid);
          same = row != there->second.rows.end() && row->second == hash;
        }
        if (!same && !looks_at(look, name, rowid, table.keyed))
          out.push_back(name + " " + std::to_string(rowid));
      }
    }
  };
  compare(before, after);
  compare(after, before);
  return out;
}

struct Selectivity {
  std::uint64_t rows = 0, looked_at = 0, changed = 0, cuts = 0, everything = 0;
  std::map<std::string, int> reasons;

  void count(const Contents& before, const Contents& after, const sqlite_wal::Look& look) {
    ++cuts;
    if (look.everything) {
      ++everything;
      ++reasons[look.reason];
      return;
    }
    for (const auto& [name, table] : after.tables) {
      rows += table.rows.size();
      auto old = before.tables.find(name);
      for (const auto& [rowid, hash] : table.rows) {
        looked_at += looks_at(look, name, rowid, table.keyed);
        if (old == before.tables.end()) continue;
        auto row = old->second.rows.find(rowid);
        changed += row == old->second.rows.end() || row->second != hash;
      }
    }
  }

  void print(const std::string& name) const {
    std::cout << name << ": " << cuts << " cuts, " << everything << " looked everywhere";
    for (const auto& [reason, times] : reasons) std::cout << "; " << times << " x " << reason;
    double share = rows ? 100.0 * static_cast<double>(looked_at) / static_cast<double>(rows) : 0;
    double needed = rows ? 100.0 * static_cast<double>(changed) / static_cast<double>(rows) : 0;
    std::cout << "\n  of the others: " << share << " % of the rows looked at, " << needed
              << " % had changed\n";
  }
};

}  // namespace tidegate::testing_support
