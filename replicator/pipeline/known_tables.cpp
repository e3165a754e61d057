#include "replicator/pipeline/known_tables.hpp"

#include <boost/json.hpp>
#include <stdexcept>

namespace tidegate {
namespace {

namespace json = boost::json;
using capture::PostgresColumn;
using capture::PostgresTable;
using capture::TableFile;

std::string text(const json::value& value, std::string_view name) {
  return json::value_to<std::string>(value.at(name));
}

json::object to_object(const PostgresColumn& column) {
  return {{"name", column.name},
          {"number", column.number},
          {"type", column.type},
          {"generated", column.generated},
          {"generated_sql", column.generated_sql},
          {"has_missing", column.has_missing},
          {"version", column.version}};
}

PostgresColumn column_from(const json::value& value) {
  PostgresColumn column;
  column.name = text(value, "name");
  column.number = value.at("number").to_number<int>();
  column.type = text(value, "type");
  column.generated = value.at("generated").as_bool();
  column.generated_sql = text(value, "generated_sql");
  column.has_missing = value.at("has_missing").as_bool();
  if (value.as_object().contains("version")) column.version = text(value, "version");
  return column;
}

json::object to_object(const TableFile& file) {
  json::object indexes;
  for (const auto& [oid, version] : file.indexes) indexes[std::to_string(oid)] = version;
  return {{"oid", file.oid},
          {"file_node", file.file_node},
          {"schema", file.schema},
          {"name", file.name},
          {"columns_version", file.columns_version},
          {"attached", file.attached},
          {"indexes", std::move(indexes)}};
}

TableFile file_from(const json::value& value) {
  TableFile file{value.at("oid").to_number<std::uint32_t>(),
                 value.at("file_node").to_number<std::uint32_t>(),
                 text(value, "schema"),
                 text(value, "name"),
                 text(value, "columns_version"),
                 text(value, "attached"),
                 false,
                 {}};
  if (const auto* indexes = value.as_object().if_contains("indexes")) {
    for (const auto& [oid, version] : indexes->as_object())
      file.indexes[static_cast<std::uint32_t>(std::stoul(std::string(oid)))] = version.as_string();
  }
  return file;
}

json::object to_object(const PostgresTable& table) {
  json::array columns, files;
  for (const auto& column : table.columns) columns.push_back(to_object(column));
  for (const auto& file : table.files) files.push_back(to_object(file));
  return {{"oid", table.oid},
          {"source", table.source},
          {"replica_identity", static_cast<int>(table.replica_identity)},
          {"identity", json::value_from(table.identity)},
          {"columns", columns},
          {"files", files}};
}

PostgresTable table_from(const json::value& value) {
  PostgresTable table;
  table.oid = value.at("oid").to_number<std::uint32_t>();
  table.source = text(value, "source");
  table.replica_identity =
      static_cast<capture::ReplicaIdentity>(value.at("replica_identity").to_number<int>());
  table.identity = json::value_to<std::vector<std::string>>(value.at("identity"));
  for (const auto& column : value.at("columns").as_array()) table.columns.push_back(column_from(column));
  for (const auto& file : value.at("files").as_array()) table.files.push_back(file_from(file));
  return table;
}

json::object to_object(const capture::EnumType& type) {
  json::array labels;
  for (const auto& label : type.labels) labels.push_back({{"oid", label.oid}, {"text", label.text}});
  return {{"schema", type.schema}, {"name", type.name}, {"labels", labels}};
}

capture::EnumType enum_from(const json::value& value) {
  capture::EnumType type{text(value, "schema"), text(value, "name"), {}};
  for (const auto& label : value.at("labels").as_array())
    type.labels.push_back({label.at("oid").to_number<std::uint32_t>(), text(label, "text")});
  return type;
}

template <typename T>
std::string to_json(const std::vector<T>& items) {
  json::array all;
  for (const auto& item : items) all.push_back(to_object(item));
  return json::serialize(all);
}

template <typename T>
std::vector<T> from_json(std::string_view kept, T (*make)(const json::value&)) {
  try {
    std::vector<T> items;
    json::value all = json::parse(kept);
    for (const auto& item : all.as_array()) items.push_back(make(item));
    return items;
  } catch (const std::exception& failure) {
    throw std::invalid_argument(std::string("what was kept of the source's schema cannot be read: ") +
                                failure.what());
  }
}

}  // namespace

std::string known_to_json(const std::vector<PostgresTable>& tables) {
  return to_json(tables);
}

std::vector<PostgresTable> known_from_json(std::string_view kept) {
  return from_json(kept, table_from);
}

std::string enums_to_json(const std::vector<capture::EnumType>& types) {
  return to_json(types);
}

std::vector<capture::EnumType> enums_from_json(std::string_view kept) {
  return from_json(kept, enum_from);
}

}  // namespace tidegate
