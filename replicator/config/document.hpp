// A TOML file as a plain tree that knows where everything stands. Keeps the TOML library in one file.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace tidegate {

struct Place {
  std::string file;
  unsigned line = 0, column = 0;
  std::string text() const;  // "tidegate.toml:12:3"
};

struct Entry;
struct OtherNode {};  // a date or time: nothing of ours takes one

struct Node {
  Place place;
  std::variant<OtherNode, bool, std::int64_t, double, std::string, std::vector<Node>, std::vector<Entry>>
      value;
};

struct Entry {  // of a table, in the order of the file
  std::string key;
  Place place;  // of the key
  Node node;
};
using Table = std::vector<Entry>;

// Throws Usage that names file:line:column; it quotes nothing of the file, which may hold secrets.
Table parse_toml(std::string_view text, const std::string& file_name);

std::string kind_of(const Node& node);  // "a string", "a whole number", …

}  // namespace tidegate
