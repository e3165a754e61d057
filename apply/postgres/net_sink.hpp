// The sink for a source whose changes are whole rows: net changes, written set-based.
#pragma once

#include "apply/net_changes.hpp"
#include "apply/postgres/batch_writer.hpp"
#include "apply/sink.hpp"

namespace tidegate {

class NetSink : public Sink {
 public:
  NetSink(TargetSession& session, Quarantine& quarantine, const Plans& plans, Widen widen = {})
      : session_(session),
        plans_(plans),
        net_(plans),
        writer_(session, quarantine, plans, std::move(widen)) {}

  const Position& position() const override { return session_.position(); }
  void add(const Relation& relation, Change change) override { net_.add(relation, std::move(change)); }
  std::size_t rows() const override { return net_.rows(); }
  std::size_t bytes() const override { return net_.bytes(); }
  void write(const Position& to) override;
  void spill(std::uint64_t sequence) override;
  // No source with whole rows truncates.
  void remove_ranges(const Relation& relation, const ChunkMap::Key& key,
                     const std::vector<KeyRange>& ranges) override;

 private:
  TargetSession& session_;
  const Plans& plans_;
  NetChanges net_;
  BatchWriter writer_;
  bool long_is_open_ = false;
};

}  // namespace tidegate
