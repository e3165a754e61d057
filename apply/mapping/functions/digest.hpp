// Base64 and HMAC over OpenSSL, bytes in and bytes out. Pure; throws std::runtime_error where OpenSSL fails.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace tidegate {

std::string base64(std::string_view bytes);  // RFC 4648, padded
// Nothing where `text` is not whole base64: padded, and without blanks.
std::optional<std::string> from_base64(std::string_view text);
bool is_hex(std::string_view text);  // pairs of hexadecimal digits

std::string hmac_sha256(std::string_view secret, std::string_view message);

// As RFC 7914; nothing where the parameters are not valid or need more than 1 GiB.
std::optional<std::string> scrypt(std::string_view password, std::string_view salt, unsigned log2_n,
                                  unsigned r, unsigned p, std::size_t length);
// AES-256 in counter mode with a counter that begins at 0; encrypts and decrypts. `key` has 32 bytes.
std::string aes256_ctr(std::string_view key, std::string_view bytes);

}  // namespace tidegate
