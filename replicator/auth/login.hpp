// Would Supabase Auth let a user of auth.users in? Pure: a row goes in, what stands in the way comes out.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tidegate {

struct StoredLogin {
  std::string user;     // a row of auth.users as JSON (to_jsonb)
  bool banned = false;  // until a time that the server has not come to yet
  std::uint64_t identities =
      0;  // rows of auth.identities: provider 'email', provider_id and `sub` the user's id
};

struct Obstacle {
  std::string code;     // "login-…": `tidegate explain` knows it
  std::string message;  // names columns, never their values
};

struct LoginExamination {
  std::string id;
  std::string hash_kind;  // "bcrypt", "argon2", "firebase_scrypt", "none", or "unusable"
  std::vector<Obstacle> obstacles;
};

// All that can be said without a password. An empty encrypted_password is no obstacle here: such a user waits
// for a reset.
LoginExamination examine_login(const StoredLogin& stored);

// The same for the password that somebody gave.
LoginExamination examine_login(const StoredLogin& stored, const std::string& password);

}  // namespace tidegate
