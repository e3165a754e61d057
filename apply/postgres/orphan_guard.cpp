#include "apply/postgres/orphan_guard.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <set>

#include "apply/postgres/statements.hpp"
#include "apply/text_format.hpp"

namespace tidegate {
namespace {

constexpr std::size_t holds_at_once = 10000;

// One array literal per key column, of all rows: each row's literal has one element.
std::vector<postgres::Parameter> key_arrays(const std::vector<const Reject*>& rows) {
  std::vector<std::string> arrays(rows.front()->target_key.size(), "{");
  for (const Reject* row : rows) {
    for (std::size_t i = 0; i < arrays.size(); ++i) {
      const std::string& one = row->target_key[i];
      if (arrays[i].size() > 1) arrays[i] += ',';
      arrays[i] += one.substr(1, one.size() - 2);
    }
  }
  std::vector<postgres::Parameter> parameters;
  for (auto& array : arrays) parameters.emplace_back(std::move(array) + "}");
  return parameters;
}

std::vector<const Reject*> with_keys_that_fit(const std::vector<Reject>& rows) {
  std::vector<const Reject*> fit;
  for (const Reject& row : rows) {
    if (!row.target_key.empty()) fit.push_back(&row);
  }
  return fit;
}

}  // namespace

OrphanGuard::OrphanGuard(postgres::Connection& target, bool replica_mode, const Plans& plans) {
  if (!replica_mode) return;
  add_children(target, plans);
  for (const auto& [name, plan] : plans) {
    if (plan.from.empty() || plan.contributor || references_.contains(quoted_name(plan))) continue;
    auto references = ForeignKey::of(target, quoted_name(plan));
    if (!references.empty()) references_.emplace(quoted_name(plan), std::move(references));
  }
}

bool OrphanGuard::have_parents(postgres::Connection& target, const RowMapper& mapper,
                               const std::vector<const Row*>& rows, KnownParents* known) const {
  const auto found = references_.find(quoted_name(mapper.plan()));
  if (found == references_.end() || mapper.plan().contributor) return true;
  return std::all_of(found->second.begin(), found->second.end(), [&](const ForeignKey& reference) {
    auto named = reference.parents_of(mapper, rows, known);
    if (!named || named->names.empty()) return named.has_value();
    if (target.run(reference.missing_sql(), named->arrays).boolean(0, 0)) return false;
    if (known) known->note(reference.domain(), std::move(named->names));
    return true;
  });
}

void OrphanGuard::note_written(const RowMapper& mapper, const std::vector<const Row*>& rows,
                               KnownParents& known) const {
  std::set<std::string> noted;
  for (const auto& [child, references] : references_) {
    for (const ForeignKey& reference : references) {
      if (reference.parent != quoted_name(mapper.plan()) || !noted.insert(reference.domain()).second)
        continue;
      known.note(reference.domain(), reference.names_of_parents(mapper, rows));
    }
  }
}

void OrphanGuard::hold_orphans(postgres::Connection& target, Quarantine& quarantine, const TablePlan& plan,
                               const std::vector<Reject>& written, std::uint64_t sequence) const {
  const auto rows = with_keys_that_fit(written);
  if (rows.empty() || plan.contributor || !watches(plan)) return;
  std::map<std::size_t, std::string> orphans;  // by place, with the constraint
  for (const ForeignKey& reference : references_.at(quoted_name(plan))) {
    auto found = target.run(fmt::format("SELECT k.n FROM {} AS t, {} AND {}", quoted_name(plan),
                                        numbered_keys(plan), reference.is_orphan("t.")),
                            key_arrays(rows));
    for (int i = 0; i < found.rows(); ++i)
      orphans.emplace(static_cast<std::size_t>(found.integer(i, 0) - 1), reference.constraint);
  }
  for (const auto& [place, constraint] : orphans) {
    Reject why = *rows[place];
    why.reason = name_of(Misfit::rejected);
    why.sqlstate = "23503";
    why.constraint = constraint;
    target.pipeline(
        {{delete_sql(plan), key_arrays({rows[place]})}, quarantine.hold(plan, why, sequence, false)});
    take_out_children(target, quarantine, plan, {*rows[place]}, sequence);
  }
}

namespace {

// One row for each column of each foreign key between mapped tables.
constexpr const char* children_sql = R"sql(
SELECT m.child, r.parent, c.oid, c.conname, pg_catalog.format('p.%I = c.%I', b.attname, a.attname),
       pg_catalog.format('c.%I', a.attname), b.attname, pg_catalog.format_type(a.atttypid, -1)
FROM pg_catalog.pg_constraint c
JOIN unnest($1::text[]) AS m(child) ON pg_catalog.to_regclass(m.child) = c.conrelid
JOIN unnest($1::text[]) AS r(parent) ON pg_catalog.to_regclass(r.parent) = c.confrelid
CROSS JOIN unnest(c.conkey, c.confkey) WITH ORDINALITY AS k(mine, theirs, n)
JOIN pg_catalog.pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.mine
JOIN pg_catalog.pg_attribute b ON b.attrelid = c.confrelid AND b.attnum = k.theirs
WHERE c.contype = 'f' ORDER BY c.oid, k.n)sql";

// `of`: "c."
std::string key_texts(const TablePlan& plan, const std::string& of) {
  std::string columns;
  for (const auto& name : plan.key)
    columns += (columns.empty() ? "" : ", ") + of + tidegate::quoted(name) + "::text";
  return columns;
}

// An array literal of one element.
std::string element_of(const std::string& literal) {
  std::string text;
  for (std::size_t i = 2; i + 2 < literal.size(); ++i) {
    if (literal[i] == '\\') ++i;
    text += literal[i];
  }
  return text;
}

Reject named_by_target(std::vector<std::string> target_key) {
  Reject why;
  std::vector<std::string> texts;
  for (const std::string& literal : target_key) texts.push_back(element_of(literal));
  why.source_key = key_of_target(texts);
  why.key_bytes = encode(Row(target_key.begin(), target_key.end()));
  why.target_key = std::move(target_key);
  return why;
}

Reject named_by_target(const postgres::Result& rows, int row) {
  std::vector<std::string> literals;
  for (int column = 0; column < rows.columns(); ++column) {
    std::string literal = "{";
    append_array_element(rows.text(row, column), literal);
    literals.push_back(literal + "}");
  }
  return named_by_target(std::move(literals));
}

Reject taken_out(const postgres::Result& rows, int row, const std::string& constraint) {
  Reject why = named_by_target(rows, row);
  why.reason = name_of(Misfit::rejected);
  why.sqlstate = "23503";
  why.constraint = constraint;
  return why;
}

std::string keys_given(std::size_t count) {
  std::string arrays, names;
  for (std::size_t i = 1; i <= count; ++i) {
    arrays += fmt::format("{}${}::text[]", i > 1 ? ", " : "", i);
    names += fmt::format("{}k{}", i > 1 ? ", " : "", i);
  }
  return fmt::format(" USING unnest({}) AS k({})", arrays, names);
}

constexpr std::string_view of_target = "{\"target\":";

}  // namespace

