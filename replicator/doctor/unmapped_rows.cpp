#include "replicator/doctor/unmapped_rows.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <memory>
#include <tuple>

#include "db/error.hpp"
#include "replicator/doctor/doctor.hpp"
#include "replicator/doctor/row_probe.hpp"
#include "replicator/doctor/server_orphans.hpp"
#include "replicator/doctor/target_rules.hpp"
#include "replicator/doctor/unique_probe.hpp"
#include "replicator/pipeline/found_rows.hpp"
#include "replicator/pipeline/mapping_setup.hpp"
#include "replicator/pipeline/rules_of_tables.hpp"
#include "replicator/pipeline/source_orphans.hpp"
#include "replicator/pipeline/source_scan.hpp"
#include "replicator/server_access.hpp"

namespace tidegate {
namespace {

using Level = Finding::Level;

bool same_columns(std::vector<std::string> a, std::vector<std::string> b) {
  std::sort(a.begin(), a.end());
  std::sort(b.begin(), b.end());
  return a == b;
}

// The source's columns behind the target's; nothing where one of them is not written.
std::optional<std::vector<std::string>> sources_of(const TablePlan& plan,
                                                   const std::vector<std::string>& columns) {
  std::vector<std::string> sources;
  for (const auto& name : columns) {
    const auto column = std::find_if(plan.columns.begin(), plan.columns.end(),
                                     [&](const ColumnPlan& each) { return each.target == name; });
    if (column == plan.columns.end() || column->source == kRidSource) return std::nullopt;
    sources.push_back(column->source);
  }
  return sources;
}

// The source holds to it by itself, with its own idea of what is equal: bytes.
bool is_kept_by(const SourceTable& table, const TablePlan& plan, const UniqueRule& rule) {
  if (!rule.plain) return false;
  if (same_columns(rule.columns, plan.key)) return true;
  return std::any_of(table.indexes.begin(), table.indexes.end(), [&](const SourceIndex& index) {
    std::vector<std::string> columns;
    for (const auto& part : index.parts)
      columns.push_back(part.collation == "BINARY" ? part.column.value_or("") : "");
    return index.unique && !index.partial && same_columns(columns, rule.columns);
  });
}

class Examination {
 public:
  Examination(postgres::Connection* target, postgres::Connection* trial, const Settings& settings,
              const PlannedPipeline& planned)
      : target_(target),
        trial_(trial),
        settings_(settings),
        planned_(planned),
        printed_(settings.source.end.kind == Endpoint::Kind::postgres) {}

  void run(std::vector<Finding>& counted) {
    for (std::size_t i = 0; i < planned_.plans.size(); ++i) {
      const TablePlan& plan = planned_.plans[i];
      if (!plan.from.empty()) continue;
      if (target_ || has_misfits(counted, plan.source) || !checks_of(plan).empty())
        scan(planned_.tables[i], plan);
    }
    add_misfits(counted);
    for (auto& finding : broken_) counted.push_back(std::move(finding));
    add_repeated(counted);
    add_orphans(counted);
  }

 private:
  // Of plans that are as the rows were measured for.
  static bool has_misfits(const std::vector<Finding>& counted, const std::string& table) {
    return std::any_of(counted.begin(), counted.end(), [&](const Finding& each) {
      return each.table == table && each.code.starts_with("misfit-");
    });
  }

  std::vector<Check> checks_of(const TablePlan& plan) const {
    if (!trial_) return {};
    std::vector<Check> checks = settings_.checks;
    std::erase_if(checks, [&](const Check& check) { return !is_about(check, plan); });
    return checks;
  }

  // One index that the source does not stand for.
  struct Watched {
    const TablePlan* plan;
    UniqueRule rule;
    std::int64_t set;
  };

