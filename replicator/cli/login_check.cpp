// login-check: would Supabase Auth let somebody in? Asked of the target's tables, not of Supabase Auth
// itself.
#include <boost/json.hpp>

#include <fmt/format.h>

#include <map>

#include "replicator/auth/stored_logins.hpp"
#include "replicator/cli/password_input.hpp"
#include "replicator/cli/verbs.hpp"
#include "replicator/config/units.hpp"
#include "replicator/control/store.hpp"
#include "replicator/failure.hpp"
#include "replicator/server_access.hpp"
#include "replicator/who.hpp"

namespace tidegate::cli {
namespace {

namespace json = boost::json;
constexpr std::size_t shown_users = 20;

postgres::Connection connect(const Invocation& invocation) {
  const Settings settings = settings_of(invocation, Purpose::find);
  if (settings.target.end.kind != Endpoint::Kind::postgres)
    throw Coded<Usage>("no-target", "there is no target to check logins on",
                       "give it with --target, in TIDEGATE_TARGET_URL, an --env-file or tidegate.toml");
  return connect_target(connect_options(settings, "tidegate login-check"));
}

// Whose password was tried, and by whom, is nobody's secret; before a first run there is no pipeline to keep
// it.
void keep_in_audit(const Invocation& invocation, const std::string& detail) {
  const auto control = find_state_dir(invocation) / "control.db";
  if (std::filesystem::exists(control))
    ControlStore(control).audit("login-check", who_runs_this(), invocation.flags.reason.value_or(""), detail);
}

json::array obstacles_json(const LoginExamination& examined) {
  json::array out;
  for (const auto& [code, message] : examined.obstacles)
    out.push_back(json::object{{"code", code}, {"message", message}});
  return out;
}

// One that no login finds does not matter where another is found.
LoginExamination examine_all(const std::vector<StoredLogin>& found, const std::string& password) {
  if (found.empty())
    return {"", "none", {{"login-not-found", "auth.users has no user with that e-mail address"}}};
  LoginExamination first = examine_login(found.front(), password);
  if (found.size() > 1)
    first.obstacles.push_back(
        {"login-two-spellings",
         fmt::format("{} users have that address, spelled in more than one way", found.size())});
  return first;
}

int check_one(const Invocation& invocation) {
  postgres::Connection target = connect(invocation);
  const std::string password = read_password(fmt::format("Password of {}: ", invocation.word));
  keep_in_audit(invocation, "one login");
  const LoginExamination examined = examine_all(logins_of(target, invocation.word), password);
  const bool accepted = examined.obstacles.empty();
  if (invocation.json) {
    fmt::print("{}\n", json::serialize(json::object{{"email", invocation.word},
                                                    {"accepted", accepted},
                                                    {"hash", examined.hash_kind},
                                                    {"obstacles", obstacles_json(examined)}}));
  } else if (accepted) {
    fmt::print("{}: Supabase Auth would accept this login (hash: {})\n", invocation.word, examined.hash_kind);
  } else {
    fmt::print("{}: Supabase Auth would refuse this login\n", invocation.word);
    for (const auto& [code, message] : examined.obstacles) fmt::print("  {:<22} {}\n", code, message);
  }
  return static_cast<int>(accepted ? Exit::done : Exit::refused);
}

struct Sample {
  std::map<std::string, std::uint64_t> kinds;
  std::vector<LoginExamination> refused;
};

Sample examine_sample(const std::vector<StoredLogin>& logins) {
  Sample sample;
  for (const auto& login : logins) {
    LoginExamination examined = examine_login(login);
    ++sample.kinds[examined.hash_kind];
    if (!examined.obstacles.empty()) sample.refused.push_back(std::move(examined));
  }
  return sample;
}

json::object sample_json(const Sample& sample, std::size_t looked_at) {
  json::object kinds;
  for (const auto& [kind, count] : sample.kinds) kinds[kind] = count;
  json::array refused;
  for (const auto& examined : sample.refused)
    refused.push_back(json::object{
        {"id", examined.id}, {"hash", examined.hash_kind}, {"obstacles", obstacles_json(examined)}});
  return {{"users", looked_at}, {"kinds", kinds}, {"refused", refused}};
}

void print_sample(const Sample& sample, std::size_t looked_at) {
  fmt::print("{} looked at:\n", looked_at == 1 ? "1 user" : format_count(looked_at) + " users");
  for (const auto& [kind, count] : sample.kinds)
    fmt::print("  {:<16} {:>10}{}\n", kind, format_count(count), kind == "none" ? "  (need a reset)" : "");
  for (std::size_t i = 0; i < sample.refused.size() && i < shown_users; ++i)
    for (const auto& [code, message] : sample.refused[i].obstacles)
      fmt::print("  {}  {:<22} {}\n", sample.refused[i].id, code, message);
  if (sample.refused.size() > shown_users)
    fmt::print("  and {} more; --json lists all\n", format_count(sample.refused.size() - shown_users));
  if (sample.refused.empty())
    fmt::print("none of them would be refused for what is stored\n");
  else
    fmt::print("{} of them could not log in\n", format_count(sample.refused.size()));
}

int check_sample(const Invocation& invocation) {
  postgres::Connection target = connect(invocation);
  keep_in_audit(invocation, fmt::format("a sample of {}", *invocation.sample));
  const auto logins = some_logins(target, *invocation.sample);
  const Sample sample = examine_sample(logins);
  if (invocation.json)
    fmt::print("{}\n", json::serialize(sample_json(sample, logins.size())));
  else
    print_sample(sample, logins.size());
  return static_cast<int>(sample.refused.empty() ? Exit::done : Exit::refused);
}

}  // namespace

int login_check(const Invocation& invocation) {
  if (invocation.word.empty() != invocation.sample.has_value())
    throw Coded<Usage>("usage", "login-check wants an e-mail address or --sample N, and not both",
                       "See: tidegate login-check --help");
  return invocation.sample ? check_sample(invocation) : check_one(invocation);
}

}  // namespace tidegate::cli
