#include "apply/postgres/orphan_guard.hpp"

#include <fmt/format.h>

#include <map>

#include "apply/postgres/statements.hpp"

namespace tidegate {
namespace {

constexpr const char* references_sql = R"sql(
SELECT c.conname, c.confrelid::pg_catalog.regclass::text,
       pg_catalog.string_agg(pg_catalog.format('t.%I IS NOT NULL', a.attname), ' AND '),
       pg_catalog.string_agg(pg_catalog.format('p.%I = t.%I', b.attname, a.attname), ' AND ')
FROM pg_catalog.pg_constraint c CROSS JOIN unnest(c.conkey, c.confkey) AS k(mine, theirs)
JOIN pg_catalog.pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.mine
JOIN pg_catalog.pg_attribute b ON b.attrelid = c.confrelid AND b.attnum = k.theirs
WHERE c.contype = 'f' AND c.conrelid = pg_catalog.to_regclass($1)
GROUP BY c.oid, c.conname, c.confrelid ORDER BY c.conname)sql";

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
  for (const auto& [name, plan] : plans) {
    if (plan.from.empty() || plan.contributor || references_.contains(quoted_name(plan))) continue;
    auto rows = target.run(references_sql, {quoted_name(plan)});
    for (int i = 0; i < rows.rows(); ++i) {
      references_[quoted_name(plan)].push_back({std::string(rows.text(i, 0)), std::string(rows.text(i, 1)),
                                                std::string(rows.text(i, 2)), std::string(rows.text(i, 3))});
    }
  }
}

void OrphanGuard::hold_orphans(postgres::Connection& target, Quarantine& quarantine, const TablePlan& plan,
                               const std::vector<Reject>& written, std::uint64_t sequence) const {
  const auto rows = with_keys_that_fit(written);
  if (rows.empty() || plan.contributor || !watches(plan)) return;
  std::map<std::size_t, std::string> orphans;  // by place, with the constraint
  for (const Reference& reference : references_.at(quoted_name(plan))) {
    auto found = target.run(
        fmt::format("SELECT k.n FROM {} AS t, {} AND {} AND NOT EXISTS (SELECT FROM {} AS p WHERE {})",
                    quoted_name(plan), numbered_keys(plan), reference.filled, reference.parent,
                    reference.matches),
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
  }
}

}  // namespace tidegate
