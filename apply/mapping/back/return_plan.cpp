#include "apply/mapping/back/return_plan.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <numeric>

#include "apply/mapping/expression_check.hpp"
#include "apply/mapping/mapping.hpp"
#include "apply/mapping/refusals.hpp"
#include "apply/mapping/reverse_expressions.hpp"
#include "apply/schema/expression.hpp"

namespace tidegate {
namespace {

using Kind = ReturnSource::Kind;

constexpr const char* mend =
    "--no-way-back goes on without; a rollback then loses all that is written after the cutover";

std::string name_of(const MapTarget& target) {
  return target.schema + "." + target.table;
}

const MapColumn* column_of(const MapTarget& target, const std::string& name) {
  const auto found = std::find_if(target.columns.begin(), target.columns.end(),
                                  [&](const MapColumn& column) { return column.target == name; });
  return found == target.columns.end() ? nullptr : &*found;
}

// Where other maps own rows of the same table.
std::vector<const MapTarget*> other_owners(const std::vector<MapDefinition>& maps, const MapTarget& target) {
  std::vector<const MapTarget*> others;
  for (const MapDefinition& map : maps)
    for (const MapTarget& other : map.to)
      if (name_of(other) == name_of(target) && !other.contributor && &other != &target)
        others.push_back(&other);
  return others;
}

std::optional<std::string> constant_of(const MapTarget& target, const std::string& column) {
  const MapColumn* found = column_of(target, column);
  return found ? constant(found->expression.text) : std::nullopt;
}

// Columns in which each owner's rows have a text of their own.
std::string told_by_constants(const MapTarget& target, const std::vector<const MapTarget*>& others) {
  std::string condition;
  for (const MapColumn& column : target.columns) {
    const auto text = constant(column.expression.text);
    const bool tells = text && std::all_of(others.begin(), others.end(), [&](const MapTarget* other) {
                         const auto theirs = constant_of(*other, column.target);
                         return theirs && *theirs != *text;
                       });
    if (tells)
      condition +=
          (condition.empty() ? "" : " AND ") + quoted(column.target) + "::text = " + quoted_literal(*text);
  }
  return condition;
}

// tell_owners_apart() has made such a condition where the configuration has none: rows that were born on the
// target are nobody's by it.
bool asks_key_memory(const PlacedText& rows) {
  return rows.text.find("tidegate.keys") != std::string::npos;
}

std::string claim_of(const MapTarget& target, const std::vector<const MapTarget*>& others) {
  if (target.born) return target.born->text;
  if (target.rows && !asks_key_memory(*target.rows)) return target.rows->text;
  return told_by_constants(target, others);
}

ReturnOutput described(MapOutput output, const std::vector<MapDefinition>& maps) {
  const MapTarget& target = *output.target;
  ReturnOutput described{std::move(output)};
  for (const std::string& name : target.key) {
    if (auto text = constant_of(target, name))
      described.constants.emplace_back(name, std::move(*text));
    else
      described.made_key.push_back(name);
  }
  const auto others = other_owners(maps, target);
  described.is_shared = !target.contributor && !others.empty();
  if (described.is_shared) described.claim = claim_of(target, others);
  described.claims_born = described.is_shared && target.born;
  return described;
}

class Planner {
 public:
  Planner(const std::vector<MapDefinition>& maps, const SourceTable& table, const Follows& follows)
      : maps_(maps), table_(table), follows_(follows) {
    for (const SourceColumn& column : table.columns) names_.push_back(column.name);
    plan_.table = table.name;
    for (MapOutput& output : outputs_of(maps, table.name))
      plan_.outputs.push_back(described(std::move(output), maps));
    plan_.columns.resize(names_.size());
  }

  ReturnPlan run() {
    if (table_.primary_key.empty() || table_.identity == Identity::rowid) {
      block("", "has no primary key by which its rows could be found again", mend);
    } else if (find_anchor()) {
      find_parts();
      for (std::size_t i = 0; i < names_.size(); ++i) plan_.columns[i] = source_of(i);
      if (!plan_.contributes) refuse_what_cannot_be_inserted();
      judge_shared();
      tell_of_other_maps();
    }
    return std::move(plan_);
  }

