#include "replicator/auth/login.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "replicator/cli/explain.hpp"

namespace tidegate {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

const std::string hash = "$2b$04$abcdefghijklmnopqrstuujydOTSfIH/d5oUHpsygqV5X9xJLQc6e";  // "correct horse"
const std::string good =
    R"({"id": "6f1b2c3d-0000-5000-8000-000000000001", "instance_id": "00000000-0000-0000-0000-000000000000",
        "aud": "authenticated", "role": "authenticated", "email": "ann@x.org", "encrypted_password": ")" +
    hash +
    R"(", "email_confirmed_at": "2024-01-01T00:00:00+00:00", "confirmation_token": "", "recovery_token": "",
        "email_change_token_new": "", "email_change": "", "email_change_token_current": "", "phone_change": "",
        "phone_change_token": "", "reauthentication_token": "", "created_at": "2024-01-01T00:00:00+00:00",
        "updated_at": "2024-01-01T00:00:00+00:00", "is_sso_user": false, "banned_until": null})";

std::string with(const std::string& from, const std::string& to) {
  std::string user = good;
  const auto at = user.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return user.replace(at, from.size(), to);
}

std::vector<std::string> codes(const LoginExamination& examined) {
  std::vector<std::string> out;
  for (const auto& obstacle : examined.obstacles) {
    out.push_back(obstacle.code);
    EXPECT_NE(cli::explanation_of(obstacle.code), nullptr) << obstacle.code;
  }
  return out;
}

TEST(Login, AWholeUserIsLetIn) {
  const auto examined = examine_login({good, false, 1}, "correct horse");
  EXPECT_THAT(codes(examined), IsEmpty());
  EXPECT_EQ(examined.hash_kind, "bcrypt");
  EXPECT_EQ(examined.id, "6f1b2c3d-0000-5000-8000-000000000001");
}

TEST(Login, AWrongPasswordIsRefused) {
  EXPECT_THAT(codes(examine_login({good, false, 1}, "correct horse ")), ElementsAre("login-wrong-password"));
}

TEST(Login, EachConditionByItself) {
  const struct {
    std::string user, code;
  } broken[] = {
      {with("00000000-0000-0000-0000-000000000000", "00000000-0000-0000-0000-000000000001"),
       "login-not-found"},
      {with(R"("aud": "authenticated")", R"("aud": null)"), "login-not-found"},
      {with(R"("is_sso_user": false)", R"("is_sso_user": true)"), "login-not-found"},
      {with(R"("role": "authenticated")", R"("role": null)"), "login-role"},
      {with(R"("role": "authenticated")", R"("role": "admin")"), "login-role"},
      {with(R"("confirmation_token": "")", R"("confirmation_token": null)"), "login-null-column"},
      {with(R"("recovery_token": "")", R"("recovery_token": null)"), "login-null-column"},
      {with(R"("email_change_token_new": "")", R"("email_change_token_new": null)"), "login-null-column"},
      {with(R"("email_change": "")", R"("email_change": null)"), "login-null-column"},
      {with(R"("reauthentication_token": "")", R"("reauthentication_token": null)"), "login-null-column"},
      {with(R"("updated_at": "2024-01-01T00:00:00+00:00")", R"("updated_at": null)"), "login-null-column"},
      {with(R"("email_confirmed_at": "2024-01-01T00:00:00+00:00")", R"("email_confirmed_at": null)"),
       "login-not-confirmed"},
      {with(hash, ""), "login-no-password"},
      {with(hash, "pbkdf2:sha256:1000$a$b"), "login-unusable-hash"},
  };
  for (const auto& [user, code] : broken)
    EXPECT_THAT(codes(examine_login({user, false, 1}, "correct horse")), ElementsAre(code)) << user;
  EXPECT_THAT(codes(examine_login({good, true, 1}, "correct horse")), ElementsAre("login-banned"));
  EXPECT_THAT(codes(examine_login({good, false, 0}, "correct horse")), ElementsAre("login-no-identity"));
}

TEST(Login, WithoutAPasswordToTryOnlyWhatIsStoredCounts) {
  EXPECT_THAT(codes(examine_login({good, false, 1})), IsEmpty());
  EXPECT_EQ(examine_login({with(hash, ""), false, 1}).hash_kind, "none");
  EXPECT_THAT(codes(examine_login({with(hash, ""), false, 1})), IsEmpty());
  EXPECT_THAT(codes(examine_login({with(hash, "hunter2"), false, 1})), ElementsAre("login-unusable-hash"));
  EXPECT_EQ(examine_login({with(hash, "hunter2"), false, 1}).hash_kind, "unusable");
}

TEST(Login, NoValueIsRepeated) {
  for (const auto& obstacle : examine_login({with(hash, "hunter2"), true, 0}, "hunter3").obstacles)
    EXPECT_THAT(obstacle.message, ::testing::Not(::testing::HasSubstr("hunter")));
}

}  // namespace
}  // namespace tidegate
