#include "apply/postgres/resync_merge.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "apply/postgres/resync_ledger.hpp"
#include "apply/postgres/resync_shape.hpp"
#include "apply/postgres/row_errors.hpp"
#include "apply/text_format.hpp"

namespace tidegate {
namespace {

std::string joined(const std::vector<std::string>& parts, const char* between) {
  return fmt::format("{}", fmt::join(parts, between));
}

}  // namespace

MergeSql::MergeSql(TablePlan plan, TablePlan staging, native::Shape shape, std::vector<std::string> others)
    : plan_(std::move(plan)),
      staging_(std::move(staging)),
      shape_(std::move(shape)),
      others_(std::move(others)) {}

const native::ColumnShape& MergeSql::shape_of(const std::string& target) const {
  for (std::size_t i = 0; i < plan_.columns.size(); ++i) {
    if (plan_.columns[i].target == target) return shape_.columns[i];
  }
  throw std::invalid_argument("the plan of table " + plan_.source + " has no column for its key " + target);
}

std::string MergeSql::same_key(const char* other) const {
  std::vector<std::string> parts;
  for (const auto& name : plan_.key) {
    const std::string& equality = shape_of(name).equality;
    parts.push_back(fmt::format("t.{0} {1} {2}.{0}", quoted(name), equality.empty() ? "=" : equality, other));
  }
  return joined(parts, " AND ");
}

std::string MergeSql::columns(const char* prefix) const {
  std::vector<std::string> parts;
  for (const auto& column : plan_.columns) parts.push_back(prefix + quoted(column.target));
  return joined(parts, ", ");
}

std::string MergeSql::sets(const char* from) const {
  std::vector<std::string> parts;
  for (std::size_t i = 0; i < plan_.columns.size(); ++i) {
    const std::string& name = plan_.columns[i].target;
    bool is_key = std::find(plan_.key.begin(), plan_.key.end(), name) != plan_.key.end();
    if (is_key || shape_.columns[i].identity_always) continue;
    parts.push_back(fmt::format("{0} = {1}.{0}", quoted(name), from));
  }
  return joined(parts, ", ");
}

std::string MergeSql::gone() const {
  if (keyless()) return " WHERE true";
  return fmt::format(" WHERE NOT EXISTS (SELECT FROM {} AS s WHERE {})", quoted_name(staging_),
                     same_key("s"));
}

std::string MergeSql::remove_gone() const {
  return fmt::format("DELETE FROM {} AS t{}", quoted_name(plan_), gone());
}

// In any byte, since a type's own = may call values equal that print differently, or not exist. Without the
// cast the operator would be asked for column by column.
std::string MergeSql::differing() const {
  return fmt::format("{} AS s WHERE {} AND NOT ROW({})::record *= ROW({})::record", quoted_name(staging_),
                     same_key("s"), columns("t."), columns("s."));
}

std::string MergeSql::update_differing() const {
  std::string set = sets("s");
  if (keyless() || set.empty()) return "";
  return fmt::format("UPDATE {} AS t SET {} FROM {}", quoted_name(plan_), set, differing());
}

std::string MergeSql::others(const char* prefix) const {
  std::string text;
  for (const auto& column : others_) text += ", " + (prefix + quoted(column));
  return text;
}

std::vector<std::string> MergeSql::replace_differing() const {
  std::vector<std::string> keys;
  for (const auto& name : plan_.key) keys.push_back("t." + quoted(name));
  return {fmt::format("CREATE TEMPORARY TABLE tidegate_kept ON COMMIT DROP AS SELECT {}{} FROM {} AS t, {}",
                      joined(keys, ", "), others("t."), quoted_name(plan_), differing()),
          fmt::format("DELETE FROM {} AS t USING {}", quoted_name(plan_), differing()),
          fmt::format("INSERT INTO {} ({}{}) OVERRIDING SYSTEM VALUE SELECT {}{} FROM {} AS s,"
                      " pg_temp.tidegate_kept AS t WHERE {}",
                      quoted_name(plan_), columns(""), others(""), columns("s."), others("t."),
                      quoted_name(staging_), same_key("s"))};
}

std::string MergeSql::insert_missing() const {
  return fmt::format("INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE SELECT {} FROM {} AS s{}",
                     quoted_name(plan_), columns(""), columns("s."), quoted_name(staging_),
                     keyless() ? ""
                               : fmt::format(" WHERE NOT EXISTS (SELECT FROM {} AS t WHERE {})",
                                             quoted_name(plan_), same_key("s")));
}

// Passes over what is refused go on while they get less.
std::string MergeSql::row_by_row() const {
  std::vector<std::string> key_columns, keys;
  for (const auto& name : plan_.key) {
    key_columns.push_back(fmt::format("k{} text", keys.size()));
    keys.push_back(fmt::format("pg_catalog.format('%s', r.{}), ", quoted(name)));
  }
  key_columns.push_back("state text, constraint_name text, column_name text");
  std::string insert = fmt::format("INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE VALUES ({})",
                                   quoted_name(plan_), columns(""), columns("r."));
  std::string write = insert + ";", wanted;
  if (!keyless()) {
    std::string set = sets("r");
    write = fmt::format("{} {} AS t {} WHERE {}; IF NOT FOUND THEN {}; END IF;",
                        set.empty() ? "PERFORM FROM" : "UPDATE", quoted_name(plan_),
                        set.empty() ? "" : "SET " + set, same_key("r"), insert);
    wanted =
        fmt::format(" WHERE NOT EXISTS (SELECT FROM {} AS t WHERE {} AND ROW({})::record *= ROW({})::record)",
                    quoted_name(plan_), same_key("s"), columns("t."), columns("s."));
  }
  return fmt::format(
      R"sql(CREATE TEMPORARY TABLE tidegate_refused ({0}) ON COMMIT DROP;
DO $tidegate$
DECLARE r record; refused bigint; before bigint; state text; of_constraint text; of_column text;
BEGIN
  LOOP
    DELETE FROM pg_temp.tidegate_refused;
    refused := 0;
    FOR r IN SELECT s.* FROM {1} AS s{2} LOOP
      BEGIN
        {3}
      EXCEPTION WHEN integrity_constraint_violation OR data_exception OR program_limit_exceeded OR plpgsql_error THEN
        GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, of_constraint = CONSTRAINT_NAME, of_column = COLUMN_NAME;
        INSERT INTO pg_temp.tidegate_refused VALUES ({4}state, of_constraint, of_column);
        refused := refused + 1;
      END;
    END LOOP;
    EXIT WHEN {5} refused = 0 OR refused >= before;
    before := refused;
  END LOOP;
END $tidegate$)sql",
      joined(key_columns, ", "), quoted_name(staging_), wanted, write, joined(keys, ""),
      keyless() ? "true OR" : "");
}

