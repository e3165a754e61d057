#include "apply/schema/names.hpp"

#include <cstdint>

namespace tidegate {
namespace {

constexpr std::size_t kLongest = 63;
constexpr std::size_t kHashLength = 8;

// FNV-1a, folded to 32 bits: the same name must give the same hash in every version.
std::string hash_of(std::string_view name) {
  std::uint64_t hash = 0xcbf29ce484222325U;
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3U;
  hash = (hash >> 32) ^ (hash & 0xffffffffU);
  std::string hex(kHashLength, '0');
  for (std::size_t i = kHashLength; i-- > 0; hash >>= 4) hex[i] = "0123456789abcdef"[hash & 15];
  return hex;
}

}  // namespace

std::string shortened(const std::string& name) {
  if (name.size() <= kLongest) return name;
  std::size_t length = kLongest - kHashLength - 1;
  while (length > 0 && (name[length] & 0xC0) == 0x80) --length;
  return name.substr(0, length) + "_" + hash_of(name);
}

std::string derived_name(std::string_view table, const std::vector<std::string>& columns,
                         std::string_view suffix) {
  std::string name(table);
  for (const std::string& column : columns) name += "_" + column;
  return shortened(name + "_" + std::string(suffix));
}

std::string Names::take_relation(const std::string& table, const std::string& wanted) {
  std::string name = shortened(wanted);
  for (int n = 2; relations_.contains(name) || constraints_.contains({table, name}); ++n) {
    name = shortened(wanted + "_" + std::to_string(n));
  }
  relations_.insert(name);
  constraints_.insert({table, name});
  return name;
}

std::string Names::take_constraint(const std::string& table, const std::string& wanted) {
  std::string name = shortened(wanted);
  for (int n = 2; constraints_.contains({table, name}); ++n)
    name = shortened(wanted + "_" + std::to_string(n));
  constraints_.insert({table, name});
  return name;
}

}  // namespace tidegate
