#include "apply/mapping/functions/digest.hpp"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <array>
#include <memory>
#include <stdexcept>

namespace tidegate {
namespace {

const unsigned char* octets(std::string_view bytes) {
  return reinterpret_cast<const unsigned char*>(bytes.data() ? bytes.data() : "");
}
unsigned char* octets(std::string& bytes) {
  return reinterpret_cast<unsigned char*>(bytes.data());
}

void check(bool done, const char* what) {
  if (!done) throw std::runtime_error(std::string("OpenSSL cannot compute ") + what);
}

constexpr std::size_t digest_size = 32;
constexpr std::uint64_t memory_limit = 1ULL << 30;  // what Supabase Auth would need at each login

}  // namespace

std::string base64(std::string_view bytes) {
  std::string out((bytes.size() + 2) / 3 * 4 + 1, '\0');  // OpenSSL ends it with a NUL
  const int size = EVP_EncodeBlock(octets(out), octets(bytes), static_cast<int>(bytes.size()));
  out.resize(static_cast<std::size_t>(size));
  return out;
}

std::optional<std::string> from_base64(std::string_view text) {
  constexpr std::string_view alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  const std::size_t end = std::min(text.find('='), text.size());
  const std::size_t padding = text.size() - end;
  const bool whole = text.size() % 4 == 0 && padding <= 2 && text.find_first_not_of('=', end) == text.npos;
  if (!whole || text.substr(0, end).find_first_not_of(alphabet) != text.npos) return std::nullopt;
  std::string out(text.size() / 4 * 3 + 1, '\0');
  const int size = EVP_DecodeBlock(octets(out), octets(text), static_cast<int>(text.size()));
  if (size < 0) return std::nullopt;
  out.resize(static_cast<std::size_t>(size) - padding);
  return out;
}

bool is_hex(std::string_view text) {
  return text.size() % 2 == 0 && text.find_first_not_of("0123456789abcdefABCDEF") == text.npos;
}

std::string hmac_sha256(std::string_view secret, std::string_view message) {
  std::string out(digest_size, '\0');
  unsigned size = 0;
  check(HMAC(EVP_sha256(), secret.data(), static_cast<int>(secret.size()), octets(message), message.size(),
             octets(out), &size) != nullptr,
        "HMAC");
  return out;
}

std::optional<std::string> scrypt(std::string_view password, std::string_view salt, unsigned log2_n,
                                  unsigned r, unsigned p, std::size_t length) {
  if (log2_n < 1 || log2_n > 30 || r == 0 || p == 0) return std::nullopt;
  std::string out(length, '\0');
  // A little more than the table of N blocks: p blocks, and OpenSSL's own working memory.
  const int done = EVP_PBE_scrypt(password.data(), password.size(), octets(salt), salt.size(), 1ULL << log2_n,
                                  r, p, memory_limit + (1 << 20), octets(out), out.size());
  if (done != 1) return std::nullopt;
  return out;
}

std::string aes256_ctr(std::string_view key, std::string_view bytes) {
  const std::array<unsigned char, 16> counter{};
  const std::unique_ptr<EVP_CIPHER_CTX, void (*)(EVP_CIPHER_CTX*)> context(EVP_CIPHER_CTX_new(),
                                                                           EVP_CIPHER_CTX_free);
  std::string out(bytes.size(), '\0');
  int size = 0;
  check(key.size() == 32 && context &&
            EVP_EncryptInit_ex(context.get(), EVP_aes_256_ctr(), nullptr, octets(key), counter.data()) == 1 &&
            EVP_EncryptUpdate(context.get(), octets(out), &size, octets(bytes),
                              static_cast<int>(bytes.size())) == 1,
        "AES");
  return out;
}

}  // namespace tidegate
