#include "apply/sqlite/sqlite_sink.hpp"

#include <algorithm>
#include <stdexcept>

#include "apply/meaning.hpp"
#include "apply/sqlite/encode_back.hpp"
#include "db/error.hpp"
#include "db/failpoint.hpp"

namespace tidegate {

void SqliteSink::add(const Relation& relation, Change change) {
  if (mapped_ && mapped_->follows(relation.table)) {
    ++rows_;
    return mapped_->add(relation, change);
  }
  const auto table = tables_.find(relation.table);
  if (table == tables_.end()) return;
  auto net = std::find_if(nets_.begin(), nets_.end(),
                          [&](const auto& known) { return &known->table() == &table->second; });
  if (net == nets_.end()) net = nets_.insert(nets_.end(), std::make_unique<ReverseNet>(table->second));
  (*net)->add(relation, change);
  ++rows_;
  bytes_ += size_in_memory(change);
}

void SqliteSink::begin() {
  if (mapped_) mapped_->begin();
  transaction_.emplace(file_.database(), sqlite::Transaction::Kind::immediate);
  file_.read_rejects();
  file_.enter();
}

void SqliteSink::write(const Position& to) {
  if (!transaction_) begin();
  write_added(to.sequence);
  file_.advance_to(to);
  failpoint("back-before-commit");
  transaction_->commit();
  failpoint("back-after-commit");
  transaction_.reset();
  file_.moved(to);
}

void SqliteSink::spill(std::uint64_t sequence) {
  if (!transaction_) begin();
  write_added(sequence);
  failpoint("back-in-long-transaction");
}

void SqliteSink::remove_ranges(const Relation& relation, const ChunkMap::Key&, const std::vector<KeyRange>&) {
  throw std::logic_error("a part of table " + relation.table + ", of which no part was copied");
}

LegacyTable& SqliteSink::table_of(const ReverseNet& net) {
  auto& table = open_[net.table().target];
  if (!table || table->key() != net.key())
    table = std::make_unique<LegacyTable>(file_.database(), net.table(), net.key());
  return *table;
}

// Deletes of all tables first: what they free may be taken by others.
void SqliteSink::write_added(std::uint64_t sequence) {
  LegacyWrites writes(file_, sequence);
  if (side_) side_->write_to(writes);
  if (mapped_) mapped_->read(sequence);
  for (const auto& net : nets_) remove_rows(*net);
  if (mapped_) mapped_->remove_gone();
  for (const auto& net : nets_) write_rows(*net, writes);
  if (mapped_) mapped_->write();
  writes.settle();
  if (mapped_) mapped_->finish();
  nets_.clear();
  rows_ = bytes_ = 0;
}

// The row that the target means by this key, and no other: under NOCASE, 'A' finds 'a'.
std::optional<LegacyTable::Held> SqliteSink::find(const ReverseNet& net, const Row& key) {
  Row legacy_key;
  for (std::size_t i = 0; i < key.size(); ++i) {
    auto value = encode_back(key[i], net.table().columns[net.key()[i]]);
    if (std::holds_alternative<Misfit>(value)) return std::nullopt;
    legacy_key.push_back(std::get<Value>(std::move(value)));
  }
  auto held = table_of(net).find(legacy_key);
  if (!held) return held;
  for (std::size_t i = 0; i < key.size(); ++i) {
    const std::size_t place = net.key()[i];
    const auto* text = std::get_if<std::string>(&key[i]);
    if (!text || !means(held->row[place], *text, net.table().columns[place].forward)) return std::nullopt;
  }
  return held;
}

void SqliteSink::remove_rows(const ReverseNet& net) {
  if (net.truncated()) table_of(net).remove_all();
  for (const ReverseRow& row : net.rows()) {
    if (!row.remove || !row.found_by) continue;
    if (auto held = find(net, *row.found_by)) table_of(net).remove(*held);
    file_.release(net.table().legacy, key_as_json(*row.found_by));
  }
}

void SqliteSink::write_rows(const ReverseNet& net, LegacyWrites& writes) {
  for (const ReverseRow& row : net.rows()) {
    if (row.remove) continue;
    LegacyWrite write{&table_of(net), net.key_of(row.row), row.found_by, std::nullopt};
    const Row key = row.found_by ? *row.found_by : write.key;
    write.held = find(net, key);
    // What lies there belongs to another row of the batch, which has not moved yet.
    const bool is_taken = !row.found_by && write.held && net.is_left(key);
    if (is_taken) write.held.reset();
    if (!fill_in(net, row, write, writes)) continue;
    if (is_taken) {
      writes.put_aside(std::move(write));
    } else {
      writes.put(std::move(write));
    }
  }
}

// The values that the legacy row gets; false where one of them does not fit, which is noted.
bool SqliteSink::fill_in(const ReverseNet& net, const ReverseRow& row, LegacyWrite& write,
                         LegacyWrites& writes) {
  const auto& columns = net.table().columns;
  for (std::size_t i = 0; i < columns.size(); ++i) {
    const Value* held = write.held ? &write.held->row[i] : nullptr;
    if (row.absent[i]) {
      if (!held) return writes.reject(write, columns[i].forward.source, "row_missing"), false;
      write.values.push_back(*held);
      continue;
    }
    auto value = encode_back(row.row[i], columns[i], held);
    if (const auto* misfit = std::get_if<Misfit>(&value))
      return writes.reject(write, columns[i].forward.source, std::string(name_of(*misfit))), false;
    write.values.push_back(std::get<Value>(std::move(value)));
    if (held && !identical(write.values.back(), *held)) write.changed.push_back(i);
  }
  return true;
}

}  // namespace tidegate