 private:
  const MapTarget& target(std::size_t output) const { return *plan_.outputs[output].from.target; }

  void block(const std::string& column, const std::string& what, const std::string& how) {
    plan_.findings.push_back(
        {Finding::Level::block, "way-back-not-reversible", table_.name, column,
         fmt::format("table {}{}{} {}", table_.name, column.empty() ? "" : ": column ", column, what), how});
  }

  // Of rows that legacy tables share a way back needs to know whose each is.
  void judge_shared() {
    const ReturnOutput& anchor = plan_.anchor_output();
    if (!anchor.is_shared || !anchor.claim.empty() || !anchor.constants.empty()) return;
    const std::string table = name_of(*anchor.from.target);
    const std::string how = fmt::format(
        "say it by a condition on its columns: [[map.to]] born = \"…\"; give each owner a constant in a "
        "column "
        "of {}; or a table of its own that has the same key",
        table);
    if (!plan_.entity) {
      block("", fmt::format("is one of several that fill {}, and nothing says whose a row is", table), how);
      return;
    }
    plan_.findings.push_back(
        {Finding::Level::warn, "way-back-owner-not-told", table_.name, "",
         fmt::format("table {} is one of several that fill {}, and nothing says whose a row is that is born "
                     "there: such rows do not come back",
                     table_.name, table),
         how});
  }

  // The anchor has the rows of its own map. Those that only another map of this table takes are not in it.
  void tell_of_other_maps() {
    const MapDefinition& own = *plan_.anchor_output().from.map;
    if (!own.condition) return;
    const MapDefinition* told = nullptr;
    for (const ReturnOutput& output : plan_.outputs) {
      const MapDefinition& other = *output.from.map;
      const bool alike =
          &other == &own || (other.condition && same_expression(other.condition->text, own.condition->text));
      if (alike || output.from.target->contributor || &other == told) continue;
      told = &other;
      plan_.findings.push_back({Finding::Level::warn, "way-back-rows-not-followed", table_.name, "",
                                fmt::format("several maps take rows of table {}, and only those that {} "
                                            "takes are followed back: changes of {} that "
                                            "belong to no such row do not come back",
                                            table_.name, own.where, name_of(*output.from.target)),
                                "give the rows one map without `where`, and conditions to its tables, or "
                                "know that a rollback loses these changes"});
    }
  }

  // The source's column behind each column of the target's key; nothing where one is made in another way.
  std::optional<std::vector<ReturnSource>> key_of(std::size_t output,
                                                  std::vector<std::string>& columns) const {
    std::vector<ReturnSource> key;
    for (const std::string& name : plan_.outputs[output].made_key) {
      const MapColumn* column = column_of(target(output), name);
      if (!column) return std::nullopt;
      if (auto passed = passed_column(column->expression.text, names_)) {
        key.push_back({Kind::passed, output, name});
        columns.push_back(*passed);
      } else if (auto made = column_key(column->expression.text, names_)) {
        columns.push_back(made->column);
        key.push_back({Kind::key, output, name, std::move(made)});
      } else {
        return std::nullopt;
      }
    }
    return key;
  }

  bool is_anchor(std::size_t output) {
    std::vector<std::string> columns;
    auto key = key_of(output, columns);
    auto wanted = table_.primary_key, had = columns;
    std::sort(wanted.begin(), wanted.end());
    std::sort(had.begin(), had.end());
    if (!key || wanted != had || target(output).condition || !follows_(target(output))) return false;
    plan_.anchor = output;
    plan_.contributes = target(output).contributor;
    if (key->size() == 1) plan_.entity = key->front().key;
    for (std::size_t i = 0; i < columns.size(); ++i) anchored_.emplace_back(columns[i], std::move((*key)[i]));
    return true;
  }