  std::vector<std::unique_ptr<UniqueProbe>> probes_of(const SourceTable& table, const TablePlan& plan,
                                                      const Relation& relation) {
    std::vector<std::unique_ptr<UniqueProbe>> probes;
    if (!target_) return probes;
    TableRules rules = read_rules(*target_, plan);
    for (const auto& parent : rules.parents) refer(table, plan, parent);
    for (auto& rule : rules.unique) {
      // A server's own uniques are not described; those of columns alone mostly stand on both ends.
      if (printed_ && rule.plain) continue;
      if (is_kept_by(table, plan, rule) || !sources_of(plan, rule.columns)) continue;
      watched_.push_back({&plan, std::move(rule), static_cast<std::int64_t>(watched_.size())});
      const auto& watched = watched_.back();
      probes.push_back(
          std::make_unique<UniqueProbe>(*target_, plan, relation, watched.rule, seen_, watched.set));
    }
    return probes;
  }

  // A foreign key of the target alone: the source may never have heard of it.
  void refer(const SourceTable& table, const TablePlan& plan, const ParentRule& rule) {
    const auto parent = std::find_if(
        planned_.plans.begin(), planned_.plans.end(),
        [&](const TablePlan& each) { return each.from.empty() && shown_name(each) == rule.parent; });
    const auto columns = sources_of(plan, rule.columns);
    if (parent == planned_.plans.end() || !columns) return;
    const auto parent_columns = sources_of(*parent, rule.parent_columns);
    if (parent_columns) references_.push_back({table.name, *columns, parent->source, *parent_columns});
  }

  void scan(const SourceTable& table, const TablePlan& plan) {
    const Relation relation = relation_of(table, printed_);
    const RowMapper mapper(plan, relation);
    const auto probes = probes_of(table, plan, relation);
    auto checks = checks_of(plan);
    if (printed_ && probes.empty() && checks.empty()) return;  // its values are of the same types
    const auto tried =
        checks.empty() ? nullptr : std::make_unique<RowProbe>(*trial_, plan, relation, std::move(checks));
    std::string line;
    Reject why;
    each_source_row(settings_, relation, all_rows, [&](const Row& row) {
      line.clear();
      if (!mapper.append_copy_line(row, line, why))
        return misfits_[{table.name, why.column, why.reason}].add(why.source_key);
      for (const auto& probe : probes) probe->add(row, mapper.source_key(row));
      if (tried) tried->add(row, mapper.source_key(row));
    });
    if (tried) {
      tried->finish();
      for (auto& finding : tried->findings()) broken_.push_back(std::move(finding));
    }
    for (const auto& probe : probes) {
      probe->finish();
      if (auto left = probe->not_all_asked()) not_asked_.push_back(std::move(*left));
    }
  }

  void add_misfits(std::vector<Finding>& counted) const {
    for (const auto& [where, rows] : misfits_) {
      const std::string &table = std::get<0>(where), &column = std::get<1>(where);
      const std::string code = finding_code(*misfit_named(std::get<2>(where)));
      const auto there = std::find_if(counted.begin(), counted.end(), [&](const Finding& each) {
        return each.code == code && each.table == table && each.column == column;
      });
      if (there != counted.end()) {
        there->message += " " + rows.keys();
        continue;
      }
      counted.push_back(
          {Level::warn, code, table, column,
           fmt::format("{}.{} does not fit the target's column in {}: they go to the quarantine",
                       tidegate::quoted(table), tidegate::quoted(std::string_view(column)), rows.text()),
           "mend these rows at the source, or see [[rule]]"});
    }
  }

  void add_repeated(std::vector<Finding>& counted) {
    for (auto& left : not_asked_) counted.push_back(std::move(left));
    for (const auto& [plan, rule, set] : watched_) {
      const auto found = seen_.repeated(set);
      if (found.values == 0) continue;
      counted.push_back(
          {Level::warn, "target-unique-clash", plan->source, rule.columns.front(),
           fmt::format(
               "the target's {} takes rows of table {} for the same: {} {} more than once {}; all but "
               "one of each go to the quarantine",
               rule.name, plan->source, format_count(found.values),
               found.values == 1 ? "value comes" : "values come", FoundRows{found.values, found.rows}.keys()),
           "decide in the source which row is right, or change the index with a migration"});
    }
  }

