// Typed access to one table of the file. What is asked for is what is known: finish() refuses every other
// key.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "replicator/config/document.hpp"
#include "replicator/config/settings.hpp"

namespace tidegate {

// What reading a file shares over its sections. `expand` replaces ${NAME}, given the text and where it
// stands.
struct Reading {
  std::function<std::string(const std::string&, const Place&)> expand;
  std::map<std::string, std::string>& origins;
};

// Every getter is absent where the file has no such key and throws Usage, naming file:line:column, where its
// value is of the wrong type. It notes the origin under "section.key". References must outlive the section.
class Section {
 public:
  Section(const Table& table, std::string name, Reading& reading)
      : table_(table), name_(std::move(name)), reading_(reading) {}

  std::optional<std::string> text(const std::string& key);
  std::optional<bool> boolean(const std::string& key);
  std::optional<std::uint64_t> count(const std::string& key);  // a whole number of at least 1
  std::optional<std::uint64_t> size(const std::string& key, const std::string& instead_of_zero = "");
  std::optional<std::chrono::milliseconds> duration(const std::string& key);
  std::optional<std::vector<std::string>> texts(const std::string& key);
  // The same with its place.
  struct Placed {
    std::string key, text;
    std::string where, where_key;
  };
  std::optional<Placed> placed(const std::string& key);
  // A table of strings, in the file's order.
  std::optional<std::vector<Placed>> table_of_texts(const std::string& key);
  // The place of the word among `words`.
  std::optional<std::size_t> choice(const std::string& key, const std::vector<std::string>& words);
  std::optional<Section> section(const std::string& key);
  std::vector<Section> sections(const std::string& key);  // [[key]]

  void finish() const;

  bool has(const std::string& key) const { return find(key) != nullptr; }
  std::string where(const std::string& key) const;  // of the value; of the section where the key is absent
  [[noreturn]] void refuse(const std::string& key, const std::string& what,
                           const std::string& mend = {}) const;

 private:
  const Entry* find(const std::string& key) const;
  const Entry* ask(const std::string& key);
  std::string full(const std::string& key) const { return name_.empty() ? key : name_ + "." + key; }
  std::string expanded(const Node& node) const;

  const Table& table_;
  std::string name_;
  Reading& reading_;
  std::vector<std::string> known_;
};

}  // namespace tidegate
