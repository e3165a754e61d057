#include "capture/postgres/chunk_reader.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>

#include "db/binary_forms.hpp"

namespace tidegate {
namespace {

// As many pages are looked at for the bounds of a table's chunks; a hundredth of it where that is more.
constexpr std::uint64_t sampled_pages = 2000, page_bytes = 8192;

std::string quoted_identifier(const std::string& name) {
  std::string out = "\"";
  for (char c : name) {
    if (c == '"') out += '"';
    out += c;
  }
  return out + '"';
}

std::string list_of(const std::vector<std::string>& columns) {
  std::vector<std::string> names;
  for (const auto& column : columns) names.push_back(quoted_identifier(column));
  return fmt::format("{}", fmt::join(names, ", "));
}

std::string qualified(const SnapshotTable& table) {
  return quoted_identifier(table.schema) + "." + quoted_identifier(table.table);
}

std::string from_item(const SnapshotTable& table) {
  return (table.partitioned ? "" : "ONLY ") + qualified(table);
}

// As literals of unknown type, which become what the column is.
std::string key_literals(const Row& key) {
  std::vector<std::string> texts;
  for (const Value& value : key) texts.push_back(postgres::literal(std::get<std::string>(value)));
  return fmt::format("{}", fmt::join(texts, ", "));
}

std::string key_range(const SnapshotTable& table, const Row& after, const Row& up_to) {
  std::string where, columns = list_of(table.key);
  if (!after.empty()) where += fmt::format(" WHERE ({}) > ({})", columns, key_literals(after));
  if (!up_to.empty()) {
    where += fmt::format(" {} ({}) <= ({})", where.empty() ? "WHERE" : "AND", columns, key_literals(up_to));
  }
  return where;
}

// A part of a table that is read at once: a relation, its first page, and the first page behind it.
struct Pages {
  std::string relation, first, behind;  // empty relation: the whole table; empty behind: to the end
};

Row as_row(const Pages& pages) {
  return {pages.relation, pages.first, pages.behind};
}

std::string page_range(const Row& part) {
  auto text = [&](std::size_t place) { return std::get<std::string>(part.at(place)); };
  std::string where = fmt::format(" WHERE ctid >= '({},0)'", text(1));
  if (!text(2).empty()) where += fmt::format(" AND ctid < '({},0)'", text(2));
  return text(0) + where;
}

void add_pages(const std::string& relation, std::uint64_t pages, std::uint64_t bytes,
               std::uint64_t chunk_bytes, std::vector<Row>& parts) {
  std::uint64_t chunks =
      std::min(std::max<std::uint64_t>(1, bytes / chunk_bytes), std::max<std::uint64_t>(1, pages));
  for (std::uint64_t i = 0; i < chunks; ++i) {
    std::string behind = i + 1 == chunks ? "" : std::to_string(pages * (i + 1) / chunks);
    parts.push_back(as_row({relation, std::to_string(pages * i / chunks), behind}));
  }
}

constexpr const char* leaves = R"sql(
SELECT 'ONLY ' || quote_ident(n.nspname) || '.' || quote_ident(c.relname),
       pg_relation_size(c.oid) / current_setting('block_size')::int, pg_table_size(c.oid),
       has_table_privilege(c.oid, 'SELECT')
  FROM (SELECT relid FROM pg_partition_tree(to_regclass($1)) UNION SELECT to_regclass($1)) t
  JOIN pg_class c ON c.oid = t.relid JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind = 'r' ORDER BY c.oid)sql";

// Bytewise in the database's encoding is bytewise in ours only where that is UTF-8.
constexpr const char* key_types = R"sql(
WITH RECURSIVE base AS (
  SELECT a.attname, a.atttypid AS type, a.attcollation AS collation FROM pg_attribute a
   WHERE a.attrelid = to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped
  UNION ALL
  SELECT b.attname, t.typbasetype, b.collation FROM base b JOIN pg_type t ON t.oid = b.type WHERE t.typtype = 'd')
SELECT b.attname, CASE
    WHEN b.type IN ('int2'::regtype, 'int4'::regtype, 'int8'::regtype) THEN 'integer'
    WHEN b.type IN ('uuid'::regtype, 'bytea'::regtype) THEN 'bytes'
    WHEN b.type IN ('text'::regtype, 'varchar'::regtype) AND d.encoding = pg_char_to_encoding('UTF8')
         AND (c.collname IN ('C', 'POSIX') AND c.collnamespace = 'pg_catalog'::regnamespace
              OR c.collname = 'default' AND d.datcollate IN ('C', 'POSIX')
                 AND coalesce(to_jsonb(d) ->> 'datlocprovider', 'c') = 'c') THEN 'bytes'
    ELSE '' END
  FROM base b JOIN pg_type t ON t.oid = b.type LEFT JOIN pg_collation c ON c.oid = b.collation,
       pg_database d
 WHERE t.typtype <> 'd' AND d.datname = current_database())sql";

