#include "replicator/cli/plan_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <map>

#include "replicator/config/units.hpp"
#include "replicator/pipeline/mapping_setup.hpp"

namespace tidegate::cli {
namespace {

namespace json = boost::json;

std::string_view level_name(Finding::Level level) {
  switch (level) {
    case Finding::Level::note:
      return "note";
    case Finding::Level::warn:
      return "warns";
    case Finding::Level::block:
      return "blocks";
  }
  return "";
}

// A way out may be some lines of TOML.
std::string indented(const std::string& lines) {
  constexpr const char* indent = "         ";
  std::string text = indent;
  for (const char c : lines) {
    text += c;
    if (c == '\n') text += indent;
  }
  return text + "\n";
}

// A mapped table stands there once for each target.
std::pair<std::size_t, std::uint64_t> tables_and_rows(const PlannedPipeline& planned) {
  std::map<std::string, std::uint64_t> rows;
  for (std::size_t i = 0; i < planned.tables.size(); ++i)
    rows[planned.tables[i].name] = planned.measures[i].rows;
  std::uint64_t total = 0;
  for (const auto& [name, count] : rows) total += count;
  return {rows.size(), total};
}

}  // namespace

json::array findings_json(const std::vector<Finding>& findings) {
  json::array out;
  for (const auto& finding : findings) {
    out.push_back({{"level", level_name(finding.level)},
                   {"code", finding.code},
                   {"table", finding.table},
                   {"column", finding.column},
                   {"message", finding.message},
                   {"mend", finding.mend}});
  }
  return out;
}

std::string findings_text(const std::vector<Finding>& findings) {
  std::string text;
  for (auto level : {Finding::Level::block, Finding::Level::warn, Finding::Level::note}) {
    for (const auto& finding : findings) {
      if (finding.level != level) continue;
      text += fmt::format("  {:<6} {}  [{}]\n", level_name(level), finding.message, finding.code);
      if (!finding.mend.empty() && level != Finding::Level::note) text += indented(finding.mend);
    }
  }
  return text;
}

namespace {

std::vector<std::string> types_of(const MapSample& sample, std::size_t column) {
  std::vector<std::string> types;
  for (const Row& row : sample.rows) {
    const std::string& passed = sample.types[column];
    const bool named = !passed.empty() && !is_null(row[column]);
    types.push_back(named ? passed : std::string(storage_class(row[column])));
  }
  return types;
}

std::string shown_types(const MapSample& sample, std::size_t column) {
  return sample.rows.empty() ? "no row to show"
                             : fmt::format("{}", fmt::join(types_of(sample, column), ", "));
}

std::string role_of(const TablePlan& plan) {
  std::string text = plan.contributor ? ", contributor" : "";
  if (!plan.rows.empty()) text += ", its rows: " + plan.rows;
  return text;
}

}  // namespace

namespace {

constexpr const char* binding_text =
    "\nValues enter expressions by their type: integers as INTEGER, floats as REAL, booleans as 0 or 1, "
    "bytea "
    "as BLOB,\nall else as the text that the server prints. A column that is only passed on keeps its exact "
    "value.\n";

}  // namespace

std::string mapping_text(const std::vector<MapSample>& samples, bool of_server) {
  std::string text;
  for (const MapSample& sample : samples) {
    text += fmt::format("\n  {}{}{}\n", sample.plan.source,
                        sample.condition.empty() ? "" : " where " + sample.condition, role_of(sample.plan));
    for (std::size_t i = 0; i < sample.expressions.size(); ++i) {
      const ColumnPlan& column = sample.plan.columns[i];
      const bool in_key =
          std::find(sample.plan.key.begin(), sample.plan.key.end(), column.target) != sample.plan.key.end();
      text += fmt::format("    {}{} = {}   [{}]\n", column.target, in_key ? " (key)" : "",
                          sample.expressions[i], shown_types(sample, i));
    }
  }
  if (text.empty()) return "";
  return "\nMapping, with the types of some rows:\n" + text + (of_server ? binding_text : "");
}

namespace {

std::string estimate_text(const Estimate& estimate) {
  const auto time = std::chrono::ceil<std::chrono::seconds>(estimate.copy);
  return fmt::format(
      ", about {}\ncopying them takes about {} ({} rows/s, tried with {}); keys and indexes come on top",
      format_size(estimate.bytes), format_duration(time),
      format_count(static_cast<std::uint64_t>(estimate.rows_per_second)), format_rows(estimate.sampled_rows));
}

json::object estimate_json(const Estimate& estimate) {
  return {{"bytes", estimate.bytes},
          {"copy_seconds", estimate.copy.count()},
          {"rows_per_second", estimate.rows_per_second},
          {"sampled_rows", estimate.sampled_rows}};
}

}  // namespace

std::string plan_text(const PlannedPipeline& planned, const Settings& settings,
                      const std::optional<Estimate>& estimate) {
  bool has_target = settings.target.end.kind != Endpoint::Kind::none;
  std::string text = fmt::format("{} -> {}\n\n", masked(settings.source.end),
                                 has_target ? masked(settings.target.end) : "a target that is not named yet");
  std::size_t width = 5;
  for (const auto& plan : planned.plans) width = std::max(width, plan.source_table().size());
  for (std::size_t i = 0; i < planned.plans.size(); ++i) {
    const TablePlan& plan = planned.plans[i];
    text += fmt::format("  {:<{}}  {:>12} rows  ->  {}.{}\n", plan.source_table(), width,
                        format_count(planned.measures[i].rows), plan.schema, plan.target);
  }
  const auto [tables, rows] = tables_and_rows(planned);
  text += fmt::format("\n{} table{}, {}{}\n", tables, tables == 1 ? "" : "s", format_rows(rows),
                      estimate ? estimate_text(*estimate) : "");
  if (!planned.findings.empty())
    text += "\nWhat is not carried over as it is, and what to know:\n" + findings_text(planned.findings);
  return text + "\n";
}

std::string way_back_text(const std::vector<Reversal>& reversals) {
  std::string text;
  const auto line = [&](const char* what, const std::vector<std::string>& columns) {
    if (!columns.empty()) text += fmt::format("    {}: {}\n", what, fmt::join(columns, ", "));
  };
  for (const Reversal& each : reversals) {
    text += fmt::format("\n  {}{}\n", each.table, each.anchor.empty() ? "" : " <- " + each.anchor);
    line("as it is", each.kept);
    line("keys, which are looked up", each.remembered);
    line("by [map.reverse]", each.given);
    line("changes would be lost, since expressions make something else of it", each.lost);
    line("stays as the source has it, since no map reads it", each.unread);
    for (const Finding& finding : each.refused)
      text += fmt::format("    no way back: {}\n      {}\n", finding.message, finding.mend);
    for (const Finding& finding : each.warned)
      text += fmt::format("    not all rows: {}\n      {}\n", finding.message, finding.mend);
  }
  return text.empty() ? "" : "\nWhat a way back takes to the mapped tables of the source:\n" + text + "\n";
}

std::string scripts_text(const Settings& settings) {
  std::string text;
  for (const auto& seed : settings.target.seeds)
    text += fmt::format("Seed {}: carried out once, before the first copy.\n", seed.name);
  for (const auto& file : settings.target.post_sql)
    text += fmt::format("{}: carried out once, after the load.\n", file.name);
  for (const auto& table : settings.target.realtime)
    text += fmt::format("{} joins supabase_realtime once the target has caught up.\n", table);
  return text;
}

std::string ddl_text(const PlannedPipeline& planned, const Settings& settings) {
  if (settings.target.schema == TargetSchema::existing)
    return scripts_text(settings) + "The target's tables are used as they are.\n";
  std::string text = scripts_text(settings) + "-- before the load\n";
  for (const auto& statement : planned.ddl.before_load) text += statement + ";\n";
  text += "\n-- after the load\n";
  for (const auto& object : planned.ddl.after_load) {
    for (const auto& statement : object.statements) text += statement + ";\n";
  }
  return text;
}

namespace {

json::array way_back_json(const std::vector<Reversal>& reversals) {
  const auto list = [](const std::vector<std::string>& names) {
    return json::array(names.begin(), names.end());
  };
  json::array tables;
  for (const Reversal& each : reversals)
    tables.push_back(json::object{{"table", each.table},
                                  {"anchor", each.anchor},
                                  {"kept", list(each.kept)},
                                  {"remembered", list(each.remembered)},
                                  {"given", list(each.given)},
                                  {"lost", list(each.lost)},
                                  {"unread", list(each.unread)},
                                  {"no_way_back", findings_json(each.refused)},
                                  {"not_all_rows", findings_json(each.warned)}});
  return tables;
}

}  // namespace

namespace {

json::array mapping_json(const std::vector<MapSample>& samples) {
  json::array maps;
  for (const MapSample& sample : samples) {
    json::array columns;
    for (std::size_t i = 0; i < sample.expressions.size(); ++i) {
      const auto types = types_of(sample, i);
      columns.push_back({{"column", sample.plan.columns[i].target},
                         {"expression", sample.expressions[i]},
                         {"types", json::array(types.begin(), types.end())}});
    }
    maps.push_back({{"source", sample.plan.from},
                    {"target", shown_name(sample.plan)},
                    {"where", sample.condition},
                    {"columns", std::move(columns)}});
  }
  return maps;
}

}  // namespace

std::string plan_json(const PlannedPipeline& planned, const Settings& settings,
                      const std::optional<Estimate>& estimate, const std::vector<MapSample>& samples) {
  json::array tables;
  for (std::size_t i = 0; i < planned.plans.size(); ++i) {
    json::object table = json::parse(to_json(planned.plans[i])).as_object();
    table["rows"] = planned.measures[i].rows;
    tables.push_back(std::move(table));
  }
  json::object out{{"source", masked(settings.source.end)},
                   {"target", masked(settings.target.end)},
                   {"tables", tables},
                   {"findings", findings_json(planned.findings)},
                   {"ddl", ddl_text(planned, settings)}};
  const auto maps = reversals(maps_of(settings), planned.tables);
  if (!maps.empty()) out["way_back"] = way_back_json(maps);
  if (!samples.empty()) out["mapping"] = mapping_json(samples);
  if (estimate) out["estimate"] = estimate_json(*estimate);
  return json::serialize(out) + "\n";
}

}  // namespace tidegate::cli
