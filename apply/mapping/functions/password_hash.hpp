// What a legacy application stored as a password, and what Supabase Auth can check of it. Pure.
//
// A stored hash tells its form, not what the application did to the password before it hashed it: bcrypt over
// a digest (flask-bcrypt's BCRYPT_HANDLE_LONG_PASSWORDS) or over an HMAC (Flask-Security) looks like any
// other bcrypt, is carried over, and then refuses each login. `tidegate login-check` with one known password
// shows it.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace tidegate {

enum class PasswordKind {
  // Supabase Auth checks these:
  bcrypt,           // $2a$, $2b$, $2y$; Django's bcrypt$ before it is taken away
  argon2,           // argon2i and argon2id, version 19, up to 1 GiB; Django's argon2 before it is taken away
  firebase_scrypt,  // $fbscrypt$
  werkzeug_scrypt,  // scrypt:N:r:p$salt$hex, rewritten as $fbscrypt$
  // and cannot check these:
  none,             // NULL, or nothing but blanks
  werkzeug_pbkdf2,  // pbkdf2:method:iterations$salt$hex
  salted_digest,    // sha1$salt$hex and its like, of werkzeug before 0.9 and Django before 1.4
  bare_digest,      // hexadecimal digits alone, as many as MD5 to SHA-512 have
  plain,            // plain$ and the password itself
  django,           // pbkdf2_sha256$, bcrypt_sha256$, scrypt$
  passlib,          // $pbkdf2-sha256$, $bcrypt-sha256$, $scrypt$
  unix_crypt,       // $1$, $5$, $6$, $y$
  damaged,          // one of the first four that was cut, or has parameters that Supabase Auth refuses
  unknown,          // anything else; perhaps the password itself
};

std::string_view name_of(PasswordKind kind);  // as above, e.g. "werkzeug_pbkdf2"
std::optional<PasswordKind> password_kind_named(std::string_view name);
bool is_carried_over(PasswordKind kind);

struct CarriedPassword {
  PasswordKind kind;
  std::string hash;  // for auth.users.encrypted_password; "" where the kind is not carried over
};

// `stored` may be bytes that became text on their way (b'…', or \x and hexadecimal digits), and may have
// blanks around it, as CHAR(n) gives it back.
CarriedPassword carry_password(std::string_view stored);

// The form that Supabase Auth accepts, if it is one; what carry_password gives always is.
std::optional<PasswordKind> accepted_form(std::string_view hash);

}  // namespace tidegate
