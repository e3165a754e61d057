#include "apply/chunk_map.hpp"

#include <algorithm>
#include <stdexcept>

namespace tidegate {
namespace {

// By name: the order in which a relation lists its key is the source's, not the chunks'.
Row chunk_key(const std::vector<std::string>& columns, const Relation& relation, const Row& row) {
  Row key;
  for (const auto& column : columns) {
    auto found = std::find(relation.columns.begin(), relation.columns.end(), column);
    if (found == relation.columns.end()) {
      throw std::invalid_argument("table " + relation.table + " has no column " + column +
                                  " any more, by which its snapshot was cut");
    }
    key.push_back(row[static_cast<std::size_t>(found - relation.columns.begin())]);
  }
  return key;
}

// The new row of a key change whose old one is not in the target.
Change arrival(Change change) {
  if (change.absent.empty()) change.operation = Operation::insert;
  change.before.clear();
  return change;
}

Change departure(const Change& change) {
  return {Operation::remove, change.relation, change.before, {}, {}};
}

}  // namespace

void ChunkMap::set_key(const std::string& table, std::vector<std::string> columns,
                       std::vector<KeyOrder> orders) {
  tables_[table].key = {std::move(columns), std::move(orders)};
}

ChunkMap::Key ChunkMap::key_of_table(const std::string& table) const {
  auto found = tables_.find(table);
  return found == tables_.end() ? Key{} : found->second.key;
}

// Neighbours that show the same need no bound between them.
void ChunkMap::add_until(const std::string& table, Row up_to, std::uint64_t end, std::uint64_t newest) {
  auto& chunks = tables_[table].chunks;
  tables_[table].first_end = std::min(tables_[table].first_end, end);
  if (!chunks.empty() && chunks.back().end == end) {
    chunks.back().up_to = std::move(up_to);
  } else {
    chunks.push_back({std::move(up_to), end});
  }
  newest_ = std::max(newest_, newest);
  last_end_ = std::max(last_end_, end);
}

const ChunkMap::Table* ChunkMap::chunked(const Relation& relation, std::uint64_t at) const {
  if (at >= last_end_) return nullptr;
  auto table = tables_.find(relation.table);
  return table == tables_.end() || table->second.chunks.empty() ? nullptr : &table->second;
}

bool ChunkMap::shows(const Table& table, const Relation& relation, const Row& row, std::uint64_t at) {
  if (at < table.first_end) return true;
  if (table.chunks.size() == 1) return false;
  Row key = table.key.columns.empty() ? key_of(relation, row) : chunk_key(table.key.columns, relation, row);
  auto before = [&](const Chunk& chunk, const Row& wanted) {
    if (chunk.up_to.empty()) return false;
    auto order = table.key.orders.empty() ? binary_order(chunk.up_to, wanted)
                                          : compare_keys(chunk.up_to, wanted, table.key.orders);
    return order < 0;
  };
  auto chunk = std::lower_bound(table.chunks.begin(), table.chunks.end(), key, before);
  return chunk != table.chunks.end() && at < chunk->end;
}

ChunkMap::Unseen ChunkMap::unseen_truncate(const Table& table, Change change, std::uint64_t at) {
  Unseen unseen;
  bool shown_by_any = false;
  Row after;
  for (const Chunk& chunk : table.chunks) {
    if (at < chunk.end) {
      shown_by_any = true;
    } else {
      unseen.ranges.push_back({after, chunk.up_to});
    }
    after = chunk.up_to;
  }
  if (shown_by_any) return unseen;
  return {std::move(change), {}};
}

ChunkMap::Unseen ChunkMap::unseen(const Relation& relation, Change change, std::uint64_t at) const {
  const Table* table = chunked(relation, at);
  if (!table) return {std::move(change), {}};
  if (change.operation == Operation::truncate) return unseen_truncate(*table, std::move(change), at);
  bool new_is_shown = shows(*table, relation, change.row, at);
  bool old_is_shown = change.before.empty() ? new_is_shown : shows(*table, relation, change.before, at);
  if (new_is_shown && old_is_shown) return {};
  if (new_is_shown) return {departure(change), {}};
  if (old_is_shown) return {arrival(std::move(change)), {}};
  return {std::move(change), {}};
}

}  // namespace tidegate
