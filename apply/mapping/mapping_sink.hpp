// A sink before the sink: changes of mapped tables become changes of mapped relations; all others pass.
//
// To map rows takes about as long as to write them, so while a part of a long transaction is being written,
// on a thread of its own, the next one is mapped; no more than one part waits. The sink behind is that
// thread's until settle().
#pragma once

#include <future>
#include <memory>
#include <unordered_map>
#include <utility>
#include <vector>

#include "apply/mapping/mapping.hpp"
#include "apply/sink.hpp"

namespace tidegate {

class MappingSink : public Sink {
 public:
  MappingSink(Mapping& mapping, std::unique_ptr<Sink> sink) : mapping_(mapping), sink_(std::move(sink)) {}
  ~MappingSink() override;

  const Position& position() const override { return sink_->position(); }
  void add(const Relation& relation, Change change) override;
  std::size_t rows() const override { return spilling_.valid() ? waiting_.size() : sink_->rows(); }
  std::size_t bytes() const override { return spilling_.valid() ? waiting_bytes_ : sink_->bytes(); }
  void write(const Position& to) override;
  void spill(std::uint64_t sequence) override;
  void pass_on(std::uint64_t sequence) override;
  void remove_ranges(const Relation& relation, const ChunkMap::Key& key,
                     const std::vector<KeyRange>& ranges) override;

 private:
  void hand_on(const Relation& relation, Change change);
  void settle();  // throws what the writing threw

  Mapping& mapping_;
  std::unique_ptr<Sink> sink_;
  std::future<void> spilling_;  // valid while a part may be being written
  std::vector<std::pair<std::shared_ptr<const Relation>, Change>> waiting_;  // for its end
  std::unordered_map<std::uint32_t, std::shared_ptr<const Relation>>
      relations_;  // of those that waited, by id
  std::size_t waiting_bytes_ = 0;
};

}  // namespace tidegate
