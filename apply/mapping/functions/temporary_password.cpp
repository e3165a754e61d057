#include "apply/mapping/functions/temporary_password.hpp"

#include <string_view>

#include "apply/mapping/functions/digest.hpp"
#include "apply/mapping/functions/password_check.hpp"
#include "db/error.hpp"
#include "proto/change.hpp"

namespace tidegate {

TemporaryPasswords::TemporaryPasswords(std::string secret, std::string pipeline)
    : secret_(std::move(secret)), pipeline_(std::move(pipeline)) {
  if (secret_.size() < shortest_secret)
    throw Refused("credentials-secret-short", "the secret for temporary passwords has fewer than 16 bytes",
                  "make one with: openssl rand -hex 32");
}

std::string TemporaryPasswords::material(const char* what, const Row& key) const {
  std::string message = "tidegate temporary password 1";
  for (const std::string& part : {std::string(what), pipeline_, key_as_json(key)}) message += '\0' + part;
  return hmac_sha256(secret_, message);
}

std::string TemporaryPasswords::fingerprint() const {
  return base64(material("fingerprint", {}).substr(0, 12));
}

std::string TemporaryPasswords::password(const Row& key) const {
  constexpr std::string_view letters = "abcdefghijkmnpqrstuvwxyz23456789";
  constexpr std::size_t length = 20, group = 4;
  const std::string bytes = material("password", key);
  const auto bit = [&](std::size_t at) {
    return static_cast<unsigned char>(bytes[at / 8]) >> (7 - at % 8) & 1U;
  };
  std::string out;
  for (std::size_t i = 0; i < length; ++i) {
    unsigned letter = 0;
    for (std::size_t at = 5 * i; at < 5 * i + 5; ++at) letter = letter << 1 | bit(at);
    if (i && i % group == 0) out += '-';
    out += letters[letter];
  }
  return out;
}

std::string TemporaryPasswords::hash(const Row& key) const {
  constexpr unsigned cost = 4;
  return bcrypt(password(key), material("salt", key).substr(0, 16), cost);
}

}  // namespace tidegate
