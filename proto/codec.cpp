#include <google/protobuf/arena.h>

#include <bit>
#include <stdexcept>
#include <utility>

#include "proto/change.hpp"
#include "tidegate/v1/event.pb.h"

namespace tidegate {
namespace {

void fill(v1::Value& out, const Value& value) {
  if (auto* integer = std::get_if<std::int64_t>(&value)) return out.set_integer(*integer);
  if (auto* real = std::get_if<double>(&value)) return out.set_real(std::bit_cast<std::uint64_t>(*real));
  if (auto* text = std::get_if<std::string>(&value)) return out.set_text(*text);
  if (auto* blob = std::get_if<Blob>(&value)) return out.set_blob(blob->bytes);
  out.set_null(true);
}

// Takes the text out of the message.
Value read(v1::Value& value) {
  switch (value.kind_case()) {
    case v1::Value::kNull:
      return Null{};
    case v1::Value::kInteger:
      return static_cast<std::int64_t>(value.integer());
    case v1::Value::kReal:
      return std::bit_cast<double>(static_cast<std::uint64_t>(value.real()));
    case v1::Value::kText:
      return std::move(*value.mutable_text());
    case v1::Value::kBlob:
      return Blob{std::move(*value.mutable_blob())};
    case v1::Value::KIND_NOT_SET:
      break;
  }
  throw std::invalid_argument("journal event: a value of a kind that this version does not know");
}

template <typename Message>
std::string bytes_of(const Message& message) {
  return message.SerializeAsString();
}

void fill(v1::Table& out, const SourceTable& table);

void fill(v1::Change& out, const Change& change) {
  static_assert(static_cast<int>(Operation::truncate) == 3);
  out.set_operation(static_cast<v1::Operation>(static_cast<int>(change.operation) + 1));
  out.set_relation(change.relation);
  for (const Value& value : change.row) fill(*out.add_row(), value);
  for (auto place : change.changed) out.add_changed(place);
  for (const Value& value : change.old) fill(*out.add_old(), value);
  for (auto place : change.absent) out.add_absent(place);
  for (const Value& value : change.before) fill(*out.add_before(), value);
  out.set_restart_sequences(change.restart_sequences);
}

Operation operation_of(v1::Operation operation) {
  switch (operation) {
    case v1::OPERATION_INSERT:
      return Operation::insert;
    case v1::OPERATION_UPDATE:
      return Operation::update;
    case v1::OPERATION_DELETE:
      return Operation::remove;
    case v1::OPERATION_TRUNCATE:
      return Operation::truncate;
    default:
      throw std::invalid_argument("journal event: a change of an unknown kind");
  }
}

void check_places(const Change& change) {
  for (const auto* places : {&change.changed, &change.absent}) {
    for (auto place : *places) {
      if (place >= change.row.size())
        throw std::invalid_argument("journal event: a changed column beyond its row");
    }
  }
  if (change.old.size() != change.changed.size()) {
    throw std::invalid_argument("journal event: old values do not match the changed columns");
  }
  if (!change.before.empty() && change.before.size() != change.row.size()) {
    throw std::invalid_argument("journal event: an old row of another width than the new one");
  }
}

Change read(v1::Change& in) {
  Change change;
  change.operation = operation_of(in.operation());
  change.relation = in.relation();
  change.row.reserve(static_cast<std::size_t>(in.row_size()));
  for (auto& value : *in.mutable_row()) change.row.push_back(read(value));
  change.changed.assign(in.changed().begin(), in.changed().end());
  for (auto& value : *in.mutable_old()) change.old.push_back(read(value));
  change.absent.assign(in.absent().begin(), in.absent().end());
  for (auto& value : *in.mutable_before()) change.before.push_back(read(value));
  change.restart_sequences = in.restart_sequences();
  check_places(change);
  return change;
}

void fill(v1::Relation& out, const Relation& relation) {
  out.set_id(relation.id);
  out.set_table(relation.table);
  for (const auto& column : relation.columns) out.add_columns(column);
  for (auto place : relation.key) out.add_key(place);
}

Relation read(const v1::Relation& in) {
  Relation relation{
      in.id(), in.table(), {in.columns().begin(), in.columns().end()}, {in.key().begin(), in.key().end()}};
  for (auto place : relation.key) {
    if (place >= relation.columns.size())
      throw std::invalid_argument("journal event: a key column beyond its relation");
  }
  return relation;
}

// Every change must name a relation of its own part, and fit its width.
void check_changes(const TransactionPart& part) {
  for (const Change& change : part.changes) {
    const Relation* found = nullptr;
    for (const Relation& relation : part.relations) {
      if (relation.id == change.relation) found = &relation;
    }
    std::size_t width = found && change.operation != Operation::truncate ? found->columns.size() : 0;
    if (!found || width != change.row.size()) {
      throw std::invalid_argument("journal event: a change that does not fit its relation");
    }
  }
}

void fill(v1::Column& out, const SourceColumn& column) {
  out.set_name(column.name);
  out.set_declared_type(column.declared_type);
  out.set_not_null(column.not_null);
  if (column.default_sql) out.set_default_sql(*column.default_sql);
  out.set_collation(column.collation);
  if (column.generated_sql) out.set_generated_sql(*column.generated_sql);
  out.set_generated_stored(column.generated_stored);
}

SourceColumn read(const v1::Column& in) {
  SourceColumn column{in.name(), in.declared_type(),   in.not_null(), {}, in.collation(),
                      {},        in.generated_stored()};
  if (in.has_default_sql()) column.default_sql = in.default_sql();
  if (in.has_generated_sql()) column.generated_sql = in.generated_sql();
  return column;
}

void fill(v1::Index& out, const SourceIndex& index) {
  out.set_name(index.name);
  out.set_unique(index.unique);
  out.set_is_constraint(index.is_constraint);
  out.set_partial(index.partial);
  out.set_sql(index.sql);
  for (const auto& part : index.parts) {
    v1::IndexPart& to = *out.add_parts();
    if (part.column) to.set_column(*part.column);
    to.set_collation(part.collation);
    to.set_descending(part.descending);
  }
}

SourceIndex read(const v1::Index& in) {
  SourceIndex index{in.name(), in.unique(), in.is_constraint(), in.partial(), {}, in.sql()};
  for (const auto& part : in.parts()) {
    index.parts.push_back({{}, part.collation(), part.descending()});
    if (part.has_column()) index.parts.back().column = part.column();
  }
  return index;
}

void fill(v1::ForeignKey& out, const SourceForeignKey& key) {
  for (const auto& column : key.columns) out.add_columns(column);
  out.set_parent(key.parent);
  for (const auto& column : key.parent_columns) out.add_parent_columns(column);
  out.set_on_delete(key.on_delete);
  out.set_on_update(key.on_update);
}

SourceForeignKey read(const v1::ForeignKey& in) {
  return {{in.columns().begin(), in.columns().end()},
          in.parent(),
          {in.parent_columns().begin(), in.parent_columns().end()},
          in.on_delete(),
          in.on_update()};
}

void fill(v1::Table& out, const SourceTable& table) {
  out.set_name(table.name);
  for (const auto& column : table.columns) fill(*out.add_columns(), column);
  for (const auto& name : table.primary_key) out.add_primary_key(name);
  out.set_identity_is_rowid(table.identity == Identity::rowid);
  out.set_integer_key(table.integer_key);
  out.set_autoincrement(table.autoincrement);
  out.set_without_rowid(table.without_rowid);
  if (table.last_sequence) out.set_last_sequence(*table.last_sequence);
  for (const auto& index : table.indexes) fill(*out.add_indexes(), index);
  for (const auto& key : table.foreign_keys) fill(*out.add_foreign_keys(), key);
  for (const auto& check : table.checks) {
    v1::Check& to = *out.add_checks();
    to.set_name(check.name);
    to.set_sql(check.sql);
  }
  out.set_create_sql(table.create_sql);
}

SourceTable read(const v1::Table& in) {
  SourceTable table;
  table.name = in.name();
  for (const auto& column : in.columns()) table.columns.push_back(read(column));
  table.primary_key.assign(in.primary_key().begin(), in.primary_key().end());
  table.identity = in.identity_is_rowid() ? Identity::rowid : Identity::key;
  table.integer_key = in.integer_key();
  table.autoincrement = in.autoincrement();
  table.without_rowid = in.without_rowid();
  if (in.has_last_sequence()) table.last_sequence = in.last_sequence();
  for (const auto& index : in.indexes()) table.indexes.push_back(read(index));
  for (const auto& key : in.foreign_keys()) table.foreign_keys.push_back(read(key));
  for (const auto& check : in.checks()) table.checks.push_back({check.name(), check.sql()});
  table.create_sql = in.create_sql();
  return table;
}

void fill(v1::Stamp& out, const SourceStamp& stamp) {
  out.set_commit_lsn(stamp.commit_lsn);
  out.set_end_lsn(stamp.end_lsn);
  out.set_xid(stamp.xid);
  out.set_origin(stamp.origin);
}

SourceStamp read(const v1::Stamp& in) {
  return {in.commit_lsn(), in.end_lsn(), in.xid(), in.origin()};
}

// A message in memory that goes all at once: a part has tens of thousands of small ones within it.
template <typename Message>
class Pooled {
 public:
  Message& operator*() { return *message_; }
  Message* operator->() { return message_; }

