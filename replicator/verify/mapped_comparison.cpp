#include "replicator/verify/mapped_comparison.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <random>

#include "apply/postgres/copy_line.hpp"
#include "apply/postgres/orphan_guard.hpp"
#include "apply/postgres/unowned_rows.hpp"
#include "db/error.hpp"
#include "replicator/config/units.hpp"
#include "replicator/pipeline/mapping_setup.hpp"
#include "replicator/verify/sample.hpp"

namespace tidegate::verify {
namespace {

bool is_key(const TablePlan& plan, const std::string& column) {
  return std::find(plan.key.begin(), plan.key.end(), column) != plan.key.end();
}

// What a column has where nobody fills it; nothing where that is not the same for each row.
struct Blank {
  std::size_t column;
  std::string field;  // as COPY prints it
};

}  // namespace

std::vector<const TablePlan*> plans_of(const Plans& plans, const std::string& table, const Request& request) {
  std::vector<const TablePlan*> found;
  for (const auto& [name, plan] : plans) {
    if (plan.source_table() != table || (plan.contributor && request.counts)) continue;
    const bool wanted = request.tables.empty() || chosen({request.tables, {}}, table) ||
                        (!plan.from.empty() && (chosen({request.tables, {}}, name) ||
                                                chosen({request.tables, {}}, shown_name(plan))));
    if (wanted) found.push_back(&plan);
  }
  std::sort(found.begin(), found.end(),
            [](const TablePlan* a, const TablePlan* b) { return a->source < b->source; });
  return found;
}

std::vector<Remark> rows_of_nobody(postgres::Connection& target, const Plans& all, const Plans& compared) {
  std::map<std::string, std::vector<std::string>> owned;  // conditions by the target's table
  std::map<std::string, std::string> shown;
  for (const auto& [name, plan] : all) {
    if (plan.rows.empty() || plan.contributor) continue;
    owned[quoted_name(plan)].push_back("(" + plan.rows + ")");
    if (compared.contains(name)) shown[quoted_name(plan)] = shown_name(plan);
  }
  std::vector<Remark> remarks;
  for (const auto& [table, name] : shown) {
    const auto rows = target.run(fmt::format("SELECT count(*) FROM {} WHERE ({}) IS NOT TRUE", table,
                                             fmt::join(owned[table], " OR ")));
    if (rows.integer(0, 0) == 0) continue;
    remarks.push_back({false, "verify-rows-of-nobody", name,
                       format_rows(static_cast<std::uint64_t>(rows.integer(0, 0))) +
                           " of the target belong to no map that fills it"});
  }
  return remarks;
}

MappedComparison::MappedComparison(const Scene& scene, const TablePlan& plan, const SourceTable& table,
                                   const Relation& relation)
    : scene_(scene), plan_(plan), order_(plan) {
  mapped_ = std::make_unique<MappedTable>(std::vector{output_named(scene.maps, plan)}, table, relation,
                                          mapping_options(scene.settings, scene.keys), 0);
  mapper_ = std::make_unique<RowMapper>(plan_, mapped_->relation(0));
}

const Held& MappedComparison::held() const {
  static const Held none;
  const auto found = scene_.state.quarantine.find(plan_.source);
  return found == scene_.state.quarantine.end() ? none : found->second;
}

void MappedComparison::run(SourceRows& rows, const Request& request, Findings& findings) {
  if (request.counts) return count(rows, findings);
  if (request.sample)
    sample(rows, *request.sample, findings);
  else
    compare(rows, findings);
  name_versions(findings);
}

// Of rows that no source row makes, so that they can be taken out as long as they are what was seen here. A
// contributor's stay as they are where it shares a column: nobody knows who filled that.
void MappedComparison::name_versions(Findings& findings) {
  std::vector<UnownedRow> rows;
  std::vector<Difference*> of;
  for (Difference& each : findings.differences) {
    if (each.version.empty()) continue;
    rows.push_back({decode_row(each.key_bytes), ""});
    of.push_back(&each);
  }
  const bool shares = plan_.contributor && columns_alone().size() + plan_.key.size() < plan_.columns.size();
  if (!rows.empty() && !shares) read_versions(scene_.target, plan_, rows);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    of[i]->version = rows[i].version;
    if (rows[i].version.empty()) of[i]->key_bytes.clear();
  }
}

