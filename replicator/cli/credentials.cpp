// credentials export: who cannot log in with the old password, and what each of them is to be told.
#include <fcntl.h>
#include <unistd.h>

#include <boost/json.hpp>

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <map>
#include <optional>

#include "replicator/auth/credentials.hpp"
#include "replicator/cli/verbs.hpp"
#include "replicator/config/units.hpp"
#include "replicator/control/store.hpp"
#include "replicator/failure.hpp"
#include "replicator/pipeline/mapping_setup.hpp"
#include "replicator/server_access.hpp"
#include "replicator/who.hpp"

namespace tidegate::cli {
namespace {

namespace json = boost::json;

constexpr std::size_t asked_at_once = 1000;  // users in one question to the target

// A file that only its owner can read, and that goes again unless it was finished.
class PrivateFile {
 public:
  explicit PrivateFile(const std::string& path) : path_(path) {
    file_ = open(path.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
    if (file_ < 0 && errno == EEXIST)
      throw Coded<Refused>("file-exists", path + " is there already",
                           "name another file, or remove it first");
    if (file_ < 0) fail("create");
  }
  ~PrivateFile() {
    if (file_ >= 0) close(file_);
    if (!finished_) unlink(path_.c_str());
  }
  PrivateFile(const PrivateFile&) = delete;
  PrivateFile& operator=(const PrivateFile&) = delete;

  void write(std::string_view text) {
    while (!text.empty()) {
      const ssize_t count = ::write(file_, text.data(), text.size());
      if (count < 0) fail("write");
      text.remove_prefix(static_cast<std::size_t>(count));
    }
  }
  void finish() {
    if (fsync(file_) != 0) fail("write");
    finished_ = true;
  }

 private:
  [[noreturn]] void fail(const char* what) const {
    throw std::runtime_error(fmt::format("{} {}: {}", what, path_, std::strerror(errno)));
  }
  std::string path_;
  int file_ = -1;
  bool finished_ = false;
};

std::string csv_field(const std::string& text) {
  if (text.find_first_of("\",\r\n") == text.npos) return text;
  std::string out = "\"";
  for (char c : text) out.append(c == '"' ? 2 : 1, c);
  return out + '"';
}

// Writes down those whom the target still holds as a run stored them; who has changed the password since
// needs nothing.
class Export {
 public:
  Export(postgres::Connection& target, PrivateFile& file, const std::optional<TemporaryPasswords>& temporary)
      : target_(target), file_(file), temporary_(temporary) {
    file_.write("id,email,kind,remedy,temporary_password\n");
  }

  void take(const Credential& credential) {
    if (is_carried(credential) || credential.id.empty()) return;
    waiting_.push_back(credential);
    if (waiting_.size() == asked_at_once) flush();
  }

  void flush() {
    const auto stored = stored_hashes();
    for (const Credential& credential : waiting_) {
      const auto found = stored.find(credential.id);
      if (found == stored.end())
        ++counts_[{credential.kind, "not on the target"}];
      else if (found->second != credential.hash)
        ++counts_[{credential.kind, "has another password by now"}];
      else
        write(credential);
    }
    waiting_.clear();
  }

  const std::map<std::pair<std::string, std::string>, std::uint64_t>& counts() const { return counts_; }

 private:
  std::map<std::string, std::string> stored_hashes() {
    std::string ids = "{";
    for (const Credential& credential : waiting_) ids += (ids.size() > 1 ? "," : "") + credential.id;
    const auto rows =
        target_.run("SELECT id, coalesce(encrypted_password, '') FROM auth.users WHERE id = ANY ($1::uuid[])",
                    {ids + "}"});
    std::map<std::string, std::string> out;
    for (int i = 0; i < rows.rows(); ++i) out.emplace(rows.text(i, 0), rows.text(i, 1));
    return out;
  }

  void write(const Credential& credential) {
    const bool temporary = temporary_ && !credential.hash.empty();
    const std::string remedy = temporary ? "temporary password" : "reset";
    ++counts_[{credential.kind, remedy}];
    file_.write(fmt::format("{},{},{},{},{}\n", credential.id, csv_field(credential.email), credential.kind,
                            remedy, temporary ? temporary_->password(credential.key) : ""));
  }

  postgres::Connection& target_;
  PrivateFile& file_;
  const std::optional<TemporaryPasswords>& temporary_;
  std::vector<Credential> waiting_;
  std::map<std::pair<std::string, std::string>, std::uint64_t> counts_;
};

void print(const Export& done, const std::string& file, bool as_json) {
  json::array counts;
  for (const auto& [what, users] : done.counts())
    counts.push_back(json::object{{"kind", what.first}, {"remedy", what.second}, {"users", users}});
  if (as_json) {
    fmt::print("{}\n", json::serialize(json::object{{"file", file}, {"counts", counts}}));
    return;
  }
  for (const auto& [what, users] : done.counts())
    fmt::print("  {:<18} {:<28} {:>10}\n", what.first, what.second, format_count(users));
  fmt::print("{}{} holds {}; remove it when it is no longer needed\n",
             done.counts().empty() ? "every password was carried over: " : "", file,
             "what each of them is to be told");
}

void keep_in_audit(const Settings& settings, const Invocation& invocation) {
  const auto control = settings.state_dir / "control.db";
  if (!std::filesystem::exists(control))
    throw Coded<Refused>("nothing-loaded",
                         "there is no pipeline in " + settings.state_dir.string() +
                             " yet, so nobody's password is another one",
                         "export after the load; --state DIR says which pipeline");
  ControlStore(control).audit("credentials export", who_runs_this(), invocation.flags.reason.value_or(""),
                              "");
}

}  // namespace

int credentials_export(const Invocation& invocation) {
  const Settings settings = settings_of(invocation, Purpose::run);
  const auto presets = presets_of(settings);
  if (presets.empty())
    throw Coded<Refused>("no-auth-preset",
                         "no [[map]] has preset = \"supabase-auth\", so tidegate knows of no users",
                         "see apply/mapping/README.md");
  const auto tables = plan_from_catalogue(settings).tables;
  const auto temporary = temporary_passwords(settings);
  auto target = connect_target(connect_options(settings, "tidegate credentials"));
  keep_in_audit(settings, invocation);
  const std::string path = (invocation.folder / invocation.out).lexically_normal().string();
  PrivateFile file(path);
  Export exported(target, file, temporary);
  for (const AuthPreset& preset : presets) {
    each_credential(settings, preset, tables,
                    [&](const Credential& credential) { exported.take(credential); });
    exported.flush();
  }
  file.finish();
  print(exported, path, invocation.json);
  return 0;
}

}  // namespace tidegate::cli
