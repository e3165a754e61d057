// Digests, from OpenSSL.
#pragma once

#include <string>
#include <string_view>

namespace tidegate {

// SHA-256 as 64 hexadecimal digits. Throws Error where OpenSSL refuses.
std::string hex_sha256(std::string_view bytes);

}  // namespace tidegate
