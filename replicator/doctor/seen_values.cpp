#include "replicator/doctor/seen_values.hpp"

#include <fmt/format.h>

#include "db/digest.hpp"
#include "db/error.hpp"
#include "replicator/doctor/nameless_database.hpp"
#include "replicator/pipeline/found_rows.hpp"

namespace tidegate {
SeenValues::SeenValues()
    : database_(nameless_database(
          "CREATE TABLE seen (value_set INTEGER NOT NULL, value TEXT NOT NULL, row TEXT NOT NULL)")),
      transaction_(database_) {
  insert_ = database_.prepare("INSERT INTO seen VALUES (?1, ?2, ?3)");
}

void SeenValues::add(std::int64_t set, const std::string& value, const std::string& row) {
  insert_->bind_all(set, std::string_view(value.size() <= 32 ? value : hex_sha256(value)),
                    std::string_view(row));
  insert_->run();
}

void SeenValues::finish() {
  if (!insert_) return;
  insert_.reset();
  transaction_.commit();
  database_.execute("CREATE INDEX by_value ON seen (value_set, value)");
}

SeenValues::Found SeenValues::read(const std::string& count_sql, const std::string& rows_sql) {
  finish();
  Found found;
  found.values = static_cast<std::uint64_t>(database_.integer(count_sql));
  auto rows = database_.prepare(fmt::format("{} LIMIT {}", rows_sql, keys_shown));
  while (rows.step()) found.rows.push_back(rows.text(0));
  return found;
}

SeenValues::Found SeenValues::repeated(std::int64_t set) {
  const std::string repeated =
      fmt::format("SELECT value FROM seen WHERE value_set = {} GROUP BY value HAVING count(*) > 1", set);
  return read(fmt::format("SELECT count(*) FROM ({})", repeated),
              fmt::format("SELECT row FROM seen WHERE value_set = {} AND value IN ({}) ORDER BY value, row",
                          set, repeated));
}

SeenValues::Found SeenValues::without(std::int64_t set, std::int64_t counterpart) {
  const std::string alone = fmt::format(
      "FROM seen AS c WHERE c.value_set = {} AND NOT EXISTS (SELECT 1 FROM seen AS p WHERE p.value_set = {} "
      "AND p.value = c.value)",
      set, counterpart);
  return read("SELECT count(*) " + alone, "SELECT c.row " + alone + " ORDER BY c.row");
}

}  // namespace tidegate
