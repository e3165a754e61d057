#include "db/digest.hpp"

#include <openssl/evp.h>

#include <array>
#include <fstream>
#include <memory>

#include "db/error.hpp"

namespace tidegate {
namespace {

using Sum = std::array<unsigned char, EVP_MAX_MD_SIZE>;

std::string hex(const Sum& sum, unsigned size) {
  std::string text;
  text.reserve(2UL * size);
  for (unsigned i = 0; i < size; ++i) {
    text += "0123456789abcdef"[sum[i] >> 4];
    text += "0123456789abcdef"[sum[i] & 15];
  }
  return text;
}

void require(bool done) {
  if (!done) throw Error("compute SHA-256: OpenSSL refused", "", Advice::stop);
}

}  // namespace

std::string hex_sha256(std::string_view bytes) {
  Sum sum{};
  unsigned size = 0;
  require(EVP_Digest(bytes.data(), bytes.size(), sum.data(), &size, EVP_sha256(), nullptr) == 1);
  return hex(sum, size);
}

std::string sha256_of_file(const std::string& path) {
  constexpr std::size_t piece = 64 << 10;
  std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX*)> context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
  require(context && EVP_DigestInit_ex(context.get(), EVP_sha256(), nullptr) == 1);
  std::ifstream file(path, std::ios::binary);
  if (!file) throw Error("cannot read " + path, "", Advice::stop);
  std::string bytes(piece, '\0');
  while (file.read(bytes.data(), piece), file.gcount() > 0)
    require(EVP_DigestUpdate(context.get(), bytes.data(), static_cast<std::size_t>(file.gcount())) == 1);
  if (file.bad()) throw Error("cannot read " + path, "", Advice::stop);
  Sum sum{};
  unsigned size = 0;
  require(EVP_DigestFinal_ex(context.get(), sum.data(), &size) == 1);
  return hex(sum, size);
}

}  // namespace tidegate
