#include "apply/postgres/native/keyless.hpp"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <array>
#include <stdexcept>

#include "proto/change.hpp"

namespace tidegate::native {
namespace {

constexpr std::size_t hash_bytes = 16;  // of SHA-256: enough that two rows never share it

std::string hash_of(const Row& row) {
  std::string bytes = encode(row);
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest;
  if (!EVP_Digest(bytes.data(), bytes.size(), digest.data(), nullptr, EVP_sha256(), nullptr)) {
    throw std::runtime_error("SHA-256 is not available");
  }
  std::string hex;
  for (std::size_t i = 0; i < hash_bytes; ++i) hex += fmt::format("{:02x}", digest[i]);
  return hex;
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
