#include "apply/sqlite/reverse_plan.hpp"

#include <algorithm>

#include "apply/schema/planner.hpp"

namespace tidegate {
namespace {

using Level = Finding::Level;

// More kinds of spelling than an application has; the rest is not counted.
constexpr std::size_t most_spellings = 8;

Finding blocked(const std::string& table, const std::string& column, const std::string& what) {
  return {Level::block,
          "way-back-not-reversible",
          table,
          column,
          what,
          "leave the way back out, or change the column or its mapping so that both ends hold the same"};
}

bool may_be_null_of_key(const SourceTable& legacy, const std::string& column) {
  return std::find(legacy.primary_key.begin(), legacy.primary_key.end(), column) != legacy.primary_key.end();
}

ReverseColumn rowid_column(const ColumnPlan& forward) {
  return {forward, Affinity::integer, true, true, {}};
}

ReverseColumn column_back(const ColumnPlan& forward, const SourceTable& legacy, const SourceColumn& column) {
  ReverseColumn back{forward, affinity_of(column.declared_type), column.not_null, false, {}};
  back.is_rowid = legacy.integer_key && may_be_null_of_key(legacy, column.name);
  return back;
}

// The words that stood for true and false are not known any more.
bool loses_words(const ColumnPlan& column) {
  const bool text = column.type == TargetType::text || column.type == TargetType::varchar;
  return text && column.existing_type == "boolean";
}

}  // namespace

bool ReverseColumn::is_time() const {
  return forward.type == TargetType::timestamptz || forward.type == TargetType::date ||
         forward.type == TargetType::time;
}

std::optional<std::size_t> ReverseTable::place_of(const std::string& target_column) const {
  const auto found = std::find_if(columns.begin(), columns.end(), [&](const ReverseColumn& column) {
    return column.forward.target == target_column;
  });
  if (found == columns.end()) return std::nullopt;
  return static_cast<std::size_t>(found - columns.begin());
}

void learn(ColumnForm& form, const Value& value, bool is_time) {
  if (std::holds_alternative<std::int64_t>(value)) ++form.integers;
  if (std::holds_alternative<double>(value)) ++form.reals;
  if (std::holds_alternative<Blob>(value)) ++form.blobs;
  const auto* text = std::get_if<std::string>(&value);
  if (!text) return;
  ++form.texts;
  const auto spelling = is_time ? spelling_of(*text) : std::nullopt;
  if (!spelling) return;
  auto same = std::find_if(form.spellings.begin(), form.spellings.end(),
                           [&](const auto& known) { return known.spelling == *spelling; });
  if (same != form.spellings.end()) {
    ++same->values;
  } else if (form.spellings.size() < most_spellings) {
    form.spellings.push_back({*spelling, 1});
  }
}

ReversePlanned plan_back(const TablePlan& forward, const SourceTable& legacy) {
  ReversePlanned planned;
  planned.table.legacy = legacy.name;
  planned.table.target = forward.schema + "." + forward.target;
  if (!legacy.without_rowid) planned.table.rowid_name = legacy.rowid_name();
  for (const ColumnPlan& column : forward.columns) {
    if (column.source == kRidSource) {
      planned.table.columns.push_back(rowid_column(column));
      continue;
    }
    const SourceColumn* source = legacy.column(column.source);
    if (!source) {
      planned.findings.push_back(blocked(legacy.name, column.source,
                                         "the target's column " + quoted(column.target) +
                                             " is made by an expression, which cannot be turned round"));
    } else if (loses_words(column)) {
      planned.findings.push_back(blocked(legacy.name, column.source,
                                         "column " + quoted(column.source) +
                                             " holds words, and the target's is boolean: it is not known "
                                             "which words to write"));
    } else if (!source->generated_sql) {
      planned.table.columns.push_back(column_back(column, legacy, *source));
    }
  }
  return planned;
}

}  // namespace tidegate
