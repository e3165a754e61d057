#include "replicator/doctor/mapped_rows.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <tuple>

#include "apply/encode.hpp"
#include "apply/mapping/mapped_row.hpp"
#include "replicator/auth/credentials.hpp"
#include "replicator/config/units.hpp"
#include "replicator/doctor/doctor.hpp"
#include "replicator/doctor/numbered_keys.hpp"
#include "replicator/doctor/row_probe.hpp"
#include "replicator/doctor/seen_values.hpp"
#include "replicator/doctor/target_rules.hpp"
#include "replicator/doctor/unique_probe.hpp"
#include "replicator/pipeline/found_rows.hpp"
#include "replicator/pipeline/mapping_setup.hpp"
#include "replicator/pipeline/rules_of_tables.hpp"
#include "replicator/pipeline/source_scan.hpp"
#include "replicator/server_access.hpp"

namespace tidegate {
namespace {

using Level = Finding::Level;

// A set of values that SeenValues keeps: columns of a table of the target, whichever map fills them.
struct ValueSet {
  std::string table;
  std::vector<std::string> columns;
  bool operator==(const ValueSet&) const = default;
};

// Some of the target's columns in each mapped row.
struct Check {
  std::int64_t set;
  std::vector<std::size_t> places;  // in the plan's columns
};

// One mapped relation: what is looked at in each of its rows.
struct Output {
  const TablePlan* plan;
  std::vector<Check> checks;
  std::vector<std::shared_ptr<UniqueProbe>> probes;
  std::shared_ptr<RowProbe> rows;
  std::vector<const std::set<std::string>*> labels;  // by plan column; null where it is no enum
};

class Examination {
 public:
  Examination(postgres::Connection& target, const Settings& settings, const PlannedPipeline& planned)
      : target_(target),
        settings_(settings),
        planned_(planned),
        options_(mapping_options(settings, std::make_shared<NumberedKeys>())),
        trial_(connect_target(connect_options(settings, "tidegate doctor"))) {
    trial_.run("BEGIN");
    for (const TablePlan& plan : planned.plans)
      if (!plan.from.empty()) rules_.try_emplace(shown_name(plan), read_rules(target, plan));
  }

  std::vector<Finding> run() {
    const auto maps = maps_of(settings_);
    std::vector<std::string> done;
    for (const SourceTable& table : planned_.tables) {
      if (!is_mapped(maps, table.name) || std::find(done.begin(), done.end(), table.name) != done.end())
        continue;
      done.push_back(table.name);
      scan(maps, table);
    }
    tell_wrong();
    tell_repeated();
    tell_orphans();
    return std::move(findings_);
  }

 private:
  std::int64_t number_of(const ValueSet& set) {
    const auto found = std::find(sets_.begin(), sets_.end(), set);
    if (found != sets_.end()) return found - sets_.begin();
    sets_.push_back(set);
    return static_cast<std::int64_t>(sets_.size()) - 1;
  }

  static bool is_settled_in_the_run(const MapColumn& column) {
    return column.expression.text.find("unique_value") != std::string::npos;
  }
  static bool is_made_in_the_run(const MapColumn& column) {
    return is_settled_in_the_run(column) || column.expression.text.find("surrogate") != std::string::npos;
  }

  std::shared_ptr<RowProbe> row_probe(const MapTarget& target, const TablePlan& plan,
                                      const Relation& relation) {
    std::set<std::string> made;
    for (const MapColumn& column : target.columns)
      if (is_made_in_the_run(column)) made.insert(column.target);
    std::vector<tidegate::Check> checks = settings_.checks;
    std::erase_if(checks, [&](const tidegate::Check& check) { return !is_about(check, plan); });
    return std::make_shared<RowProbe>(trial_, plan, relation, std::move(checks), made);
  }

  // Where the plan writes all of the columns, and none of them waits for others' values.
  std::optional<std::vector<std::size_t>> places_of(const MapTarget& target, const TablePlan& plan,
                                                    const std::vector<std::string>& columns) const {
    std::vector<std::size_t> places;
    for (const auto& name : columns) {
      const auto column = std::find_if(plan.columns.begin(), plan.columns.end(),
                                       [&](const ColumnPlan& each) { return each.target == name; });
      const auto written = std::find_if(target.columns.begin(), target.columns.end(),
                                        [&](const MapColumn& each) { return each.target == name; });
      if (column == plan.columns.end() || written == target.columns.end()) return std::nullopt;
      if (is_settled_in_the_run(*written)) return std::nullopt;
      places.push_back(static_cast<std::size_t>(column - plan.columns.begin()));
    }
    return places;
  }

