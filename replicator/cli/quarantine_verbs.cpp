// Rows that did not fit. The daemon answers with keys as far as its configuration shows them, never with
// values.
#include <boost/json.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "replicator/cli/verbs.hpp"
#include "replicator/config/units.hpp"
#include "replicator/control/client.hpp"

namespace tidegate::cli {

namespace {

namespace json = boost::json;

constexpr auto answer_time = std::chrono::seconds(15);
constexpr auto retry_time = std::chrono::minutes(10);  // reads every row again from the source
constexpr std::array columns = {"id", "table", "key", "column", "reason"};
using Line = std::array<std::string, columns.size()>;

std::string text_of(const json::value& value) {
  return value.is_string() ? std::string(value.get_string()) : value.is_null() ? "" : json::serialize(value);
}

// "retried": 3 in an answer; 0 where it is not there.
std::uint64_t number_of(const control::Response& response, std::string_view name) {
  const json::value answer = json::parse(response.body);
  const auto* found = answer.is_object() ? answer.get_object().if_contains(name) : nullptr;
  return found && found->is_number() ? found->to_number<std::uint64_t>() : 0;
}

std::vector<std::string> names_of(const control::Response& response, std::string_view name) {
  const json::value answer = json::parse(response.body);
  const auto* found = answer.is_object() ? answer.get_object().if_contains(name) : nullptr;
  if (!found || !found->is_array()) return {};
  return json::value_to<std::vector<std::string>>(*found);
}

bool is_wanted(const Invocation& invocation, const json::object& entry) {
  if (invocation.flags.tables.empty()) return true;
  const auto* table = entry.if_contains("table");
  return table && chosen({invocation.flags.tables, {}}, text_of(*table));
}

std::vector<json::object> entries_of(const Invocation& invocation, const std::string& body) {
  std::vector<json::object> wanted;
  const json::value answer = json::parse(body);
  for (const auto& entry : answer.at("entries").as_array())
    if (is_wanted(invocation, entry.as_object())) wanted.push_back(entry.as_object());
  return wanted;
}

Line line_of(const json::object& entry) {
  Line line;
  for (std::size_t i = 0; i < columns.size(); ++i)
    if (const auto* value = entry.if_contains(columns[i])) line[i] = text_of(*value);
  if (const auto* constraint = entry.if_contains("constraint")) line.back() += " by " + text_of(*constraint);
  return line;
}

void print_lines(const std::vector<json::object>& entries) {
  std::vector<Line> lines(1);
  std::copy(columns.begin(), columns.end(), lines[0].begin());
  for (const auto& entry : entries) lines.push_back(line_of(entry));
  std::array<std::size_t, columns.size()> widths{};
  for (const auto& line : lines)
    for (std::size_t i = 0; i < columns.size(); ++i)
      widths[i] = std::max(widths[i], std::min<std::size_t>(line[i].size(), 40));
  for (const auto& line : lines)
    fmt::print("{:<{}}  {:<{}}  {:<{}}  {:<{}}  {}\n", line[0], widths[0], line[1], widths[1], line[2],
               widths[2], line[3], widths[3], line[4]);
}

control::Response ask(const Invocation& invocation, const std::string& path) {
  return control::call(find_state_dir(invocation), "GET", path, "", answer_time);
}

control::Response order(const Invocation& invocation, const std::string& path,
                        std::chrono::milliseconds time) {
  json::object body;
  body["ids"] = invocation.all ? json::value(nullptr)
                               : json::value(json::array(invocation.ids.begin(), invocation.ids.end()));
  body["reason"] = invocation.flags.reason.value_or("");
  return control::call(find_state_dir(invocation), "POST", path, json::serialize(body), time);
}

}  // namespace

int quarantine_list(const Invocation& invocation) {
  const auto response = ask(invocation, "/v1/quarantine");
  const auto entries = entries_of(invocation, response.body);
  if (invocation.json) {
    fmt::print("{}\n",
               json::serialize(json::value{{"entries", json::array(entries.begin(), entries.end())}}));
  } else if (entries.empty()) {
    fmt::print("the quarantine is empty\n");
  } else {
    print_lines(entries);
    fmt::print(
        "\n{}. Mend them in the source and `tidegate quarantine retry --all`, or `tidegate quarantine "
        "accept`.\n",
        format_rows(entries.size()));
  }
  return 0;
}

int quarantine_show(const Invocation& invocation) {
  const auto response = ask(invocation, "/v1/quarantine/" + invocation.ids.at(0));
  if (invocation.json) {
    fmt::print("{}\n", response.body);
    return 0;
  }
  const json::value entry = json::parse(response.body);
  for (const auto& [name, value] : entry.as_object())
    fmt::print("{:<12} {}\n", std::string_view(name), text_of(value));
  return 0;
}

int quarantine_retry(const Invocation& invocation) {
  const auto response = order(invocation, "/v1/quarantine/retry", retry_time);
  if (invocation.json) {
    fmt::print("{}\n", response.body);
    return 0;
  }
  fmt::print("read again: {}; {} now in the target, {} still in quarantine\n",
             format_rows(number_of(response, "retried")), format_count(number_of(response, "applied")),
             format_count(number_of(response, "remaining")));
  for (const auto& table : names_of(response, "unreadable"))
    fmt::print("rows of table {} have no key by which they could be read again; run: tidegate resync {}\n",
               table, table);
  return 0;
}

int quarantine_accept(const Invocation& invocation) {
  const auto response = order(invocation, "/v1/quarantine/accept", answer_time);
  if (invocation.json)
    fmt::print("{}\n", response.body);
  else
    fmt::print("left out for good: {}; the reason is kept\n", format_rows(number_of(response, "accepted")));
  return 0;
}

}  // namespace tidegate::cli
