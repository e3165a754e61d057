// What a comparison found. Keys and columns by name; never a value.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tidegate::verify {

// Which two were compared. For a SQLite source both; for a Postgres source `target` alone.
enum class Side {
  shadow,  // the live file against capture's copy of it
  target,  // the source (a SQLite file's shadow) against the target
};

enum class Kind {
  missing,  // not where it should have arrived
  extra,    // there only
  differs,  // there with other values
};

struct Difference {
  Side side = Side::target;
  Kind kind = Kind::missing;
  std::string table;      // the source's name
  std::string key;        // JSON array; of a row without a key {"row": HASH, "times": n}
  std::string key_bytes;  // the source's key, encoded, to find the row again; empty where there is none
  std::vector<std::string> columns;  // `differs` only; the target's names
  // Of a mapped relation's row that no source row makes: `key_bytes` is the target's key, and this the
  // version that was seen (apply/postgres/unowned_rows.hpp). Empty for all others.
  std::string version = {};
  bool operator==(const Difference&) const = default;
};

// A row that was not compared, since it is in quarantine.
struct Excepted {
  std::string table, key, reason;
  bool operator==(const Excepted&) const = default;
};

// Something beside the rows: a reference that leads nowhere, a column that is not as planned.
struct Remark {
  bool is_difference = false;
  std::string code, table, message;
};

struct Findings {
  std::uint64_t rows = 0;                    // of the source, compared or counted
  std::optional<std::uint64_t> target_rows;  // where both were only counted
  std::uint64_t differing = 0;               // all, those that are not in `differences` too
  std::vector<Difference> differences;
  std::vector<Excepted> excepted;
};

// Beyond these a table's differences are only counted.
inline constexpr std::size_t most_named = 100'000;

void add(Findings& findings, Difference difference);

std::string_view name_of(Side side);
std::string_view name_of(Kind kind);

}  // namespace tidegate::verify
