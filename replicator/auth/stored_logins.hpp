// Users of the target's auth.users, as login.hpp looks at them. Reads only.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "db/postgres.hpp"
#include "replicator/auth/login.hpp"

namespace tidegate {

// Those whose address is `email` in any spelling: Supabase Auth compares it in lower case. Throws Refused
// where the target has no auth.users.
std::vector<StoredLogin> logins_of(postgres::Connection& target, const std::string& email);
// At most `count` of those with an address, by chance.
std::vector<StoredLogin> some_logins(postgres::Connection& target, std::uint64_t count);

}  // namespace tidegate
