#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>

#include "replicator/config/units.hpp"
#include "replicator/html.hpp"
#include "replicator/verify/report.hpp"

namespace tidegate::verify {
namespace {

using namespace html;

// A page that is to be opened and printed names so many; the rest is in the JSON.
constexpr std::size_t most_rows = 2000;

std::string verdict_block(const Report& report) {
  bool is_done = report.run.state == "completed";
  const char* kind = !is_done ? "wait" : report.differing == 0 ? "good" : "bad";
  std::string said = verdict(report);
  said[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(said[0])));
  std::string what = report.run.request.sample   ? "A sample of the rows was compared, not all of them."
                     : report.run.request.counts ? "Rows were counted, not compared."
                     : report.positions.size() > 1
                         ? "Every row was compared, column by column, each at the same position on both ends."
                         : "Every row was compared, column by column, at one position on both ends.";
  return html::verdict_block(
      kind, said, fmt::format("{} in {} tables. {}", format_rows(report.rows), report.tables.size(), what));
}

std::string facts(const Report& report) {
  std::string range = report.run.request.tables.empty()
                          ? "all replicated tables"
                          : escaped(fmt::format("{}", fmt::join(report.run.request.tables, ", ")));
  return "<dl>\n" + fact("Source", code(report.run.ends.source)) +
         fact("Target", code(report.run.ends.target)) + fact("Run", std::to_string(report.run.id)) +
         fact("Began", escaped(report.run.started_at)) + fact("Ended", escaped(report.run.ended_at)) +
         fact("Asked for by", escaped(report.run.by)) + fact("Tables", range) +
         fact(report.positions.size() == 1 ? "Position" : "Positions",
              code(fmt::format("{}", fmt::join(report.positions, ", ")))) +
         fact("Not compared, since in quarantine",
              report.excepted_rows > 0 ? format_rows(report.excepted_rows) : "") +
         "</dl>\n";
}

std::string tables(const Report& report) {
  std::string out =
      table_begin("Tables", {"Source", "Target", "Result", "Rows", "Differences", "In quarantine"}, 3);
  for (const auto& table : report.tables) {
    std::string result = !table.done              ? "<span class=\"mark\">not through</span>"
                         : table.differences == 0 ? "<span class=\"mark good\">✓ equal</span>"
                                                  : "<span class=\"mark bad\">✗ differs</span>";
    out += fmt::format(
        R"(<tr><td>{}</td><td>{}</td><td>{}</td><td class="n">{}</td><td class="n">{}</td><td class="n">{}</td></tr>)"
        "\n",
        code(table.source), code(table.target), result, format_count(table.rows),
        format_count(table.differences), format_count(table.excepted));
  }
  return out + table_end;
}

std::string differences(const Report& report) {
  if (report.differences.empty()) return "";
  std::string out = table_begin("Differences", {"Table", "Key", "What"});
  auto shown = std::min(most_rows, report.differences.size());
  for (std::size_t i = 0; i < shown; ++i) {
    const Difference& one = report.differences[i];
    out += fmt::format("<tr><td>{}</td><td>{}</td><td>{}</td></tr>\n", code(one.table), code(one.key),
                       escaped(sentence(one)));
  }
  out += table_end;
  std::uint64_t all = 0;
  for (const auto& table : report.tables) all += table.differences;
  if (all > shown)
    out += fmt::format(
        "<p>{} of {} rows that differ; <code>tidegate verify status --json</code> names more.</p>\n",
        format_count(shown), format_count(all));
  return out;
}

std::string remarks(const Report& report) {
  if (report.remarks.empty()) return "";
  std::string out = table_begin("Beside the rows", {"Table", "Result", "What", "Code"});
  for (const auto& remark : report.remarks)
    out += fmt::format("<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>\n", code(remark.table),
                       remark.is_difference ? "<span class=\"mark bad\">✗ differs</span>"
                                            : "<span class=\"mark\">note</span>",
                       escaped(remark.message), code(remark.code));
  return out + table_end;
}

std::string excepted(const Report& report) {
  if (report.excepted.empty()) return "";
  std::string out = table_begin("Quarantine", {"Table", "Key", "Reason"});
  for (std::size_t i = 0; i < std::min(most_rows, report.excepted.size()); ++i)
    out += fmt::format("<tr><td>{}</td><td>{}</td><td>{}</td></tr>\n", code(report.excepted[i].table),
                       code(report.excepted[i].key), escaped(report.excepted[i].reason));
  return out + table_end;
}

}  // namespace

std::string to_html(const Report& report, const std::string& version) {
  return page(
      "tidegate verify", report.run.ends.pipeline, verdict(report),
      verdict_block(report) + "\n" + facts(report) + differences(report) + remarks(report) + tables(report) +
          excepted(report),
      fmt::format("Made by tidegate {}. Keys and columns are named; no value of a row is on this page.",
                  version));
}

}  // namespace tidegate::verify
