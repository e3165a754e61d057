// A sink before the sink: changes of mapped tables become changes of mapped relations; all others pass.
#pragma once

#include <memory>

#include "apply/mapping/mapping.hpp"
#include "apply/sink.hpp"

namespace tidegate {

class MappingSink : public Sink {
 public:
  MappingSink(Mapping& mapping, std::unique_ptr<Sink> sink) : mapping_(mapping), sink_(std::move(sink)) {}

  const Position& position() const override { return sink_->position(); }
  void add(const Relation& relation, Change change) override;
  std::size_t rows() const override { return sink_->rows(); }
  std::size_t bytes() const override { return sink_->bytes(); }
  void write(const Position& to) override { sink_->write(to); }
  void spill(std::uint64_t sequence) override { sink_->spill(sequence); }
  // What is mapped meanwhile may ask the target.
  void pass_on(std::uint64_t sequence) override {
    mapping_.empty() ? sink_->pass_on(sequence) : sink_->spill(sequence);
  }
  void remove_ranges(const Relation& relation, const ChunkMap::Key& key,
                     const std::vector<KeyRange>& ranges) override;

 private:
  Mapping& mapping_;
  std::unique_ptr<Sink> sink_;
};

}  // namespace tidegate
