#include "apply/schema/planner.hpp"

#include <algorithm>
#include <array>

#include "apply/schema/column_type.hpp"
#include "apply/schema/declared_type.hpp"
#include "apply/schema/expression.hpp"
#include "apply/schema/tokens.hpp"

namespace tidegate {
namespace {

using Level = Finding::Level;

constexpr std::size_t kLongestName = 63;  // bytes; Postgres cuts longer ones silently

bool same_name(std::string_view a, std::string_view b) {
  return ascii_lower(a) == ascii_lower(b);
}

bool contains(const std::vector<std::string>& names, std::string_view name) {
  return std::any_of(names.begin(), names.end(), [&](const std::string& n) { return same_name(n, name); });
}

// `column "t"."c"`, for messages.
std::string named(const SourceTable& table, const std::string& column) {
  return "column " + quoted(table.name) + "." + quoted(column) + " ";
}

std::string toml_text(std::string_view text) {
  std::string result = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') result += '\\';
    result += c;
  }
  return result + '"';
}

std::string rule_lines(const SourceTable& table, const std::string& column, Misfit misfit, Remedy remedy) {
  return "[[rule]]\ntable = " + toml_text(table.name) + "\ncolumn = " + toml_text(column) + "\non = \"" +
         std::string(name_of(misfit)) + "\"\ndo = \"" + std::string(name_of(remedy)) + "\"";
}

// A remedy that can be offered first for a misfit.
Remedy usual_remedy(Misfit misfit, bool not_null) {
  switch (misfit) {
    case Misfit::nul:
    case Misfit::invalid_utf8:
      return Remedy::strip;
    case Misfit::not_a_boolean:
    case Misfit::epoch:
    case Misfit::julian:
      return Remedy::convert;
    case Misfit::not_a_number:
    case Misfit::out_of_range:
    case Misfit::invalid_json:
      return Remedy::text;
    default:
      return not_null ? Remedy::text : Remedy::null;
  }
}

std::string_view outcome_of(Remedy remedy) {
  switch (remedy) {
    case Remedy::null:
      return "become NULL, as a [[rule]] says";
    case Remedy::strip:
      return "lose what does not fit, as a [[rule]] says";
    case Remedy::text:
      return "become text, as a [[rule]] says";
    case Remedy::convert:
      return "are converted where possible, as a [[rule]] says";
    case Remedy::quarantine:
      break;
  }
  return "go to the quarantine";
}

std::string_view words_for(Misfit misfit) {
  switch (misfit) {
    case Misfit::zero_date:
      return "a zero date";
    case Misfit::not_a_boolean:
      return "a value other than 0 and 1";
    case Misfit::epoch:
      return "a time as a number";
    case Misfit::julian:
      return "a time as a Julian day";
    case Misfit::empty:
      return "an empty text";
    case Misfit::nul:
      return "a NUL character";
    case Misfit::invalid_utf8:
      return "bytes that are not UTF-8";
    case Misfit::not_a_number:
      return "a value that is no such number";
    case Misfit::out_of_range:
      return "a number out of range";
    case Misfit::too_long:
      return "a text that is too long";
    case Misfit::invalid_json:
      return "a text that is not JSON";
    case Misfit::not_a_time:
      return "a value that is no such date or time";
    case Misfit::wrong_class:
      return "a value of another storage class";
    case Misfit::null_key:
      return "NULL where the target allows none";
    case Misfit::rejected:
    case Misfit::row_missing:
    case Misfit::expression_failed:
    case Misfit::other_owner:
    case Misfit::owner_unknown:
    case Misfit::not_inserted:
      break;
  }
  return "a value that the target rejects";
}

bool has_many_spellings(TargetType type) {
  return type == TargetType::timestamptz || type == TargetType::time || type == TargetType::jsonb;
}

class Planner {
 public:
  Planner(const SourceTable& table, const TableMeasure& measure, const PlanOptions& options)
      : table_(table), measure_(measure), options_(options) {}

