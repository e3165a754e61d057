#include "apply/plan.hpp"

#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <stdexcept>

namespace tidegate {
namespace {

namespace json = boost::json;

// Names in the order of their enum's values; they are stored and typed by operators, so none may change.
constexpr std::array<std::string_view, 20> kMisfits = {
    "zero_date",    "not_a_boolean",     "epoch",        "julian",        "empty",
    "nul",          "invalid_utf8",      "not_a_number", "out_of_range",  "too_long",
    "invalid_json", "not_a_time",        "wrong_class",  "null_key",      "rejected",
    "row_missing",  "expression_failed", "other_owner",  "owner_unknown", "not_inserted"};
constexpr std::array<std::string_view, 5> kRemedies = {"quarantine", "null", "strip", "text", "convert"};
constexpr std::array<std::string_view, 12> kTypes = {
    "bigint", "double precision", "numeric", "boolean", "text",  "varchar",
    "bytea",  "timestamptz",      "date",    "time",    "jsonb", "native"};
constexpr std::array<std::string_view, 4> kTimeForms = {"iso_text", "epoch_seconds", "epoch_milliseconds",
                                                        "julian_day"};

template <typename Enum, std::size_t n>
std::string_view name_in(const std::array<std::string_view, n>& names, Enum value) {
  return names.at(static_cast<std::size_t>(value));
}

template <typename Enum, std::size_t n>
std::optional<Enum> value_in(const std::array<std::string_view, n>& names, std::string_view name) {
  const auto found = std::find(names.begin(), names.end(), name);
  if (found == names.end()) return std::nullopt;
  return static_cast<Enum>(found - names.begin());
}

template <typename Enum, std::size_t n>
Enum required_in(const std::array<std::string_view, n>& names, const json::value& name) {
  const auto value = value_in<Enum>(names, name.as_string());
  if (!value) throw std::invalid_argument("plan: unknown name " + std::string(name.as_string()));
  return *value;
}

json::array rules_to_json(const std::vector<ColumnRule>& rules) {
  json::array array;
  for (const ColumnRule& rule : rules)
    array.push_back({{"on", name_of(rule.on)}, {"do", name_of(rule.remedy)}});
  return array;
}

std::vector<ColumnRule> rules_from_json(const json::array& array) {
  std::vector<ColumnRule> rules;
  for (const json::value& rule : array) {
    rules.push_back(
        {required_in<Misfit>(kMisfits, rule.at("on")), required_in<Remedy>(kRemedies, rule.at("do"))});
  }
  return rules;
}

json::object column_to_json(const ColumnPlan& column) {
  return {{"source", column.source},
          {"target", column.target},
          {"type", name_in(kTypes, column.type)},
          {"precision", column.precision},
          {"scale", column.scale},
          {"time_form", name_in(kTimeForms, column.time_form)},
          {"not_null", column.not_null},
          {"identity", column.identity},
          {"existing_type", column.existing_type},
          {"rules", rules_to_json(column.rules)}};
}

ColumnPlan column_from_json(const json::value& value) {
  ColumnPlan column;
  column.source = json::value_to<std::string>(value.at("source"));
  column.target = json::value_to<std::string>(value.at("target"));
  column.type = required_in<TargetType>(kTypes, value.at("type"));
  column.precision = json::value_to<int>(value.at("precision"));
  column.scale = json::value_to<int>(value.at("scale"));
  column.time_form = required_in<TimeForm>(kTimeForms, value.at("time_form"));
  column.not_null = value.at("not_null").as_bool();
  column.identity = value.at("identity").as_bool();
  column.existing_type = json::value_to<std::string>(value.at("existing_type"));
  column.rules = rules_from_json(value.at("rules").as_array());
  return column;
}

TablePlan plan_from(const json::value& value) {
  TablePlan plan;
  plan.source = json::value_to<std::string>(value.at("source"));
  plan.schema = json::value_to<std::string>(value.at("schema"));
  plan.target = json::value_to<std::string>(value.at("target"));
  for (const json::value& column : value.at("columns").as_array())
    plan.columns.push_back(column_from_json(column));
  plan.key = json::value_to<std::vector<std::string>>(value.at("key"));
  if (auto* from = value.as_object().if_contains("from")) {
    plan.from = json::value_to<std::string>(*from);
    plan.contributor = value.at("contributor").as_bool();
    plan.rows = json::value_to<std::string>(value.at("rows"));
  }
  return plan;
}

}  // namespace

std::string_view name_of(Misfit misfit) {
  return name_in(kMisfits, misfit);
}
std::optional<Misfit> misfit_named(std::string_view name) {
  return value_in<Misfit>(kMisfits, name);
}
std::string_view name_of(Remedy remedy) {
  return name_in(kRemedies, remedy);
}
std::optional<Remedy> remedy_named(std::string_view name) {
  return value_in<Remedy>(kRemedies, name);
}

std::string quoted(std::string_view identifier) {
  std::string result = "\"";
  for (const char c : identifier) result.append(c == '"' ? 2 : 1, c);
  return result + '"';
}

std::string quoted_name(const TablePlan& plan) {
  return quoted(plan.schema) + '.' + quoted(plan.target);
}

std::string shown_name(const TablePlan& plan) {
  return plan.schema + '.' + plan.target;
}

std::string sql_type(const ColumnPlan& column) {
  std::string type(name_in(kTypes, column.type));
  if (column.precision == 0) return type;
  const std::string precision = std::to_string(column.precision);
  if (column.type == TargetType::varchar) return type + '(' + precision + ')';
  if (column.type == TargetType::numeric)
    return type + '(' + precision + ',' + std::to_string(column.scale) + ')';
  return type;
}

std::string to_json(const TablePlan& plan) {
  json::array columns;
  for (const ColumnPlan& column : plan.columns) columns.push_back(column_to_json(column));
  json::object object = {{"source", plan.source},
                         {"schema", plan.schema},
                         {"target", plan.target},
                         {"columns", std::move(columns)},
                         {"key", json::value_from(plan.key)}};
  if (!plan.from.empty()) {
    object["from"] = plan.from;
    object["contributor"] = plan.contributor;
    object["rows"] = plan.rows;
  }
  return json::serialize(object);
}

TablePlan plan_from_json(std::string_view text) {
  try {
    return plan_from(json::parse(text));
  } catch (const std::invalid_argument&) {
    throw;
  } catch (
      const std::exception& error) {  // Boost's own: malformed, a member missing, a member of another kind
    throw std::invalid_argument(std::string("plan: ") + error.what());
  }
}

}  // namespace tidegate
