#include "apply/postgres/native/table.hpp"

#include <algorithm>
#include <stdexcept>

#include "apply/text_format.hpp"

namespace tidegate::native {
namespace {

template <typename Names>
std::size_t place_of(const std::string& name, const Names& names, const std::string& table) {
  auto found = std::find(names.begin(), names.end(), name);
  if (found == names.end()) {
    throw std::invalid_argument("table " + table + " has no column " + name + ", which its plan reads");
  }
  return static_cast<std::size_t>(found - names.begin());
}

bool same_values(const Row& a, const Row& b, const std::vector<std::uint32_t>& places) {
  return std::all_of(places.begin(), places.end(), [&](auto place) { return identical(a[place], b[place]); });
}

// A column that the source's table got later than these rows were written has its default in them.
TablePlan without_later_columns(const TablePlan& given, const Relation& relation) {
  TablePlan plan = given;
  std::erase_if(plan.columns, [&](const ColumnPlan& column) {
    bool is_key = std::find(given.key.begin(), given.key.end(), column.target) != given.key.end();
    const auto& names = relation.columns;
    return !is_key && std::find(names.begin(), names.end(), column.source) == names.end();
  });
  return plan;
}

}  // namespace

Table::Table(TablePlan given, Relation relation)
    : given_(std::move(given)),
      plan_(without_later_columns(given_, relation)),
      relation_(std::move(relation)) {
  std::vector<std::string> targets;
  for (const auto& column : plan_.columns) {
    places_.push_back(place_of(column.source, relation_.columns, relation_.table));
    targets.push_back(column.target);
  }
  for (const auto& name : plan_.key) key_.push_back(place_of(name, targets, relation_.table));
  source_key_ = relation_.key;
  if (source_key_.empty()) {
    for (auto column : key_) source_key_.push_back(static_cast<std::uint32_t>(places_[column]));
  }
  // What a mapping reads was checked when it was compiled.
  for (auto column : is_mapped(relation_) ? std::vector<std::size_t>{} : key_) {
    if (std::find(source_key_.begin(), source_key_.end(), places_[column]) == source_key_.end()) {
      throw std::invalid_argument("the replica identity of table " + relation_.table + " lacks column " +
                                  plan_.columns[column].source + ", by which the target finds its rows");
    }
  }
  if (key_.empty() && !relation_.key.empty()) {
    throw std::invalid_argument("the replica identity of table " + relation_.table +
                                " gives no whole old rows, by which the target finds them");
  }
}

void Table::complete(Change& change) const {
  if (change.before.empty()) return;
  const auto& key = relation_.key;
  std::erase_if(change.absent, [&](std::uint32_t place) {
    if (!key.empty() && std::find(key.begin(), key.end(), place) == key.end()) return false;
    change.row[place] = change.before[place];
    return true;
  });
  if (!keyless() && same_values(change.row, change.before, source_key_) && same_key(change))
    change.before.clear();
}

// A mapped row's key is made of the source's, and may be the same where that is not, or the other way round.
bool Table::same_key(const Change& change) const {
  return std::all_of(key_.begin(), key_.end(), [&](std::size_t column) {
    return identical(value(change.row, column), value(change.before, column));
  });
}

std::optional<NamedMisfit> Table::misfit(const Change& change) const {
  const bool has_row = change.operation == Operation::insert || change.operation == Operation::update;
  if (!has_row) return std::nullopt;
  return misfit_of(relation_, change.row);
}

std::vector<std::size_t> Table::absent_columns(const Change& change) const {
  std::vector<std::size_t> columns;
  if (change.absent.empty()) return columns;
  for (std::size_t i = 0; i < places_.size(); ++i) {
    if (std::binary_search(change.absent.begin(), change.absent.end(), places_[i])) columns.push_back(i);
  }
  return columns;
}

// No text of Postgres holds a NUL; a NULL in a key is refused by the target later.
std::string Table::key(const Row& row) const {
  std::string key;
  for (auto column : key_) {
    if (const auto* text = std::get_if<std::string>(&value(row, column))) key += *text;
    key += '\0';
  }
  return key;
}

Reject Table::named(const Row& row) const {
  Row key;
  for (auto place : source_key_) key.push_back(row[place]);
  Reject reject;
  reject.source_key = key_as_json(key);
  reject.key_bytes = encode(key);
  reject.target_key = key_arrays(row);
  return reject;
}

// Empty where a part of the key is not known: then no row can be looked for.
std::vector<std::string> Table::key_arrays(const Row& row) const {
  std::vector<std::string> arrays;
  for (auto column : key_) {
    const auto* text = std::get_if<std::string>(&value(row, column));
    if (!text) return {};
    append_array_element(*text, arrays.emplace_back("{"));
    arrays.back() += '}';
  }
  return arrays;
}

}  // namespace tidegate::native
