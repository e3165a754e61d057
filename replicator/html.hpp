// Parts of a page that needs nothing else: for change tickets, to be printed. Pure.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>

namespace tidegate::html {

std::string escaped(std::string_view text);
std::string code(std::string_view text);  // "" for ""

// A line of a <dl>; nothing where there is no value. `value` is HTML.
std::string fact(std::string_view name, const std::string& value);

// A heading, and a table's head; columns from `numbers_from` on stand to the right. Rows follow, then
// table_end.
std::string table_begin(std::string_view caption, std::initializer_list<std::string_view> columns,
                        std::size_t numbers_from = 99);
inline constexpr const char* table_end = "</tbody></table></div>\n";

// `kind`: good, bad or wait. Texts, no HTML.
std::string verdict_block(std::string_view kind, std::string_view verdict, std::string_view what);

// The whole page. `body` is HTML, the rest is text.
std::string page(std::string_view kicker, std::string_view heading, std::string_view verdict,
                 const std::string& body, std::string_view footer);

}  // namespace tidegate::html
