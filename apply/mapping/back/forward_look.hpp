// What the maps make of a legacy row, as far as its way back asks: the keys, and columns that expressions of
// [map.reverse] read.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "apply/mapping/back/returned_table.hpp"
#include "apply/mapping/definition.hpp"
#include "apply/mapping/mapped_table.hpp"

namespace tidegate {

class ForwardLook {
 public:
  // `wanted`: by output, places in the map's columns beside the keys. The table outlives it.
  ForwardLook(const ReturnedTable& table, const std::vector<std::vector<std::size_t>>& wanted,
              const MappingOptions& options);
  ForwardLook(const ForwardLook&) = delete;  // its table points into its maps
  ForwardLook& operator=(const ForwardLook&) = delete;

  // By output; nothing where the row does not match, or an expression fails.
  using Mapped = std::vector<std::optional<Row>>;
  Mapped map(const Row& row);
  Mapped nothing() const { return Mapped(places_.size()); }

  const Value& value(const Mapped& mapped, std::size_t output, std::size_t place) const;
  // The part of the output's key that is made of the row; nothing where there is none, or it begins with
  // NULL.
  std::optional<Row> key(const Mapped& mapped, std::size_t output) const;
  // The anchor's key of a row that the maps' condition leaves out: it may have left after it had come.
  std::optional<Row> key_outside(const Row& row);

 private:
  MapOutput reduced(std::size_t output, const std::vector<std::size_t>& wanted);
  void make_outside(const MappingOptions& options);

  const ReturnedTable& table_;
  std::vector<MapDefinition> maps_;
  std::vector<std::vector<std::size_t>> places_;  // by output: of each column, in the map's columns
  std::unique_ptr<MappedTable> mapped_;
  MapDefinition unconditional_;           // of the anchor
  std::unique_ptr<MappedTable> outside_;  // none where the maps have no condition
};

}  // namespace tidegate
