#include "apply/mapping/functions/firebase_scrypt.hpp"

#include <fmt/format.h>

#include <cstdint>
#include <regex>

#include "apply/mapping/functions/digest.hpp"

namespace tidegate {
namespace {

constexpr std::size_t key_size = 32;
constexpr std::string_view signer_key = "tidegate: a werkzeug password.v1";  // any, but the same for ever
static_assert(signer_key.size() == key_size);

bool is_within_bounds(const ScryptCost& cost) {
  constexpr std::uint64_t memory = 1ULL << 30;
  const std::uint64_t r = cost.r, p = cost.p;
  return cost.log2_n >= 1 && cost.log2_n <= 30 && r >= 1 && p >= 1 && (r << cost.log2_n) * 128 <= memory &&
         r * p * 128 <= memory;
}

}  // namespace

std::optional<FirebaseScrypt> parse_firebase_scrypt(std::string_view hash) {
  static const std::regex form(
      "\\$fbscrypt\\$v=1,n=([0-9]{1,2}),r=([0-9]{1,4}),p=([0-9]{1,4})(?:,ss=([^,$]+))?(?:,sk=([^$]+))?"
      "\\$([^$]+)\\$([^$]+)");
  std::match_results<std::string_view::const_iterator> parts;
  if (!std::regex_match(hash.begin(), hash.end(), parts, form)) return std::nullopt;
  const auto count = [&](int part) { return static_cast<unsigned>(std::stoul(parts[part].str())); };
  const auto separator = from_base64(parts[4].str()), key = from_base64(parts[5].str()),
             salt = from_base64(parts[6].str()), encrypted = from_base64(parts[7].str());
  const ScryptCost cost{count(1), count(2), count(3)};
  if (!separator || !key || !salt || !encrypted || !is_within_bounds(cost)) return std::nullopt;
  return FirebaseScrypt{cost, *salt + *separator, *key, *encrypted};
}

std::optional<std::string> firebase_scrypt(ScryptCost cost, std::string_view salt, std::string_view derived) {
  if (!is_within_bounds(cost) || derived.size() < key_size) return std::nullopt;
  return fmt::format("$fbscrypt$v=1,n={},r={},p={},sk={}${}${}", cost.log2_n, cost.r, cost.p,
                     base64(signer_key), base64(salt),
                     base64(aes256_ctr(derived.substr(0, key_size), signer_key)));
}

}  // namespace tidegate
