#include "capture/sqlite/shadow.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "capture/sqlite/catalog.hpp"
#include "db/error.hpp"

namespace tidegate {
namespace {

constexpr std::chrono::seconds state_busy_timeout{30};

std::string column(std::size_t place) {
  return fmt::format("c{}", place);
}

std::vector<std::uint32_t> key_places(const SourceTable& table, const std::vector<std::string>& columns) {
  if (table.identity == Identity::rowid) return {0};
  std::vector<std::uint32_t> places;
  for (const auto& name : table.primary_key) {
    auto found = std::find(columns.begin(), columns.end(), name);
    places.push_back(static_cast<std::uint32_t>(found - columns.begin()));
  }
  return places;
}

// How SQL reaches the rowid; empty where columns took all of its names and the table can do without.
std::string rowid_name(const SourceTable& table) {
  if (table.without_rowid) return "";
  if (table.integer_key) return sqlite::quoted(table.primary_key.front());
  if (table.identity == Identity::key && !capture::has_rowid_alias(table)) return "";
  return capture::rowid_alias(table);
}

Relation relation_of(std::uint32_t id, const SourceTable& table) {
  Relation relation{id, table.name, {}, {}};
  if (table.identity == Identity::rowid) relation.columns.push_back("_rid");
  for (const auto& source_column : table.columns) relation.columns.push_back(source_column.name);
  relation.key = key_places(table, relation.columns);
  return relation;
}

}  // namespace

ShadowTable::ShadowTable(std::uint32_t id, SourceTable source, std::string fingerprint)
    : source_(std::move(source)),
      fingerprint_(std::move(fingerprint)),
      name_(fmt::format("shadow_{}", id)),
      rowid_(rowid_name(source_)),
      relation_(relation_of(id, source_)) {}

std::string ShadowTable::create_sql() const {
  std::vector<std::string> columns;
  if (keeps_rowid()) columns.push_back("rid");
  for (std::size_t i = 0; i < relation_.columns.size(); ++i) {
    bool is_rowid = keyed_by_rowid() && i == relation_.key.front();
    columns.push_back(is_rowid ? column(i) + " INTEGER PRIMARY KEY" : column(i));
  }
  if (keyed_by_rowid()) return fmt::format("CREATE TABLE {} ({})", name_, fmt::join(columns, ", "));
  columns.push_back("PRIMARY KEY (" + shadow_key(", ", "") + ")");
  return fmt::format("CREATE TABLE {} ({}) WITHOUT ROWID", name_, fmt::join(columns, ", "));
}

std::string ShadowTable::create_index_sql() const {
  return keeps_rowid() ? fmt::format("CREATE INDEX {0}_rid ON {0} (rid)", name_) : "";
}

std::string ShadowTable::shadow_key(const char* separator, const char* suffix) const {
  std::vector<std::string> parts;
  for (auto place : relation_.key) parts.push_back(column(place) + suffix);
  return fmt::format("{}", fmt::join(parts, separator));
}

std::string ShadowTable::shadow_columns() const {
  std::vector<std::string> names;
  for (std::size_t i = 0; i < relation_.columns.size(); ++i) names.push_back(column(i));
  return fmt::format("{}", fmt::join(names, ", "));
}

std::string ShadowTable::shadow_row() const {
  return shadow_columns() + (keeps_rowid() ? ", rid" : "");
}

std::string ShadowTable::live_columns() const {
  std::vector<std::string> names;
  if (source_.identity == Identity::rowid) names.push_back(rowid_);
  for (const auto& source_column : source_.columns) names.push_back(sqlite::quoted(source_column.name));
  if (keeps_rowid()) names.push_back(found_by_rowid() ? rowid_ : "NULL");
  return fmt::format("{}", fmt::join(names, ", "));
}

// The shadow's order is BINARY, whatever collations the source's columns have.
std::string ShadowTable::live_order() const {
  if (keyed_by_rowid()) return rowid_;
  std::vector<std::string> parts;
  for (const auto& name : source_.primary_key) parts.push_back(sqlite::quoted(name) + " COLLATE BINARY");
  return fmt::format("{}", fmt::join(parts, ", "));
}

std::string ShadowTable::select_live(Rows rows) const {
  std::string select = fmt::format("SELECT {} FROM main.{}", live_columns(), sqlite::quoted(source_.name));
  if (rows == Rows::in_any_order) return select;
  if (rows == Rows::in_rowid_range) {
    return fmt::format("{0} WHERE {1} BETWEEN ?1 AND ?2 ORDER BY {1}", select, rowid_);
  }
  if (rows == Rows::behind_rowid) return fmt::format("{0} WHERE {1} > ?1 ORDER BY {1}", select, rowid_);
  return fmt::format("{}{} ORDER BY {}", select, rows == Rows::all_sorted ? " NOT INDEXED" : "",
                     live_order());
}

std::string ShadowTable::select_rowid_ends() const {
  // One at a time SQLite finds them without reading the table.
  return fmt::format("SELECT (SELECT min({0}) FROM main.{1}), (SELECT max({0}) FROM main.{1})", rowid_,
                     sqlite::quoted(source_.name));
}

std::string ShadowTable::select_key_from_rowid() const {
  std::vector<std::string> key;
  for (const auto& name : source_.primary_key) key.push_back(sqlite::quoted(name));
  return fmt::format("SELECT {0} FROM main.{1} WHERE {2} >= ?1 ORDER BY {2} LIMIT 1", fmt::join(key, ", "),
                     sqlite::quoted(source_.name), rowid_);
}

std::string ShadowTable::select_shadow(Rows rows) const {
  std::string select = fmt::format("SELECT {} FROM {}", shadow_row(), name_);
  if (rows == Rows::in_any_order) return select;
  if (rows == Rows::in_rowid_range) {
    std::string rowid = keeps_rowid() ? "rid" : shadow_key("", "");
    return fmt::format("{0} WHERE {1} BETWEEN ?1 AND ?2 ORDER BY {1}", select, rowid);
  }
  return fmt::format("{} ORDER BY {}", select, shadow_key(", ", ""));
}

std::string ShadowTable::select_shadow_end() const {
  return fmt::format("SELECT max({}) FROM {}", shadow_key("", ""), name_);
}

std::string ShadowTable::select_shadow_after() const {
  std::vector<std::string> parameters(relation_.key.size(), "?");
  return fmt::format("SELECT {} FROM {} WHERE ({}) > ({}) ORDER BY {} LIMIT ?", shadow_columns(), name_,
                     shadow_key(", ", ""), fmt::join(parameters, ", "), shadow_key(", ", ""));
}

std::string ShadowTable::select_shadow_row() const {
  return fmt::format("SELECT {} FROM {} WHERE {}", shadow_row(), name_, shadow_key(" AND ", " = ?"));
}

std::string ShadowTable::select_shadow_rowid() const {
  return fmt::format("SELECT rid FROM {} WHERE {}", name_, shadow_key(" AND ", " = ?"));
}

std::string ShadowTable::insert_sql() const {
  std::vector<std::string> parameters(relation_.columns.size() + (keeps_rowid() ? 1 : 0), "?");
  return fmt::format("INSERT INTO {} ({}) VALUES ({})", name_, shadow_row(), fmt::join(parameters, ", "));
}

// Sets every column that is no part of the key, in order, then the rowid, then finds the row by its key.
std::string ShadowTable::update_sql() const {
  std::vector<std::string> sets;
  for (std::uint32_t i = 0; i < relation_.columns.size(); ++i) {
    if (std::find(relation_.key.begin(), relation_.key.end(), i) == relation_.key.end()) {
      sets.push_back(column(i) + " = ?");
    }
  }
  if (keeps_rowid()) sets.push_back("rid = ?");
  return fmt::format("UPDATE {} SET {} WHERE {}", name_, fmt::join(sets, ", "), shadow_key(" AND ", " = ?"));
}

std::string ShadowTable::update_rowid_sql() const {
  return fmt::format("UPDATE {} SET rid = ? WHERE {}", name_, shadow_key(" AND ", " = ?"));
}

std::string ShadowTable::delete_sql() const {
  return fmt::format("DELETE FROM {} WHERE {}", name_, shadow_key(" AND ", " = ?"));
}

void ShadowTable::read(const sqlite::Statement& from, PlacedRow& into) const {
  from.read_row(into.row, 0, width());
  if (keeps_rowid()) into.rowid = from.integer(width());
}

void ShadowTable::bind_all(sqlite::Statement& insert, const PlacedRow& row) const {
  int parameter = 0;
  for (const Value& value : row.row) insert.bind(++parameter, value);
  if (keeps_rowid()) insert.bind(++parameter, row.rowid);
}

void Shadow::create_tables(sqlite::Database& state) {
  state.execute(
      "CREATE TABLE IF NOT EXISTS source_tables ("
      " id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, fingerprint TEXT NOT NULL, description BLOB NOT "
      "NULL);"
      "CREATE TABLE IF NOT EXISTS tables_to_fill (id INTEGER PRIMARY KEY, rows INTEGER NOT NULL)");
}

std::vector<ShadowTable> Shadow::load(sqlite::Database& state) {
  std::vector<ShadowTable> tables;
  auto rows = state.prepare("SELECT id, fingerprint, description FROM source_tables ORDER BY id");
  while (rows.step()) {
    tables.emplace_back(static_cast<std::uint32_t>(rows.integer(0)), decode_table(rows.bytes(2)),
                        rows.text(1));
  }
  return tables;
}

ShadowTable Shadow::add(sqlite::Database& state, const SourceTable& source) {
  auto id = static_cast<std::uint32_t>(state.integer("SELECT coalesce(max(id), 0) + 1 FROM source_tables"));
  ShadowTable table(id, source, capture::fingerprint(source));
  auto insert =
      state.prepare("INSERT INTO source_tables(id, name, fingerprint, description) VALUES (?, ?, ?, ?)");
  insert.bind(1, static_cast<std::int64_t>(id)).bind(2, std::string_view(source.name));
  insert.bind(3, std::string_view(table.fingerprint())).bind_blob(4, encode(source)).run();
  state.execute(table.create_sql());
  return table;
}

void Shadow::to_be_filled(sqlite::Database& state, const ShadowTable& table, std::uint64_t rows) {
  state.prepare("INSERT INTO tables_to_fill VALUES (?, ?)")
      .bind(1, static_cast<std::int64_t>(table.id()))
      .bind(2, static_cast<std::int64_t>(rows))
      .run();
}

std::optional<std::uint64_t> Shadow::rows_to_fill(sqlite::Database& state, const ShadowTable& table) {
  auto rows = state.prepare("SELECT rows FROM tables_to_fill WHERE id = ?");
  rows.bind(1, static_cast<std::int64_t>(table.id()));
  return rows.step() ? std::optional(static_cast<std::uint64_t>(rows.integer(0))) : std::nullopt;
}

void Shadow::is_filled(sqlite::Database& state, const ShadowTable& table) {
  state.prepare("DELETE FROM tables_to_fill WHERE id = ?")
      .bind(1, static_cast<std::int64_t>(table.id()))
      .run();
}

bool Shadow::is_empty(sqlite::Database& state) {
  for (const ShadowTable& table : load(state)) {
    if (!rows_to_fill(state, table) ||
        state.integer("SELECT EXISTS (SELECT 1 FROM " + table.name() + ")") != 0)
      return false;
  }
  return true;
}

void Shadow::remove_all(sqlite::Database& state) {
  for (const ShadowTable& table : load(state)) state.execute("DROP TABLE " + table.name());
  state.execute("DELETE FROM source_tables; DELETE FROM tables_to_fill");
}

void Shadow::index(sqlite::Database& state, const ShadowTable& table) {
  if (std::string sql = table.create_index_sql(); !sql.empty()) state.execute(sql);
}

ShadowTable Shadow::extend(sqlite::Database& state, const ShadowTable& before, const SourceTable& now) {
  ShadowTable table(before.id(), now, capture::fingerprint(now));
  for (auto i = before.width(); i < table.width(); ++i) {
    state.execute(
        fmt::format("ALTER TABLE {} ADD COLUMN {}", table.name(), column(static_cast<std::size_t>(i))));
  }
  auto update = state.prepare("UPDATE source_tables SET fingerprint = ?, description = ? WHERE id = ?");
  update.bind(1, std::string_view(table.fingerprint())).bind_blob(2, encode(now));
  update.bind(3, static_cast<std::int64_t>(table.id())).run();
  return table;
}

ShadowReader::ShadowReader(const std::string& state_path)
    : state_(state_path, sqlite::Database::Mode::read_write, state_busy_timeout) {
  state_.execute("PRAGMA query_only = ON");
}

const ShadowTable& ShadowReader::table(const std::string& name) {
  tables_ = Shadow::load(state_);
  for (const auto& found : tables_) {
    if (found.source().name == name) return found;
  }
  throw Error("table " + name + " is not in the shadow", "", Advice::stop);
}

std::uint64_t ShadowReader::end() {
  return static_cast<std::uint64_t>(state_.integer("SELECT coalesce(max(seq), 0) FROM journal"));
}

bool ShadowReader::read_chunk(const std::string& name, const Row& after, std::size_t max_rows,
                              std::size_t max_bytes, Chunk& into) {
  sqlite::Transaction snapshot(state_);
  const ShadowTable& source = table(name);
  into.position = end();
  into.to.clear();
  auto rows = state_.prepare(after.empty() ? source.select_shadow(ShadowTable::Rows::all)
                                           : source.select_shadow_after());
  int parameter = 0;
  for (const Value& value : after) rows.bind(++parameter, value);
  if (!after.empty()) rows.bind(++parameter, static_cast<std::int64_t>(max_rows));
  std::size_t count = 0, bytes = 0;
  for (; count < max_rows && bytes < max_bytes && rows.step(); ++count) {
    if (count == into.rows.size()) into.rows.emplace_back();
    rows.read_row(into.rows[count], 0, source.width());
    bytes += size_in_memory(into.rows[count]);
  }
  into.rows.resize(count);
  if (count >= max_rows || bytes >= max_bytes) {
    into.to = key_of(source.relation(), into.rows.back());
    return true;
  }
  return !Shadow::rows_to_fill(state_, source);
}

std::uint64_t ShadowReader::count(const std::string& name) {
  const ShadowTable& source = table(name);
  if (auto rows = Shadow::rows_to_fill(state_, source)) return *rows;
  return static_cast<std::uint64_t>(state_.integer("SELECT count(*) FROM " + source.name()));
}

bool ShadowReader::is_whole() {
  return state_.integer("SELECT EXISTS (SELECT 1 FROM capture)") != 0;
}

SnapshotReader::RowAt ShadowReader::read_row(const std::string& name, const Row& key) {
  sqlite::Transaction snapshot(state_);
  const ShadowTable& source = table(name);
  auto rows = state_.prepare(source.select_shadow_row());
  int parameter = 0;
  for (const Value& value : key) rows.bind(++parameter, value);
  RowAt found{std::nullopt, end()};
  if (rows.step()) rows.read_row(found.row.emplace(), 0, source.width());
  return found;
}

}  // namespace tidegate
