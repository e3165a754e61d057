#include "apply/postgres/native/keyless.hpp"

#include <fmt/format.h>

#include "db/digest.hpp"
#include "proto/change.hpp"

namespace tidegate::native {
namespace {

constexpr std::size_t hash_digits = 32;  // of SHA-256: enough that two rows never share it

std::string hash_of(const Row& row) {
  return hex_sha256(encode(row)).substr(0, hash_digits);
}

std::string_view name_of(KeylessState state) {
  return state == KeylessState::refused ? "refused" : state == KeylessState::missing ? "missing" : "gone";
}

Row name(const std::string& hash, KeylessState state, std::int64_t number) {
  return {std::string(name_of(state)) + ":" + hash, number};
}

}  // namespace

Reject KeylessNames::fresh(const Table& table, const Row& row, KeylessState state) const {
  std::string hash = hash_of(row);
  std::int64_t number = 1;
  while (quarantine_.holds(table.plan().source, key_as_json(name(hash, state, number)))) ++number;
  Reject reject;
  reject.source_key = key_as_json(name(hash, state, number));
  reject.key_bytes = encode(name(hash, state, number));
  return reject;
}

std::optional<std::string> KeylessNames::held(const Table& table, const Row& row, KeylessState state) const {
  if (quarantine_.empty()) return std::nullopt;
  std::string hash = hash_of(row);
  std::optional<std::string> last;
  for (std::int64_t number = 1;; ++number) {
    std::string key = key_as_json(name(hash, state, number));
    if (!quarantine_.holds(table.plan().source, key)) return last;
    last = std::move(key);
  }
}

}  // namespace tidegate::native
