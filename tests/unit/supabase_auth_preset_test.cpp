#include "apply/mapping/presets/supabase_auth.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "apply/mapping/functions/functions.hpp"
#include "apply/mapping/keys/key_functions.hpp"
#include "apply/mapping/mapped_row.hpp"
#include "apply/mapping/mapping.hpp"

namespace tidegate {
namespace {

using ::testing::HasSubstr;

PlacedText placed(std::string text) {
  return {std::move(text), "t.toml:3:9"};
}

AuthPreset preset() {
  AuthPreset made;
  made.from = "user";
  made.where = "t.toml:2:1";
  made.email = placed("email");
  made.password = placed("hash");
  made.created_at = placed("made");
  return made;
}

SourceTable users() {
  SourceTable table;
  table.name = "user";
  table.primary_key = {"id"};
  for (auto [name, type] :
       {std::pair("id", "INTEGER"), std::pair("email", "TEXT"), std::pair("hash", "TEXT"),
        std::pair("made", "DATETIME"), std::pair("seen", "DATETIME"), std::pair("role", "TEXT")}) {
    SourceColumn& column = table.columns.emplace_back();
    column.name = name;
    column.declared_type = type;
  }
  return table;
}
const Relation relation{1, "user", {"id", "email", "hash", "made", "seen", "role"}, {0}};

using Columns = std::map<std::string, Value>;

std::vector<std::optional<Columns>> mapped(const std::vector<MapTarget>& targets, const Row& row) {
  std::vector<MapDefinition> maps(1);
  maps[0].from = "user";
  maps[0].to = targets;
  MappingOptions options;
  options.functions = [](sqlite::Database& engine) {
    register_key_functions(engine, UuidMaker("codopia"), nullptr, {});
    add_functions(engine, {TemporaryPasswords("0123456789abcdef0123456789abcdef", "codopia")});
  };
  MappedTable table(outputs_of(maps, "user"), users(), relation, options, 0);
  std::vector<std::optional<Row>> rows;
  table.map_row(row, rows);
  std::vector<std::optional<Columns>> out;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    out.emplace_back();
    if (!rows[i]) continue;
    EXPECT_FALSE(misfit_of(table.relation(i), *rows[i]));
    out[i].emplace();
    for (std::size_t c = 0; c < targets[i].columns.size(); ++c)
      (*out[i])[targets[i].columns[c].target] = (*rows[i])[c];
  }
  return out;
}

const Row ann = {std::int64_t{57},
                 std::string(" Ann@Example.ORG "),
                 std::string("$2b$04$abcdefghijklmnopqrstuujydOTSfIH/d5oUHpsygqV5X9xJLQc6e"),
                 std::string("2024-01-02 03:04:05"),
                 Null{},
                 std::string("teacher's")};

std::string text(const Columns& columns, const std::string& name) {
  const auto* found = std::get_if<std::string>(&columns.at(name));
  return found ? *found : "not a text";
}

TEST(SupabaseAuthPreset, AUserIsCompleteForSupabaseAuth) {
  const auto user = mapped(expand(preset()), ann)[0].value();
  EXPECT_EQ(text(user, "id"), UuidMaker("codopia").make({std::string("user"), std::int64_t{57}}));
  EXPECT_EQ(text(user, "instance_id"), "00000000-0000-0000-0000-000000000000");
  EXPECT_EQ(text(user, "aud") + text(user, "role"), "authenticatedauthenticated");
  EXPECT_EQ(text(user, "email"), "ann@example.org");
  EXPECT_EQ(text(user, "encrypted_password"), std::get<std::string>(ann[2]));
  for (const char* time : {"email_confirmed_at", "created_at", "updated_at"})
    EXPECT_EQ(text(user, time), "2024-01-02 03:04:05") << time;
  EXPECT_EQ(text(user, "raw_app_meta_data"), R"({"provider":"email","providers":["email"]})");
  EXPECT_EQ(text(user, "raw_user_meta_data"), "{}");
  for (const char* token :
       {"confirmation_token", "recovery_token", "email_change_token_new", "email_change",
        "email_change_token_current", "phone_change", "phone_change_token", "reauthentication_token"})
    EXPECT_EQ(text(user, token), "") << token;
  // What is generated, or unique and empty, is never written.
  for (const char* never : {"confirmed_at", "phone"}) EXPECT_FALSE(user.contains(never)) << never;
}

TEST(SupabaseAuthPreset, AnIdentityGoesWithEachUser) {
  const auto rows = mapped(expand(preset()), ann);
  const auto &user = *rows[0], &identity = *rows[1];
  EXPECT_EQ(text(identity, "user_id"), text(user, "id"));
  EXPECT_EQ(text(identity, "provider_id"), text(user, "id"));
  EXPECT_EQ(text(identity, "provider"), "email");
  EXPECT_EQ(text(identity, "identity_data"),
            R"({"sub":")" + text(user, "id") +
                R"(","email":"ann@example.org","email_verified":true,"phone_verified":false})");
  EXPECT_NE(text(identity, "id"), text(user, "id"));
  EXPECT_FALSE(identity.contains("email")) << "generated";
}

TEST(SupabaseAuthPreset, APhoneIsStoredAsItIsLookedUp) {
  AuthPreset made = preset();
  made.phone = placed("'+49301234567'");
  made.phone_confirmed_at = placed("made");
  Row spaced = ann;
  spaced[1] = std::string("\tAnn@Example.ORG\r\n");
  const auto user = mapped(expand(made), spaced)[0].value();
  EXPECT_EQ(text(user, "phone"), "49301234567");
  EXPECT_EQ(text(user, "phone_confirmed_at"), "2024-01-02 03:04:05");
  EXPECT_EQ(text(user, "email"), "ann@example.org");
}