  PlannedTable planned() {
    TablePlan& plan = result_.plan;
    plan.source = plan.target = table_.name;
    plan.schema = options_.schema;
    if (needs_rid()) add_rid();
    for (std::size_t i = 0; i < table_.columns.size(); ++i) {
      if (!table_.columns[i].generated_sql) add_column(i);
    }
    for (std::size_t i = 0; i < table_.columns.size(); ++i) {
      if (table_.columns[i].generated_sql) add_generated(i);
    }
    plan.key = needs_rid() ? std::vector<std::string>{kRidTarget} : table_.primary_key;
    check_names();
    return std::move(result_);
  }

 private:
  // Also where the declared key may be NULL: then the source tells its rows apart by the rowid, and so does
  // the target.
  bool needs_rid() const { return table_.identity == Identity::rowid; }

  void find(Level level, std::string code, const std::string& column, std::string message,
            std::string mend = {}) {
    result_.findings.push_back(
        {level, std::move(code), table_.name, column, std::move(message), std::move(mend)});
  }

  void add_rid() {
    ColumnPlan column;
    column.source = kRidSource;
    column.target = kRidTarget;
    column.type = TargetType::bigint;
    column.not_null = true;
    column.identity = true;  // for rows that are born on the target after the cutover
    result_.plan.columns.push_back(column);
    find(Level::note, "no-primary-key", "",
         "table " + quoted(table_.name) +
             (table_.primary_key.empty() ? " has no primary key" : " has a primary key that may be NULL") +
             ": its rows are found by a column " + quoted(kRidTarget) + ", which `finalize` drops");
  }

  std::vector<ColumnRule> rules_for(const SourceColumn& source) const {
    std::vector<ColumnRule> rules;
    for (const NamedRule& named_rule : options_.rules) {
      const bool applies =
          same_name(named_rule.table, table_.name) && same_name(named_rule.column, source.name);
      if (applies) rules.push_back(named_rule.rule);
    }
    return rules;
  }

  ColumnMeasure measure_of(std::size_t i) const {
    return i < measure_.columns.size() ? measure_.columns[i] : ColumnMeasure{};
  }

  void add_column(std::size_t i) {
    const SourceColumn& source = table_.columns[i];
    const bool in_key = contains(table_.primary_key, source.name);
    ColumnPlan column;
    column.source = column.target = source.name;
    column.not_null = source.not_null || in_key;
    column.identity = table_.integer_key && in_key;
    column.rules = rules_for(source);
    if (in_key && !needs_rid() && !column.rules.empty()) refuse_rules(column);
    for (const TypeNote& note : choose_type(column, source, measure_of(i))) {
      find(note.level, note.code, source.name, named(table_, source.name) + note.message, note.mend);
    }
    if (in_key && has_many_spellings(column.type)) keep_as_text(column);
    for (const MisfitCount& count : count_misfits(column, measure_of(i))) add_misfit(column, count);
    result_.plan.columns.push_back(std::move(column));
  }

  // What mends a value can make it another row's: two keys of the source would become one row.
  void refuse_rules(ColumnPlan& column) {
    column.rules.clear();
    find(Level::warn, "rule-on-key", column.source,
         named(table_, column.source) +
             "is part of the primary key: its [[rule]] is not used, since a mended key could be "
             "that of another row; rows that do not fit go to the quarantine",
         "take the rule out, or mend these keys at the source");
  }

  // One point in time has many spellings, each a key of its own in the source; as text they stay apart.
  void keep_as_text(ColumnPlan& column) {
    column.type = TargetType::text;
    column.precision = column.scale = 0;
    column.time_form = TimeForm::iso_text;
    find(Level::note, "key-as-text", column.source,
         named(table_, column.source) + "becomes text, since it is part of the primary key",
         "use schema = \"existing\" with a table of your own if it must have its own type");
  }

