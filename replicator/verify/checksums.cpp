#include "replicator/verify/checksums.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "db/postgres.hpp"

namespace tidegate::verify {
namespace {

// What a record prints tells NULL from '' and one column's end from another's beginning.
std::string record(const std::vector<std::string>& columns) {
  return fmt::format("ROW({})::pg_catalog.text", fmt::join(columns, ", "));
}

// Literals of unknown type become what the key's columns are.
std::string key_literals(const Row& key) {
  std::vector<std::string> texts;
  for (const Value& value : key) texts.push_back(postgres::literal(std::get<std::string>(value)));
  return fmt::format("({})", fmt::join(texts, ", "));
}

}  // namespace

std::string Checksums::hash(const std::string& text, int seed) const {
  std::string bytes = same_encoding_
                          ? text
                          : fmt::format("pg_catalog.encode(pg_catalog.convert_to({}, 'UTF8'), 'hex')", text);
  return fmt::format("pg_catalog.hashtextextended({}, {})", bytes, seed);
}

std::string Checksums::row_hash() const {
  return hash(record(table_.columns), 0);
}

std::string Checksums::key_hash() const {
  return table_.key.empty() ? row_hash() : hash(record(table_.key), 1);
}

std::string Checksums::where(const std::string& more) const {
  std::vector<std::string> all;
  if (!scope_.after.empty()) all.push_back(fmt::format("{} > {}", table_.key.front(), scope_.after));
  if (!scope_.up_to.empty()) all.push_back(fmt::format("{} <= {}", table_.key.front(), scope_.up_to));
  if (scope_.one_in > 1) all.push_back(fmt::format("{} % {} = 0", key_hash(), scope_.one_in));
  if (!more.empty()) all.push_back(more);
  return all.empty() ? "" : fmt::format(" WHERE {}", fmt::join(all, " AND "));
}

std::string Checksums::count() const {
  return fmt::format("SELECT count(*) FROM {}{}", table_.from, where());
}

std::string Checksums::total() const {
  return fmt::format("SELECT count(*), coalesce(sum({}), 0) FROM {}{}", row_hash(), table_.from, where());
}

std::string Checksums::by_group() const {
  return fmt::format("SELECT {} & {}, count(*), sum({}) FROM {}{} GROUP BY 1", key_hash(), groups - 1,
                     row_hash(), table_.from, where());
}

std::string Checksums::rows_of(const std::vector<int>& wanted) const {
  std::string in = fmt::format("{} & {} IN ({})", key_hash(), groups - 1, fmt::join(wanted, ", "));
  if (table_.key.empty())
    return fmt::format("SELECT {}, count(*) FROM {}{} GROUP BY 1", row_hash(), table_.from, where(in));
  return fmt::format("SELECT {}, {} FROM {}{}", fmt::join(table_.key, ", "), row_hash(), table_.from,
                     where(in));
}

std::string Checksums::columns_of(const std::vector<Row>& keys) const {
  std::vector<std::string> hashes, literals;
  for (const auto& column : table_.columns) hashes.push_back(hash(record({column}), 0));
  for (const Row& key : keys) literals.push_back(key_literals(key));
  return fmt::format("SELECT {}, {} FROM {} WHERE ({}) IN ({})", fmt::join(table_.key, ", "),
                     fmt::join(hashes, ", "), table_.from, fmt::join(table_.key, ", "),
                     fmt::join(literals, ", "));
}

}  // namespace tidegate::verify
