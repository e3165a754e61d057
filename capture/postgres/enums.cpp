#include "capture/postgres/enums.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace tidegate::capture {
namespace {

constexpr const char* used_sql = R"(
WITH RECURSIVE used(relid, oid) AS (
  SELECT a.attrelid, a.atttypid FROM pg_catalog.pg_attribute a
  WHERE a.attrelid = ANY ($1::pg_catalog.oid[]) AND a.attnum > 0 AND NOT a.attisdropped
  UNION
  SELECT u.relid, part.oid FROM used u JOIN pg_catalog.pg_type t ON t.oid = u.oid,
    LATERAL (SELECT t.typelem AS oid UNION ALL SELECT t.typbasetype
             UNION ALL SELECT a.atttypid FROM pg_catalog.pg_attribute a
                       WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped
             UNION ALL SELECT r.rngsubtype FROM pg_catalog.pg_range r
                       WHERE t.oid IN (r.rngtypid, r.rngmultitypid)) part
  WHERE part.oid <> 0)
SELECT n.nspname, t.typname, e.oid, e.enumlabel, u.tables
FROM (SELECT oid, pg_catalog.string_agg(relid::text, ',') AS tables FROM used GROUP BY oid) u
  JOIN pg_catalog.pg_type t ON t.oid = u.oid JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
  JOIN pg_catalog.pg_enum e ON e.enumtypid = t.oid
ORDER BY n.nspname COLLATE "C", t.typname COLLATE "C", e.enumsortorder)";

constexpr const char* like_sql = R"(
SELECT n.nspname, t.typname, e.oid, e.enumlabel, ''
FROM pg_catalog.pg_enum e JOIN pg_catalog.pg_type t ON t.oid = e.enumtypid
  JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
ORDER BY n.nspname COLLATE "C", t.typname COLLATE "C", e.enumsortorder)";

std::vector<std::uint32_t> oids_in(std::string_view list) {
  std::vector<std::uint32_t> oids;
  for (std::size_t at = 0; at < list.size(); at = list.find(',', at), at += at < list.size()) {
    oids.push_back(static_cast<std::uint32_t>(std::stoul(std::string(list.substr(at)))));
  }
  return oids;
}

std::vector<EnumType> types_of(const postgres::Result& rows) {
  std::vector<EnumType> types;
  for (int i = 0; i < rows.rows(); ++i) {
    if (types.empty() || types.back().schema != rows.text(i, 0) || types.back().name != rows.text(i, 1))
      types.push_back(
          {std::string(rows.text(i, 0)), std::string(rows.text(i, 1)), {}, oids_in(rows.text(i, 4))});
    types.back().labels.push_back(
        {static_cast<std::uint32_t>(rows.integer(i, 2)), std::string(rows.text(i, 3))});
  }
  return types;
}

}  // namespace

std::vector<EnumType> read_enums(postgres::Connection& source, const std::vector<PostgresTable>& tables) {
  std::vector<std::uint32_t> oids;
  for (const auto& table : tables) oids.push_back(table.oid);
  return types_of(source.run(used_sql, {fmt::format("{{{}}}", fmt::join(oids, ","))}));
}

std::vector<EnumType> read_enums_like(postgres::Connection& database, const std::vector<EnumType>& types) {
  auto all = types_of(database.run(like_sql));
  std::erase_if(all, [&](const EnumType& there) {
    return std::none_of(types.begin(), types.end(), [&](const EnumType& type) {
      return type.schema == there.schema && type.name == there.name;
    });
  });
  return all;
}

}  // namespace tidegate::capture
