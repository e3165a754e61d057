#include "replicator/auth/login.hpp"

#include <boost/json.hpp>

#include <algorithm>

#include "apply/mapping/functions/password_check.hpp"
#include "apply/mapping/functions/password_hash.hpp"

namespace tidegate {
namespace {

namespace json = boost::json;

// Supabase Auth reads these into texts and times that know no NULL.
constexpr const char* never_null[] = {"confirmation_token",
                                      "recovery_token",
                                      "email_change_token_new",
                                      "email_change",
                                      "email_change_token_current",
                                      "phone_change",
                                      "phone_change_token",
                                      "reauthentication_token",
                                      "created_at",
                                      "updated_at"};

bool is_null(const json::object& user, std::string_view column) {
  const auto* value = user.if_contains(column);
  return value && value->is_null();
}

// "" for NULL and for a column that this version of auth.users does not have.
std::string text(const json::object& user, std::string_view column) {
  const auto* value = user.if_contains(column);
  return value && value->is_string() ? std::string(value->as_string()) : "";
}

bool flag(const json::object& user, std::string_view column) {
  const auto* value = user.if_contains(column);
  return value && value->is_bool() && value->as_bool();
}

class Examination {
 public:
  explicit Examination(const StoredLogin& stored) : user_(json::parse(stored.user).as_object()) {
    out_.id = text(user_, "id");
    const std::string hash = text(user_, "encrypted_password");
    const auto form = accepted_form(hash);
    out_.hash_kind = form ? std::string(name_of(*form)) : hash.empty() ? "none" : "unusable";
    how_it_is_found();
    what_cannot_be_read();
    what_is_refused(stored);
  }

  void password(const std::string& given) {
    const PasswordAnswer answer = check_password(text(user_, "encrypted_password"), given);
    if (out_.hash_kind == "none")
      add("login-no-password", "the user has no password yet and needs a reset");
    else if (answer == PasswordAnswer::wrong)
      add("login-wrong-password", "the password does not fit the stored hash");
  }

  LoginExamination take() { return std::move(out_); }

 private:
  void add(const char* code, std::string message) { out_.obstacles.push_back({code, std::move(message)}); }

  void how_it_is_found() {
    if (text(user_, "instance_id") != "00000000-0000-0000-0000-000000000000")
      add("login-not-found", "instance_id is not the zero UUID, so that no login finds the user");
    if (text(user_, "aud") != "authenticated")
      add("login-not-found", "aud is not 'authenticated', so that no login finds the user");
    if (flag(user_, "is_sso_user"))
      add("login-not-found", "is_sso_user is set, so that no login by password finds the user");
  }

  void what_cannot_be_read() {
    for (const char* column : never_null)
      if (is_null(user_, column))
        add("login-null-column", std::string(column) + " is NULL, which Supabase Auth cannot read");
    if (out_.hash_kind == "unusable")
      add("login-unusable-hash", "encrypted_password is in no form that Supabase Auth accepts");
  }

  void what_is_refused(const StoredLogin& stored) {
    if (text(user_, "role") != "authenticated")
      add("login-role", "role is not 'authenticated', so that the user's token opens nothing");
    if (is_null(user_, "email_confirmed_at"))
      add("login-not-confirmed", "email_confirmed_at is NULL: e-mail not confirmed");
    if (stored.banned) add("login-banned", "banned_until lies in the future");
    if (stored.identities == 0)
      add("login-no-identity", "auth.identities has no row of provider 'email' for the user");
  }

  json::object user_;
  LoginExamination out_;
};

}  // namespace

LoginExamination examine_login(const StoredLogin& stored) {
  return Examination(stored).take();
}

LoginExamination examine_login(const StoredLogin& stored, const std::string& password) {
  Examination examination(stored);
  examination.password(password);
  return examination.take();
}

}  // namespace tidegate