  void add_misfit(const ColumnPlan& column, const MisfitCount& count) {
    const auto rule = std::find_if(column.rules.begin(), column.rules.end(),
                                   [&](const ColumnRule& r) { return r.on == count.misfit; });
    const bool can_rule = count.misfit != Misfit::wrong_class && count.misfit != Misfit::null_key;
    const Remedy remedy = rule != column.rules.end() && can_rule ? rule->remedy : Remedy::quarantine;
    const bool ruled = remedy != Remedy::quarantine;
    const std::string rows = count.rows == 1 ? "1 row" : std::to_string(count.rows) + " rows";
    const std::string mend = ruled      ? ""
                             : can_rule ? rule_lines(table_, column.source, count.misfit,
                                                     usual_remedy(count.misfit, column.not_null))
                                        : "mend these rows at the source";
    find(ruled ? Level::note : Level::warn, finding_code(count.misfit), column.source,
         named(table_, column.source) + "(" + sql_type(column) + ") holds " +
             std::string(words_for(count.misfit)) + " in " + rows + ": they " +
             std::string(outcome_of(remedy)),
         mend);
  }

  void add_generated(std::size_t i) {
    const SourceColumn& source = table_.columns[i];
    if (generated_on_target(table_, result_.plan, source)) {
      find(Level::note, "generated-translated", source.name,
           named(table_, source.name) + "is computed on the target too");
      return;
    }
    add_column(i);
    find(Level::note, "generated-carried", source.name,
         named(table_, source.name) +
             "is computed by an expression without a translation: its values are carried");
  }

  void check_name(const std::string& name, const std::string& what, const std::string& column) {
    if (name.size() > kLongestName) {
      find(Level::block, "name-too-long", column,
           what + " has a name of more than 63 bytes, which Postgres would cut",
           "rename it at the source, or map it to another name");
    }
    if (name.find('\0') != name.npos || name.empty()) {
      find(Level::block, "name-not-possible", column, what + " has a name that Postgres cannot hold",
           "rename it at the source");
    }
  }

  void check_names() {
    check_name(table_.name, "table " + quoted(table_.name), "");
    constexpr std::array<std::string_view, 6> kSystem = {"tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"};
    for (const SourceColumn& column : table_.columns) {
      check_name(column.name, named(table_, column.name), column.name);
      const bool reserved = std::find(kSystem.begin(), kSystem.end(), column.name) != kSystem.end() ||
                            (needs_rid() && (column.name == kRidTarget || column.name == kRidSource));
      if (reserved) {
        find(Level::block, "name-reserved", column.name,
             named(table_, column.name) + "has a name that the target keeps for itself",
             "rename it at the source, or map it to another name");
      }
    }
  }

  const SourceTable& table_;
  const TableMeasure& measure_;
  const PlanOptions& options_;
  PlannedTable result_;
};

// The type of a computed column, by its declaration alone; nothing where that does not settle it.
std::optional<TargetType> computed_type(const SourceColumn& column) {
  switch (declared_type(column.declared_type).family) {
    case Family::integer:
      return TargetType::bigint;
    case Family::boolean:
      return TargetType::boolean;
    case Family::real:
      return TargetType::double_precision;
    case Family::numeric:
      return TargetType::numeric;
    case Family::varchar:
    case Family::text:
      return TargetType::text;
    case Family::date:
      return TargetType::date;
    default:
      return std::nullopt;
  }
}

}  // namespace

std::string finding_code(Misfit misfit) {
  std::string code = "misfit-" + std::string(name_of(misfit));
  std::replace(code.begin(), code.end(), '_', '-');
  return code;
}

PlannedTable plan_table(const SourceTable& table, const TableMeasure& measure, const PlanOptions& options) {
  return Planner(table, measure, options).planned();
}

std::optional<GeneratedColumn> generated_on_target(const SourceTable& table, const TablePlan& plan,
                                                   const SourceColumn& column) {
  const auto type = computed_type(column);
  const bool written = std::any_of(plan.columns.begin(), plan.columns.end(),
                                   [&](const ColumnPlan& c) { return c.source == column.name; });
  if (!column.generated_sql || !type || written) return std::nullopt;
  const Translated translated = translate_generated(*column.generated_sql, table, plan, *type);
  if (!translated) return std::nullopt;
  GeneratedColumn generated;
  generated.column.source = generated.column.target = column.name;
  generated.column.type = *type;
  generated.column.not_null = column.not_null;
  generated.expression = translated.sql;
  return generated;
}

}  // namespace tidegate
