// Secrets in what a hook prints, in the forms in which programs print them.
#include "replicator/cutover/hook_output.hpp"

#include <gtest/gtest.h>

namespace tidegate::cutover {
namespace {

TEST(HookOutput, SecretsAreMasked) {
  const std::string jwt = "eyJhbGciOiJIUzI1NiJ9.eyJyb2xlIjoic2VydmljZSJ9.c2ln";
  const std::pair<std::string, const char*> cases[] = {
      {"postgres://u:hunter2@h/db\n", "postgres://u:***@h/db\n"},
      {"PGPASSWORD=hunter2 psql", "PGPASSWORD=*** psql"},
      {"+ export DB_PASSWORD=hunter2", "+ export DB_PASSWORD=***"},
      {"psql --password hunter2 -h x", "psql --password *** -h x"},
      {"> Authorization: Bearer hunter2 more", "> Authorization: ***"},
      {"curl -H 'authorization: Basic aHVudGVy' https://h", "curl -H 'authorization: ***' https://h"},
      {"curl -H \"apikey: hunter2\" https://h", "curl -H \"apikey: ***\" https://h"},
      {R"({"token": "hunter2", "n": 1})", R"({"token": ***, "n": 1})"},
      {R"({"client_secret":"hun ter2"})", R"({"client_secret":***})"},
      {"AWS_SECRET_ACCESS_KEY=hunter2\nsecond line", "AWS_SECRET_ACCESS_KEY=***\nsecond line"},
      {"https://h/a?access_token=hunter2&x=1", "https://h/a?access_token=***&x=1"},
      {"bearer hunter2, then", "bearer ***, then"},
      {"key " + jwt + " is used", "key *** is used"},
      {"sb_secret_hunter2 is used", "*** is used"},
      {"password: hunter2", "password: ***"},
      {"password=", "password=***"},
      {"token: 'hunter2", "token: ***"},
  };
  for (const auto& [text, masked] : cases) EXPECT_EQ(masked_output(text), masked);
}

TEST(HookOutput, WhatIsNoSecretStays) {
  for (const char* text :
       {"", "\n", "moved app.example.test to 10.0.0.2 within 60 s\n\nreloaded", "the password is wrong",
        "no token", "https://host:80/path a", "eye: 1", "server db: UP, 3 sessions"})
    EXPECT_EQ(masked_output(text), text);
}

TEST(HookOutput, TheBundleLeavesItOut) {
  EXPECT_EQ(without_output(std::string("hook on-switch took 3 ms") + output_mark + "anything"),
            "hook on-switch took 3 ms");
  EXPECT_EQ(without_output("streaming"), "streaming");
}

}  // namespace
}  // namespace tidegate::cutover
