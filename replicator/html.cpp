#include "replicator/html.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace tidegate::html {
namespace {

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
td code { overflow-wrap: break-word; }
.mark { font-weight: 600; white-space: nowrap; } .mark.bad, .mark.good { background: none; }
footer { margin-top: 3rem; color: var(--soft); font-size: .875rem; }
@media (max-width: 40rem) { body { padding: 1.5rem 1rem 3rem; } dl { grid-template-columns: 1fr; gap: 0; } dt { margin-top: .6rem; font-size: .875rem; } }
@media print { body { max-width: none; padding: 0; } .scroll { overflow: visible; } thead { display: table-header-group; } tr { break-inside: avoid; } }
)css";

}  // namespace

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

std::string fact(std::string_view name, const std::string& value) {
  return value.empty() ? "" : fmt::format("<dt>{}</dt><dd>{}</dd>\n", name, value);
}

std::string table_begin(std::string_view caption, std::initializer_list<std::string_view> columns,
                        std::size_t numbers_from) {
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

std::string verdict_block(std::string_view kind, std::string_view verdict, std::string_view what) {
  return fmt::format(R"(<div class="verdict {}" role="status"><strong>{}</strong><span>{}</span></div>)",
                     kind, escaped(verdict), escaped(what));
}

std::string page(std::string_view kicker, std::string_view heading, std::string_view verdict,
                 const std::string& body, std::string_view footer) {
  return fmt::format(
      "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<title>{1}: {2}</title>\n<style>{3}</style>\n</head>\n<body>\n<header><p class=\"kicker\">{0}</p>"
      "<h1>{1}</h1></header>\n<main>\n{4}</main>\n<footer>{5}</footer>\n</body>\n</html>\n",
      escaped(kicker), escaped(heading), escaped(verdict), style, body, escaped(footer));
}

}  // namespace tidegate::html
