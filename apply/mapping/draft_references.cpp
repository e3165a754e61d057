#include "apply/mapping/draft_references.hpp"

#include <algorithm>
#include <map>
#include <optional>
#include <tuple>

#include "apply/mapping/expression_check.hpp"
#include "apply/mapping/keys/key_calls.hpp"

namespace tidegate {
namespace {

// One column of one output, where it is made of a single column of the source.
struct Cell {
  const MapDefinition* map;
  const MapTarget* target;
  const SourceTable* source;
  std::string name;
  ColumnKey made;  // scope "": passed on
  bool is_key;
};

// By which cell of another table, and what the source's foreign key says of it.
struct Link {
  const Cell* parent;
  std::string on_delete;
  bool certain;
};

using Place = std::tuple<std::string, std::string, std::string>;  // schema, table, column

const std::vector<std::string>& key_of(const MapTarget& target) {
  static const std::vector<std::string> usual{"id"};
  return target.key.empty() ? usual : target.key;
}

bool same_table(const MapTarget& a, const MapTarget& b) {
  return a.schema == b.schema && a.table == b.table;
}

bool same_condition(const std::optional<PlacedText>& a, const std::optional<PlacedText>& b) {
  if (!a || !b) return !a && !b;
  return same_expression(a->text, b->text);
}

class References {
 public:
  References(const std::vector<MapDefinition>& maps, const std::vector<SourceTable>& sources) {
    for (const MapDefinition& map : maps) {
      const auto source = std::find_if(sources.begin(), sources.end(),
                                       [&](const SourceTable& each) { return each.name == map.from; });
      if (source == sources.end()) continue;
      for (const MapTarget& target : map.to) read(map, target, *source);
    }
  }

  std::vector<DraftReference> all() const {
    std::vector<DraftReference> found;
    for (const Place& place : order_) {
      if (auto reference = reference_of(place)) found.push_back(std::move(*reference));
    }
    return found;
  }

 private:
  void read(const MapDefinition& map, const MapTarget& target, const SourceTable& source) {
    std::vector<std::string> names;
    for (const auto& column : source.columns) names.push_back(column.name);
    for (const MapColumn& column : target.columns) {
      const Place place{target.schema, target.table, column.target};
      if (++filled_[place] == 1) order_.push_back(place);
      auto made = column_key(column.expression.text, names);
      if (auto passed = passed_column(column.expression.text, names)) made = ColumnKey{"", {}, *passed};
      const auto& key = key_of(target);
      if (made)
        cells_.push_back({&map, &target, &source, column.target, std::move(*made),
                          key.size() == 1 && key.front() == column.target && !target.contributor});
    }
  }

  // Each row of the child's output is a row of the parent's.
  static bool is_same_row(const Cell& child, const Cell& parent) {
    return child.source == parent.source && child.made == parent.made &&
           (!parent.map->condition || same_condition(child.map->condition, parent.map->condition)) &&
           (!parent.target->condition || same_condition(child.target->condition, parent.target->condition));
  }

  static const SourceForeignKey* declared(const Cell& child, const Cell& parent) {
    const auto& keys = child.source->foreign_keys;
    const auto found = std::find_if(keys.begin(), keys.end(), [&](const SourceForeignKey& key) {
      return key.columns == std::vector{child.made.column} && key.parent == parent.source->name &&
             key.parent_columns == std::vector{parent.made.column};
    });
    return found == keys.end() ? nullptr : &*found;
  }

  static std::optional<Link> link(const Cell& child, const Cell& parent) {
    const bool alike = child.made.scope == parent.made.scope && child.made.words == parent.made.words;
    const bool passed = child.made.scope.empty();
    if (!alike) return std::nullopt;
    if (is_same_row(child, parent) && (!passed || child.is_key)) return Link{&parent, "CASCADE", true};
    if (const auto* key = declared(child, parent))
      return Link{&parent, key->on_delete, !parent.map->condition && !parent.target->condition};
    if (passed) return std::nullopt;
    return Link{&parent, "NO ACTION", false};
  }

  std::optional<Link> link_of(const Cell& child) const {
    std::optional<Link> best;
    for (const Cell& parent : cells_) {
      const bool own_table = same_table(*child.target, *parent.target);
      if (own_table && child.is_key) break;  // its own key refers to tables before it only
      if (!parent.is_key || (own_table && is_same_row(child, parent))) continue;
      const auto found = link(child, parent);
      if (found && (!best || (found->certain && !best->certain))) best = found;
    }
    return best;
  }

  std::optional<DraftReference> reference_of(const Place& place) const {
    std::optional<DraftReference> reference;
    int said = 0;
    for (const Cell& cell : cells_) {
      if (Place{cell.target->schema, cell.target->table, cell.name} != place) continue;
      const auto found = link_of(cell);
      if (!found) return std::nullopt;
      const MapTarget& parent = *found->parent->target;
      DraftReference one{cell.target->schema, cell.target->table,  cell.name,        parent.schema,
                         parent.table,        found->parent->name, found->on_delete, found->certain};
      if (reference &&
          (one.parent_schema != reference->parent_schema || one.parent_table != reference->parent_table ||
           one.parent_column != reference->parent_column))
        return std::nullopt;
      one.certain = one.certain && (!reference || reference->certain);
      reference = std::move(one);
      ++said;
    }
    if (said != filled_.at(place)) return std::nullopt;
    return reference;
  }

  std::vector<Cell> cells_;
  std::vector<Place> order_;
  std::map<Place, int> filled_;  // by how many outputs
};

}  // namespace

std::vector<DraftReference> draft_references(const std::vector<MapDefinition>& maps,
                                             const std::vector<SourceTable>& sources) {
  return References(maps, sources).all();
}

}  // namespace tidegate
