#include "apply/mapping/mapping_sink.hpp"

#include "db/error.hpp"

namespace tidegate {

MappingSink::~MappingSink() {
  if (spilling_.valid()) spilling_.wait();
}

void MappingSink::hand_on(const Relation& relation, Change change) {
  if (!spilling_.valid()) return sink_->add(relation, std::move(change));
  auto& kept = relations_[relation.id];
  if (!kept || *kept != relation) kept = std::make_shared<const Relation>(relation);
  waiting_bytes_ += size_in_memory(change);
  waiting_.emplace_back(kept, std::move(change));
}

void MappingSink::add(const Relation& relation, Change change) {
  if (!mapping_.maps(relation.table)) return hand_on(relation, std::move(change));
  mapping_.table(relation).map(
      change, [this](const Relation& mapped, Change made) { hand_on(mapped, std::move(made)); });
}

void MappingSink::settle() {
  if (!spilling_.valid()) return;
  spilling_.get();
  for (auto& [relation, change] : waiting_) sink_->add(*relation, std::move(change));
  waiting_.clear();
  waiting_bytes_ = 0;
}

void MappingSink::write(const Position& to) {
  settle();
  sink_->write(to);
}

void MappingSink::spill(std::uint64_t sequence) {
  settle();
  sink_->spill(sequence);
}

void MappingSink::pass_on(std::uint64_t sequence) {
  settle();
  if (mapping_.empty()) return sink_->pass_on(sequence);
  spilling_ = std::async(std::launch::async, [this, sequence] { sink_->spill(sequence); });
}

// The ranges are of the source's keys, which say nothing of the target's.
void MappingSink::remove_ranges(const Relation& relation, const ChunkMap::Key& key,
                                const std::vector<KeyRange>& ranges) {
  settle();
  if (mapping_.maps(relation.table))
    throw Refused(
        "map-truncated",
        "table " + relation.table + " was truncated while its first copy was under way in several rounds",
        "empty the target with `tidegate reset --target` and begin again");
  sink_->remove_ranges(relation, key, ranges);
}

}  // namespace tidegate