std::string key_of_target(const std::vector<std::string>& texts) {
  return fmt::format("{}{}}}", of_target, key_as_json(Row(texts.begin(), texts.end())));
}

bool is_key_of_target(std::string_view source_key) {
  return source_key.starts_with(of_target);
}

void OrphanGuard::add_children(postgres::Connection& target, const Plans& plans) {
  std::map<std::string, const TablePlan*> owners;
  std::string names = "{";
  for (const auto& [name, plan] : plans) {
    if (plan.contributor) contributors_[quoted_name(plan)].push_back(plan);
    if (plan.from.empty() || plan.contributor || !owners.emplace(quoted_name(plan), &plan).second) continue;
    if (names.size() > 1) names += ',';
    append_array_element(quoted_name(plan), names);
  }
  const auto rows = target.run(children_sql, {names + "}"});
  std::string_view last;
  for (int i = 0; i < rows.rows(); ++i) {
    const std::string parent(rows.text(i, 1));
    auto& children = children_[parent];
    if (rows.text(i, 2) != last)
      children.push_back(
          {*owners.at(std::string(rows.text(i, 0))), std::string(rows.text(i, 3)), {}, {}, {}});
    last = rows.text(i, 2);
    Child& child = children.back();
    child.there.emplace_back(rows.text(i, 4));
    child.filled.push_back(std::string(rows.text(i, 5)) + " IS NOT NULL");
    const auto& key = owners.at(parent)->key;
    const auto place = std::find(key.begin(), key.end(), rows.text(i, 6));
    if (place == key.end()) continue;
    child.keyed.push_back(
        fmt::format("{} = k.k{}::{}", rows.text(i, 5), place - key.begin() + 1, rows.text(i, 7)));
  }
}