  // A set of which some rows' values are not known says nothing about what is missing or repeated.
  void add_check(Output& output, const MapTarget& target, const std::vector<std::string>& columns,
                 const ValueSet& set) {
    const std::int64_t number = number_of(set);
    const auto same = [&](const Check& check) { return check.set == number; };
    if (std::any_of(output.checks.begin(), output.checks.end(), same)) return;
    if (auto places = places_of(target, *output.plan, columns))
      output.checks.push_back({number, std::move(*places)});
    else
      not_known_.insert(number);
  }

  std::optional<std::int64_t> known(const ValueSet& set) const {
    const auto found = std::find(sets_.begin(), sets_.end(), set);
    const std::int64_t number = found - sets_.begin();
    if (found == sets_.end() || not_known_.contains(number)) return std::nullopt;
    return number;
  }

  static ValueSet set_of(const std::string& table, const UniqueRule& rule) {
    return {rule.plain ? table : table + " " + rule.name, rule.columns};
  }

  // What only the server can say of values, the server is asked.
  void add_rule(Output& output, const MapTarget& target, const Relation& relation, const UniqueRule& rule) {
    const ValueSet set = set_of(shown_name(*output.plan), rule);
    if (rule.plain) return add_check(output, target, rule.columns, set);
    const std::int64_t number = number_of(set);
    if (places_of(target, *output.plan, rule.columns))
      output.probes.push_back(
          std::make_shared<UniqueProbe>(target_, *output.plan, relation, rule, seen_, number));
    else
      not_known_.insert(number);
  }

  Output output_of(const MapTarget& target, const TablePlan& plan, const Relation& relation) {
    Output output{&plan,
                  {},
                  {},
                  row_probe(target, plan, relation),
                  std::vector<const std::set<std::string>*>(plan.columns.size())};
    const std::string table = shown_name(plan);
    const TableRules& rules = rules_.at(table);
    for (std::size_t i = 0; i < plan.columns.size(); ++i)
      if (const auto labels = rules.labels.find(plan.columns[i].target); labels != rules.labels.end())
        output.labels[i] = &labels->second;
    if (plan.contributor) return output;
    for (const UniqueRule& rule : rules.unique) add_rule(output, target, relation, rule);
    for (const auto& [child, its] : rules_)
      for (const ParentRule& rule : its.parents)
        if (rule.parent == table)
          add_check(output, target, rule.parent_columns, {table, rule.parent_columns});
    for (const ParentRule& rule : rules.parents)
      add_check(output, target, rule.columns, {table + " " + rule.name, rule.columns});
    return output;
  }

  void scan(const std::vector<MapDefinition>& maps, const SourceTable& table) {
    const Relation relation = relation_of(table, options_.printed);
    MappedTable mapped(outputs_of(maps, table.name), table, relation, options_, 0);
    std::vector<std::optional<Output>> outputs;
    for (std::size_t i = 0; i < mapped.size(); ++i) {
      const auto plan =
          std::find_if(planned_.plans.begin(), planned_.plans.end(),
                       [&](const TablePlan& each) { return each.source == mapped.output(i).name; });
      outputs.push_back(plan == planned_.plans.end()
                            ? std::nullopt
                            : std::optional(output_of(*mapped.output(i).target, *plan, mapped.relation(i))));
    }
    std::vector<std::optional<Row>> rows;
    each_source_row(settings_, relation, all_rows, [&](const Row& row) {
      mapped.map_row(row, rows);
      const std::string key = key_as_json(key_of(relation, row));
      for (std::size_t i = 0; i < rows.size(); ++i)
        if (outputs[i] && rows[i]) look_at(*outputs[i], mapped.relation(i), *rows[i], key);
    });
    for (const auto& output : outputs)
      if (output) finish(*output);
  }

  void finish(const Output& output) {
    for (const auto& probe : output.probes) {
      probe->finish();
      if (auto left = probe->not_all_asked()) findings_.push_back(std::move(*left));
    }
    output.rows->finish();
    for (auto& finding : output.rows->findings()) findings_.push_back(std::move(finding));
  }

  void look_at(const Output& output, const Relation& relation, const Row& row, const std::string& key) {
    const TablePlan& plan = *output.plan;
    if (const auto misfit = misfit_of(relation, row))
      return note(plan, misfit->column, name_of(misfit->misfit), key);
    std::vector<std::optional<std::string>> texts(plan.columns.size());
    for (std::size_t i = 0; i < plan.columns.size(); ++i) {
      std::string text;
      const Encoded encoded = encode(row[i], plan.columns[i], text);
      if (encoded.state == Encoded::State::misfit)
        return note(plan, plan.columns[i].target, name_of(encoded.misfit), key);
      if (encoded.state == Encoded::State::null) continue;
      if (output.labels[i] && !output.labels[i]->contains(text))
        return note(plan, plan.columns[i].target, "enum", key);
      texts[i] = std::move(text);
    }
    const std::string name = plan.source_table() + " " + key;
    for (const Check& check : output.checks) keep(check, texts, name);
    for (const auto& probe : output.probes) probe->add(row, name);
    output.rows->add(row, name);
  }

