#include "apply/mapping/reversal.hpp"

#include <algorithm>

#include "apply/mapping/expression_check.hpp"
#include "apply/mapping/keys/key_calls.hpp"

namespace tidegate {
namespace {

enum class Fate { unread, lost, remembered, kept };  // the best that some expression allows

class Columns {
 public:
  explicit Columns(const SourceTable& table) {
    for (const auto& column : table.columns) names_.push_back(column.name);
    fates_.resize(names_.size(), Fate::unread);
  }

  void read(const std::string& expression) {
    const auto places = columns_read(expression, names_);
    for (const auto place : places) best(place, Fate::lost);
    // A key of one column is known by its answer; of several it would have to be taken apart.
    if (key_call(expression) && places.size() == 1) best(places.front(), Fate::remembered);
    if (const auto passed = passed_column(expression, names_)) {
      const auto found = std::find(names_.begin(), names_.end(), *passed);
      best(static_cast<std::size_t>(found - names_.begin()), Fate::kept);
    }
  }

  std::vector<std::string> with(Fate fate) const {
    std::vector<std::string> names;
    for (std::size_t i = 0; i < names_.size(); ++i)
      if (fates_[i] == fate) names.push_back(names_[i]);
    return names;
  }

 private:
  void best(std::size_t place, Fate fate) { fates_[place] = std::max(fates_[place], fate); }

  std::vector<std::string> names_;
  std::vector<Fate> fates_;
};

void read_map(const MapDefinition& map, Columns& columns) {
  if (map.condition) columns.read("(" + map.condition->text + ")");
  for (const MapTarget& target : map.to) {
    if (target.condition) columns.read("(" + target.condition->text + ")");
    for (const MapColumn& column : target.columns) columns.read(column.expression.text);
  }
}

}  // namespace

std::vector<Reversal> reversals(const std::vector<MapDefinition>& maps,
                                const std::vector<SourceTable>& tables) {
  std::vector<Reversal> all;
  for (const SourceTable& table : tables) {
    const auto is_it = [&](const MapDefinition& map) { return map.from == table.name; };
    const auto known = [&](const Reversal& each) { return each.table == table.name; };
    if (std::none_of(maps.begin(), maps.end(), is_it) || std::any_of(all.begin(), all.end(), known)) continue;
    Columns columns(table);
    for (const MapDefinition& map : maps)
      if (is_it(map)) read_map(map, columns);
    all.push_back({table.name, columns.with(Fate::kept), columns.with(Fate::remembered),
                   columns.with(Fate::lost), columns.with(Fate::unread)});
  }
  return all;
}

}  // namespace tidegate
