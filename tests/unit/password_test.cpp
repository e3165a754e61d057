// Vectors from Python: hashlib.scrypt, bcrypt, argon2, cryptography's AES, werkzeug's own format.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "apply/mapping/functions/password_check.hpp"
#include "apply/mapping/functions/password_hash.hpp"
#include "apply/mapping/functions/temporary_password.hpp"
#include "db/error.hpp"

namespace tidegate {
namespace {

const std::string horse = "correct horse", foreign = "p\xc3\xa4ssw\xc3\xb6rd\xf0\x9f\x94\x91";
const std::string horse_scrypt =
    "scrypt:32768:8:1$aB3dE5gH7jK9mN1p$"
    "4dc585c9546d15b5ee9f485ecde45f7a754ab88b24939d0a88cb9a2fed7b6d22cc770925"
    "b35f5920038f9e7d602e14a314ffc687b600941328d9fa8792401999";
const std::string horse_firebase =
    "$fbscrypt$v=1,n=15,r=8,p=1,sk=dGlkZWdhdGU6IGEgd2Vya3pldWcgcGFzc3dvcmQudjE=$YUIzZEU1Z0g3aks5bU4xcA==$"
    "U4CK6kqws0t8v/tGItjXhpBSIarUHWztUDmESQLuryE=";
const std::string foreign_scrypt =
    "scrypt:16384:8:2$Zz09Yy18Xx27Ww36$"
    "ad708cd54d6434bbabd7f5d6a9043e5d38bcd5cf49bc46b0fa7f128cf5f1be18c0c33d36"
    "9242ce37b6b02ef5df237c85380732e07ecddbc0c58644add3b46800";
const std::string foreign_firebase =
    "$fbscrypt$v=1,n=14,r=8,p=2,sk=dGlkZWdhdGU6IGEgd2Vya3pldWcgcGFzc3dvcmQudjE=$WnowOVl5MThYeDI3V3czNg==$"
    "t9nLmet8tovzjd6xjI5txEcgqwqVVSvgyiPEguvA1qs=";
const std::string horse_bcrypt = "$2b$04$abcdefghijklmnopqrstuujydOTSfIH/d5oUHpsygqV5X9xJLQc6e";
const std::string foreign_bcrypt = "$2a$04$OIP3kWudqmX.5aCks0Y5J.HThdtVq1cyxxC2jtQInu/sKTtN4RQUG";
const std::string horse_argon2id =
    "$argon2id$v=19$m=64,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$uL2hQzJmxaz0Tfm2KK6uNjA0+UvbrHBEBwVmJYrNXCE";
const std::string horse_argon2i =
    "$argon2i$v=19$m=64,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$rB84JT5z5pR7npjABPWWPmhej9GHFq2J2QtVNJPtUE0";

std::string kind_of(std::string_view stored) {
  return std::string(name_of(carry_password(stored).kind));
}

TEST(PasswordHash, WhatSupabaseChecksIsKept) {
  for (const auto& hash : {horse_bcrypt, foreign_bcrypt, horse_argon2id, horse_argon2i, horse_firebase})
    EXPECT_EQ(carry_password(hash).hash, hash);
  EXPECT_EQ(kind_of(horse_bcrypt), "bcrypt");
  EXPECT_EQ(kind_of(horse_argon2i), "argon2");
  EXPECT_EQ(kind_of(horse_firebase), "firebase_scrypt");
}

TEST(PasswordHash, WerkzeugScryptBecomesFirebases) {
  EXPECT_EQ(kind_of(horse_scrypt), "werkzeug_scrypt");
  EXPECT_EQ(carry_password(horse_scrypt).hash, horse_firebase);
  EXPECT_EQ(carry_password(foreign_scrypt).hash, foreign_firebase);
}

TEST(PasswordHash, BytesThatBecameTextAreRepaired) {
  EXPECT_EQ(carry_password("b'" + horse_bcrypt + "'").hash, horse_bcrypt);
  EXPECT_EQ(carry_password("b\"" + horse_bcrypt + "\"").hash, horse_bcrypt);
  EXPECT_EQ(carry_password("b'" + horse_scrypt + "'").hash, horse_firebase);
  std::string hex = "\\x";
  for (const unsigned char c : horse_bcrypt) {
    hex += "0123456789abcdef"[c >> 4];
    hex += "0123456789abcdef"[c & 15];
  }
  EXPECT_EQ(carry_password(hex).hash, horse_bcrypt);
  EXPECT_EQ(carry_password(horse_bcrypt + "          ").hash, horse_bcrypt);
  EXPECT_EQ(carry_password("bcrypt$" + horse_bcrypt).hash, horse_bcrypt);
  EXPECT_EQ(carry_password("argon2" + horse_argon2id).hash, horse_argon2id);
}

TEST(PasswordHash, TheRestIsNamedAndEmpty) {
  const std::pair<std::string, std::string> refused[] = {
      {"", "none"},
      {"   ", "none"},
      {"pbkdf2:sha256:600000$abcdefgh$00ff", "werkzeug_pbkdf2"},
      {"pbkdf2:sha1:1000$abcdefgh$00ff", "werkzeug_pbkdf2"},
      {"sha1$salt$00ff", "salted_digest"},
      {"md5$salt$00ff", "salted_digest"},
      {"plain$secret", "plain"},
      {"pbkdf2_sha256$390000$salt$aGFzaA==", "django"},
      {"bcrypt_sha256$" + horse_bcrypt, "django"},
      {"$pbkdf2-sha256$29000$abc$def", "passlib"},
      {"$6$rounds=5000$salt$hash", "unix_crypt"},
      {"5f4dcc3b5aa765d61d8327deb882cf99", "bare_digest"},
      {"hunter2", "unknown"},
      {"not all\nASCII \xff", "unknown"},
      {std::string(100'000, 'x'), "unknown"},
  };
  for (const auto& [stored, kind] : refused) {
    EXPECT_EQ(kind_of(stored), kind) << stored.substr(0, 40);
    EXPECT_EQ(carry_password(stored).hash, "") << stored.substr(0, 40);
  }
}

TEST(PasswordHash, AnAcceptedFormThatWasCutOrCostsTooMuchIsDamaged) {
  const std::string argon2_rest = "$c29tZXNhbHRzb21lc2FsdA$uL2hQzJmxaz0Tfm2KK6uNjA0+UvbrHBEBwVmJYrNXCE";
  const std::string damaged[] = {
      horse_bcrypt.substr(0, 50),
      "$2x" + horse_bcrypt.substr(3),
      "$2b$03" + horse_bcrypt.substr(6),
      "$2b$32" + horse_bcrypt.substr(6),
      "$argon2d$v=19$m=64,t=2,p=1" + argon2_rest,
      "$argon2id$v=16$m=64,t=2,p=1" + argon2_rest,
      "$argon2id$v=19$m=1048577,t=2,p=1" + argon2_rest,
      "scrypt:30000:8:1" + horse_scrypt.substr(16),
      "scrypt:1073741824:8:1" + horse_scrypt.substr(16),
      "scrypt:99999999999999:8:1" + horse_scrypt.substr(16),
      horse_scrypt.substr(0, 60),
      "scrypt:32768:8:1$" + std::string(200, 's') + horse_scrypt.substr(33),
  };
  for (const auto& stored : damaged) {
    EXPECT_EQ(kind_of(stored), "damaged") << stored;
    EXPECT_EQ(carry_password(stored).hash, "") << stored;
  }
  EXPECT_FALSE(accepted_form(horse_firebase + "!"));
  EXPECT_FALSE(accepted_form("$fbscrypt$v=2" + horse_firebase.substr(13)));
}

TEST(PasswordCheck, AnswersAsSupabaseAuthWould) {
  const std::string with_separator =
      "$fbscrypt$v=1,n=14,r=8,p=1,ss=c2Vw,sk=YSBzaWduZXIga2V5IG9mIGFub3RoZXIgbGVuZ3RoLi4uLg==$c2FsdHk=$"
      "U/vfifinidt/cri6cewvmSswwISHEreSUIKKNmqTXP2sOw==";
  const std::pair<std::string, std::string> right[] = {{horse_bcrypt, horse},
                                                       {foreign_bcrypt, foreign},
                                                       {horse_argon2id, horse},
                                                       {horse_argon2i, horse},
                                                       {horse_firebase, horse},
                                                       {foreign_firebase, foreign},
                                                       {with_separator, "user1password"},
                                                       {"$2y" + horse_bcrypt.substr(3), horse},
                                                       {"$2a" + horse_bcrypt.substr(3), horse}};
  for (const auto& [hash, password] : right) {
    EXPECT_EQ(check_password(hash, password), PasswordAnswer::right) << hash;
    EXPECT_EQ(check_password(hash, password + " "), PasswordAnswer::wrong) << hash;
    EXPECT_EQ(check_password(hash, ""), PasswordAnswer::wrong) << hash;
    EXPECT_EQ(check_password(hash, password + std::string(1, '\0')), PasswordAnswer::wrong) << hash;
  }
}

TEST(PasswordCheck, WhatIsNotAcceptedIsUnusableWhateverThePassword) {
  for (const std::string& hash :
       {std::string(), std::string("hunter2"), horse_scrypt, horse_bcrypt.substr(0, 59)})
    EXPECT_EQ(check_password(hash, hash), PasswordAnswer::unusable) << hash;
}

TEST(TemporaryPassword, ComesFromSecretPipelineAndKeyAlone) {
  const std::string secret = "0123456789abcdef0123456789abcdef";
  const TemporaryPasswords passwords(secret, "codopia");
  EXPECT_EQ(passwords.password({std::int64_t{57}}), "2ww7-qbh7-bfhe-627q-cyfj");
  EXPECT_EQ(passwords.hash({std::int64_t{57}}),
            "$2b$04$kc/pInPV.UHtZN9Jvtesz.yc7BJUXU1gBXTzr2biJilPHfxfuNSgC");
  EXPECT_EQ(passwords.password({std::string("school"), std::string("A-1")}), "agt3-2ysh-wmcx-ddwh-38kt");
  EXPECT_EQ(passwords.hash({std::string("school"), std::string("A-1")}),
            "$2b$04$FWavClT4OMXnhWBCkPJGcOABuGOB6D8x8GQL9jVALtikfKjC6elRa");
  EXPECT_NE(TemporaryPasswords(secret, "other").password({std::int64_t{57}}),
            passwords.password({std::int64_t{57}}));
}

TEST(TemporaryPassword, IsTheOneThatItsHashTakes) {
  const TemporaryPasswords passwords("0123456789abcdef", "p");
  const Row key = {std::string("a")};
  EXPECT_EQ(check_password(passwords.hash(key), passwords.password(key)), PasswordAnswer::right);
  EXPECT_EQ(carry_password(passwords.hash(key)).kind, PasswordKind::bcrypt);
}

TEST(TemporaryPassword, AShortSecretIsRefusedAndNotShown) {
  try {
    TemporaryPasswords("0123456789abcde", "p");
    ADD_FAILURE() << "taken";
  } catch (const Refused& refusal) {
    EXPECT_THAT(refusal.what(), ::testing::Not(::testing::HasSubstr("0123456789")));
  }
}

}  // namespace
}  // namespace tidegate