  void keep(const Check& check, const std::vector<std::optional<std::string>>& texts,
            const std::string& row) {
    std::string value;
    for (const std::size_t place : check.places) {
      if (!texts[place]) return;  // NULL is like nothing, and refers to nothing
      value += std::to_string(texts[place]->size()) + ":" + *texts[place];
    }
    seen_.add(check.set, value, row);
  }

  void note(const TablePlan& plan, const std::string& column, std::string_view what, const std::string& key) {
    wrong_[{shown_name(plan), column, std::string(what)}].add(plan.source_table() + " " + key);
  }

  void tell(const char* code, const std::string& table, const std::string& column, std::string message,
            const char* mend) {
    findings_.push_back({Level::warn, code, table, column, std::move(message), mend});
  }

  void tell_wrong() {
    for (const auto& [where, wrong] : wrong_) {
      const auto& [table, column, what] = where;
      const std::string rows = wrong.text();
      if (what == "enum")
        tell("map-enum", table, column,
             fmt::format("column {} of {} is an enum, and has no such value as {}", column, table, rows),
             "add the label with a migration, or map it with case … end");
      else if (what == name_of(Misfit::null_key))
        tell("map-null", table, column,
             fmt::format("column {} of {} takes no NULL, and is NULL in {}", column, table, rows),
             "give a value with coalesce(…), or leave the rows out with `where`");
      else
        tell("map-misfit", table, column,
             fmt::format("column {} of {} does not fit ({}) in {}", column, table, what, rows),
             "mend the values in the source, or change the expression; such rows go to the quarantine");
    }
  }

  void tell_repeated() {
    for (const auto& [table, rules] : rules_)
      for (const UniqueRule& rule : rules.unique) {
        const auto set = known(set_of(table, rule));
        if (!set) continue;
        const auto found = seen_.repeated(*set);
        if (found.values == 0) continue;
        const bool email = table == "auth.users" && rule.columns == std::vector<std::string>{"email"};
        tell(email ? "email-twice" : "map-clash", table, rule.columns.front(),
             fmt::format(
                 "{} of {} must be unique, and {} come more than once, perhaps in several spellings: {}",
                 fmt::join(rule.columns, ", "), table,
                 found.values == 1 ? "1 value does" : format_count(found.values) + " values",
                 fmt::join(found.rows, ", ")),
             "decide in the source which row is right, or settle it with unique_value(…)");
      }
  }

  void tell_orphans() {
    for (const auto& [table, rules] : rules_)
      for (const ParentRule& rule : rules.parents) {
        const auto child = known({table + " " + rule.name, rule.columns}),
                   parent = known({rule.parent, rule.parent_columns});
        if (!child || !parent) continue;
        const auto found = seen_.without(*child, *parent);
        if (found.values == 0) continue;
        tell("map-orphans", table, rule.columns.front(),
             fmt::format("{} of {} refers to {}, and its parent does not exist for {}",
                         fmt::join(rule.columns, ", "), table, rule.parent,
                         FoundRows{found.values, found.rows}.text()),
             "bring the parents, or leave the rows out with `where`");
      }
  }

  postgres::Connection& target_;
  const Settings& settings_;
  const PlannedPipeline& planned_;
  MappingOptions options_;
  postgres::Connection trial_;               // for rows that are tried, and taken back
  std::map<std::string, TableRules> rules_;  // by the target's table
  std::vector<ValueSet> sets_;
  std::set<std::int64_t> not_known_;
  SeenValues seen_;
  std::map<std::tuple<std::string, std::string, std::string>, FoundRows> wrong_;
  std::vector<Finding> findings_;
};

}  // namespace

std::vector<Finding> examine_mapping(const Settings& settings) {
  if (settings.maps.empty()) return {};
  PlannedPipeline planned = plan_from_catalogue(settings);
  auto target = connect_target(connect_options(settings, "tidegate doctor"));
  examine_fit(target, planned.plans, tables_options(settings));
  std::vector<Finding> findings = credential_findings(settings, planned.tables);
  for (auto& finding : examine_mapped_rows(target, settings, planned)) findings.push_back(std::move(finding));
  return findings;
}

std::vector<Finding> examine_mapped_rows(postgres::Connection& target, const Settings& settings,
                                         const PlannedPipeline& planned) {
  return Examination(target, settings, planned).run();
}

}  // namespace tidegate