[[noreturn]] void throw_rewritten(const SnapshotTable& table) {
  throw TableRewritten("table " + table.name + " was truncated or rewritten while the snapshot was read", "",
                       Advice::retry);
}

}  // namespace

ChunkReader::ChunkReader(const postgres::ConnectOptions& source) : connection_(source) {
  // A policy must not leave rows out in silence.
  connection_.run("SET row_security = off; SET jit = off");
}

// The session that exported the snapshot may have ended, or this one have come to another server.
void ChunkReader::begin(const Round& round) {
  transaction_.reset();
  transaction_.emplace(connection_, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
  try {
    connection_.run("SET TRANSACTION SNAPSHOT " + postgres::literal(round.snapshot()));
  } catch (const Error& error) {
    if (error.code() != "22023" && error.code() != "42704") throw;
    throw Error("the source knows nothing of its own snapshot any more: " + std::string(error.what()),
                error.code(), Advice::retry);
  }
}

// Locks are given back when a savepoint is rolled back. Held to the round's end they would keep the app's
// TRUNCATE and ALTER TABLE waiting, and all that queues up behind those.
void ChunkReader::begin_part() {
  connection_.run("SAVEPOINT tidegate_part");
}

void ChunkReader::end_part() {
  connection_.run("ROLLBACK TO SAVEPOINT tidegate_part; RELEASE SAVEPOINT tidegate_part");
}

// The column shows the snapshot's state, the function today's. While the lock of the read is held they cannot
// part.
bool ChunkReader::rewritten(const SnapshotTable& table) {
  return connection_
      .run(
          "SELECT EXISTS (SELECT FROM (SELECT relid FROM pg_partition_tree(to_regclass($1)) UNION SELECT "
          "to_regclass($1)) t"
          " LEFT JOIN pg_class c ON c.oid = t.relid"
          " WHERE c.oid IS NULL OR c.relkind = 'r' AND c.relfilenode IS DISTINCT FROM "
          "pg_relation_filenode(c.oid))",
          {qualified(table)})
      .boolean(0, 0);
}

std::vector<std::string> ChunkReader::binary_forms(const SnapshotTable& table) {
  return postgres::binary_forms(connection_, table.schema, table.table, table.columns);
}

bool ChunkReader::orders_of(const SnapshotTable& table, std::vector<KeyOrder>& orders) {
  auto rows = connection_.run(key_types, {qualified(table)});
  std::map<std::string, std::optional<KeyOrder>, std::less<>> found;
  for (int i = 0; i < rows.rows(); ++i) found.emplace(rows.text(i, 0), key_order_named(rows.text(i, 1)));
  for (const auto& column : table.key) {
    auto order = found[column];
    if (!order) return false;
    orders.push_back(*order);
  }
  return !orders.empty();
}

std::vector<Row> ChunkReader::page_bounds(const SnapshotTable& table, const ChunkSize& size) {
  auto rows = connection_.run(leaves, {qualified(table)});
  std::vector<Row> parts;
  for (int i = 0; i < rows.rows(); ++i) {
    // Who may read the root need not have a right to its partitions.
    if (!rows.boolean(i, 3)) return {as_row({from_item(table), "0", ""})};
    add_pages(std::string(rows.text(i, 0)), static_cast<std::uint64_t>(rows.integer(i, 1)),
              static_cast<std::uint64_t>(rows.integer(i, 2)), size.bytes, parts);
  }
  if (parts.empty()) parts.push_back(as_row({from_item(table), "0", ""}));
  return parts;
}

// From a sample of pages; the server puts the keys in order, and every n-th is a bound.
std::vector<Row> ChunkReader::key_bounds(const SnapshotTable& table, const ChunkSize& size) {
  auto whole = connection_.run(
      "SELECT coalesce(sum(pg_table_size(relid)), 0) FROM (SELECT relid FROM "
      "pg_partition_tree(to_regclass($1))"
      " UNION SELECT to_regclass($1)) t",
      {qualified(table)});
  auto bytes = static_cast<std::uint64_t>(whole.integer(0, 0));
  std::uint64_t pages = std::max<std::uint64_t>(1, bytes / page_bytes);
  double percent = std::clamp(100.0 * sampled_pages / static_cast<double>(pages), 1.0, 100.0);
  std::string key = list_of(table.key);
  auto rows = connection_.run(
      fmt::format("SELECT {0} FROM (SELECT {0}, place, total, greatest(ceil(total * 100 / {1}::float8 / "
                  "{2}), {3}) AS chunks"
                  " FROM (SELECT {0}, row_number() OVER (ORDER BY {0}) AS place, count(*) OVER () AS total"
                  " FROM {4} TABLESAMPLE SYSTEM ({1})) AS sample) AS numbered"
                  " WHERE place < total AND floor(place * chunks / total) <> floor((place - 1) * chunks / "
                  "total) ORDER BY place",
                  key, percent, size.rows, (bytes + size.bytes - 1) / size.bytes, from_item(table)));
  std::vector<Row> bounds;
  for (int i = 0; i < rows.rows(); ++i) {
    Row& bound = bounds.emplace_back();
    for (int j = 0; j < rows.columns(); ++j) bound.push_back(std::string(rows.text(i, j)));
  }
  bounds.emplace_back();
  return bounds;
}

TableSplit ChunkReader::split(const SnapshotTable& table, const ChunkSize& size) {
  begin_part();
  TableSplit split;
  split.by_key = orders_of(table, split.orders);
  split.up_to = split.by_key ? key_bounds(table, size) : page_bounds(table, size);
  bool changed = rewritten(table);
  end_part();
  if (changed) throw_rewritten(table);
  return split;
}

Row ChunkReader::last_key(const SnapshotTable& table) {
  Row key;
  if (table.key.empty()) return key;
  std::vector<std::string> backwards;
  for (const auto& column : table.key) backwards.push_back(quoted_identifier(column) + " DESC");
  begin_part();
  auto rows = connection_.run(fmt::format("SELECT {} FROM {} ORDER BY {} LIMIT 1", list_of(table.key),
                                          from_item(table), fmt::join(backwards, ", ")));
  for (int j = 0; j < rows.columns() && rows.rows() > 0; ++j) key.push_back(std::string(rows.text(0, j)));
  end_part();
  return key;
}

// Many ranges of one table: were the planner to scan all of it for each, that would be quadratic.
void ChunkReader::open(const SnapshotTable& table, bool by_key, const Row& after, const Row& up_to,
                       bool binary) {
  bool ranged = by_key && (!after.empty() || !up_to.empty());
  begin_part();
  connection_.run(ranged ? "SET LOCAL enable_seqscan = off" : "SET LOCAL enable_seqscan = on");
  std::string from = by_key ? from_item(table) + key_range(table, after, up_to) : page_range(up_to);
  connection_.copy_out_begin(fmt::format("COPY (SELECT {} FROM {}) TO STDOUT{}", list_of(table.columns), from,
                                         binary ? " (FORMAT binary)" : ""));
  open_ = &table;
}

bool ChunkReader::read(std::string& into) {
  if (connection_.copy_read(into)) return true;
  bool changed = rewritten(*open_);
  end_part();
  if (changed) throw_rewritten(*open_);
  return false;
}

}  // namespace tidegate
