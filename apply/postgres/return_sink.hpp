// The sink of a way back into a legacy Postgres database through mappings: rows of tables without one as they
// come, those of the others as MappedReturn makes them, in one transaction with the pairs and the position.
#pragma once

#include "apply/mapping/back/mapped_return.hpp"
#include "apply/postgres/native/native_sink.hpp"
#include "apply/postgres/postgres_side.hpp"

namespace tidegate {

class ReturnSink : public Sink {
 public:
  // `mapped` is over `side`, which `native` writes to. All of them outlive it.
  ReturnSink(NativeSink& native, PostgresSide& side, MappedReturn& mapped)
      : native_(native), side_(side), mapped_(mapped) {}

  const Position& position() const override { return native_.position(); }
  void add(const Relation& relation, Change change) override;
  std::size_t rows() const override { return rows_ + native_.rows(); }
  std::size_t bytes() const override { return native_.bytes(); }
  void write(const Position& to) override;
  void spill(std::uint64_t sequence) override;
  void remove_ranges(const Relation& relation, const ChunkMap::Key& key,
                     const std::vector<KeyRange>& ranges) override;

 private:
  void turn_round(std::uint64_t sequence);

  NativeSink& native_;
  PostgresSide& side_;
  MappedReturn& mapped_;
  std::size_t rows_ = 0;  // touched
  bool begun_ = false;
};

}  // namespace tidegate
