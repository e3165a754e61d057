#include "apply/postgres/return_sink.hpp"

#include "db/failpoint.hpp"

namespace tidegate {

void ReturnSink::add(const Relation& relation, Change change) {
  if (!mapped_.follows(relation.table)) return native_.add(relation, std::move(change));
  ++rows_;
  mapped_.add(relation, change);
}

// A crash behind this leaves numbers that were drawn and are not used.
void ReturnSink::turn_round(std::uint64_t sequence) {
  if (!begun_) mapped_.begin();
  begun_ = true;
  mapped_.read(sequence);
  mapped_.remove_gone();
  mapped_.write();
  mapped_.finish();
  failpoint("back-rows-turned");
  side_.flush(native_, sequence);
  rows_ = 0;
}

void ReturnSink::write(const Position& to) {
  turn_round(to.sequence);
  native_.write(to);
  begun_ = false;
}

void ReturnSink::spill(std::uint64_t sequence) {
  turn_round(sequence);
  native_.spill(sequence);
}

void ReturnSink::remove_ranges(const Relation& relation, const ChunkMap::Key& key,
                               const std::vector<KeyRange>& ranges) {
  native_.remove_ranges(relation, key, ranges);
}

}  // namespace tidegate