namespace {

using Commands = std::vector<postgres::Command>;

void make_room(const OutsideReferences& references, const MergeTask& task, const MergeSql& sql,
               Commands& out) {
  if (!task.may_remove) return;
  references.before_delete_where(task.plan, sql.gone(), out);
  out.push_back({sql.remove_gone(), {}});
}

Commands in_place(const OutsideReferences& references, const MergeTask& task, const MergeSql& sql) {
  Commands commands;
  make_room(references, task, sql, commands);
  if (auto update = sql.update_differing(); !update.empty()) commands.push_back({update, {}});
  commands.push_back({sql.insert_missing(), {}});
  return commands;
}

Commands anew(const OutsideReferences& references, const MergeTask& task, const MergeSql& sql) {
  Commands commands;
  make_room(references, task, sql, commands);
  for (const auto& statement : sql.replace_differing()) commands.push_back({statement, {}, true});
  commands.push_back({sql.insert_missing(), {}});
  return commands;
}

// A keyless row has no name but its place among those that were refused.
Reject refused_row(const postgres::Result& rows, int i, int keys) {
  Row key;
  for (int column = 0; column < keys; ++column) key.emplace_back(std::string(rows.text(i, column)));
  if (keys == 0) key.emplace_back("resync, rejected row " + std::to_string(i + 1));
  Reject reject;
  reject.source_key = key_as_json(key);
  reject.key_bytes = encode(key);
  reject.reason = name_of(Misfit::rejected);
  reject.sqlstate = rows.text(i, keys);
  reject.constraint = rows.text(i, keys + 1);
  reject.column = rows.text(i, keys + 2);
  for (const Value& value : keys ? key : Row{}) {
    std::string array = "{";
    append_array_element(std::get<std::string>(value), array);
    reject.target_key.push_back(array + "}");
  }
  return reject;
}

// Those of others, which keep their values.
std::vector<std::string> other_columns(postgres::Connection& target, const TablePlan& plan) {
  std::string known = "{";
  for (const auto& column : plan.columns) {
    if (known.size() > 1) known += ',';
    append_array_element(column.target, known);
  }
  auto rows = target.run(
      "SELECT attname FROM pg_catalog.pg_attribute WHERE attrelid = $1::pg_catalog.regclass AND attnum > 0"
      " AND NOT attisdropped AND attgenerated = '' AND attname <> ALL ($2::text[])",
      {quoted_name(plan), known + "}"});
  std::vector<std::string> names;
  for (int i = 0; i < rows.rows(); ++i) names.emplace_back(rows.text(i, 0));
  return names;
}

void hold_refused(TargetSession& lane, Quarantine& quarantine, const MergeTask& task) {
  auto rows = lane.connection().run("SELECT * FROM pg_temp.tidegate_refused");
  int keys = static_cast<int>(task.plan.key.size());
  TablePlan named = task.plan;
  named.source = task.staging.source;  // what is recorded of the staging table becomes the table's
  Commands holds;
  for (int i = 0; i < rows.rows(); ++i) {
    holds.push_back(quarantine.hold(named, refused_row(rows, i, keys), lane.position().sequence, keys > 0));
  }
  if (!holds.empty()) lane.connection().pipeline(holds);
}

void write_rows(TargetSession& lane, Quarantine& quarantine, const OutsideReferences& references,
                const MergeTask& task) {
  auto& target = lane.connection();
  MergeSql sql(task.plan, task.staging, native::shape_of(target, task.plan),
               other_columns(target, task.plan));
  target.run("ANALYZE " + quoted_name(task.staging));
  if (!lane.replica_mode()) target.run("SET CONSTRAINTS ALL DEFERRED");
  auto error = attempt(target, [&] { target.pipeline(in_place(references, task, sql)); });
  bool exchange = error && lane.replica_mode() && !task.plan.key.empty();
  if (exchange) error = attempt(target, [&] { target.pipeline(anew(references, task, sql)); });
  if (!error) return;
  Commands room;
  make_room(references, task, sql, room);
  if (!room.empty()) target.pipeline(room);
  target.run(sql.row_by_row());
  hold_refused(lane, quarantine, task);
}

// A column's new type would have to be made from the old values, and the new rows come with theirs.
void empty(TargetSession& lane, const OutsideReferences& references, const MergeTask& task) {
  if (!task.may_remove) {
    throw Error("table " + task.plan.source + " holds rows of others, so its columns are not changed", "",
                Advice::stop);
  }
  Commands commands;
  MergeSql sql(task.plan, task.staging, native::shape_of(lane.connection(), task.staging), {});
  references.before_delete_where(task.plan, sql.gone(), commands);
  commands.push_back({"DELETE FROM " + quoted_name(task.plan), {}});
  lane.connection().pipeline(commands);
}

}  // namespace

void merge_rows(TargetSession& lane, Quarantine& quarantine, const OutsideReferences& references,
                const MergeTask& task) {
  auto& target = lane.connection();
  ShapeChange shape(target, task.plan, task.staging);
  if (shape.needs_empty_table()) empty(lane, references, task);
  shape.before_rows(target);
  write_rows(lane, quarantine, references, task);
  shape.after_rows(target);
}

}  // namespace tidegate
