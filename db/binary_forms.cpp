#include "db/binary_forms.hpp"

#include <map>

namespace tidegate::postgres {
namespace {

// OIDs below 10000 are assigned by hand and never change. What such a type sends is the same in all versions
// that we know, but for the types that send OIDs of their own server's objects, and for xml, whose text may
// gain a declaration. A domain sends what its base type sends.
constexpr const char* forms = R"sql(
WITH RECURSIVE base AS (
  SELECT a.attname, a.atttypid AS type FROM pg_catalog.pg_attribute a
   WHERE a.attrelid = (SELECT c.oid FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
                        WHERE n.nspname = $1 AND c.relname = $2)
     AND a.attnum > 0 AND NOT a.attisdropped
  UNION ALL
  SELECT b.attname, t.typbasetype FROM base b JOIN pg_catalog.pg_type t ON t.oid = b.type WHERE t.typtype = 'd')
SELECT b.attname, CASE WHEN t.typtype = 'e' THEN 'enum' ELSE t.oid::text END
  FROM base b JOIN pg_catalog.pg_type t ON t.oid = b.type
 WHERE t.typtype = 'e'
    OR t.oid < 10000 AND t.typtype IN ('b', 'r', 'm') AND t.typsend <> 0 AND t.typreceive <> 0
       AND t.typname !~ '^_?(reg|xml$)')sql";

}  // namespace

std::vector<std::string> binary_forms(Connection& server, const std::string& schema, const std::string& table,
                                      const std::vector<std::string>& columns) {
  auto rows = server.run(forms, {schema, table});
  std::map<std::string, std::string, std::less<>> found;
  for (int i = 0; i < rows.rows(); ++i) found.emplace(rows.text(i, 0), rows.text(i, 1));
  std::vector<std::string> names;
  for (const auto& column : columns) names.push_back(found[column]);
  return names;
}

}  // namespace tidegate::postgres
