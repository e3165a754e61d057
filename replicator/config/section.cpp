#include "replicator/config/section.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "replicator/config/units.hpp"
#include "replicator/failure.hpp"
#include "replicator/nearest.hpp"

namespace tidegate {
namespace {

constexpr const char* size_example = "write it like \"16MiB\"";

}  // namespace

const Entry* Section::find(const std::string& key) const {
  const auto found = std::find_if(table_.begin(), table_.end(), [&](const Entry& e) { return e.key == key; });
  return found == table_.end() ? nullptr : &*found;
}

const Entry* Section::ask(const std::string& key) {
  known_.push_back(key);
  const Entry* entry = find(key);
  if (entry) reading_.origins[full(key)] = entry->place.text();
  return entry;
}

std::string Section::where(const std::string& key) const {
  if (const Entry* entry = find(key)) return entry->node.place.text();
  return table_.empty() ? "" : table_.front().place.text();
}

void Section::refuse(const std::string& key, const std::string& what, const std::string& mend) const {
  const std::string place = where(key);
  throw Coded<Usage>("bad-setting",
                     fmt::format("{}{}{} {}", place, place.empty() ? "" : ": ", full(key), what), mend);
}

std::string Section::expanded(const Node& node) const {
  return reading_.expand(std::get<std::string>(node.value), node.place);
}

std::optional<std::string> Section::text(const std::string& key) {
  const Entry* entry = ask(key);
  if (!entry) return {};
  if (!std::holds_alternative<std::string>(entry->node.value))
    refuse(key, "must be a string, not " + kind_of(entry->node));
  return expanded(entry->node);
}

std::optional<bool> Section::boolean(const std::string& key) {
  const Entry* entry = ask(key);
  if (!entry) return {};
  const bool* value = std::get_if<bool>(&entry->node.value);
  if (!value) refuse(key, "must be true or false, not " + kind_of(entry->node));
  return *value;
}

std::optional<std::uint64_t> Section::count(const std::string& key) {
  const Entry* entry = ask(key);
  if (!entry) return {};
  const auto* value = std::get_if<std::int64_t>(&entry->node.value);
  if (!value) refuse(key, "must be a whole number, not " + kind_of(entry->node));
  if (*value < 1) refuse(key, "must be at least 1");
  return static_cast<std::uint64_t>(*value);
}

std::optional<std::uint64_t> Section::size(const std::string& key, const std::string& instead_of_zero) {
  const Entry* entry = ask(key);
  if (!entry) return {};
  const auto* number = std::get_if<std::int64_t>(&entry->node.value);
  if (!number && !std::holds_alternative<std::string>(entry->node.value))
    refuse(key, "must be a size, not " + kind_of(entry->node), size_example);
  const auto bytes = number ? std::optional(static_cast<std::uint64_t>(std::max<std::int64_t>(0, *number)))
                            : parse_size(expanded(entry->node));
  if (!bytes) refuse(key, "is not a size", size_example);
  if (*bytes == 0) refuse(key, "must be at least 1", instead_of_zero);
  return bytes;
}

std::optional<std::chrono::milliseconds> Section::duration(const std::string& key) {
  const auto words = text(key);
  if (!words) return {};
  const auto duration = parse_duration(*words);
  if (!duration) refuse(key, "is not a duration", "write it like \"50ms\", \"10s\" or \"24h\"");
  return duration;
}

std::optional<std::vector<std::string>> Section::texts(const std::string& key) {
  const Entry* entry = ask(key);
  if (!entry) return {};
  const auto* array = std::get_if<std::vector<Node>>(&entry->node.value);
  if (!array) refuse(key, "must be an array of strings, not " + kind_of(entry->node));
  std::vector<std::string> items;
  for (const Node& item : *array) {
    if (!std::holds_alternative<std::string>(item.value))
      refuse(key, "must be an array of strings; it holds " + kind_of(item));
    items.push_back(expanded(item));
  }
  return items;
}

std::optional<Section::Placed> Section::placed(const std::string& key) {
  auto words = text(key);
  if (!words) return {};
  const Entry& entry = *find(key);
  return Placed{key, std::move(*words), entry.node.place.text(), entry.place.text()};
}

std::optional<std::vector<Section::Placed>> Section::table_of_texts(const std::string& key) {
  const Entry* entry = ask(key);
  if (!entry) return {};
  const auto* table = std::get_if<Table>(&entry->node.value);
  if (!table) refuse(key, "must be a table of strings, not " + kind_of(entry->node));
  std::vector<Placed> texts;
  for (const Entry& item : *table) {
    if (!std::holds_alternative<std::string>(item.node.value))
      throw Coded<Usage>("bad-setting",
                         fmt::format("{}: {}.{} must be a string, not {}", item.node.place.text(), full(key),
                                     item.key, kind_of(item.node)));
    texts.push_back({item.key, expanded(item.node), item.node.place.text(), item.place.text()});
  }
  return texts;
}

std::optional<std::size_t> Section::choice(const std::string& key, const std::vector<std::string>& words) {
  const auto word = text(key);
  if (!word) return {};
  const auto found = std::find(words.begin(), words.end(), *word);
  if (found == words.end()) refuse(key, fmt::format("must be one of \"{}\"", fmt::join(words, "\", \"")));
  return static_cast<std::size_t>(found - words.begin());
}

std::optional<Section> Section::section(const std::string& key) {
  const Entry* entry = ask(key);
  if (!entry) return {};
  const auto* table = std::get_if<Table>(&entry->node.value);
  if (!table) refuse(key, fmt::format("must be a table [{}], not {}", full(key), kind_of(entry->node)));
  return Section(*table, full(key), reading_);
}

std::vector<Section> Section::sections(const std::string& key) {
  const Entry* entry = ask(key);
  if (!entry) return {};
  const auto* array = std::get_if<std::vector<Node>>(&entry->node.value);
  if (!array) refuse(key, fmt::format("must be [[{}]], not {}", full(key), kind_of(entry->node)));
  std::vector<Section> made;
  for (const Node& item : *array) {
    const auto* table = std::get_if<Table>(&item.value);
    if (!table) refuse(key, "must hold tables; it holds " + kind_of(item));
    made.emplace_back(*table, full(key), reading_);
  }
  return made;
}

void Section::finish() const {
  for (const Entry& entry : table_) {
    if (std::find(known_.begin(), known_.end(), entry.key) != known_.end()) continue;
    const std::string in = name_.empty() ? "" : " in [" + name_ + "]";
    throw Coded<Usage>("unknown-key",
                       fmt::format("{}: unknown key '{}'{}", entry.place.text(), entry.key, in),
                       did_you_mean(entry.key, known_));
  }
}

}  // namespace tidegate