void MappedComparison::compare(SourceRows& rows, Findings& findings) {
  LineMerge merge({plan_, order_, held(), scene_.speller, scene_.compared, leftover()}, findings);
  MappedLines lines(rows, *mapped_, *mapper_, held(),
                    [&](const Reject& why) { merge.misfit(why.source_key, why.key_bytes); });
  SortedLines sorted(lines, plan_, order_, scene_.speller, scene_.settings.state_dir);
  CopiedLines copied(scene_.target, plan_, order_, plan_.rows);
  merge.run(sorted, copied);
}

void MappedComparison::sample(SourceRows& rows, std::uint64_t count, Findings& findings) {
  LineMerge merge({plan_, order_, held(), scene_.speller, scene_.compared}, findings);
  // Those that do not fit are as likely as others, but to be sure takes all rows.
  MappedLines lines(rows, *mapped_, *mapper_, held(), [](const Reject&) {});
  SortedLines sorted(lines, plan_, order_, scene_.speller, scene_.settings.state_dir);
  std::mt19937_64 random(std::random_device{}());
  merge_sample(take_sample(sorted, count, random), plan_, order_, scene_.target, merge);
}

void MappedComparison::count(SourceRows& rows, Findings& findings) {
  std::uint64_t there = 0;  // that should be
  MappedLines lines(rows, *mapped_, *mapper_, held(), [&](const Reject& why) {
    ++findings.rows;
    const auto found = held().find(why.source_key);
    if (found == held().end() || found->second.on_target) ++there;
  });
  while (lines.next()) ++findings.rows, ++there;
  for (const auto& [key, row] : held()) there -= is_key_of_target(key) ? 1 : 0;
  const std::string where = plan_.rows.empty() ? "" : " WHERE " + plan_.rows;
  const auto counted = scene_.target.run("SELECT count(*) FROM " + quoted_name(plan_) + where);
  findings.target_rows = static_cast<std::uint64_t>(counted.integer(0, 0));
  if (*findings.target_rows != there) {
    const Kind kind = *findings.target_rows < there ? Kind::missing : Kind::extra;
    add(findings, {Side::target, kind, plan_.source, "", "", {}});
  }
  scene_.compared(findings.rows);
}

// Columns that no other relation writes.
std::vector<std::size_t> MappedComparison::columns_alone() const {
  std::vector<std::size_t> alone;
  for (std::size_t i = 0; i < plan_.columns.size(); ++i) {
    const std::string& name = plan_.columns[i].target;
    const bool others =
        std::any_of(scene_.state.plans.begin(), scene_.state.plans.end(), [&](const auto& each) {
          const TablePlan& plan = each.second;
          return plan.source != plan_.source && quoted_name(plan) == quoted_name(plan_) &&
                 std::any_of(plan.columns.begin(), plan.columns.end(),
                             [&](const ColumnPlan& column) { return column.target == name; });
        });
    if (!others && !is_key(plan_, name)) alone.push_back(i);
  }
  return alone;
}

// An owner's rows that no source row makes are too many. A contributor's columns of such rows are to have
// their defaults; one that calls a function may be another for each row, and is not looked at.
MappedComparison::Leftover MappedComparison::leftover() {
  if (!plan_.contributor) return {};
  std::vector<Blank> blanks;
  for (const std::size_t column : columns_alone()) {
    const std::string& name = plan_.columns[column].target;
    const auto found = scene_.target.run(
        "SELECT coalesce(pg_catalog.pg_get_expr(d.adbin, d.adrelid), 'NULL') FROM pg_catalog.pg_attribute a"
        " LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum"
        " WHERE a.attrelid = $1::pg_catalog.regclass AND a.attname = $2",
        {quoted_name(plan_), name});
    if (found.rows() == 0 || found.text(0, 0).find('(') != std::string_view::npos) continue;
    std::string field;
    scene_.target.copy_out_begin(fmt::format("COPY (SELECT {}) TO STDOUT", found.text(0, 0)));
    for (std::string line; scene_.target.copy_read(line); line.clear()) field = line;
    if (field.ends_with('\n')) field.pop_back();
    blanks.push_back({column, std::move(field)});
  }
  return [this, blanks = std::move(blanks)](const std::vector<std::string_view>& fields) {
    std::vector<std::string> differing;
    for (const Blank& blank : blanks)
      if (fields[blank.column] != blank.field) differing.push_back(plan_.columns[blank.column].target);
    return differing;
  };
}

}  // namespace tidegate::verify
