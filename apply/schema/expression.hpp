// SQLite's expressions in Postgres' words, where both mean the same for every row that fits the plan; else a
// refusal. A constraint that was left out is named to the operator; one that means something else would
// reject good rows.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "apply/plan.hpp"

namespace tidegate {

struct Translated {
  std::string sql;
  std::string refusal;       // why there is no translation, e.g. "GLOB"; never a literal of the expression
  bool never_false = false;  // conditions: the plan's types imply it (flag IN (0, 1) on a boolean)
  explicit operator bool() const { return refusal.empty(); }
};

// The condition of a CHECK or of a partial index.
Translated translate_condition(std::string_view sql, const SourceTable& table, const TablePlan& plan);
// The expression of a generated column of `type`. Other generated columns are refused in it, as Postgres
// does.
Translated translate_generated(std::string_view sql, const SourceTable& table, const TablePlan& plan,
                               TargetType type);
// One key of an index; a plain column too. lower() and upper() fold ASCII only where `unique` must mean the
// same.
Translated translate_index_key(std::string_view sql, const SourceTable& table, const TablePlan& plan,
                               bool unique);
// A column's default. Literals go through the value encoder, so that a default fits like a value.
Translated translate_default(std::string_view sql, const SourceColumn& source, const ColumnPlan& column);

// `'x'`, with quotes doubled.
std::string quoted_literal(std::string_view text);

// A text under one of SQLite's collations: lower(x COLLATE "C"), which folds ASCII only as NOCASE does,
// rtrim(x) for RTRIM, `sql` itself for BINARY; nothing for an application's own.
std::optional<std::string> under_collation(const std::string& sql, std::string_view collation);

}  // namespace tidegate
