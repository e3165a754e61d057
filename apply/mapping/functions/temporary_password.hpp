// Passwords for users whose old one cannot be carried over: made from their key and a secret of the
// operator's, so that nothing has to be remembered and a replay writes the same hash. README.md has the
// derivation.
#pragma once

#include <string>

#include "proto/value.hpp"

namespace tidegate {

class TemporaryPasswords {
 public:
  static constexpr std::size_t shortest_secret = 16;  // bytes

  // Throws Refused where the secret is shorter. It is never shown.
  TemporaryPasswords(std::string secret, std::string pipeline);

  std::string password(const Row& key) const;  // "abcd-efgh-jkmn-pqrs-tuvw"
  std::string hash(const Row& key) const;      // its bcrypt, always the same
  // Tells one secret from another, and says nothing else about it.
  std::string fingerprint() const;

 private:
  std::string material(const char* what, const Row& key) const;
  std::string secret_, pipeline_;
};

}  // namespace tidegate
