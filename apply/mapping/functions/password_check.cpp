#include "apply/mapping/functions/password_check.hpp"

#include <argon2.h>
#include <crypt.h>
#include <fmt/format.h>
#include <openssl/crypto.h>

#include <memory>
#include <stdexcept>

#include "apply/mapping/functions/digest.hpp"
#include "apply/mapping/functions/firebase_scrypt.hpp"
#include "apply/mapping/functions/password_hash.hpp"

namespace tidegate {
namespace {

bool same(const std::string& a, const std::string& b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

std::string crypted(const std::string& password, const std::string& setting) {
  const auto room = std::make_unique<crypt_data>();
  const char* out = crypt_rn(password.c_str(), setting.c_str(), room.get(), sizeof *room);
  if (!out) throw std::runtime_error("libcrypt cannot compute bcrypt");
  return out;
}

// The three prefixes mean one algorithm to Supabase Auth; libcrypt has a guard of its own under $2a$.
bool fits_bcrypt(std::string hash, const std::string& password) {
  hash[2] = 'b';
  return same(crypted(password, hash), hash);
}

bool fits_argon2(const std::string& hash, const std::string& password) {
  const auto type = hash.starts_with("$argon2id$") ? Argon2_id : Argon2_i;
  return argon2_verify(hash.c_str(), password.data(), password.size(), type) == ARGON2_OK;
}

bool fits_firebase(const std::string& hash, const std::string& password) {
  const auto parts = parse_firebase_scrypt(hash);
  const auto& cost = parts->cost;
  const auto key = scrypt(password, parts->salt, cost.log2_n, cost.r, cost.p, 32);
  return key && same(aes256_ctr(*key, parts->signer_key), parts->encrypted);
}

}  // namespace

PasswordAnswer check_password(const std::string& hash, const std::string& password) {
  const auto form = accepted_form(hash);
  if (!form) return PasswordAnswer::unusable;
  bool fits = password.find('\0') == password.npos;
  if (*form == PasswordKind::bcrypt) fits = fits && fits_bcrypt(hash, password);
  if (*form == PasswordKind::argon2) fits = fits && fits_argon2(hash, password);
  if (*form == PasswordKind::firebase_scrypt) fits = fits && fits_firebase(hash, password);
  return fits ? PasswordAnswer::right : PasswordAnswer::wrong;
}

std::string bcrypt(const std::string& password, const std::string& salt, unsigned cost) {
  constexpr std::string_view usual = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  constexpr std::string_view bcrypts = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
  if (salt.size() != 16 || cost < 4 || cost > 31) throw std::invalid_argument("bcrypt: its salt or cost");
  std::string letters = base64(salt).substr(0, 22);
  for (char& letter : letters) letter = bcrypts[usual.find(letter)];
  return crypted(password, fmt::format("$2b${:02}${}", cost, letters));
}

}  // namespace tidegate