  // A table of the map's own says more than one that it shares, and best of those is one that says whose a
  // row is.
  int rank(std::size_t output) const {
    const ReturnOutput& one = plan_.outputs[output];
    if (target(output).contributor) return 3;
    if (!one.is_shared) return 0;
    return one.claim.empty() && one.constants.empty() ? 2 : 1;
  }

  bool find_anchor() {
    std::vector<std::size_t> best(plan_.outputs.size());
    std::iota(best.begin(), best.end(), std::size_t{0});
    std::stable_sort(best.begin(), best.end(),
                     [&](std::size_t a, std::size_t b) { return rank(a) < rank(b); });
    for (const std::size_t output : best)
      if (is_anchor(output)) return true;
    std::vector<std::string> tables;
    for (std::size_t i = 0; i < plan_.outputs.size(); ++i) tables.push_back(name_of(target(i)));
    block("",
          fmt::format("has no anchor: none of {} has one row for each row, under a key that is made of the "
                      "table's own, and is owned by tidegate's role, so that its changes can be followed",
                      fmt::join(tables, ", ")),
          fmt::format("make the key of one of them of {} alone, or: {}", fmt::join(table_.primary_key, ", "),
                      mend));
    return false;
  }

  bool has_key_of_anchor(std::size_t output) const {
    const MapTarget &one = target(output), &anchor = target(plan_.anchor);
    const auto &key = plan_.outputs[output].made_key, &of_anchor = plan_.anchor_output().made_key;
    return std::equal(key.begin(), key.end(), of_anchor.begin(), of_anchor.end(),
                      [&](const std::string& a, const std::string& b) {
                        const MapColumn *x = column_of(one, a), *y = column_of(anchor, b);
                        return x && y && same_expression(x->expression.text, y->expression.text);
                      });
  }

  std::string link_of(std::size_t output) const {
    const MapTarget &one = target(output), &anchor = target(plan_.anchor);
    const MapColumn* key = one.key.size() == 1 ? column_of(one, one.key.front()) : nullptr;
    const auto& anchor_key = plan_.anchor_output().made_key;
    const MapColumn* of_anchor = anchor_key.size() == 1 ? column_of(anchor, anchor_key.front()) : nullptr;
    if (!key || !key_call(key->expression.text) || !of_anchor) return "";
    for (const MapColumn& column : one.columns)
      if (same_expression(column.expression.text, of_anchor->expression.text)) return column.target;
    return "";
  }

  void find_parts() {
    for (std::size_t i = 0; i < plan_.outputs.size(); ++i) {
      plan_.outputs[i].is_part = has_key_of_anchor(i);
      if (!plan_.outputs[i].is_part) plan_.outputs[i].link = link_of(i);
      if (plan_.outputs[i].is_part) parts_.push_back(i);
    }
    // A part whose changes are followed, and that each row has, says more than one that is there at times.
    const auto order = [&](std::size_t part) {
      const bool always = !target(part).condition;
      return part == plan_.anchor ? 0 : (follows_(target(part)) ? 1 : 3) + (always ? 0 : 1);
    };
    std::stable_sort(parts_.begin(), parts_.end(),
                     [&](std::size_t a, std::size_t b) { return order(a) < order(b); });
  }

  const MapColumn* reverse_of(const std::string& column) const {
    for (const MapDefinition& map : maps_)
      for (const MapColumn& reverse : map.reverse)
        if (map.from == table_.name && reverse.target == column) return &reverse;
    return nullptr;
  }

  ReturnSource given(const MapColumn& reverse) {
    for (std::size_t output = 0; output < plan_.outputs.size(); ++output)
      if (plan_.outputs[output].is_part && is_over(reverse, target(output)))
        return {Kind::given, output, "", std::nullopt, &reverse};
    block(reverse.target,
          fmt::format("cannot come back by {}: that is over a table whose rows do not have the key of {}",
                      reverse.expression.where, name_of(target(plan_.anchor))),
          "write it over one of those that have it");
    return {};
  }

