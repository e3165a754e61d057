// Does a password fit a hash that Supabase Auth accepts? Takes as long as the hash's cost says.
#pragma once

#include <string>

namespace tidegate {

enum class PasswordAnswer {
  right,
  wrong,
  unusable,  // not one of the forms that Supabase Auth accepts: each login ends in an internal error
};

// The password's bytes are taken as they are; one with a NUL fits nothing. bcrypt looks at the first 72 only,
// as Supabase Auth does at a login.
PasswordAnswer check_password(const std::string& hash, const std::string& password);

// "$2b$" with the cost (4 to 31) and a salt of 16 bytes. Throws std::runtime_error where the library fails.
std::string bcrypt(const std::string& password, const std::string& salt, unsigned cost);

}  // namespace tidegate
