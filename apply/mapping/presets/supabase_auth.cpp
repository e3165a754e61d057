#include "apply/mapping/presets/supabase_auth.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "apply/mapping/keys/key_calls.hpp"

namespace tidegate {
namespace {

constexpr const char* long_ago = "'1970-01-01 00:00:00+00'";

constexpr const char* white_space = "char(32, 9, 10, 11, 12, 13, 160)";

std::string text_literal(std::string_view text) {
  std::string out = "'";
  for (char c : text) out.append(c == '\'' ? 2 : 1, c);
  return out + '\'';
}

class Expansion {
 public:
  explicit Expansion(const AuthPreset& preset) : preset_(preset) {}

  PlacedText id() const {
    if (preset_.id) return *preset_.id;
    const std::string entity = preset_.from.substr(preset_.from.rfind('.') + 1);
    return placed(fmt::format("uuid({}, {})", text_literal(entity), preset_.key));
  }

  PlacedText email() const {
    const std::string written =
        fmt::format("nullif(lower(trim({}, {})), '')", preset_.email.text, white_space);
    if (!preset_.missing_email) return {written, preset_.email.where};
    return {fmt::format("coalesce({}, missing_email({}, {}))", written, key_of_address(),
                        text_literal(preset_.missing_email->text)),
            preset_.email.where};
  }

  PlacedText hash() const {
    const std::string where = preset_.password ? preset_.password->where : preset_.where;
    const std::string carried =
        preset_.password ? fmt::format("password_hash({})", preset_.password->text) : "''";
    if (!preset_.temporary_passwords) return {carried, where};
    return {fmt::format("coalesce(nullif({}, ''), temporary_password({}{}))", carried, words(), preset_.key),
            where};
  }

  PlacedText kind() const {
    return preset_.password
               ? PlacedText{fmt::format("password_kind({})", preset_.password->text), preset_.password->where}
               : placed("'none'");
  }

  PlacedText created_at() const {
    if (!preset_.created_at) return placed(long_ago);
    return {fmt::format("coalesce({}, {})", preset_.created_at->text, long_ago), preset_.created_at->where};
  }

  PlacedText updated_at() const {
    if (!preset_.updated_at) return created_at();
    return {fmt::format("coalesce({}, {})", preset_.updated_at->text, created_at().text),
            preset_.updated_at->where};
  }

  PlacedText confirmed_at() const { return preset_.confirmed_at ? *preset_.confirmed_at : created_at(); }

  PlacedText app_metadata() const {
    return placed(object("'provider', 'email', 'providers', json_array('email')", preset_.app_metadata));
  }

  PlacedText user_metadata() const {
    return placed(
        object(preset_.name ? fmt::format("'name', {}", preset_.name->text) : "", preset_.user_metadata));
  }

  PlacedText identity_data() const {
    const std::string verified =
        preset_.confirmed_at ? fmt::format("iif(({}) IS NULL, 'false', 'true')", preset_.confirmed_at->text)
                             : "'true'";
    return placed(fmt::format(
        "json_object('sub', {}, 'email', {}, 'email_verified', json({}), 'phone_verified', json('false'))",
        id().text, email().text, verified));
  }

  PlacedText identity_id() const {
    return placed(fmt::format("uuid('auth.identities', {}{})", words(), id().text));
  }
  PlacedText placed(std::string text) const { return {std::move(text), preset_.where}; }

 private:
  std::string words() const {
    std::string arguments;
    for (const auto& word : preset_.among) arguments += text_literal(word) + ", ";
    return arguments;
  }

  std::string key_of_address() const {
    if (preset_.among.empty()) return preset_.key;
    return fmt::format("{} || ({})", text_literal(fmt::format("{}-", fmt::join(preset_.among, "-"))),
                       preset_.key);
  }

  static std::string object(std::string members, const std::vector<MapColumn>& more) {
    for (const auto& member : more)
      members += fmt::format("{}{}, {}", members.empty() ? "" : ", ", text_literal(member.target),
                             member.expression.text);
    return "json_object(" + members + ")";
  }

  const AuthPreset& preset_;
};

MapTarget target_of(const AuthPreset& preset, const char* table) {
  MapTarget target;
  target.schema = "auth";
  target.table = table;
  target.where = preset.where;
  target.key = {"id"};
  return target;
}

MapTarget users(const AuthPreset& preset, const Expansion& expansion) {
  MapTarget target = target_of(preset, "users");
  const auto add = [&](const char* column, PlacedText expression) {
    target.columns.push_back({column, std::move(expression)});
  };
  add("id", expansion.id());
  add("instance_id", expansion.placed("'00000000-0000-0000-0000-000000000000'"));
  add("aud", expansion.placed("'authenticated'"));
  add("role", expansion.placed("'authenticated'"));
  add("email", expansion.email());
  add("encrypted_password", expansion.hash());
  add("email_confirmed_at", expansion.confirmed_at());
  if (preset.phone)
    add("phone", {fmt::format("nullif(ltrim({}, '+'), '')", preset.phone->text), preset.phone->where});
  if (preset.phone_confirmed_at) add("phone_confirmed_at", *preset.phone_confirmed_at);
  if (preset.last_sign_in_at) add("last_sign_in_at", *preset.last_sign_in_at);
  add("raw_app_meta_data", expansion.app_metadata());
  add("raw_user_meta_data", expansion.user_metadata());
  add("created_at", expansion.created_at());
  add("updated_at", expansion.updated_at());
  // NULL in one of these ends each login in "Database error querying schema".
  for (const char* column :
       {"confirmation_token", "recovery_token", "email_change_token_new", "email_change",
        "email_change_token_current", "phone_change", "phone_change_token", "reauthentication_token"})
    add(column, expansion.placed("''"));
  return target;
}

MapTarget identities(const AuthPreset& preset, const Expansion& expansion) {
  MapTarget target = target_of(preset, "identities");
  target.columns = {{"id", expansion.identity_id()},
                    {"user_id", expansion.id()},
                    {"provider", expansion.placed("'email'")},
                    {"provider_id", expansion.id()},
                    {"identity_data", expansion.identity_data()},
                    {"created_at", expansion.created_at()},
                    {"updated_at", expansion.updated_at()}};
  if (preset.last_sign_in_at) target.columns.push_back({"last_sign_in_at", *preset.last_sign_in_at});
  if (!preset.missing_email)
    target.condition = PlacedText{fmt::format("{} IS NOT NULL", expansion.email().text), preset.email.where};
  return target;
}

}  // namespace

void tell_presets_apart(std::vector<AuthPreset>& presets) {
  if (presets.size() < 2) return;
  for (auto& preset : presets) {
    const auto call = key_call(Expansion(preset).id().text);
    preset.among = {call ? call->entity : preset.from};
    if (call) preset.among.insert(preset.among.end(), call->words.begin(), call->words.end());
  }
}

std::vector<MapTarget> expand(const AuthPreset& preset) {
  const Expansion expansion(preset);
  return {users(preset, expansion), identities(preset, expansion)};
}

MapDefinition credentials_of(const AuthPreset& preset) {
  const Expansion expansion(preset);
  MapTarget target = target_of(preset, "users");
  target.columns = {{"key", expansion.placed(preset.key)},
                    {"key_type", expansion.placed("typeof(" + preset.key + ")")},
                    {"id", expansion.id()},
                    {"email", expansion.email()},
                    {"kind", expansion.kind()},
                    {"hash", expansion.hash()}};
  MapDefinition map;
  map.from = preset.from;
  map.where = preset.where;
  map.condition = preset.condition;
  map.to.push_back(std::move(target));
  return map;
}

}  // namespace tidegate
