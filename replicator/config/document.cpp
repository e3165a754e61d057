#include "replicator/config/document.hpp"

#include <fmt/format.h>
#include <toml++/toml.h>

#include <algorithm>

#include "replicator/failure.hpp"

namespace tidegate {

namespace {

Place place_of(const toml::source_region& region, const std::string& file) {
  return {file, region.begin.line, region.begin.column};
}

Table tree(const toml::table& table, const std::string& file);

Node tree(const toml::node& node, const std::string& file) {
  Node made{place_of(node.source(), file), OtherNode{}};
  if (const auto* text = node.as_string()) made.value = text->get();
  if (const auto* integer = node.as_integer()) made.value = integer->get();
  if (const auto* number = node.as_floating_point()) made.value = number->get();
  if (const auto* boolean = node.as_boolean()) made.value = boolean->get();
  if (const auto* table = node.as_table()) made.value = tree(*table, file);
  if (const auto* array = node.as_array()) {
    std::vector<Node> items;
    for (const auto& item : *array) items.push_back(tree(item, file));
    made.value = std::move(items);
  }
  return made;
}

Table tree(const toml::table& table, const std::string& file) {
  Table entries;
  for (const auto& [key, node] : table)
    entries.push_back({std::string(key.str()), place_of(key.source(), file), tree(node, file)});
  std::stable_sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return std::pair(a.place.line, a.place.column) < std::pair(b.place.line, b.place.column);
  });
  return entries;
}

}  // namespace

std::string Place::text() const {
  return fmt::format("{}:{}:{}", file, line, column);
}

Table parse_toml(std::string_view text, const std::string& file_name) {
  try {
    return tree(toml::parse(text, file_name), file_name);
  } catch (const toml::parse_error& failure) {
    // The library's description may quote the line, so only its first clause is kept ("Error while parsing
    // string").
    const std::string_view description = failure.description();
    throw Coded<Usage>("bad-toml",
                       fmt::format("{}: this is not TOML: {}", place_of(failure.source(), file_name).text(),
                                   description.substr(0, description.find(':'))),
                       "strings want quotes, and a table begins with [name]");
  }
}

std::string kind_of(const Node& node) {
  constexpr const char* names[] = {"a date",   "true or false", "a whole number", "a number with a fraction",
                                   "a string", "an array",      "a table"};
  return names[node.value.index()];
}

}  // namespace tidegate
