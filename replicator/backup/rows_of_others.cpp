#include "replicator/backup/rows_of_others.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <boost/json.hpp>
#include <fstream>

#include "apply/plan.hpp"
#include "db/error.hpp"

namespace tidegate::backup {
namespace {

namespace fs = std::filesystem;

constexpr const char* saved = "tidegate_saved";
constexpr std::size_t read_at_once = 1 << 20;

// Generated columns cannot be written.
constexpr const char* shape_sql = R"(
SELECT (SELECT pg_catalog.json_agg(pg_catalog.quote_ident(a.attname) ORDER BY a.attnum) FROM pg_catalog.pg_attribute a
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''),
       (SELECT pg_catalog.json_agg(pg_catalog.quote_ident(a.attname)) FROM pg_catalog.pg_index i
        JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
        WHERE i.indrelid = c.oid AND i.indisprimary),
       pg_catalog.format('%I.%I', $1::text, $2::text)
FROM pg_catalog.pg_class c WHERE c.oid = pg_catalog.to_regclass(pg_catalog.format('%I.%I', $1::text, $2::text)) AND c.relkind = 'r'
  AND pg_catalog.has_table_privilege(c.oid, 'SELECT') AND pg_catalog.has_table_privilege(c.oid, 'INSERT')
  AND pg_catalog.has_table_privilege(c.oid, 'DELETE') AND NOT pg_catalog.row_security_active(c.oid))";

// Tables of others that refer to the table.
constexpr const char* children_sql = R"(
SELECT k.conrelid::pg_catalog.regclass::text, k.confdeltype,
  (SELECT pg_catalog.string_agg(pg_catalog.format('c.%I = t.%I', ca.attname, pa.attname), ' AND ')
   FROM unnest(k.conkey, k.confkey) AS pair(child, parent)
   JOIN pg_catalog.pg_attribute ca ON ca.attrelid = k.conrelid AND ca.attnum = pair.child
   JOIN pg_catalog.pg_attribute pa ON pa.attrelid = k.confrelid AND pa.attnum = pair.parent),
  (SELECT pg_catalog.string_agg(pg_catalog.format('%I = NULL', ca.attname), ', ') FROM pg_catalog.unnest(k.conkey) AS child
   JOIN pg_catalog.pg_attribute ca ON ca.attrelid = k.conrelid AND ca.attnum = child)
FROM pg_catalog.pg_constraint k JOIN pg_catalog.pg_class c ON c.oid = k.conrelid
WHERE k.contype = 'f' AND k.conparentid = 0 AND k.conrelid <> k.confrelid
  AND k.confrelid = pg_catalog.to_regclass($1) AND NOT pg_catalog.pg_has_role(c.relowner, 'MEMBER'))";

std::vector<std::string> names(std::string_view text) {
  return boost::json::value_to<std::vector<std::string>>(boost::json::parse({text.data(), text.size()}));
}

// The columns of one alias: "t.id, t.email".
std::string of(const char* alias, const std::vector<std::string>& columns) {
  std::vector<std::string> all;
  for (const auto& column : columns) all.push_back(fmt::format("{}.{}", alias, column));
  return fmt::format("{}", fmt::join(all, ", "));
}

std::string same_key(const SavedRows& rows) {
  return fmt::format("({}) = ({})", of("t", rows.key), of("s", rows.key));
}

void load(postgres::Connection& target, const SavedRows& rows, const fs::path& file) {
  const std::string columns = fmt::format("{}", fmt::join(rows.columns, ", "));
  target.run(fmt::format("CREATE TEMP TABLE {} ON COMMIT DROP AS SELECT {} FROM {} WITH NO DATA", saved,
                         columns, rows.table));
  target.copy_begin(fmt::format("COPY {} ({}) FROM STDIN", saved, columns));
  std::ifstream in(file, std::ios::binary);
  std::string piece(read_at_once, '\0');
  while (in.read(piece.data(), static_cast<std::streamsize>(piece.size())) || in.gcount() > 0)
    target.copy_data({piece.data(), static_cast<std::size_t>(in.gcount())});
  target.copy_end();
  if (in.bad() || !in.eof()) throw Error("cannot read " + file.string(), "", Advice::stop);
}

// With the server's own foreign keys on, so that what hangs on these goes as well.
void act_on_children(postgres::Connection& target, const SavedRows& rows, const std::string& gone) {
  const auto children = target.run(children_sql, {rows.table});
  target.run("SET LOCAL session_replication_role = origin");
  for (int i = 0; i < children.rows(); ++i) {
    const std::string of_gone = fmt::format("{} AS t WHERE {} AND {}", rows.table, gone, children.text(i, 2));
    const char action = children.text(i, 1).front();
    if (action == 'c')
      target.run(fmt::format("DELETE FROM {} AS c USING {}", children.text(i, 0), of_gone));
    else if (action == 'n')
      target.run(
          fmt::format("UPDATE {} AS c SET {} FROM {}", children.text(i, 0), children.text(i, 3), of_gone));
    else if (target.run(fmt::format("SELECT EXISTS (SELECT FROM {} AS c, {})", children.text(i, 0), of_gone))
                 .boolean(0, 0))
      throw Error(fmt::format("rows of {} came since the backup and {} refers to them", rows.table,
                              children.text(i, 0)),
                  "", Advice::stop);
  }
  target.run("SET LOCAL session_replication_role = replica");
}

}  // namespace

std::optional<SavedRows> rows_to_save(postgres::Connection& target, const std::string& schema,
                                      const std::string& table) {
  const auto shape = target.run(shape_sql, {schema, table});
  if (shape.rows() == 0 || shape.is_null(0, 0) || shape.is_null(0, 1)) return std::nullopt;
  return SavedRows{std::string(shape.text(0, 2)), names(shape.text(0, 0)), names(shape.text(0, 1))};
}

void save_rows(postgres::Connection& target, const SavedRows& rows, const fs::path& file) {
  std::ofstream out(file, std::ios::binary);
  fs::permissions(file, fs::perms::owner_read | fs::perms::owner_write);
  target.copy_out_begin(fmt::format("COPY {} ({}) TO STDOUT", rows.table, fmt::join(rows.columns, ", ")));
  for (std::string line; target.copy_read(line); line.clear())
    out.write(line.data(), static_cast<std::streamsize>(line.size()));
  out.flush();
  if (!out) throw Error("cannot write " + file.string(), "", Advice::stop);
}

void put_back(postgres::Connection& target, const SavedRows& rows, const fs::path& file) {
  target.run("SET LOCAL session_replication_role = replica");
  load(target, rows, file);
  const std::string gone = fmt::format("NOT EXISTS (SELECT FROM {} AS s WHERE {})", saved, same_key(rows));
  act_on_children(target, rows, gone);
  target.run(fmt::format("DELETE FROM {} AS t WHERE {}", rows.table, gone));
  target.run(fmt::format("DELETE FROM {} AS t USING {} AS s WHERE {} AND ROW({})::text <> ROW({})::text",
                         rows.table, saved, same_key(rows), of("t", rows.columns), of("s", rows.columns)));
  target.run(
      fmt::format("INSERT INTO {0} ({1}) OVERRIDING SYSTEM VALUE SELECT {2} FROM {3} AS s "
                  "WHERE NOT EXISTS (SELECT FROM {0} AS t WHERE {4})",
                  rows.table, fmt::join(rows.columns, ", "), of("s", rows.columns), saved, same_key(rows)));
  target.run(fmt::format("DROP TABLE {}", saved));
}

}  // namespace tidegate::backup
