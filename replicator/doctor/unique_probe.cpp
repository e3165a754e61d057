#include "replicator/doctor/unique_probe.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "db/error.hpp"
#include "replicator/config/units.hpp"

namespace tidegate {
namespace {

constexpr std::size_t asked_at_once = 1000;
constexpr std::size_t refusals_looked_into = 1000;  // each takes a statement of its own
constexpr const char* place_column = "_tidegate_place";

TablePlan only(const TablePlan& plan, const std::vector<std::string>& columns) {
  TablePlan small = plan;
  small.columns.clear();
  small.key.clear();
  for (const auto& name : columns)
    small.columns.push_back(*std::find_if(plan.columns.begin(), plan.columns.end(),
                                          [&](const ColumnPlan& each) { return each.target == name; }));
  return small;
}

// One row for each row that is in the index: its place in the arrays, and its keys.
std::string keys_sql(const UniqueRule& rule) {
  std::vector<std::string> arrays, names;
  for (std::size_t i = 0; i < rule.columns.size(); ++i) {
    arrays.push_back(fmt::format("${}::{}[]", i + 1, rule.types[i]));
    names.push_back(tidegate::quoted(rule.columns[i]));
  }
  return fmt::format("SELECT {0}, {1} FROM unnest({2}) WITH ORDINALITY AS tidegate({3}, {0}){4}",
                     place_column, fmt::join(rule.keys, ", "), fmt::join(arrays, ", "),
                     fmt::join(names, ", "), rule.condition.empty() ? "" : " WHERE " + rule.condition);
}

}  // namespace

UniqueProbe::UniqueProbe(postgres::Connection& target, const TablePlan& plan, const Relation& relation,
                         const UniqueRule& rule, SeenValues& seen, std::int64_t set)
    : target_(target),
      plan_(only(plan, rule.columns)),
      mapper_(plan_, relation),
      seen_(seen),
      set_(set),
      index_(rule.name),
      sql_(keys_sql(rule)) {
  for (const auto& column : plan_.columns) {
    const auto place = std::find(relation.columns.begin(), relation.columns.end(), column.source);
    read_.push_back(static_cast<std::size_t>(place - relation.columns.begin()));
  }
}

void UniqueProbe::add(const Row& row, const std::string& name) {
  Row kept(row.size(), Value(Null{}));
  for (const auto place : read_) kept[place] = row[place];
  kept_.push_back({std::move(kept), name});
  if (kept_.size() == asked_at_once) finish();
}

void UniqueProbe::finish() {
  ask(0, kept_.size());
  kept_.clear();
}

// What the server refuses is halved: a value that its type does not take is the quarantine's business.
void UniqueProbe::ask(std::size_t first, std::size_t last) {
  if (first == last) return;
  const auto parameters = arrays_of(mapper_, std::span(kept_).subspan(first, last - first));
  try {
    take(target_.run(sql_, parameters), first);
  } catch (const Error&) {
    if (!target_.usable()) throw;
    if (last - first == 1) return;
    if (++refused_ > refusals_looked_into) {
      not_asked_ += last - first;
      return;
    }
    const auto middle = first + (last - first) / 2;
    ask(first, middle);
    ask(middle, last);
  }
}

std::optional<Finding> UniqueProbe::not_all_asked() const {
  if (not_asked_ == 0) return std::nullopt;
  return Finding{
      Finding::Level::warn,
      "target-unique-not-asked",
      plan_.source_table(),
      plan_.columns.front().target,
      fmt::format("whether {} of table {} clash in the target's {} was not found out: it refused too many "
                  "others for what they hold",
                  format_rows(not_asked_), plan_.source_table(), index_),
      "mend the rows that it refuses, then run doctor again"};
}

// NULL is like nothing.
void UniqueProbe::take(const postgres::Result& keys, std::size_t first) {
  for (int i = 0; i < keys.rows(); ++i) {
    std::string value;
    bool filled = true;
    for (int c = 1; c < keys.columns(); ++c) {
      filled = filled && !keys.is_null(i, c);
      if (filled) value += fmt::format("{}:{}", keys.text(i, c).size(), keys.text(i, c));
    }
    if (filled) seen_.add(set_, value, kept_[first + static_cast<std::size_t>(keys.integer(i, 0)) - 1].name);
  }
}

}  // namespace tidegate
