// Firebase's form of scrypt, as Supabase Auth stores it:
//   $fbscrypt$v=1,n=<log2 N>,r=<r>,p=<p>[,ss=<salt separator>][,sk=<signer key>]$<salt>$<encrypted signer
//   key>
// each of the last four in base64. The signer key is encrypted with what scrypt makes of the password. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace tidegate {

struct ScryptCost {
  unsigned log2_n = 0, r = 0, p = 0;
};

struct FirebaseScrypt {
  ScryptCost cost;
  std::string salt;                   // with its separator
  std::string signer_key, encrypted;  // bytes
};

// Nothing where it is not of that form, or costs more than 1 GiB of memory at each login.
std::optional<FirebaseScrypt> parse_firebase_scrypt(std::string_view hash);

// Writes a scrypt that is known by its result in that form, under a signer key that is always the same.
// Nothing where `derived` has fewer than 32 bytes or the cost is out of bounds.
std::optional<std::string> firebase_scrypt(ScryptCost cost, std::string_view salt, std::string_view derived);

}  // namespace tidegate
