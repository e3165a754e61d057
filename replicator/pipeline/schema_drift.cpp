#include "replicator/pipeline/schema_drift.hpp"

#include <algorithm>

namespace tidegate {
namespace {

using capture::PostgresColumn;
using capture::PostgresTable;
using capture::ReplicaIdentity;
using capture::TableFile;

const PostgresColumn* column_named(const PostgresTable& table, const std::string& name) {
  for (const auto& column : table.columns) {
    if (column.name == name) return &column;
  }
  return nullptr;
}

bool only_adds(const RelationChanged& change) {
  const auto &before = change.before.columns, &now = change.now.columns;
  return change.before.table == change.now.table && change.before.identity == change.now.identity &&
         before.size() < now.size() && std::equal(before.begin(), before.end(), now.begin());
}

std::string why_not_added(const PostgresColumn* column, const std::string& name) {
  if (!column) return "column " + name + " was added, and is gone again";
  if (column->not_null) return "column " + name + " was added with NOT NULL";
  if (column->has_missing)
    return "column " + name + " was added with a default, which older rows got without events";
  return "";
}

bool same_files(const PostgresTable& known, const PostgresTable& now) {
  return std::equal(known.files.begin(), known.files.end(), now.files.begin(), now.files.end(),
                    [](const TableFile& a, const TableFile& b) { return a.same_rows(b); });
}

const TableFile* file_of(const PostgresTable& table, std::uint32_t oid) {
  for (const auto& file : table.files) {
    if (file.oid == oid) return &file;
  }
  return nullptr;
}

// What rows are made of. A default or NOT NULL that comes or goes changes none.
bool same_column(const PostgresColumn& known, const PostgresColumn& now) {
  return known.name == now.name && known.number == now.number && known.type == now.type &&
         known.generated == now.generated && known.generated_sql == now.generated_sql;
}

char letter_of(ReplicaIdentity identity) {
  switch (identity) {
    case ReplicaIdentity::primary_key:
      return 'd';
    case ReplicaIdentity::index:
      return 'i';
    case ReplicaIdentity::full:
      return 'f';
    case ReplicaIdentity::nothing:
      break;
  }
  return 'n';
}

// Under FULL the stream marks every column.
bool is_marked_key(const PostgresTable& table, const std::string& column) {
  const auto& names = table.identity;
  return table.replica_identity == ReplicaIdentity::full ||
         std::find(names.begin(), names.end(), column) != names.end();
}

std::string why_columns(const PostgresTable& known, const PostgresTable& now) {
  for (const auto& column : known.columns) {
    auto* there = column_named(now, column.name);
    if (!there) return "its column " + column.name + " was dropped or renamed";
    if (!same_column(column, *there)) return "its column " + column.name + " has another definition";
    if (there->has_missing && !column.has_missing) return why_not_added(there, column.name);
  }
  for (std::size_t i = known.columns.size(); i < now.columns.size(); ++i) {
    const auto& column = now.columns[i];
    if (column.generated) return "the generated column " + column.name + " was added";
    std::string why = why_not_added(&column, column.name);
    if (!why.empty()) return why;
  }
  return "";
}

std::string why_identity(const PostgresTable& known, const PostgresTable& now) {
  if (known.replica_identity != now.replica_identity || known.identity != now.identity)
    return "its replica identity or its key changed";
  if (!now.other_identity.empty())
    return "its partition " + now.other_identity.front() + " has another replica identity";
  if (!now.usable_identity()) return "it has no usable replica identity any more";
  if (!now.foreign_partitions.empty())
    return "its partition " + now.foreign_partitions.front() + " is a foreign table";
  return "";
}

// The stream describes the root alone: what a partition logs of old rows is known from the catalogue only.
bool may_have_logged_other_keys(const TableFile& known, const TableFile& now) {
  return std::any_of(now.indexes.begin(), now.indexes.end(), [&](const auto& index) {
    auto before = known.indexes.find(index.first);
    return before != known.indexes.end() && before->second != index.second;
  });
}

// `announces`: the stream tells of new columns, and a file that was written anew with them holds values that
// no event shows.
std::string why_files(const PostgresTable& known, const PostgresTable& now, bool announces) {
  for (const auto& file : known.files) {
    auto* there = file_of(now, file.oid);
    if (!there || there->attached != file.attached)
      return "its partition " + file.schema + "." + file.name + " was detached or dropped";
    bool columns_written = announces || there->columns_version != file.columns_version;
    if (there->file_node != file.file_node && columns_written)
      return "its rows were written anew (another type, or a new column with a default)";
    if (file.oid != known.oid && may_have_logged_other_keys(file, *there))
      return "its partition " + file.schema + "." + file.name +
             " may have had another replica identity for a while";
  }
  for (const auto& file : now.files) {
    if (!file_of(known, file.oid) && !file.never_used)
      return "partition " + file.schema + "." + file.name + " was attached, and had rows when it was seen";
  }
  return "";
}

}  // namespace

bool same_identity(const RelationShape& shape, const PostgresTable& known) {
  return shape.identity == letter_of(known.replica_identity) &&
         std::all_of(shape.columns.begin(), shape.columns.end(),
                     [&](const auto& column) { return column.key == is_marked_key(known, column.name); });
}

RelationShape shape_when_known(const PostgresTable& known, const RelationShape& now) {
  RelationShape shape = now;
  shape.identity = letter_of(known.replica_identity);
  shape.columns.clear();
  for (const auto& column : known.columns) {
    if (column.generated) continue;
    auto found = std::find_if(now.columns.begin(), now.columns.end(),
                              [&](const auto& each) { return each.name == column.name; });
    shape.columns.push_back(found == now.columns.end() ? pgoutput::RelationColumn{} : *found);
    shape.columns.back().name = column.name;
    shape.columns.back().key = is_marked_key(known, column.name);
  }
  return shape;
}

Standing standing(const PostgresTable& known, const PostgresTable* now) {
  auto doubt = [](std::string why) { return Standing{Standing::Kind::doubt, std::move(why)}; };
  if (!now) return doubt("it was dropped or renamed");
  if (now->oid != known.oid) return doubt("it is another table of the same name");
  const bool announces = now->columns.size() > known.columns.size();
  for (auto& why : {why_columns(known, *now), why_identity(known, *now), why_files(known, *now, announces)}) {
    if (!why.empty()) return doubt(why);
  }
  return {announces ? Standing::Kind::wait : Standing::Kind::same, ""};
}

Drift drift(const RelationChanged& change, const PostgresTable& known, const PostgresTable& now) {
  if (!only_adds(change)) return "its columns, its name or its replica identity changed";
  if (!same_files(known, now)) return "its rows were written anew (another type, or another storage)";
  for (std::size_t i = change.before.columns.size(); i < change.now.columns.size(); ++i) {
    const std::string& name = change.now.columns[i].name;
    std::string why = why_not_added(column_named(now, name), name);
    if (!why.empty()) return why;
  }
  PostgresTable carried = now;
  std::erase_if(carried.columns, [&](const PostgresColumn& column) {
    return !column.generated && std::none_of(change.now.columns.begin(), change.now.columns.end(),
                                             [&](const auto& each) { return each.name == column.name; });
  });
  return capture::as_source_table(carried);
}

}  // namespace tidegate