  void add_orphans_of_server(std::vector<Finding>& counted) {
    if (references_.empty()) return;
    auto source = connect_source(source_options(settings_, "tidegate doctor"));
    const auto tables = capture::read_catalog(source, settings_.tables.include, settings_.tables.exclude);
    leave_out(declared_references(source, tables));
    for (auto& finding : find_orphans(source, tables, references_)) counted.push_back(std::move(finding));
  }

  // What the source declares was looked at before.
  void leave_out(const std::vector<Reference>& declared) {
    std::erase_if(references_, [&](const Reference& each) {
      return std::find(declared.begin(), declared.end(), each) != declared.end();
    });
  }

  void add_orphans(std::vector<Finding>& counted) {
    if (printed_) return add_orphans_of_server(counted);
    leave_out(declared_references(planned_.tables));
    for (auto& finding : find_orphans(settings_.source.end.path, planned_.tables, references_))
      counted.push_back(std::move(finding));
  }

  postgres::Connection* target_;
  postgres::Connection* trial_;  // in a transaction that nobody commits
  const Settings& settings_;
  const PlannedPipeline& planned_;
  bool printed_;  // the source is a server
  std::map<std::tuple<std::string, std::string, std::string>, FoundRows>
      misfits_;  // by table, column, reason
  std::vector<Watched> watched_;
  std::vector<Reference> references_;
  std::vector<Finding> not_asked_, broken_;
  SeenValues seen_;
};

}  // namespace

void examine_unmapped_rows(postgres::Connection* target, postgres::Connection* trial,
                           const Settings& settings, const PlannedPipeline& planned,
                           std::vector<Finding>& counted) {
  Examination(target, trial, settings, planned).run(counted);
}

namespace {

// Null where the tables are not there before the first run. What keeps a run from beginning was told before.
std::unique_ptr<postgres::Connection> target_with_tables(const Settings& settings, PlannedPipeline& planned) {
  if (settings.target.schema != TargetSchema::existing && !settings.adopt) return nullptr;
  auto target = std::make_unique<postgres::Connection>(connect_options(settings, "tidegate doctor"));
  try {
    const auto fit = examine_fit(*target, planned.plans, tables_options(settings));
    const bool all = std::find(fit.there.begin(), fit.there.end(), false) == fit.there.end();
    return all ? std::move(target) : nullptr;
  } catch (const Refused&) {
    return nullptr;
  }
}

std::unique_ptr<postgres::Connection> trial_for_checks(const Settings& settings) {
  if (settings.checks.empty()) return nullptr;
  auto trial = std::make_unique<postgres::Connection>(connect_options(settings, "tidegate doctor"));
  trial->run("BEGIN");
  return trial;
}

}  // namespace

void examine_rows(const Settings& settings, std::optional<PlannedPipeline> planned, bool target_is_sound,
                  std::vector<Finding>& findings) {
  const bool printed = settings.source.end.kind == Endpoint::Kind::postgres;
  const bool existing = settings.target.schema == TargetSchema::existing || settings.adopt;
  if (printed && target_is_sound && (existing || !settings.checks.empty()))
    planned = plan_from_catalogue(settings);
  if (!planned) return;
  const auto target = target_is_sound ? target_with_tables(settings, *planned) : nullptr;
  const auto trial = target_is_sound ? trial_for_checks(settings) : nullptr;
  try {
    examine_unmapped_rows(target.get(), trial.get(), settings, *planned, findings);
  } catch (const Refused& refused) {
    if (refused.code() != "wal-needed") throw;  // the plan has told so
  }
}

}  // namespace tidegate
