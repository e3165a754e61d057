#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>

#include "replicator/config/units.hpp"
#include "replicator/verify/report.hpp"

namespace tidegate::verify {
namespace {

// A page that is to be opened and printed names so many; the rest is in the JSON.
constexpr std::size_t most_rows = 2000;

constexpr const char* style = R"css(
:root { color-scheme: light dark; --ink: #1b2730; --soft: #5a6b78; --line: #d5dde3; --paper: #ffffff; --tint: #f4f7f9;
  --good: #1c6b3c; --good-tint: #e6f4ea; --bad: #a3261f; --bad-tint: #fbeae8; --wait: #7a5200; --wait-tint: #fdf3dc; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf2; --soft: #a5b4c0; --line: #36444f; --paper: #141b21;
  --tint: #1c252d; --good: #7fd6a0; --good-tint: #16301f; --bad: #ff9d94; --bad-tint: #3a1a18; --wait: #f2c869; --wait-tint: #33280f; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 68rem; padding: 2.5rem 1.5rem 4rem; background: var(--paper); color: var(--ink);
  font: 1rem/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
header p.kicker { margin: 0; color: var(--soft); font-size: .875rem; }
h1 { margin: .1rem 0 1.25rem; font-size: 1.75rem; line-height: 1.25; text-wrap: balance; }
h2 { margin: 2.5rem 0 .75rem; font-size: 1.125rem; }
.verdict { border-left: .35rem solid; border-radius: .25rem; padding: .9rem 1.1rem; font-size: 1.0625rem; }
.verdict strong { font-size: 1.25rem; display: block; }
.good { color: var(--good); background: var(--good-tint); border-color: var(--good); }
.bad { color: var(--bad); background: var(--bad-tint); border-color: var(--bad); }
.wait { color: var(--wait); background: var(--wait-tint); border-color: var(--wait); }
.verdict span { color: var(--ink); }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .3rem 1.5rem; margin: 1.5rem 0 0; }
dt { color: var(--soft); } dd { margin: 0; overflow-wrap: anywhere; }
.scroll { overflow-x: auto; border: 1px solid var(--line); border-radius: .375rem; }
table { border-collapse: collapse; width: 100%; font-size: .9375rem; }
th, td { text-align: left; padding: .45rem .8rem; border-bottom: 1px solid var(--line); vertical-align: top; }
tr:last-child td { border-bottom: 0; }
thead th { background: var(--tint); color: var(--soft); font-weight: 600; white-space: nowrap; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; }
code { font: .875em ui-monospace, "DejaVu Sans Mono", monospace; overflow-wrap: anywhere; }
.mark { font-weight: 600; white-space: nowrap; } .mark.bad, .mark.good { background: none; }
footer { margin-top: 3rem; color: var(--soft); font-size: .875rem; }
@media print { body { max-width: none; padding: 0; } .scroll { overflow: visible; } thead { display: table-header-group; } tr { break-inside: avoid; } }
)css";

std::string escaped(std::string_view text) {
  std::string out;
  for (char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

std::string code(std::string_view text) {
  return text.empty() ? "" : fmt::format("<code>{}</code>", escaped(text));
}

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
  return fmt::format(
      R"(<div class="verdict {}" role="status"><strong>{}</strong><span>{} in {} tables. {}</span></div>)",
      kind, escaped(said), format_rows(report.rows), report.tables.size(), what);
}

std::string fact(std::string_view name, const std::string& value) {
  return value.empty() ? "" : fmt::format("<dt>{}</dt><dd>{}</dd>\n", name, value);
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

std::string table_begin(std::string_view caption, std::initializer_list<std::string_view> columns,
                        std::size_t numbers_from = 99) {
  std::string id(caption);
  std::replace(id.begin(), id.end(), ' ', '-');
  std::string out = fmt::format(
      R"(<h2 id="{0}">{1}</h2><div class="scroll" tabindex="0" role="region" aria-labelledby="{0}"><table><thead><tr>)",
      id, caption);
  std::size_t i = 0;
  for (auto column : columns)
    out += fmt::format(R"(<th scope="col"{}>{}</th>)", i++ >= numbers_from ? " class=\"n\"" : "", column);
  return out + "</tr></thead><tbody>\n";
}

constexpr const char* table_end = "</tbody></table></div>\n";

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
  if (report.differing > shown)
    out += fmt::format(
        "<p>{} differences in all; this page names {} of them, <code>tidegate verify status "
        "--json</code> more.</p>\n",
        format_count(report.differing), format_count(shown));
  return out;
}

std::string remarks(const Report& report) {
  if (report.remarks.empty()) return "";
  std::string out = table_begin("Beside the rows", {"Table", "What", "Code"});
  for (const auto& remark : report.remarks)
    out += fmt::format("<tr><td>{}</td><td>{}</td><td>{}</td></tr>\n", code(remark.table),
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
  return fmt::format(
      "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<title>{0}: {1}</title>\n<style>{2}</style>\n</head>\n<body>\n<header><p class=\"kicker\">tidegate "
      "verify</p>"
      "<h1>{0}</h1></header>\n<main>\n{3}\n{4}{5}{6}{7}{8}</main>\n"
      "<footer>Made by tidegate {9}. Keys and columns are named; no value of a row is on this "
      "page.</footer>\n"
      "</body>\n</html>\n",
      escaped(report.run.ends.pipeline), escaped(verdict(report)), style, verdict_block(report),
      facts(report), differences(report), remarks(report), tables(report), excepted(report),
      escaped(version));
}

}  // namespace tidegate::verify
