// Digests, from OpenSSL.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>

namespace tidegate {

// SHA-256 as 64 hexadecimal digits; of pieces, as if they were one. Throws Error where OpenSSL refuses.
std::string hex_sha256(std::initializer_list<std::string_view> pieces);
inline std::string hex_sha256(std::string_view bytes) {
  return hex_sha256({bytes});
}
// Of a file's bytes, of which 64 KiB are in memory at a time. Throws Error also where it cannot be read.
std::string sha256_of_file(const std::string& path);

}  // namespace tidegate
