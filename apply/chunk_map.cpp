#include "apply/chunk_map.hpp"

#include <algorithm>

namespace tidegate {

void ChunkMap::add(const std::string& table, Row up_to, std::uint64_t sequence) {
  chunks_[table].push_back({std::move(up_to), sequence});
  newest_ = std::max(newest_, sequence);
}

bool ChunkMap::already_copied(const Relation& relation, const Change& change, std::uint64_t sequence) const {
  if (sequence > newest_) return false;
  auto table = chunks_.find(relation.table);
  if (table == chunks_.end()) return false;
  Row key = key_of(relation, change.row);
  auto chunk = std::lower_bound(table->second.begin(), table->second.end(), key,
                                [](const Bound& bound, const Row& wanted) {
                                  return !bound.up_to.empty() && binary_order(bound.up_to, wanted) < 0;
                                });
  return chunk != table->second.end() && sequence <= chunk->sequence;
}

}  // namespace tidegate
