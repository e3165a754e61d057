#include "apply/mapping/back/forward_look.hpp"

#include <algorithm>

namespace tidegate {
namespace {

void add_place(std::vector<std::size_t>& places, std::size_t place) {
  if (std::find(places.begin(), places.end(), place) == places.end()) places.push_back(place);
}

}  // namespace

ForwardLook::ForwardLook(const ReturnedTable& table, const std::vector<std::vector<std::size_t>>& wanted,
                         const MappingOptions& options)
    : table_(table) {
  std::vector<MapOutput> outputs;
  maps_.reserve(wanted.size());
  for (std::size_t i = 0; i < wanted.size(); ++i) outputs.push_back(reduced(i, wanted[i]));
  mapped_ = std::make_unique<MappedTable>(std::move(outputs), table.source, table.relation, options, 0);
  make_outside(options);
}

void ForwardLook::make_outside(const MappingOptions& options) {
  const std::size_t anchor = table_.plan.anchor;
  if (!maps_[anchor].condition) return;
  unconditional_ = maps_[anchor];
  unconditional_.condition.reset();
  MapTarget& target = unconditional_.to.front();
  target.columns.resize(target.key.size());  // they come first
  MapOutput output{&unconditional_, &target, mapped_->output(anchor).name};
  outside_ = std::make_unique<MappedTable>(std::vector{std::move(output)}, table_.source, table_.relation,
                                           options, 0);
}

// The columns of the key that are made of the row come first.
MapOutput ForwardLook::reduced(std::size_t output, const std::vector<std::size_t>& wanted) {
  const ReturnOutput& described = table_.plan.outputs[output];
  const MapTarget& whole = *described.from.target;
  std::vector<std::size_t> places;
  for (const auto& name : described.made_key) add_place(places, table_.place_in(output, name));
  for (const auto& name : whole.key) add_place(places, table_.place_in(output, name));
  for (const std::size_t place : wanted) add_place(places, place);
  MapDefinition map = *described.from.map;
  map.to = {whole};
  map.to.front().columns.clear();
  for (const std::size_t place : places) map.to.front().columns.push_back(whole.columns[place]);
  maps_.push_back(std::move(map));
  places_.push_back(std::move(places));
  return {&maps_.back(), &maps_.back().to.front(), described.from.name};
}

ForwardLook::Mapped ForwardLook::map(const Row& row) {
  Mapped mapped;
  mapped_->map_row(row, mapped);
  for (auto& each : mapped)
    if (each && !is_null(each->back())) each.reset();  // an expression failed
  return mapped;
}

const Value& ForwardLook::value(const Mapped& mapped, std::size_t output, std::size_t place) const {
  const auto& places = places_[output];
  const auto at = std::find(places.begin(), places.end(), place) - places.begin();
  return (*mapped[output])[static_cast<std::size_t>(at)];
}

std::optional<Row> ForwardLook::key(const Mapped& mapped, std::size_t output) const {
  if (!mapped[output] || is_null(mapped[output]->front())) return std::nullopt;
  const auto width = static_cast<std::ptrdiff_t>(table_.plan.outputs[output].made_key.size());
  return Row(mapped[output]->begin(), mapped[output]->begin() + width);
}

std::optional<Row> ForwardLook::key_outside(const Row& row) {
  if (!outside_) return std::nullopt;
  Mapped mapped;
  outside_->map_row(row, mapped);
  const auto& made = mapped.front();
  if (!made || !is_null(made->back()) || is_null(made->front())) return std::nullopt;
  const auto width = static_cast<std::ptrdiff_t>(table_.plan.anchor_output().made_key.size());
  return Row(made->begin(), made->begin() + width);
}

}  // namespace tidegate
