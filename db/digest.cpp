#include "db/digest.hpp"

#include <openssl/evp.h>

#include <array>

#include "db/error.hpp"

namespace tidegate {

std::string hex_sha256(std::string_view bytes) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  if (EVP_Digest(bytes.data(), bytes.size(), digest.data(), &size, EVP_sha256(), nullptr) != 1) {
    throw Error("compute SHA-256: OpenSSL refused", "", Advice::stop);
  }
  std::string hex;
  hex.reserve(2UL * size);
  for (unsigned i = 0; i < size; ++i) {
    hex += "0123456789abcdef"[digest[i] >> 4];
    hex += "0123456789abcdef"[digest[i] & 15];
  }
  return hex;
}

}  // namespace tidegate
