#include "replicator/report/migration_report.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>

#include "replicator/config/units.hpp"
#include "replicator/verify/report.hpp"

namespace tidegate::report {
namespace {

namespace json = boost::json;

json::object shown(const Copy& copy) {
  return {{"table", copy.table}, {"state", copy.state}, {"began", copy.began},
          {"ended", copy.ended}, {"rows", copy.rows},   {"seconds", copy.seconds}};
}

json::object shown(const CopyRate& rate) {
  json::object out{{"rows", rate.rows}, {"seconds", rate.seconds}, {"rows_per_second", nullptr}};
  if (rate.rows_per_second) out["rows_per_second"] = *rate.rows_per_second;
  return out;
}

}  // namespace

// Times of one form and length compare as texts do; the tables were begun together, so the longest is the
// whole.
CopyRate copy_rate(const std::vector<Copy>& copies) {
  CopyRate rate;
  for (const Copy& copy : copies) {
    rate.rows += copy.rows;
    rate.seconds = std::max(rate.seconds, copy.seconds);
  }
  if (rate.seconds > 0)
    rate.rows_per_second = static_cast<std::uint64_t>(static_cast<double>(rate.rows) / rate.seconds);
  return rate;
}

std::string to_json(const Migration& migration) {
  json::array copies, audit, backups;
  for (const Copy& copy : migration.copies) copies.push_back(shown(copy));
  for (const auto& entry : migration.audit) audit.push_back(json::parse(to_json_line(entry)));
  for (const auto& manifest : migration.backups) backups.push_back(json::parse(backup::to_json(manifest)));
  return json::serialize(
      json::object{{"made_at", migration.made_at},
                   {"version", migration.version},
                   {"running", migration.running},
                   {"status", json::parse(tidegate::to_json(migration.status))},
                   {"copy", shown(copy_rate(migration.copies))},
                   {"copies", copies},
                   {"copies_missing", migration.copies_missing},
                   {"audit", audit},
                   {"audit_fault", migration.audit_fault},
                   {"verify", migration.verification ? json::parse(verify::to_json(*migration.verification))
                                                     : json::value(nullptr)},
                   {"backups", backups}});
}

std::string to_text(const Migration& migration) {
  const Status& status = migration.status;
  const CopyRate rate = copy_rate(migration.copies);
  std::string text = fmt::format("{}: {} -> {}\n", status.pipeline, status.source, status.target);
  text +=
      fmt::format("  phase {}{}, the {} is live, since {}\n", status.phase,
                  migration.running ? "" : " (no daemon runs)", status.live, status.started_at.value_or("?"));
  text += fmt::format("  {} tables; {} copied{}, then {} changes in {} transactions\n", status.tables.size(),
                      format_rows(rate.rows ? rate.rows : status.totals.rows_copied),
                      rate.rows_per_second ? fmt::format(" in {:.1f} s ({} rows/s)", rate.seconds,
                                                         format_count(*rate.rows_per_second))
                                           : "",
                      format_count(status.totals.changes), format_count(status.totals.transactions));
  text += fmt::format("  {} in quarantine, {} error{} noted, {} backup{}\n", format_rows(status.quarantined),
                      status.errors.size(), status.errors.size() == 1 ? "" : "s", migration.backups.size(),
                      migration.backups.size() == 1 ? "" : "s");
  text += migration.verification ? fmt::format("  verify of {}: {}\n", migration.verification->run.started_at,
                                               verify::verdict(*migration.verification))
                                 : "  never verified\n";
  if (status.cutover)
    text += fmt::format("  {}: {}\n", status.cutover->mode,
                        status.cutover->outcome.empty() ? "under way" : status.cutover->outcome);
  if (!migration.audit_fault.empty()) text += "  the audit is broken: " + migration.audit_fault + "\n";
  return text;
}

}  // namespace tidegate::report
