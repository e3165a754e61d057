// What becomes of each user's password under the preset "supabase-auth", read from the source. Nothing is
// written.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "apply/mapping/presets/supabase_auth.hpp"
#include "apply/plan.hpp"
#include "proto/table.hpp"
#include "replicator/config/settings.hpp"

namespace tidegate {

struct Credential {
  Row key;                // as temporary_password() is given it
  std::string id, email;  // of auth.users; an empty e-mail where there is none
  std::string kind;       // of the stored password: see password_hash.hpp
  std::string hash;       // what a run stores; "" where the user needs a reset
};
bool is_carried(const Credential& credential);  // then the old password goes on being right

// Of all users of the preset's table; `tables`: the source's. A user whose row cannot be mapped is left out:
// `plan` and the quarantine name such rows.
void each_credential(const Settings& settings, const AuthPreset& preset,
                     const std::vector<SourceTable>& tables,
                     const std::function<void(const Credential&)>& give);

// How many users have which kind of hash that cannot be carried over.
std::vector<Finding> credential_findings(const Settings& settings, const std::vector<SourceTable>& tables);

}  // namespace tidegate
