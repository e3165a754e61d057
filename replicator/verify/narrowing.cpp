#include "replicator/verify/narrowing.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "proto/change.hpp"

namespace tidegate::verify {
namespace {

// Keys and hashes of both ends are in memory for so many rows at a time.
constexpr std::uint64_t most_rows_of_groups = 200'000;
constexpr std::size_t keys_at_once = 500;

// The first columns of a row, as the key that they are.
Row key_in(const postgres::Result& rows, int row, std::size_t columns) {
  Row key;
  for (std::size_t i = 0; i < columns; ++i) {
    int column = static_cast<int>(i);
    if (rows.is_null(row, column)) {
      key.emplace_back(Null{});
    } else {
      key.emplace_back(std::string(rows.text(row, column)));
    }
  }
  return key;
}

std::uint64_t count_in(const postgres::Result& rows, int row, int column) {
  return static_cast<std::uint64_t>(rows.integer(row, column));
}

std::string totals_of(const postgres::Result& rows, int row, int first) {
  return fmt::format("{} {}", rows.text(row, first), rows.text(row, first + 1));
}

using ByKey = std::map<std::string, std::pair<Row, std::string>>;  // encoded key: key, hash

ByKey by_key(const postgres::Result& rows, std::size_t key_columns) {
  ByKey found;
  for (int i = 0; i < rows.rows(); ++i) {
    Row key = key_in(rows, i, key_columns);
    std::string bytes = encode(key);
    found.emplace(std::move(bytes),
                  std::pair(std::move(key), std::string(rows.text(i, static_cast<int>(key_columns)))));
  }
  return found;
}

}  // namespace

// At once, since either server takes its time.
template <typename Statement>
TablePair::Results TablePair::both(Statement statement) {
  auto coming =
      std::async(std::launch::async, [&] { return target_.connection.run(statement(target_.sql)); });
  postgres::Result mine = source_.connection.run(statement(source_.sql));
  return {std::move(mine), coming.get()};
}

void TablePair::count(std::uint64_t held_nowhere, Findings& findings) {
  auto [mine, theirs] = both([](const Checksums& sql) { return sql.count(); });
  findings.rows = count_in(mine, 0, 0);
  findings.target_rows = count_in(theirs, 0, 0);
  auto expected = findings.rows - std::min(findings.rows, held_nowhere);
  if (*findings.target_rows == expected) return;
  auto kind = *findings.target_rows < expected ? Kind::missing : Kind::extra;
  add(findings, {Side::target, kind, plan_.source, "", "", {}});
}

void TablePair::compare(Findings& findings) {
  auto [mine, theirs] = both([](const Checksums& sql) { return sql.total(); });
  findings.rows = count_in(mine, 0, 0);
  if (totals_of(mine, 0, 0) == totals_of(theirs, 0, 0)) return;
  std::vector<int> batch;
  std::uint64_t rows = 0;
  for (auto [group, size] : differing_groups()) {
    if (!batch.empty() && rows + size > most_rows_of_groups) {
      compare_rows(batch, findings);
      batch.clear();
      rows = 0;
    }
    batch.push_back(group);
    rows += size;
  }
  if (!batch.empty()) compare_rows(batch, findings);
}

// With how many rows they have on both ends together.
std::vector<std::pair<int, std::uint64_t>> TablePair::differing_groups() {
  auto [mine, theirs] = both([](const Checksums& sql) { return sql.by_group(); });
  std::map<int, std::pair<std::string, std::string>> sums;
  std::map<int, std::uint64_t> sizes;
  auto take = [&](const postgres::Result& rows, auto member) {
    for (int i = 0; i < rows.rows(); ++i) {
      auto group = static_cast<int>(rows.integer(i, 0));
      sums[group].*member = totals_of(rows, i, 1);
      sizes[group] += count_in(rows, i, 1);
    }
  };
  take(mine, &std::pair<std::string, std::string>::first);
  take(theirs, &std::pair<std::string, std::string>::second);
  std::vector<std::pair<int, std::uint64_t>> differing;
  for (const auto& [group, both_sums] : sums)
    if (both_sums.first != both_sums.second) differing.emplace_back(group, sizes[group]);
  return differing;
}

void TablePair::differ(Kind kind, const Row& key, std::vector<std::string> columns, Findings& findings) {
  std::string shown = key_as_json(key);
  if (auto held = held_.find(shown); held != held_.end()) {
    findings.excepted.push_back({plan_.source, shown, held->second.reason});
    return;
  }
  add(findings, {Side::target, kind, plan_.source, shown, encode(key), std::move(columns)});
}

void TablePair::compare_rows(const std::vector<int>& wanted, Findings& findings) {
  auto rows = both([&](const Checksums& sql) { return sql.rows_of(wanted); });
  if (plan_.key.empty()) return compare_keyless(rows, findings);
  ByKey mine = by_key(rows.first, plan_.key.size()), theirs = by_key(rows.second, plan_.key.size());
  std::vector<Row> differing;
  for (auto& [bytes, row] : mine) {
    auto found = theirs.find(bytes);
    if (found == theirs.end()) {
      differ(Kind::missing, row.first, {}, findings);
    } else if (found->second.second != row.second) {
      differing.push_back(std::move(row.first));
    }
  }
  for (const auto& [bytes, row] : theirs)
    if (!mine.contains(bytes)) differ(Kind::extra, row.first, {}, findings);
  for (std::size_t i = 0; i < differing.size(); i += keys_at_once) {
    auto first = differing.begin() + static_cast<std::ptrdiff_t>(i);
    auto count = static_cast<std::ptrdiff_t>(std::min(keys_at_once, differing.size() - i));
    compare_columns(std::vector<Row>(first, first + count), findings);
  }
}

void TablePair::compare_columns(const std::vector<Row>& keys, Findings& findings) {
  auto rows = both([&](const Checksums& sql) { return sql.columns_of(keys); });
  const std::size_t key_columns = plan_.key.size();
  std::map<std::string, int> theirs;
  for (int i = 0; i < rows.second.rows(); ++i) theirs.emplace(encode(key_in(rows.second, i, key_columns)), i);
  for (int i = 0; i < rows.first.rows(); ++i) {
    Row key = key_in(rows.first, i, key_columns);
    std::vector<std::string> columns;
    for (std::size_t c = 0; c < plan_.columns.size(); ++c) {
      int place = static_cast<int>(key_columns + c);
      if (rows.first.text(i, place) != rows.second.text(theirs.at(encode(key)), place))
        columns.push_back(plan_.columns[c].target);
    }
    differ(Kind::differs, key, std::move(columns), findings);
  }
}

// Rows are told apart by their hash alone. The quarantine names its rows by another, so as many missing rows
// are excepted as it holds.
void TablePair::compare_keyless(const Results& rows, Findings& findings) {
  std::map<std::string, std::int64_t> more;  // in the source than in the target, by hash
  for (int i = 0; i < rows.first.rows(); ++i)
    more[std::string(rows.first.text(i, 0))] += rows.first.integer(i, 1);
  for (int i = 0; i < rows.second.rows(); ++i)
    more[std::string(rows.second.text(i, 0))] -= rows.second.integer(i, 1);
  for (auto [hash, times] : more) {
    while (times > 0 && excepted_keyless_ < held_.size()) {
      auto held = std::next(held_.begin(), static_cast<std::ptrdiff_t>(excepted_keyless_++));
      findings.excepted.push_back({plan_.source, held->first, held->second.reason});
      --times;
    }
    if (times == 0) continue;
    auto key = fmt::format(R"({{"row":"{}","times":{}}})", hash, times > 0 ? times : -times);
    add(findings, {Side::target, times > 0 ? Kind::missing : Kind::extra, plan_.source, key, "", {}});
  }
}

}  // namespace tidegate::verify
