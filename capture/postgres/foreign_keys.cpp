#include "capture/postgres/foreign_keys.hpp"

#include <map>

namespace tidegate::capture {
namespace {

constexpr const char* references_sql = R"(
SELECT k.oid, n.nspname || '.' || c.relname, pn.nspname || '.' || p.relname, a.attname, pa.attname, k.confdeltype, k.confupdtype
FROM pg_catalog.pg_constraint k
  CROSS JOIN LATERAL unnest(k.conkey, k.confkey) WITH ORDINALITY AS u(mine, theirs, place)
  JOIN pg_catalog.pg_class c ON c.oid = k.conrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_catalog.pg_class p ON p.oid = k.confrelid JOIN pg_catalog.pg_namespace pn ON pn.oid = p.relnamespace
  JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = u.mine
  JOIN pg_catalog.pg_attribute pa ON pa.attrelid = p.oid AND pa.attnum = u.theirs
WHERE k.contype = 'f' AND k.conparentid = 0 AND NOT c.relispartition
ORDER BY (n.nspname || '.' || c.relname) COLLATE "C", k.conname COLLATE "C", k.oid, u.place)";

std::string action_of(std::string_view letter) {
  static const std::map<std::string_view, const char*> actions = {
      {"a", "NO ACTION"}, {"r", "RESTRICT"}, {"c", "CASCADE"}, {"n", "SET NULL"}, {"d", "SET DEFAULT"}};
  return actions.at(letter);
}

}  // namespace

std::vector<DeclaredReference> read_foreign_keys(postgres::Connection& source) {
  std::vector<DeclaredReference> found;
  const auto rows = source.run(references_sql);
  for (int i = 0; i < rows.rows(); ++i) {
    const bool goes_on = i > 0 && rows.text(i, 0) == rows.text(i - 1, 0);
    if (!goes_on)
      found.push_back(
          {std::string(rows.text(i, 1)),
           {{}, std::string(rows.text(i, 2)), {}, action_of(rows.text(i, 5)), action_of(rows.text(i, 6))}});
    found.back().key.columns.emplace_back(rows.text(i, 3));
    found.back().key.parent_columns.emplace_back(rows.text(i, 4));
  }
  return found;
}

}  // namespace tidegate::capture
