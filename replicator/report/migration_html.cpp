#include <fmt/format.h>

#include <algorithm>

#include "replicator/config/units.hpp"
#include "replicator/html.hpp"
#include "replicator/report/migration_report.hpp"
#include "replicator/verify/report.hpp"

namespace tidegate::report {
namespace {

using namespace html;

// More of these are in the JSON; the page is to be read and printed.
constexpr std::size_t most_rows = 500;

std::string cell(const std::string& inner, bool number = false) {
  return fmt::format("<td{}>{}</td>", number ? " class=\"n\"" : "", inner);
}

std::string row(std::initializer_list<std::string> cells) {
  std::string out = "<tr>";
  for (const auto& each : cells) out += each;
  return out + "</tr>\n";
}

std::string number(std::uint64_t count) {
  return cell(format_count(count), true);
}

bool has_differences(const Migration& migration) {
  return migration.verification && migration.verification->differing > 0;
}

bool has_trouble(const Migration& migration) {
  return migration.status.phase == "failed" || has_differences(migration) || !migration.audit_fault.empty();
}

bool is_proven(const Migration& migration) {
  return migration.verification && migration.verification->is_equal() && migration.status.quarantined == 0;
}

std::string verdict_of(const Migration& migration) {
  if (migration.status.phase == "failed") return "The pipeline has failed";
  if (!migration.audit_fault.empty()) return "The audit is broken";
  if (has_differences(migration)) return "The ends differ";
  if (is_proven(migration)) return "Every row was compared and is equal";
  return "Not proven yet";
}

std::string proof_sentence(const Migration& migration) {
  if (!migration.verification) return "No verify has been run.";
  return fmt::format("The newest verify began {} and says: {}.", migration.verification->run.started_at,
                     verify::verdict(*migration.verification));
}

std::string top(const Migration& migration) {
  const char* kind = has_trouble(migration) ? "bad" : is_proven(migration) ? "good" : "wait";
  return verdict_block(kind, verdict_of(migration),
                       fmt::format("{} {} in quarantine.", proof_sentence(migration),
                                   format_rows(migration.status.quarantined)));
}

std::string copied_text(const CopyRate& rate) {
  if (!rate.rows_per_second) return "";
  return fmt::format("{} in {:.1f} s, {} rows/s", format_rows(rate.rows), rate.seconds,
                     format_count(*rate.rows_per_second));
}

std::string facts(const Migration& migration) {
  const Status& status = migration.status;
  const std::string phase = status.phase + (migration.running ? "" : ", no daemon runs");
  return "<dl>\n" + fact("Source", code(status.source)) + fact("Target", code(status.target)) +
         fact("Live side", escaped(status.live)) + fact("Phase", escaped(phase)) +
         fact("Began", escaped(status.started_at.value_or(""))) +
         fact("Ended", escaped(status.ended_at.value_or(""))) +
         fact("First copy", copied_text(copy_rate(migration.copies))) +
         fact("Changes since", fmt::format("{} in {} transactions", format_count(status.totals.changes),
                                           format_count(status.totals.transactions))) +
         fact("Lag", status.lag.seconds ? fmt::format("{:.3f} s", *status.lag.seconds) : "") +
         fact("Position", code(status.position)) + fact("Not known", escaped(migration.copies_missing)) +
         "</dl>\n";
}

const Copy* copy_of(const Migration& migration, const std::string& target) {
  const auto found = std::find_if(migration.copies.begin(), migration.copies.end(),
                                  [&](const Copy& copy) { return copy.table == target; });
  return found == migration.copies.end() ? nullptr : &*found;
}

std::string tables(const Migration& migration) {
  std::string out =
      table_begin("Tables", {"Source", "Target", "State", "Copied until", "Rows", "In quarantine"}, 4);
  for (const auto& table : migration.status.tables) {
    const Copy* copy = copy_of(migration, table.target);
    out += row({cell(code(table.source)), cell(code(table.target)), cell(escaped(table.state)),
                cell(copy ? escaped(copy->ended) : ""), number(copy ? copy->rows : table.rows_copied),
                number(table.rows_quarantined)});
  }
  return out + table_end;
}

std::string differences(const Migration& migration) {
  if (!has_differences(migration)) return "";
  const auto& all = migration.verification->differences;
  std::string out = table_begin("Differences", {"Table", "Key", "What"});
  for (std::size_t i = 0; i < std::min(most_rows, all.size()); ++i)
    out += row({cell(code(all[i].table)), cell(code(all[i].key)), cell(escaped(verify::sentence(all[i])))});
  for (const auto& remark : migration.verification->remarks)
    if (remark.is_difference) out += row({cell(code(remark.table)), cell(""), cell(escaped(remark.message))});
  return out + table_end;
}

std::string errors(const Migration& migration) {
  if (migration.status.errors.empty()) return "";
  std::string out = table_begin("Errors", {"When", "Table", "What", "Code"});
  for (const auto& error : migration.status.errors)
    out += row({cell(escaped(error.at)), cell(code(error.table)), cell(escaped(error.message)),
                cell(code(error.code))});
  return out + table_end;
}

std::string cutover(const Migration& migration) {
  if (!migration.status.cutover) return "";
  const CutoverStatus& run = *migration.status.cutover;
  std::string out = table_begin("Cutover", {"Step", "Attempt", "Milliseconds"}, 1);
  for (const auto& step : run.steps)
    out += row({cell(escaped(step.step)), number(step.attempt),
                cell(fmt::format("{:.1f}", step.milliseconds), true)});
  out += table_end;
  const std::string hold = run.hold_ms ? fmt::format("; writers waited {:.0f} ms at most", *run.hold_ms) : "";
  return out + fmt::format("<p>{} {}: {}{}. {}</p>\n", escaped(run.mode), escaped(run.run),
                           escaped(run.outcome.empty() ? "under way" : run.outcome), hold,
                           escaped(run.reason));
}

std::string timeline(const Migration& migration) {
  std::string out = table_begin("What was done", {"When", "What", "Who", "Why", "Before and after"});
  const auto& all = migration.audit;
  const std::size_t first = all.size() > most_rows ? all.size() - most_rows : 0;
  for (std::size_t i = first; i < all.size(); ++i) {
    const bool changed = !all[i].before.empty() || !all[i].after.empty();
    out += row({cell(escaped(all[i].at)), cell(escaped(all[i].action)), cell(escaped(all[i].by)),
                cell(escaped(all[i].reason)),
                cell(changed ? escaped(all[i].before + " → " + all[i].after) : escaped(all[i].detail))});
  }
  out += table_end;
  return migration.audit_fault.empty()
             ? out
             : out + "<p class=\"mark bad\">" + escaped(migration.audit_fault) + "</p>\n";
}

std::string backups(const Migration& migration) {
  if (migration.backups.empty()) return "";
  std::string out = table_begin("Backups", {"Id", "Of", "Position", "Size"}, 3);
  for (const auto& manifest : migration.backups)
    out += row({cell(code(manifest.id)), cell(escaped(manifest.of)), cell(code(manifest.position)),
                cell(format_size(manifest.bytes), true)});
  return out + table_end;
}

}  // namespace

std::string to_html(const Migration& migration) {
  return page(
      "tidegate report", migration.status.pipeline, verdict_of(migration),
      top(migration) + "\n" + facts(migration) + differences(migration) + errors(migration) +
          tables(migration) + cutover(migration) + timeline(migration) + backups(migration),
      fmt::format("Made by tidegate {} at {}. Keys and columns are named; no value of a row is on this page.",
                  migration.version, migration.made_at));
}

}  // namespace tidegate::report
