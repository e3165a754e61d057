#include "apply/sqlite/sqlite_sink.hpp"

#include <algorithm>
#include <stdexcept>

#include "apply/sqlite/encode_back.hpp"
#include "apply/sqlite/meaning.hpp"
#include "db/error.hpp"
#include "db/failpoint.hpp"

namespace tidegate {
namespace {

bool is_constraint(const Error& error) {
  return error.code().starts_with("SQLITE_CONSTRAINT");
}
// May pass once other rows of the batch have moved.
bool is_clash(const Error& error) {
  return error.code() == "SQLITE_CONSTRAINT_UNIQUE";
}

std::string reason_of(const Error& error) {
  if (is_clash(error)) return "not_unique";
  if (error.code() == "SQLITE_CONSTRAINT_NOTNULL") return "null_key";
  return error.code() == "SQLITE_CONSTRAINT_CHECK" ? "check" : std::string(name_of(Misfit::rejected));
}

}  // namespace

struct SqliteSink::Write {
  const ReverseNet* net;
  const ReverseRow* row;
  LegacyTable* table;
  std::optional<LegacyTable::Held> held;
  Row values = {};
  std::vector<std::size_t> changed = {};  // places; of a row that is held

  std::string key() const { return key_as_json(net->key_of(row->row)); }
};

void SqliteSink::add(const Relation& relation, Change change) {
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
  std::vector<Write> aside;
  for (const auto& net : nets_) remove_rows(*net);
  for (const auto& net : nets_) write_rows(*net, sequence, aside);
  settle(std::move(aside), sequence);
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

void SqliteSink::write_rows(const ReverseNet& net, std::uint64_t sequence, std::vector<Write>& aside) {
  for (const ReverseRow& row : net.rows()) {
    if (row.remove) continue;
    Write write{&net, &row, &table_of(net), std::nullopt};
    const Row& key = row.found_by ? *row.found_by : net.key_of(row.row);
    write.held = find(net, key);
    // What lies there belongs to another row of the batch, which has not moved yet.
    const bool is_taken = !row.found_by && write.held && net.is_left(key);
    if (is_taken) write.held.reset();
    if (!fill_in(write, sequence)) continue;
    if (is_taken) {
      aside.push_back(std::move(write));
    } else {
      put(write, sequence, aside);
    }
  }
}

// The values that the legacy row gets; false where one of them does not fit, which is noted.
bool SqliteSink::fill_in(Write& write, std::uint64_t sequence) {
  const auto& columns = write.net->table().columns;
  for (std::size_t i = 0; i < columns.size(); ++i) {
    const Value* held = write.held ? &write.held->row[i] : nullptr;
    if (write.row->absent[i]) {
      if (!held) return reject(write, columns[i].forward.source, "row_missing", sequence), false;
      write.values.push_back(*held);
      continue;
    }
    auto value = encode_back(write.row->row[i], columns[i], held);
    if (const auto* misfit = std::get_if<Misfit>(&value))
      return reject(write, columns[i].forward.source, std::string(name_of(*misfit)), sequence), false;
    write.values.push_back(std::get<Value>(std::move(value)));
    if (held && !identical(write.values.back(), *held)) write.changed.push_back(i);
  }
  return true;
}

void SqliteSink::put(Write& write, std::uint64_t sequence, std::vector<Write>& aside) {
  try {
    if (!write.held) {
      write.table->insert(write.values);
    } else if (!write.changed.empty()) {
      write.table->update(*write.held, write.values, write.changed);
    }
    done(write);
  } catch (const Error& error) {
    if (!is_constraint(error)) throw;
    if (is_clash(error)) {
      aside.push_back(std::move(write));
    } else {
      reject(write, "", reason_of(error), sequence);
    }
  }
}

// All of them out, then all of them in. The first that the table refuses even so, and why; then nothing of
// this is left.
std::optional<std::size_t> SqliteSink::put_together(std::vector<Write>& writes, std::string& why) {
  auto& legacy = file_.database();
  legacy.execute("SAVEPOINT tidegate_together");
  for (Write& write : writes) {
    if (write.held) write.table->remove(*write.held);
  }
  for (std::size_t i = 0; i < writes.size(); ++i) {
    try {
      writes[i].table->insert(writes[i].values, writes[i].held ? writes[i].held->rowid : std::nullopt);
    } catch (const Error& error) {
      if (!is_constraint(error)) throw;
      why = reason_of(error);
      legacy.execute("ROLLBACK TO tidegate_together; RELEASE tidegate_together");
      return i;
    }
  }
  legacy.execute("RELEASE tidegate_together");
  return std::nullopt;
}

// Each pass settles all, or takes one out that clashes with a row outside of the batch, or with one that was
// taken out before.
void SqliteSink::settle(std::vector<Write> aside, std::uint64_t sequence) {
  std::string why;
  while (!aside.empty()) {
    const auto refused = put_together(aside, why);
    if (!refused) break;
    reject(aside[*refused], "", why, sequence);
    aside.erase(aside.begin() + static_cast<std::ptrdiff_t>(*refused));
  }
  for (const Write& write : aside) done(write);
}

void SqliteSink::reject(const Write& write, const std::string& column, const std::string& reason,
                        std::uint64_t sequence) {
  file_.hold({write.net->table().legacy, write.key(), column, reason, sequence});
}

// The row is as the target has it, under whatever key it was rejected before.
void SqliteSink::done(const Write& write) {
  if (file_.rejects() == 0) return;
  file_.release(write.net->table().legacy, write.key());
  if (write.row->found_by) file_.release(write.net->table().legacy, key_as_json(*write.row->found_by));
}

}  // namespace tidegate
