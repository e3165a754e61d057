#include "apply/sqlite/reverse_net.hpp"

#include <algorithm>

#include "db/error.hpp"

namespace tidegate {
namespace {

Refused altered(const std::string& table, const std::string& how) {
  return Refused("way-back-schema-changed",
                 "table " + table + " of the target was altered so that its rows cannot go back: " + how,
                 "undo that change on the target");
}

}  // namespace

bool ReverseRow::whole() const {
  return std::find(absent.begin(), absent.end(), true) == absent.end();
}

const ReverseNet::Layout& ReverseNet::layout_of(const Relation& relation) {
  auto known = layouts_.find(relation.id);
  if (known != layouts_.end() && known->second.relation == relation) return known->second;
  Layout layout{relation, {}};
  for (const ReverseColumn& column : table_->columns) {
    const auto& names = relation.columns;
    const auto found = std::find(names.begin(), names.end(), column.forward.target);
    if (found == names.end()) throw altered(relation.table, "it has no column " + column.forward.target);
    layout.places.emplace_back(static_cast<std::size_t>(found - names.begin()));
  }
  std::vector<std::size_t> key;
  for (const auto place : relation.key) {
    const auto column = table_->place_of(relation.columns.at(place));
    if (!column) throw altered(relation.table, "its key has a column of its own");
    key.push_back(*column);
  }
  if (key.empty() || (!key_.empty() && key != key_)) throw altered(relation.table, "its key is another one");
  key_ = std::move(key);
  return layouts_[relation.id] = std::move(layout);
}

Row ReverseNet::in_layout(const Layout& layout, const Row& row) const {
  Row out;
  out.reserve(layout.places.size());
  for (const auto& place : layout.places) out.push_back(row[*place]);
  return out;
}

Row ReverseNet::key_of(const Row& row) const {
  Row key;
  for (const auto place : key_) key.push_back(row[place]);
  return key;
}

bool ReverseNet::is_left(const Row& key) const {
  return std::any_of(rows_.begin(), rows_.end(), [&](const ReverseRow& row) {
    return row.found_by && !row.remove && *row.found_by == key && key_of(row.row) != key;
  });
}

ReverseRow& ReverseNet::row_at(const Row& key) {
  const auto [known, is_new] = now_at_.try_emplace(encode(key), rows_.size());
  if (is_new) rows_.push_back({key, false, {}, {}});
  return rows_[known->second];
}

void ReverseNet::add(const Relation& relation, const Change& change) {
  const Layout& layout = layout_of(relation);
  if (change.operation == Operation::truncate) {
    truncated_ = true;
    rows_.clear();
    now_at_.clear();
    removed_.clear();
    return;
  }
  Row row = in_layout(layout, change.row);
  if (change.operation == Operation::remove) return remove(key_of(row));
  if (change.operation == Operation::insert) return insert(std::move(row));
  const Row before = change.before.empty() ? Row() : in_layout(layout, change.before);
  std::vector<bool> absent(table_->columns.size());
  for (std::size_t i = 0; i < absent.size(); ++i) {
    const auto place = static_cast<std::uint32_t>(*layout.places[i]);
    absent[i] = std::binary_search(change.absent.begin(), change.absent.end(), place);
    const bool told = absent[i] && !before.empty() && !is_null(before[i]);
    if (told) row[i] = before[i];
    if (told) absent[i] = false;
  }
  const Row key = key_of(row);
  update(before.empty() ? key : key_of(before), key, std::move(row), std::move(absent));
}

// A row that was deleted and comes again under its key is the same row: what did not change keeps its
// spelling.
void ReverseNet::insert(Row row) {
  const Row key = key_of(row);
  const std::string at = encode(key);
  std::vector<bool> absent(table_->columns.size());
  const auto removed = removed_.find(at);
  if (removed != removed_.end()) {
    rows_[removed->second] = {key, false, std::move(row), std::move(absent)};
    now_at_[at] = removed->second;
    removed_.erase(removed);
    return;
  }
  now_at_[at] = rows_.size();
  rows_.push_back({std::nullopt, false, std::move(row), std::move(absent)});
}

void ReverseNet::remove(const Row& key) {
  const std::string at = encode(key);
  ReverseRow& row = row_at(key);
  row.remove = true;
  if (row.found_by == key) removed_[at] = static_cast<std::size_t>(&row - rows_.data());
  now_at_.erase(at);
}

void ReverseNet::update(const Row& from, const Row& to, Row row, std::vector<bool> absent) {
  ReverseRow& into = row_at(from);
  for (std::size_t i = 0; i < absent.size(); ++i) {
    const bool known = absent[i] && !into.row.empty() && !into.absent[i];
    if (known) row[i] = into.row[i];
    if (known) absent[i] = false;
  }
  into.row = std::move(row);
  into.absent = std::move(absent);
  if (from == to) return;
  now_at_.erase(encode(from));
  now_at_[encode(to)] = static_cast<std::size_t>(&into - rows_.data());
}

}  // namespace tidegate
