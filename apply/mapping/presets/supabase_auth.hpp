// preset = "supabase-auth": a table of users becomes auth.users and auth.identities, with all that Supabase
// Auth wants of a user who logs in with e-mail and password. Pure: it writes ordinary map entries, which
// `config show` and `plan` show as if somebody had written them by hand.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "apply/mapping/definition.hpp"

namespace tidegate {

// The preset's keys as written. Each expression is SQL over the source's row.
struct AuthPreset {
  std::string from;                     // the source's table
  std::string where;                    // the preset's place in the file
  std::optional<PlacedText> condition;  // of its [[map]]

  std::string key = "id";        // the user's key in the source
  std::optional<PlacedText> id;  // default: uuid('FROM', KEY)
  PlacedText email;              // stored in lower case, without white space around it
  std::optional<PlacedText>
      missing_email;  // the domain of addresses for users without one; default: they have none
  std::optional<PlacedText> password;  // the stored hash; default: everybody needs a reset
  bool temporary_passwords = false;    // instead of a reset, for hashes that cannot be carried over
  std::optional<PlacedText> phone;     // in E.164; stored without its +, as Supabase Auth looks it up
  std::optional<PlacedText> phone_confirmed_at;  // default: not confirmed, so no login by phone
  std::optional<PlacedText> created_at;          // default, and where it is NULL: 1970-01-01
  std::optional<PlacedText> updated_at;          // default: as created_at
  std::optional<PlacedText> confirmed_at;        // default: as created_at; NULL: not confirmed, so no login
  std::optional<PlacedText> last_sign_in_at;
  std::optional<PlacedText> name;                      // becomes user_metadata's "name"
  std::vector<MapColumn> app_metadata, user_metadata;  // further members of the two JSON columns
  std::vector<std::string>
      among;  // of several presets: the words that tell this one's users from the others'
};

// Several tables may become auth.users. What is made of a user's key (the identity, a temporary password, an
// address) is then made of these words too: user 5 of one table is not user 5 of another.
void tell_presets_apart(std::vector<AuthPreset>& presets);

// auth.users, then auth.identities.
std::vector<MapTarget> expand(const AuthPreset& preset);

// What `credentials export` asks of each user: a map whose only target is never written, with the columns
// key, key_type (typeof), id, email, kind (password_kind) and hash (what expand() stores).
MapDefinition credentials_of(const AuthPreset& preset);

}  // namespace tidegate
