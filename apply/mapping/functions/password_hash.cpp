#include "apply/mapping/functions/password_hash.hpp"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cstdint>
#include <regex>

#include "apply/mapping/functions/digest.hpp"
#include "apply/mapping/functions/firebase_scrypt.hpp"
#include "db/postgres.hpp"

namespace tidegate {
namespace {

constexpr std::size_t longest_hash = 255;  // auth.users.encrypted_password is varchar(255)
constexpr std::size_t longest_stored = 1024;

struct Named {
  PasswordKind kind;
  std::string_view name;
};
constexpr Named names[] = {
    {PasswordKind::bcrypt, "bcrypt"},
    {PasswordKind::argon2, "argon2"},
    {PasswordKind::firebase_scrypt, "firebase_scrypt"},
    {PasswordKind::werkzeug_scrypt, "werkzeug_scrypt"},
    {PasswordKind::none, "none"},
    {PasswordKind::werkzeug_pbkdf2, "werkzeug_pbkdf2"},
    {PasswordKind::salted_digest, "salted_digest"},
    {PasswordKind::bare_digest, "bare_digest"},
    {PasswordKind::plain, "plain"},
    {PasswordKind::django, "django"},
    {PasswordKind::passlib, "passlib"},
    {PasswordKind::unix_crypt, "unix_crypt"},
    {PasswordKind::damaged, "damaged"},
    {PasswordKind::unknown, "unknown"},
};

std::string_view without_blanks(std::string_view text) {
  constexpr std::string_view blanks(" \t\r\n\0", 5);
  const std::size_t first = text.find_first_not_of(blanks);
  if (first == text.npos) return {};
  return text.substr(first, text.find_last_not_of(blanks) - first + 1);
}

// Bytes that became text: Python's b'…' (a hash has nothing that it would escape) and Postgres' \x….
std::string repaired(std::string_view stored) {
  const auto text = without_blanks(stored);
  const bool quoted =
      text.size() >= 3 && text[0] == 'b' && (text[1] == '\'' || text[1] == '"') && text.back() == text[1];
  if (quoted) return std::string(text.substr(2, text.size() - 3));
  if (text.starts_with("\\x") && text.size() > 2 && is_hex(text.substr(2))) return postgres::from_bytea(text);
  return std::string(text);
}

bool matches(std::string_view text, const char* pattern) {
  return std::regex_match(text.begin(), text.end(), std::regex(pattern));
}

std::optional<std::uint64_t> number(std::string_view digits) {
  std::uint64_t value = 0;
  const auto [end, failure] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (failure != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  return value;
}

bool begins_with_any(std::string_view text, std::initializer_list<std::string_view> beginnings) {
  return std::any_of(beginnings.begin(), beginnings.end(),
                     [&](auto beginning) { return text.starts_with(beginning); });
}

constexpr std::size_t bcrypt_size = 60;
constexpr std::string_view bcrypt_letters =
    "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

// By hand: most users' hashes are bcrypt, and std::regex would be the slowest part of a user's row.
bool is_bcrypt(std::string_view hash) {
  if (hash.size() != bcrypt_size || !begins_with_any(hash, {"$2a$", "$2b$", "$2y$"})) return false;
  const auto cost = number(hash.substr(4, 2));
  return cost && *cost >= 4 && *cost <= 31 && hash[6] == '$' &&
         hash.find_first_not_of(bcrypt_letters, 7) == hash.npos;
}

bool is_unpadded_base64(const std::string& text) {
  return text.size() % 4 != 1 && from_base64(text + std::string((4 - text.size() % 4) % 4, '=')).has_value();
}

bool is_argon2(const std::string& hash) {
  static const std::regex form(
      "\\$argon2id?\\$v=19\\$m=([0-9]{1,7}),t=([0-9]{1,9}),p=([0-9]{1,3})\\$([^$]+)\\$([^$]+)");
  constexpr std::uint64_t most_kib = 1 << 20;
  std::smatch parts;
  if (!std::regex_match(hash, parts, form)) return false;
  const auto memory = number(parts[1].str()), passes = number(parts[2].str()), lanes = number(parts[3].str());
  return *memory >= 8 * *lanes && *memory <= most_kib && *passes >= 1 && *lanes >= 1 && *lanes <= 255 &&
         is_unpadded_base64(parts[4]) && is_unpadded_base64(parts[5]);
}

// scrypt:N:r:p$salt$hex
std::optional<std::string> rewritten_scrypt(const std::string& stored) {
  static const std::regex form("scrypt:([0-9]{1,9}):([0-9]{1,4}):([0-9]{1,4})\\$([^$]+)\\$([0-9a-fA-F]+)");
  std::smatch parts;
  if (!std::regex_match(stored, parts, form)) return std::nullopt;
  const auto n = number(parts[1].str()), r = number(parts[2].str()), p = number(parts[3].str());
  const std::string salt = parts[4], digest = parts[5];
  if (!std::has_single_bit(*n) || !is_hex(digest)) return std::nullopt;
  const auto log2_n = static_cast<unsigned>(std::countr_zero(*n));
  return firebase_scrypt({log2_n, static_cast<unsigned>(*r), static_cast<unsigned>(*p)}, salt,
                         postgres::from_bytea("\\x" + digest));
}

// Of what cannot be carried over.
PasswordKind refused_kind(std::string_view stored) {
  if (stored.empty()) return PasswordKind::none;
  if (stored.starts_with("pbkdf2:")) return PasswordKind::werkzeug_pbkdf2;
  if (begins_with_any(stored, {"plain$", "plaintext$"})) return PasswordKind::plain;
  if (begins_with_any(stored, {"pbkdf2_sha", "bcrypt_sha256$", "scrypt$", "unsalted_"}))
    return PasswordKind::django;
  if (begins_with_any(stored, {"$2", "bcrypt$", "$argon2", "argon2$", "$fbscrypt$", "scrypt:"}))
    return PasswordKind::damaged;
  if (begins_with_any(stored, {"$pbkdf2", "$bcrypt-sha256$", "$scrypt$", "{SSHA", "{SHA", "{PBKDF2"}))
    return PasswordKind::passlib;
  if (begins_with_any(stored, {"$1$", "$5$", "$6$", "$y$", "$7$", "$gy$"})) return PasswordKind::unix_crypt;
  if (matches(stored, "(md5|sha1|sha224|sha256|sha384|sha512)\\$[^$]*\\$[0-9a-fA-F]+"))
    return PasswordKind::salted_digest;
  const bool digest_size = stored.size() == 32 || stored.size() == 40 || stored.size() == 56 ||
                           stored.size() == 64 || stored.size() == 96 || stored.size() == 128;
  return digest_size && is_hex(stored) ? PasswordKind::bare_digest : PasswordKind::unknown;
}

}  // namespace

std::string_view name_of(PasswordKind kind) {
  return std::find_if(std::begin(names), std::end(names),
                      [&](const Named& named) { return named.kind == kind; })
      ->name;
}

std::optional<PasswordKind> password_kind_named(std::string_view name) {
  const auto* found = std::find_if(std::begin(names), std::end(names),
                                   [&](const Named& named) { return named.name == name; });
  return found == std::end(names) ? std::nullopt : std::optional(found->kind);
}

bool is_carried_over(PasswordKind kind) {
  return kind == PasswordKind::bcrypt || kind == PasswordKind::argon2 ||
         kind == PasswordKind::firebase_scrypt || kind == PasswordKind::werkzeug_scrypt;
}

std::optional<PasswordKind> accepted_form(std::string_view hash) {
  if (hash.size() > longest_hash) return std::nullopt;
  if (is_bcrypt(hash)) return PasswordKind::bcrypt;
  if (is_argon2(std::string(hash))) return PasswordKind::argon2;
  if (parse_firebase_scrypt(hash)) return PasswordKind::firebase_scrypt;
  return std::nullopt;
}

CarriedPassword carry_password(std::string_view stored) {
  // std::regex recurses once for each character: what is far longer than any hash does not come near it.
  if (stored.size() > longest_stored) return {PasswordKind::unknown, ""};
  std::string text = repaired(stored);
  for (std::string_view prefix : {"bcrypt$$2", "argon2$argon2"})
    if (text.starts_with(prefix)) text.erase(0, text.find('$') + (prefix[0] == 'b' ? 1 : 0));
  if (const auto kind = accepted_form(text)) return {*kind, text};
  if (const auto rewritten = rewritten_scrypt(text); rewritten && accepted_form(*rewritten))
    return {PasswordKind::werkzeug_scrypt, *rewritten};
  return {refused_kind(text), ""};
}

}  // namespace tidegate
