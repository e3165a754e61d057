#include "replicator/verify/target_checks.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <tuple>

#include "db/error.hpp"
#include "replicator/config/units.hpp"
#include "replicator/pipeline/rules_of_tables.hpp"

namespace tidegate::verify {
namespace {

// Foreign keys of one table: name, child, parent, the pairs of columns as conditions, and whether the server
// vouches for it.
constexpr const char* foreign_keys = R"sql(
SELECT c.conname, c.conrelid::regclass::text, c.confrelid::regclass::text,
       string_agg(format('p.%I = c.%I', pa.attname, ca.attname), ' AND ' ORDER BY k.place),
       string_agg(format('c.%I IS NOT NULL', ca.attname), ' AND ' ORDER BY k.place), c.convalidated
  FROM pg_constraint c
 CROSS JOIN unnest(c.conkey, c.confkey) WITH ORDINALITY AS k(child, parent, place)
  JOIN pg_attribute ca ON ca.attrelid = c.conrelid AND ca.attnum = k.child
  JOIN pg_attribute pa ON pa.attrelid = c.confrelid AND pa.attnum = k.parent
 WHERE c.contype = 'f' AND c.conrelid = to_regclass($1) AND c.conparentid = 0
 GROUP BY c.oid, c.conname, c.conrelid, c.confrelid, c.convalidated ORDER BY 1)sql";

// In replica mode nobody else has asked; a constraint that counts as valid says nothing of it.
void check_references(postgres::Connection& target, const TablePlan& plan, std::vector<Remark>& remarks) {
  auto keys = target.run(foreign_keys, {quoted_name(plan)});
  for (int i = 0; i < keys.rows(); ++i) {
    auto orphans =
        target
            .run(fmt::format("SELECT count(*) FROM {} c WHERE {} AND NOT EXISTS (SELECT FROM {} p WHERE {})",
                             keys.text(i, 1), keys.text(i, 4), keys.text(i, 2), keys.text(i, 3)))
            .integer(0, 0);
    if (orphans == 0) continue;
    bool validated = keys.boolean(i, 5);
    remarks.push_back({validated, "verify-orphans", plan.source,
                       fmt::format("{} of the target refer by {} to rows that are not there{}",
                                   format_rows(static_cast<std::uint64_t>(orphans)), keys.text(i, 0),
                                   validated ? "" : "; the constraint is NOT VALID, so this was known")});
  }
}

// What its sequence would give next, and the highest key.
void check_sequence(postgres::Connection& target, const TablePlan& plan, const std::string& column,
                    std::vector<Remark>& remarks) {
  auto sequence = target.run("SELECT pg_get_serial_sequence($1, $2)", {quoted_name(plan), column});
  if (sequence.is_null(0, 0)) return;
  auto state =
      target.run(fmt::format("SELECT s.last_value + CASE WHEN s.is_called THEN p.seqincrement ELSE 0 END,"
                             " (SELECT max({}) FROM {}), p.seqincrement > 0 FROM {} s, pg_sequence p WHERE "
                             "p.seqrelid = {}::regclass",
                             tidegate::quoted(column), quoted_name(plan), sequence.text(0, 0),
                             postgres::literal(sequence.text(0, 0))));
  if (state.rows() == 0 || state.is_null(0, 1) || !state.boolean(0, 2)) return;
  if (state.integer(0, 0) > state.integer(0, 1)) return;
  remarks.push_back({false, "verify-sequence-behind", plan.source,
                     fmt::format("the sequence of {} would give out keys that are taken", column)});
}

// With its modifier as the server prints it, where it has one.
std::string planned_in_full(const ColumnPlan& column) {
  if (!column.existing_type.empty() || column.precision == 0) return "";
  if (column.type == TargetType::varchar) return fmt::format("character varying({})", column.precision);
  if (column.type == TargetType::numeric)
    return fmt::format("numeric({},{})", column.precision, column.scale);
  return "";
}

void check_columns(postgres::Connection& target, const TablePlan& plan, std::vector<Remark>& remarks) {
  for (const ColumnPlan& column : plan.columns) {
    std::string type = column.existing_type.empty() ? sql_type(column) : column.existing_type;
    auto found = target.run(
        "SELECT atttypid = to_regtype($3), format_type(atttypid, atttypmod), attnotnull FROM pg_attribute"
        " WHERE attrelid = to_regclass($1) AND attname = $2 AND NOT attisdropped",
        {quoted_name(plan), column.target, type});
    auto remark = [&](const std::string& what) {
      remarks.push_back({true, "verify-catalogue", plan.source,
                         fmt::format("column {} of the target {}", column.target, what)});
    };
    if (found.rows() == 0) {
      remark("is gone");
      continue;
    }
    std::string full = planned_in_full(column);
    bool same = found.is_null(0, 0) || found.boolean(0, 0);
    if (!same || (!full.empty() && full != found.text(0, 1)))
      remark(fmt::format("has type {}, planned was {}", found.text(0, 1), type));
    if (column.not_null && !found.boolean(0, 2)) remark("takes NULL, and was planned not to");
  }
}

// The columns by which rows are told apart are those of a unique index over all rows.
void check_key(postgres::Connection& target, const TablePlan& plan, std::vector<Remark>& remarks) {
  if (plan.key.empty() || plan.contributor) return;
  std::vector<std::string> key;
  for (const auto& column : plan.key) key.push_back(postgres::literal(column));
  const auto kept = target.run(
      fmt::format("SELECT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = to_regclass($1) AND i.indisunique"
                  " AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL AND i.indnkeyatts = {}"
                  " AND NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = i.indrelid"
                  " AND a.attnum = ANY (i.indkey[0:i.indnkeyatts - 1]) AND a.attname NOT IN ({})))",
                  key.size(), fmt::join(key, ", ")),
      {quoted_name(plan)});
  if (kept.boolean(0, 0)) return;
  remarks.push_back(
      {true, "verify-catalogue", plan.source,
       fmt::format("the key ({}) of the target is not unique any more", fmt::join(plan.key, ", "))});
}

// Of its kind, on its table, and in force. That of a partition is known by its schema, and by the index to
// which it belongs ("index/schema.name"), and is looked for by its name alone.
constexpr const char* object_is_there = R"sql(
SELECT CASE WHEN $2 ~ '[/.]' THEN
    EXISTS (SELECT FROM pg_class WHERE relname IN ($2, regexp_replace($2, '^.*[/.]', '')) AND relkind IN ('i', 'I'))
    OR EXISTS (SELECT FROM pg_constraint WHERE conname IN ($2, regexp_replace($2, '^.*[/.]', '')))
  WHEN $3 IN ('check', 'foreign key') THEN
    EXISTS (SELECT FROM pg_constraint c WHERE c.conrelid = to_regclass($1) AND c.conname = $2
            AND c.contype = CASE $3 WHEN 'check' THEN 'c' ELSE 'f' END)
  ELSE EXISTS (SELECT FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid
               WHERE i.indrelid = to_regclass($1) AND x.relname = $2 AND i.indisvalid
               AND (i.indisunique OR $3 = 'index')) END)sql";

