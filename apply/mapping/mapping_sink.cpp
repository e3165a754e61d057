#include "apply/mapping/mapping_sink.hpp"

#include "db/error.hpp"

namespace tidegate {

void MappingSink::add(const Relation& relation, Change change) {
  if (!mapping_.maps(relation.table)) return sink_->add(relation, std::move(change));
  mapping_.table(relation).map(
      change, [this](const Relation& mapped, Change made) { sink_->add(mapped, std::move(made)); });
}

// The ranges are of the source's keys, which say nothing of the target's.
void MappingSink::remove_ranges(const Relation& relation, const ChunkMap::Key& key,
                                const std::vector<KeyRange>& ranges) {
  if (mapping_.maps(relation.table))
    throw Refused(
        "map-truncated",
        "table " + relation.table + " was truncated while its first copy was under way in several rounds",
        "empty the target with `tidegate reset --target` and begin again");
  sink_->remove_ranges(relation, key, ranges);
}

}  // namespace tidegate
