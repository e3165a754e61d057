#include "apply/postgres/native/composer.hpp"

#include <algorithm>
#include <map>

#include "apply/postgres/native/arrays.hpp"
#include "apply/postgres/row_errors.hpp"
#include "apply/postgres/statements.hpp"

namespace tidegate::native {
namespace {

// What RESTART IDENTITY does.
constexpr const char* restart_sql = R"sql(
SELECT pg_catalog.setval(d.objid::pg_catalog.regclass, s.seqstart, false)
FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_sequence s ON s.seqrelid = d.objid
WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.deptype IN ('a', 'i')
  AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid = $1::pg_catalog.regclass)sql";

void append(std::vector<postgres::Parameter>& to, std::vector<postgres::Parameter> more) {
  to.insert(to.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
}

Columns present_columns(const Table& table, const Columns& absent) {
  Columns present;
  for (auto column : all_columns(table)) {
    if (!std::binary_search(absent.begin(), absent.end(), column)) present.push_back(column);
  }
  return present;
}

}  // namespace

bool Composer::is_held(const Table& table, const Row& row) const {
  if (quarantine_.empty() || table.keyless()) return false;
  return quarantine_.holds(table.plan().source, table.named(row).source_key);
}

bool Composer::is_held(const Step& step) const {
  return is_held(step.table(), step.change.row);
}

bool Composer::needs_order(const Step& step) const {
  if (step.table().misfit(step.change)) return true;
  if (!session_.replica_mode() || step.operation() == Operation::truncate || step.moves_key()) return true;
  if (step.table().keyless()) return step.operation() != Operation::insert;
  return is_held(step);
}

Composer::Commands Composer::set_based(std::span<const Step> steps, std::uint64_t sequence) {
  Commands out;
  Net net;
  for (const Step& step : steps) {
    if (!needs_order(step)) {
      net.add(step);
      continue;
    }
    flush(net, out);
    ordered(step, sequence, out);
  }
  flush(net, out);
  return out;
}

Composer::Commands Composer::in_order(std::span<const Step> steps, std::uint64_t sequence) {
  Commands out;
  for (const Step& step : steps) ordered(step, sequence, out);
  return out;
}

void Composer::ordered(const Step& step, std::uint64_t sequence, Commands& out) {
  if (step.operation() == Operation::truncate) return truncate(step, out);
  if (auto misfit = step.table().misfit(step.change)) return hold_unmapped(step, *misfit, sequence, out);
  if (step.moves_key()) return move(step, sequence, out);
  if (step.table().keyless()) return without_key(step, out);
  if (is_held(step)) return of_held_row(step, out);
  by_itself(step, out);
}

// The mapping could not make the row. What the target has under an old key goes.
void Composer::hold_unmapped(const Step& step, const NamedMisfit& misfit, std::uint64_t sequence,
                             Commands& out) {
  if (step.moves_key()) remove_rows(*step.target, {&step.change.before}, false, out);
  Reject why = step.table().named(step.change.row);
  why.column = misfit.column;
  why.reason = name_of(misfit.misfit);
  out.push_back(quarantine_.hold(step.table().plan(), why, sequence, true));
}

void Composer::by_itself(const Step& step, Commands& out) {
  Net net;
  net.add(step);
  flush(net, out);
}

// An update that lacks values would make a row of two times out of what the target holds.
void Composer::of_held_row(const Step& step, Commands& out) {
  if (step.operation() == Operation::remove) {
    remove_rows(*step.target, {&step.change.row}, false, out);
  } else if (step.is_whole()) {
    by_itself(step, out);
  } else {
    return;
  }
  release_if_held(step.table(), step.change.row, out);
}

void Composer::delete_all(const Target& target, bool restart_sequences, Commands& out) {
  const TablePlan& plan = target.table.plan();
  const bool all = !plan.contributor && plan.rows.empty();
  if (all) references_.before_delete_of_all(plan, out);
  std::string table = quoted_name(plan);
  out.push_back({delete_all_sql(plan, session_.pipeline()), {}});
  if (restart_sequences) out.push_back({restart_sql, {table}});
}

void Composer::truncate(const Step& step, Commands& out) {
  std::string tables;
  for (Target* target : step.truncated) {
    if (!tables.empty()) tables += ", ";
    tables += quoted_name(target->table.plan());
  }
  const bool restart = step.change.restart_sequences;
  // What a mapped relation is of may hold rows of others.
  const bool mapped = std::any_of(step.truncated.begin(), step.truncated.end(),
                                  [](const Target* target) { return is_mapped(target->table.relation()); });
  // Whose rows are whose may be known by keys that were given in this very transaction.
  if (mapped) out.push_back(with_keys(session_.keys(), {"SELECT", {}}));
  if (truncate_by_delete_ || mapped) {
    for (Target* target : step.truncated) delete_all(*target, restart, out);
  } else {
    out.push_back({"TRUNCATE " + tables + (restart ? " RESTART IDENTITY" : ""), {}});
  }
  if (quarantine_.empty()) return;
  for (Target* target : step.truncated) out.push_back(quarantine_.release_all(target->table.plan().source));
}

void Composer::release(const Table& table, const std::string& key, Commands& out) {
  out.push_back(quarantine_.release(table.plan().source, key));
}

void Composer::release_if_held(const Table& table, const Row& row, Commands& out) {
  if (is_held(table, row)) release(table, table.named(row).source_key, out);
}

// --- keys that change ---

void Composer::move_columns(const Step& step, const Columns& columns, bool counted, Commands& out) {
  Statements& statements = *step.target->statements;
  auto before = statements.generate_key("BY DEFAULT"), after = statements.generate_key("ALWAYS");
  for (auto& sql : before) out.push_back({std::move(sql), {}, true});
  Arrays arrays(*step.target, columns, true);
  arrays.append(step.change.row, step.change.before);
  auto parameters = arrays.take();
  bool is_whole = columns == all_columns(step.table());
  if (counted && !is_whole) parameters.emplace_back("1");
  // Parsed only then: before, the server would refuse to set such a key.
  out.push_back({statements.move(columns, counted), std::move(parameters), !after.empty()});
  for (auto& sql : after) out.push_back({std::move(sql), {}, true});
}

void Composer::move(const Step& step, std::uint64_t sequence, Commands& out) {
  const Table& table = step.table();
  bool held = is_held(table, step.change.before);
  if (held) release(table, table.named(step.change.before).source_key, out);
  if (step.is_whole() || !held) {
    move_columns(step, present_columns(table, table.absent_columns(step.change)), true, out);
    release_if_held(table, step.change.row, out);
    return;
  }
  move_columns(step, table.key_columns(), false, out);
  Reject why = table.named(step.change.row);
  why.reason = name_of(is_mapped(table.relation()) ? Misfit::row_missing
                                                   : Misfit::rejected);  // the former is read again
  out.push_back(quarantine_.hold(table.plan(), why, sequence, true));
}

// --- tables without a key ---

void Composer::remove_one(const Step& step, const Row& row, Commands& out) {
  Scalars given = scalars(step.table(), row);
  given.values.emplace_back("1");
  out.push_back({step.target->statements->remove_one(given.nulls), std::move(given.values)});
}

void Composer::update_without_key(const Step& step, Commands& out) {
  Arrays arrays(*step.target, all_columns(step.table()), false);
  arrays.append(step.change.row, {});
  auto parameters = arrays.take();
  Scalars given = scalars(step.table(), step.change.before);
  append(parameters, std::move(given.values));
  parameters.emplace_back("1");
  out.push_back({step.target->statements->update_one(given.nulls), std::move(parameters)});
}

void Composer::without_key(const Step& step, Commands& out) {
  if (step.operation() == Operation::insert) return by_itself(step, out);
  const Table& table = step.table();
  const Row& before = step.operation() == Operation::remove ? step.change.row : step.change.before;
  bool removes = step.operation() == Operation::remove;
  if (auto name = names_.held(table, before, KeylessState::refused)) {
    release(table, *name, out);
    if (!removes) by_itself(step, out);  // it is not in the target yet
  } else if (auto missing = names_.held(table, before, KeylessState::missing)) {
    release(table, *missing, out);
    Reject why = names_.fresh(table, step.change.row, KeylessState::missing);
    why.reason = name_of(Misfit::row_missing);
    if (!removes) out.push_back(quarantine_.hold(table.plan(), why, 0, true));
  } else if (removes) {
    remove_one(step, before, out);
  } else {
    update_without_key(step, out);
  }
}

// --- runs that may be reordered ---

// Deletes of all tables first: what they free (a unique value) may be taken by the others.
void Composer::flush(Net& net, Commands& out) {
  for (const auto& table : net.tables()) removes(table, out);
  for (const auto& table : net.tables()) updates(table, out);
  for (bool contributors : {false, true}) {
    for (const auto& table : net.tables()) {
      if (table.target->table.plan().contributor == contributors) upserts(table, out);
    }
  }
  net = Net();
}

// Without replica mode a row may be gone already: the target's own foreign keys have cascaded.
void Composer::remove_rows(Target& target, const std::vector<const Row*>& rows, bool counted, Commands& out) {
  if (rows.empty()) return;
  Arrays arrays(target, {}, true);
  for (const Row* row : rows) arrays.append({}, *row);
  auto parameters = arrays.take();
  std::vector<std::string> keys;
  for (const auto& parameter : parameters) keys.push_back(*parameter);
  references_.before_delete(target.table.plan(), keys, out);
  counted = counted && session_.replica_mode();
  if (counted) parameters.emplace_back(std::to_string(rows.size()));
  out.push_back({target.statements->remove(counted), std::move(parameters)});
}

void Composer::removes(const Net::TableRows& table, Commands& out) {
  std::vector<const Row*> rows;
  for (const NetRow& row : table.rows) {
    if (row.state == NetRow::State::removed && !row.born) rows.push_back(row.row);
  }
  // A mapped row may have been left out by its filter.
  remove_rows(*table.target, rows, !is_mapped(table.target->table.relation()), out);
}

void Composer::updates(const Net::TableRows& table, Commands& out) {
  std::map<Columns, Arrays> by_absent;
  for (const NetRow& row : table.rows) {
    if (row.state != NetRow::State::partial) continue;
    auto found = by_absent.find(row.absent);
    if (found == by_absent.end()) {
      Columns present = present_columns(table.target->table, row.absent);
      found = by_absent.emplace(row.absent, Arrays(*table.target, std::move(present), true)).first;
    }
    found->second.append(*row.row, *row.row);
  }
  for (auto& [absent, arrays] : by_absent) {
    auto parameters = arrays.take();
    parameters.emplace_back(std::to_string(arrays.rows()));
    Columns present = present_columns(table.target->table, absent);
    out.push_back({table.target->statements->update(present), std::move(parameters)});
  }
}

// Their owner must have been there before.
void Composer::contributions(const Net::TableRows& table, Commands& out) {
  const Columns all = all_columns(table.target->table);
  Arrays arrays(*table.target, all, true);
  for (const NetRow& row : table.rows) {
    if (row.state == NetRow::State::whole) arrays.append(*row.row, *row.row);
  }
  if (arrays.rows() == 0) return;
  auto parameters = arrays.take();
  parameters.emplace_back(std::to_string(arrays.rows()));
  out.push_back({table.target->statements->update(all), std::move(parameters)});
}

void Composer::upserts(const Net::TableRows& table, Commands& out) {
  if (table.target->table.plan().contributor) return contributions(table, out);
  Arrays arrays(*table.target, all_columns(table.target->table), false);
  for (const NetRow& row : table.rows) {
    if (row.state == NetRow::State::whole) arrays.append(*row.row, {});
  }
  if (arrays.rows() > 0) out.push_back({table.target->statements->upsert(), arrays.take()});
}

// --- what the target refuses ---

Composer::Refusal Composer::refuse(const Step& step, const Error& error, std::uint64_t sequence) {
  if (step.operation() == Operation::truncate) throw error;
  const Table& table = step.table();
  bool missing = is_row_missing(error);
  if (table.keyless()) return refuse_keyless(step, error, missing, sequence);
  Reject why = rejected_by_target(error, table.named(step.change.row));
  if (step.moves_key()) return refuse_move(step, why, missing, sequence);
  bool may_be_in_target = step.operation() != Operation::insert && !missing;
  return {{}, {}, {quarantine_.hold(table.plan(), why, sequence, may_be_in_target)}};
}

// What the target has under the old key must not stay there, where nothing of the source would ever touch it.
Composer::Refusal Composer::refuse_move(const Step& step, const Reject& why, bool missing,
                                        std::uint64_t sequence) {
  Refusal refusal;
  const Table& table = step.table();
  release_if_held(table, step.change.before, refusal.finally);
  if (!missing) {
    if (table.key_columns() != all_columns(table))
      move_columns(step, table.key_columns(), false, refusal.try_first);
    remove_rows(*step.target, {&step.change.before}, false, refusal.otherwise);
  }
  refusal.finally.push_back(quarantine_.hold(table.plan(), why, sequence, !missing));
  return refusal;
}

Composer::Refusal Composer::refuse_keyless(const Step& step, const Error& error, bool missing,
                                           std::uint64_t sequence) {
  const Table& table = step.table();
  Refusal refusal;
  KeylessState state = KeylessState::refused;
  if (step.operation() == Operation::remove) state = KeylessState::gone;
  if (step.operation() == Operation::update && missing) state = KeylessState::missing;
  if (step.operation() == Operation::update && !missing) {
    if (auto name = names_.held(table, step.change.before, KeylessState::refused)) {
      release(table, *name, refusal.finally);
    } else {
      remove_one(step, step.change.before, refusal.otherwise);
    }
  }
  Reject why = rejected_by_target(error, names_.fresh(table, step.change.row, state));
  refusal.finally.push_back(quarantine_.hold(table.plan(), why, sequence, state != KeylessState::refused));
  return refusal;
}

}  // namespace tidegate::native