TEST(SupabaseAuthPreset, OfSeveralEachHasUsersOfItsOwn) {
  std::vector<AuthPreset> several(2, preset());
  several[0].id = placed("uuid('user', 'teacher', id)");
  several[1].id = placed("uuid('user', 'parent', id)");
  for (auto& each : several) {
    each.missing_email = placed("example.org");
    each.temporary_passwords = true;
  }
  tell_presets_apart(several);
  Row nobody = ann;
  nobody[1] = nobody[2] = Null{};
  const auto one = mapped(expand(several[0]), nobody), other = mapped(expand(several[1]), nobody);
  for (const char* column : {"id", "email", "encrypted_password"})
    EXPECT_NE(text(*one[0], column), text(*other[0], column)) << column;
  EXPECT_NE(text(*one[1], "id"), text(*other[1], "id"));
  EXPECT_EQ(text(*one[0], "email"), "no-email-user-teacher-57@example.org");
}

TEST(SupabaseAuthPreset, MetadataIsAsConfigured) {
  AuthPreset made = preset();
  made.app_metadata = {{"role", placed("role")}};
  made.name = placed("upper(role)");
  made.user_metadata = {{"it's", placed("id + 1")}};
  const auto user = mapped(expand(made), ann)[0].value();
  EXPECT_EQ(text(user, "raw_app_meta_data"),
            R"({"provider":"email","providers":["email"],"role":"teacher's"})");
  EXPECT_EQ(text(user, "raw_user_meta_data"), R"({"name":"TEACHER'S","it's":58})");
}

TEST(SupabaseAuthPreset, WithoutAnAddressThereIsNoIdentityUnlessOneIsMade) {
  Row nobody = ann;
  nobody[1] = std::string("  ");
  AuthPreset made = preset();
  auto rows = mapped(expand(made), nobody);
  EXPECT_TRUE(is_null(rows[0]->at("email")));
  EXPECT_FALSE(rows[1].has_value());
  made.missing_email = placed("none.invalid");
  rows = mapped(expand(made), nobody);
  EXPECT_EQ(text(*rows[0], "email"), "no-email-57@none.invalid");
  EXPECT_THAT(text(*rows[1], "identity_data"), HasSubstr("no-email-57@none.invalid"));
  EXPECT_EQ(text(*mapped(expand(made), ann)[0], "email"), "ann@example.org");
}

TEST(SupabaseAuthPreset, APasswordThatCannotBeCarriedOverIsEmptyOrTemporary) {
  Row old = ann;
  for (const Value& stored : {Value(Null{}), Value(std::string("pbkdf2:sha256:1$a$00"))}) {
    old[2] = stored;
    AuthPreset made = preset();
    EXPECT_EQ(text(*mapped(expand(made), old)[0], "encrypted_password"), "");
    made.temporary_passwords = true;
    const std::string hash = text(*mapped(expand(made), old)[0], "encrypted_password");
    EXPECT_EQ(hash,
              TemporaryPasswords("0123456789abcdef0123456789abcdef", "codopia").hash({std::int64_t{57}}));
    EXPECT_EQ(text(*mapped(expand(made), ann)[0], "encrypted_password"), std::get<std::string>(ann[2]));
    const auto credential = mapped(credentials_of(made).to, old)[0].value();
    EXPECT_EQ(text(credential, "hash"), hash);
    EXPECT_EQ(text(credential, "kind"), is_null(stored) ? "none" : "werkzeug_pbkdf2");
    EXPECT_EQ(credential.at("key"), Value(std::int64_t{57}));
  }
}

TEST(SupabaseAuthPreset, TimesThatAreMissing) {
  Row old = ann;
  old[3] = Null{};
  AuthPreset made = preset();
  made.confirmed_at = placed("seen");
  made.last_sign_in_at = placed("seen");
  const auto rows = mapped(expand(made), old);
  EXPECT_EQ(text(*rows[0], "created_at"), "1970-01-01 00:00:00+00");
  EXPECT_EQ(text(*rows[0], "updated_at"), "1970-01-01 00:00:00+00");
  EXPECT_TRUE(is_null(rows[0]->at("email_confirmed_at"))) << "not confirmed";
  EXPECT_THAT(text(*rows[1], "identity_data"), HasSubstr(R"("email_verified":false)"));
}

TEST(SupabaseAuthPreset, EachExpressionKeepsItsPlace) {
  for (const auto& target : expand(preset()))
    for (const auto& column : target.columns)
      EXPECT_EQ(column.expression.where, column.target == "email" || column.target == "encrypted_password" ||
                                                 column.target.ends_with("_at")
                                             ? "t.toml:3:9"
                                             : "t.toml:2:1")
          << column.target;
}

TEST(SupabaseAuthPreset, AnotherKeyAndId) {
  AuthPreset made = preset();
  made.from = "public.user";
  EXPECT_EQ(expand(made)[0].columns[0].expression.text, "uuid('user', id)");
  made.key = "person_no";
  EXPECT_EQ(expand(made)[0].columns[0].expression.text, "uuid('user', person_no)");
  made.id = placed("public_id");
  EXPECT_EQ(expand(made)[0].columns[0].expression.text, "public_id");
}

}  // namespace
}  // namespace tidegate