// What other maps wrote into these rows went with them, and nobody will write it again when they come back.
void OrphanGuard::hold_contributions(postgres::Connection& target, Quarantine& quarantine,
                                     const TablePlan& plan, const std::vector<const Reject*>& removed,
                                     std::uint64_t sequence) const {
  const auto found = contributors_.find(quoted_name(plan));
  if (found == contributors_.end()) return;
  std::vector<postgres::Command> holds;
  const auto send = [&] {
    if (!holds.empty()) target.pipeline(holds);
    holds.clear();
  };
  for (const TablePlan& contributor : found->second) {
    for (const Reject* row : removed) {
      Reject why = named_by_target(row->target_key);
      why.reason = name_of(Misfit::row_missing);
      holds.push_back(quarantine.hold(contributor, why, sequence, false));
      if (holds.size() == holds_at_once) send();
    }
  }
  send();
}

std::vector<Reject> OrphanGuard::rows_with_contributions(postgres::Connection& target,
                                                         const TablePlan& plan) const {
  std::vector<Reject> names;
  if (!has_contributors(plan)) return names;
  const auto rows = target.run(fmt::format("SELECT {} FROM {}{}", key_texts(plan, ""), quoted_name(plan),
                                           plan.rows.empty() ? "" : " WHERE " + plan.rows));
  for (int i = 0; i < rows.rows(); ++i) names.push_back(named_by_target(rows, i));
  return names;
}

void OrphanGuard::take_out_contributions(postgres::Connection& target, Quarantine& quarantine,
                                         const TablePlan& plan, const std::vector<Reject>& removed,
                                         std::uint64_t sequence) const {
  hold_contributions(target, quarantine, plan, with_keys_that_fit(removed), sequence);
}

void OrphanGuard::part_from_contributions(postgres::Connection& target, Quarantine& quarantine,
                                          const TablePlan& plan, const std::vector<Reject>& moved,
                                          std::uint64_t sequence) const {
  const auto found = contributors_.find(quoted_name(plan));
  const auto rows = with_keys_that_fit(moved);
  if (found == contributors_.end() || rows.empty()) return;
  for (const TablePlan& contributor : found->second) target.run(delete_sql(contributor), key_arrays(rows));
  hold_contributions(target, quarantine, plan, rows, sequence);
}

void OrphanGuard::take_out_children(postgres::Connection& target, Quarantine& quarantine,
                                    const TablePlan& plan, const std::vector<Reject>& removed,
                                    std::uint64_t sequence) const {
  take_out(target, quarantine, plan, &removed, sequence);
}

void OrphanGuard::take_out_children(postgres::Connection& target, Quarantine& quarantine,
                                    const TablePlan& plan, std::uint64_t sequence) const {
  take_out(target, quarantine, plan, nullptr, sequence);
}

void OrphanGuard::take_out(postgres::Connection& target, Quarantine& quarantine, const TablePlan& plan,
                           const std::vector<Reject>* removed, std::uint64_t sequence) const {
  if (plan.contributor) return;
  std::vector<const Reject*> gone;
  if (removed) gone = with_keys_that_fit(*removed);
  if (removed && gone.empty()) return;
  hold_contributions(target, quarantine, plan, gone, sequence);
  const auto found = children_.find(quoted_name(plan));
  if (found == children_.end()) return;
  for (const Child& child : found->second) {
    const bool keyed = removed && child.keyed.size() == plan.key.size();
    const auto& which = keyed ? child.keyed : child.filled;
    const auto rows = target.run(
        fmt::format(
            "DELETE FROM {} AS c{} WHERE {} AND NOT EXISTS (SELECT FROM {} AS p WHERE {}) RETURNING {}",
            quoted_name(child.plan), keyed ? keys_given(plan.key.size()) : "", fmt::join(which, " AND "),
            quoted_name(plan), fmt::join(child.there, " AND "), key_texts(child.plan, "c.")),
        keyed ? key_arrays(gone) : std::vector<postgres::Parameter>{});
    std::vector<Reject> taken;
    std::vector<postgres::Command> holds;
    for (int i = 0; i < rows.rows(); ++i) {
      taken.push_back(taken_out(rows, i, child.constraint));
      holds.push_back(quarantine.hold(child.plan, taken.back(), sequence, false));
    }
    if (taken.empty()) continue;
    target.pipeline(holds);
    take_out(target, quarantine, child.plan, &taken, sequence);
  }
}

}  // namespace tidegate
