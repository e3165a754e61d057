// Digests, from OpenSSL.
#pragma once

#include <string>
#include <string_view>

namespace tidegate {

// SHA-256 as 64 hexadecimal digits. Throws Error where OpenSSL refuses.
std::string hex_sha256(std::string_view bytes);
// The same of a file, in pieces of 64 KiB. Throws Error, also where the file cannot be read.
std::string sha256_of_file(const std::string& path);

}  // namespace tidegate