// What could not be built was told when it was tried; what was built must be there.
void check_objects(postgres::Connection& target, const std::string& pipeline, const Plans& plans,
                   std::vector<Remark>& remarks) {
  auto objects = target.run(
      "SELECT table_name, kind, name, state = 'failed' FROM tidegate.objects WHERE pipeline = $1 ORDER BY 1, "
      "2, 3",
      {pipeline});
  for (int i = 0; i < objects.rows(); ++i) {
    const std::string table(objects.text(i, 0)), kind(objects.text(i, 1)), name(objects.text(i, 2));
    const bool failed = objects.boolean(i, 3);
    const auto plan = plans.find(table);
    if (plan == plans.end()) continue;
    if (!failed && target.run(object_is_there, {quoted_name(plan->second), name, kind}).boolean(0, 0))
      continue;
    remarks.push_back({!failed, "verify-catalogue", table,
                       fmt::format("the {} {} {}", kind, name,
                                   failed ? "could not be built on the target"
                                          : "is gone from the target, or is not what it was")});
  }
}

// The text is the operator's own SQL.
void check_rule(postgres::Connection& target, const Check& check, const Plans& plans,
                std::vector<Remark>& remarks) {
  const auto plan = std::find_if(plans.begin(), plans.end(),
                                 [&](const auto& each) { return is_about(check, each.second); });
  if (plan == plans.end()) return;
  target.run("SAVEPOINT tidegate_rule");
  try {
    auto broken =
        target
            .run(fmt::format("SELECT count(*) FROM {} WHERE NOT ({})", quoted_name(plan->second), check.must))
            .integer(0, 0);
    if (broken > 0)
      remarks.push_back({true, "verify-rule-broken", check.table,
                         fmt::format("{} of the target break the rule {}",
                                     format_rows(static_cast<std::uint64_t>(broken)), check.must)});
  } catch (const Error& error) {
    if (!target.usable()) throw;
    remarks.push_back({true, "verify-rule-not-read", check.table,
                       fmt::format("the rule {} cannot be asked ({})", check.must, error.code())});
  }
  target.run("ROLLBACK TO SAVEPOINT tidegate_rule; RELEASE SAVEPOINT tidegate_rule");
}

}  // namespace

std::vector<Remark> check_target(postgres::Connection& target, const std::string& pipeline,
                                 const Plans& plans, const std::vector<Check>& checks) {
  std::vector<Remark> remarks;
  for (const auto& [name, plan] : plans) {
    check_columns(target, plan, remarks);
    check_key(target, plan, remarks);
    check_references(target, plan, remarks);
    for (const auto& key : plan.key) check_sequence(target, plan, key, remarks);
  }
  check_objects(target, pipeline, plans, remarks);
  for (const Check& check : checks) check_rule(target, check, plans, remarks);
  std::sort(remarks.begin(), remarks.end(), [](const Remark& a, const Remark& b) {
    return std::tie(a.table, a.code, a.message) < std::tie(b.table, b.code, b.message);
  });
  return remarks;
}

}  // namespace tidegate::verify
