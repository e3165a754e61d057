#include "capture/postgres/capture_state.hpp"

#include <stdexcept>

#include "db/error.hpp"

namespace tidegate {
namespace {

RelationShape shape_at(const sqlite::Statement& row, int column, const std::string& path) {
  try {
    return decode_shape(row.bytes(column));
  } catch (const std::invalid_argument& error) {
    throw Error("a relation in " + path + " is damaged: " + error.what(), "", Advice::stop);
  }
}

}  // namespace

CaptureState::CaptureState(sqlite::Database& state) : state_(state) {
  state_.execute(
      "CREATE TABLE IF NOT EXISTS postgres_capture (one INTEGER PRIMARY KEY CHECK (one = 1),"
      " system_identifier TEXT NOT NULL, timeline INTEGER NOT NULL, slot TEXT NOT NULL, end_lsn INTEGER NOT "
      "NULL,"
      " last_transaction INTEGER NOT NULL, last_sequence INTEGER NOT NULL);"
      "CREATE TABLE IF NOT EXISTS postgres_relations (id INTEGER PRIMARY KEY, oid INTEGER NOT NULL,"
      " shape BLOB NOT NULL, UNIQUE (oid, shape));"
      "CREATE TABLE IF NOT EXISTS postgres_tables (oid INTEGER PRIMARY KEY, relation INTEGER NOT NULL)");
}

std::optional<CaptureState::Held> CaptureState::held() {
  auto row = state_.prepare(
      "SELECT system_identifier, slot, timeline, end_lsn, last_transaction, last_sequence FROM "
      "postgres_capture");
  if (!row.step()) return std::nullopt;
  auto number = [&](int column) { return static_cast<std::uint64_t>(row.integer(column)); };
  return Held{row.text(0), row.text(1), static_cast<std::uint32_t>(number(2)),
              number(3),   number(4),   number(5)};
}

void CaptureState::save(const Held& held) {
  auto upsert = state_.prepare("INSERT OR REPLACE INTO postgres_capture VALUES (1, ?, ?, ?, ?, ?, ?)");
  upsert.bind(1, std::string_view(held.system_identifier)).bind(2, static_cast<std::int64_t>(held.timeline));
  upsert.bind(3, std::string_view(held.slot)).bind(4, static_cast<std::int64_t>(held.end_lsn));
  upsert.bind(5, static_cast<std::int64_t>(held.last_transaction));
  upsert.bind(6, static_cast<std::int64_t>(held.last_sequence)).run();
}

std::uint32_t CaptureState::relation_id(const RelationShape& shape) {
  std::string bytes = encode(shape);
  auto insert = state_.prepare("INSERT OR IGNORE INTO postgres_relations(oid, shape) VALUES (?, ?)");
  insert.bind(1, static_cast<std::int64_t>(shape.oid)).bind_blob(2, bytes).run();
  auto found = state_.prepare("SELECT id FROM postgres_relations WHERE oid = ? AND shape = ?");
  found.bind(1, static_cast<std::int64_t>(shape.oid)).bind_blob(2, bytes).step();
  std::int64_t id = found.integer(0);
  auto last = state_.prepare("INSERT OR REPLACE INTO postgres_tables VALUES (?, ?)");
  last.bind(1, static_cast<std::int64_t>(shape.oid)).bind(2, id).run();
  return static_cast<std::uint32_t>(id);
}

std::optional<RelationShape> CaptureState::last_shape(std::uint32_t oid) {
  auto row = state_.prepare(
      "SELECT r.shape FROM postgres_tables t JOIN postgres_relations r ON r.id = t.relation WHERE t.oid = ?");
  row.bind(1, static_cast<std::int64_t>(oid));
  if (!row.step()) return std::nullopt;
  return shape_at(row, 0, state_.path());
}

std::vector<RelationShape> CaptureState::last_shapes() {
  auto row = state_.prepare(
      "SELECT r.shape FROM postgres_tables t JOIN postgres_relations r ON r.id = t.relation ORDER BY t.oid");
  std::vector<RelationShape> shapes;
  while (row.step()) shapes.push_back(shape_at(row, 0, state_.path()));
  return shapes;
}

}  // namespace tidegate