  ReturnSource source_of(std::size_t place) {
    const std::string& name = names_[place];
    for (const auto& [column, source] : anchored_)
      if (column == name) return source;
    if (table_.columns[place].generated_sql) return {};
    if (const MapColumn* reverse = reverse_of(name)) return given(*reverse);
    for (const std::size_t part : parts_)
      for (const MapColumn& column : target(part).columns)
        if (passed_column(column.expression.text, names_) == name) return {Kind::passed, part, column.target};
    for (const std::size_t part : parts_)
      for (const MapColumn& column : target(part).columns)
        if (auto key = column_key(column.expression.text, names_); key && key->column == name)
          return {Kind::key, part, column.target, std::move(key)};
    return {};
  }

  void refuse_what_cannot_be_inserted() {
    for (std::size_t i = 0; i < names_.size(); ++i) {
      const SourceColumn& column = table_.columns[i];
      const bool needs = column.not_null && !column.default_sql && !column.generated_sql;
      if (needs && plan_.columns[i].kind == Kind::stays)
        block(column.name,
              "is NOT NULL without a default, and nothing says what a new row of the target gives it",
              fmt::format("write it: [map.reverse] {} = \"…\", over the target's columns; or: {}",
                          column.name, mend));
    }
  }

  const std::vector<MapDefinition>& maps_;
  const SourceTable& table_;
  const Follows& follows_;
  std::vector<std::string> names_;
  ReturnPlan plan_;
  std::vector<std::pair<std::string, ReturnSource>> anchored_;  // columns of the source's key
  std::vector<std::size_t> parts_;                              // outputs, the best first
};

bool is_owned(const std::vector<ReturnPlan>& plans, const ColumnKey& key) {
  return std::any_of(plans.begin(), plans.end(), [&](const ReturnPlan& plan) {
    return plan.entity && !plan.contributes && plan.entity->scope == key.scope &&
           plan.entity->words == key.words;
  });
}

// Keys can be looked up where some table's rows have them.
void refuse_unowned(std::vector<ReturnPlan>& plans, const std::vector<SourceTable>& tables) {
  for (ReturnPlan& plan : plans) {
    const auto table = std::find_if(tables.begin(), tables.end(),
                                    [&](const SourceTable& each) { return each.name == plan.table; });
    for (std::size_t i = 0; i < plan.columns.size(); ++i) {
      const auto& source = plan.columns[i];
      if (source.kind != Kind::key || is_owned(plans, *source.key)) continue;
      plan.findings.push_back(
          {Finding::Level::block, "way-back-not-reversible", plan.table, table->columns[i].name,
           fmt::format("table {}: column {} is a key of {}, and no table with a way back has "
                       "rows of that key",
                       plan.table, table->columns[i].name, source.key->scope),
           fmt::format("map the table whose keys they are, write [map.reverse], or: {}", mend)});
    }
  }
}

void check_names(const std::vector<MapDefinition>& maps, const SourceTable& table) {
  for (const MapDefinition& map : maps) {
    if (map.from != table.name) continue;
    for (const MapColumn& reverse : map.reverse) {
      const SourceColumn* column = table.column(reverse.target);
      if (!column || column->generated_sql) throw reverse_of_no_column(reverse, map);
    }
  }
}

}  // namespace

std::vector<ReturnPlan> plan_returns(const std::vector<MapDefinition>& maps,
                                     const std::vector<SourceTable>& tables, const Follows& follows) {
  std::vector<ReturnPlan> plans;
  for (const SourceTable& table : tables) {
    const bool mapped = std::any_of(maps.begin(), maps.end(),
                                    [&](const MapDefinition& map) { return map.from == table.name; });
    const bool known = std::any_of(plans.begin(), plans.end(),
                                   [&](const ReturnPlan& plan) { return plan.table == table.name; });
    if (!mapped || known) continue;
    check_names(maps, table);
    plans.push_back(Planner(maps, table, follows).run());
  }
  refuse_unowned(plans, tables);
  return plans;
}

}  // namespace tidegate
