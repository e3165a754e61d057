#include "replicator/auth/stored_logins.hpp"

#include "replicator/failure.hpp"

namespace tidegate {
namespace {

constexpr const char* columns =
    "SELECT to_jsonb(u), coalesce(u.banned_until > now(), false),"
    " (SELECT count(*) FROM auth.identities i WHERE i.user_id = u.id AND i.provider = 'email'"
    " AND i.provider_id = u.id::text AND i.identity_data ->> 'sub' = u.id::text)"
    " FROM auth.users u WHERE ";

void require_auth(postgres::Connection& target) {
  if (target.run("SELECT to_regclass('auth.users') IS NULL OR to_regclass('auth.identities') IS NULL")
          .boolean(0, 0))
    throw Coded<Refused>("no-auth-users", "the target has no tables auth.users and auth.identities",
                         "logins are checked on Supabase only; look whether the target is the right one");
}

std::vector<StoredLogin> read(const postgres::Result& rows) {
  std::vector<StoredLogin> out;
  for (int row = 0; row < rows.rows(); ++row)
    out.push_back({std::string(rows.text(row, 0)), rows.boolean(row, 1),
                   static_cast<std::uint64_t>(rows.integer(row, 2))});
  return out;
}

}  // namespace

std::vector<StoredLogin> logins_of(postgres::Connection& target, const std::string& email) {
  require_auth(target);
  return read(
      target.run(std::string(columns) + "lower(u.email) = lower($1) ORDER BY u.is_sso_user, u.id", {email}));
}

std::vector<StoredLogin> some_logins(postgres::Connection& target, std::uint64_t count) {
  require_auth(target);
  return read(target.run(
      std::string(columns) + "u.email IS NOT NULL AND NOT u.is_sso_user ORDER BY random() LIMIT $1",
      {std::to_string(count)}));
}

}  // namespace tidegate
