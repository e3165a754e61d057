#include "db/digest.hpp"

#include <openssl/evp.h>

#include <array>
#include <fstream>
#include <memory>

#include "db/error.hpp"

namespace tidegate {
namespace {

struct Free {
  void operator()(EVP_MD* algorithm) const { EVP_MD_free(algorithm); }
  void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};

// Looked up once: OpenSSL takes locks for that, and more time than for a short digest itself.
const EVP_MD* sha256() {
  static const std::unique_ptr<EVP_MD, Free> algorithm(EVP_MD_fetch(nullptr, "SHA256", nullptr));
  return algorithm.get();
}

EVP_MD_CTX* context() {
  thread_local const std::unique_ptr<EVP_MD_CTX, Free> own(EVP_MD_CTX_new());
  return own.get();
}

std::string hex(const unsigned char* bytes, std::size_t size) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string text;
  text.reserve(2 * size);
  for (std::size_t i = 0; i < size; ++i) {
    text += digits[bytes[i] >> 4];
    text += digits[bytes[i] & 15];
  }
  return text;
}

std::string ended(bool done) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  if (!done || EVP_DigestFinal_ex(context(), digest.data(), &size) != 1)
    throw Error("compute SHA-256: OpenSSL refused", "", Advice::stop);
  return hex(digest.data(), size);
}

}  // namespace

std::string hex_sha256(std::initializer_list<std::string_view> pieces) {
  bool done = EVP_DigestInit_ex2(context(), sha256(), nullptr) == 1;
  for (const auto piece : pieces) done = done && EVP_DigestUpdate(context(), piece.data(), piece.size()) == 1;
  return ended(done);
}

std::string sha256_of_file(const std::string& path) {
  constexpr std::size_t piece = 64 << 10;
  std::ifstream file(path, std::ios::binary);
  bool done = file && EVP_DigestInit_ex2(context(), sha256(), nullptr) == 1;
  std::string bytes(piece, '\0');
  while (done && (file.read(bytes.data(), piece), file.gcount() > 0))
    done = EVP_DigestUpdate(context(), bytes.data(), static_cast<std::size_t>(file.gcount())) == 1;
  if (!file.is_open() || file.bad()) throw Error("cannot read " + path, "", Advice::stop);
  return ended(done);
}

}  // namespace tidegate
