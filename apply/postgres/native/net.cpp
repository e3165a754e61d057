#include "apply/postgres/native/net.hpp"

#include <algorithm>
#include <iterator>

namespace tidegate::native {
namespace {

NetRow first_of(const Step& step) {
  using State = NetRow::State;
  bool removed = step.operation() == Operation::remove;
  Columns absent = step.table().absent_columns(step.change);
  State state = removed ? State::removed : absent.empty() ? State::whole : State::partial;
  return {state, step.operation() == Operation::insert, &step.change.row, std::move(absent), nullptr};
}

}  // namespace

Net::TableRows& Net::rows_of(Target* target) {
  TableRows*& rows = by_target_[target];
  if (!rows) rows = &tables_.emplace_back(TableRows{target, {}, {}});
  return *rows;
}

// The values that the change gives, over those that were known.
void Net::merge(NetRow& known, const Change& change) {
  if (!known.merged) known.row = known.merged = &merged_.emplace_back(*known.row);
  auto absent = change.absent.begin();
  for (std::uint32_t place = 0; place < change.row.size(); ++place) {
    if (absent != change.absent.end() && *absent == place) {
      ++absent;
    } else {
      (*known.merged)[place] = change.row[place];
    }
  }
}

// An update that lacks values takes them from what the batch knows of the row; what is known of neither stays
// absent.
void Net::follow(NetRow& known, const Step& step) {
  NetRow next = first_of(step);
  next.born = known.born;
  if (next.state != NetRow::State::partial || known.state == NetRow::State::removed) {
    known = std::move(next);
    return;
  }
  merge(known, step.change);
  Columns absent;
  std::set_intersection(known.absent.begin(), known.absent.end(), next.absent.begin(), next.absent.end(),
                        std::back_inserter(absent));
  known.absent = std::move(absent);
  known.state = known.absent.empty() ? NetRow::State::whole : NetRow::State::partial;
}

void Net::add(const Step& step) {
  TableRows& rows = rows_of(step.target);
  if (step.table().keyless()) {
    rows.rows.push_back(first_of(step));
    return;
  }
  auto [found, is_new] = rows.by_key.emplace(step.table().key(step.change.row), rows.rows.size());
  if (is_new) {
    rows.rows.push_back(first_of(step));
  } else {
    follow(rows.rows[found->second], step);
  }
}

}  // namespace tidegate::native