 private:
  google::protobuf::Arena arena_;
  Message* message_ = google::protobuf::Arena::CreateMessage<Message>(&arena_);
};

template <typename Message>
void parse(std::string_view bytes, Message& into) {
  if (!into.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    throw std::invalid_argument("journal event: the bytes are no " + into.GetTypeName());
  }
}

template <typename Message>
Message parsed(std::string_view bytes) {
  Message message;
  parse(bytes, message);
  return message;
}

}  // namespace

std::string encode(const TransactionPart& part) {
  Pooled<v1::TransactionPart> pooled;
  v1::TransactionPart& out = *pooled;
  out.set_transaction(part.transaction);
  out.set_first(part.first);
  out.set_last(part.last);
  out.set_commit_time_us(part.commit_time_us);
  if (part.stamp) fill(*out.mutable_stamp(), *part.stamp);
  if (part.schema_change) {
    auto& change = *out.mutable_schema_change();
    for (const auto& table : part.schema_change->tables) fill(*change.add_tables(), table);
    for (const auto& [table, why] : part.schema_change->stopped) {
      auto& stopped = *change.add_stopped();
      stopped.set_name(table);
      stopped.set_why(why);
    }
  }
  for (const auto& relation : part.relations) fill(*out.add_relations(), relation);
  for (const auto& change : part.changes) fill(*out.add_changes(), change);
  return bytes_of(out);
}

TransactionPart decode_part(std::string_view bytes) {
  Pooled<v1::TransactionPart> pooled;
  v1::TransactionPart& in = *pooled;
  parse(bytes, in);
  TransactionPart part;
  part.transaction = in.transaction();
  part.first = in.first();
  part.last = in.last();
  part.commit_time_us = in.commit_time_us();
  if (in.has_stamp()) part.stamp = read(in.stamp());
  if (in.has_schema_change()) {
    part.schema_change.emplace();
    for (const auto& table : in.schema_change().tables()) part.schema_change->tables.push_back(read(table));
    for (const auto& stopped : in.schema_change().stopped())
      part.schema_change->stopped.push_back({stopped.name(), stopped.why()});
  }
  for (const auto& relation : in.relations()) part.relations.push_back(read(relation));
  part.changes.reserve(static_cast<std::size_t>(in.changes_size()));
  for (auto& change : *in.mutable_changes()) part.changes.push_back(read(change));
  check_changes(part);
  return part;
}

std::string encode(const Row& row) {
  v1::Row out;
  for (const Value& value : row) fill(*out.add_values(), value);
  return bytes_of(out);
}

Row decode_row(std::string_view bytes) {
  Row row;
  auto in = parsed<v1::Row>(bytes);
  for (auto& value : *in.mutable_values()) row.push_back(read(value));
  return row;
}

std::string encode(const SourceTable& table) {
  v1::Table out;
  fill(out, table);
  return bytes_of(out);
}

SourceTable decode_table(std::string_view bytes) {
  return read(parsed<v1::Table>(bytes));
}

}  // namespace tidegate
