// What stands in the folder of hooks: what cannot be run, what never is, and what a cutover will run.
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>

#include "replicator/config/load_cutover.hpp"
#include "replicator/cutover/hooks.hpp"
#include "replicator/nearest.hpp"

namespace tidegate::cutover {
namespace {

namespace fs = std::filesystem;

Finding finding(Finding::Level level, const char* code, std::string message, std::string mend) {
  return {level, code, "", "", std::move(message), std::move(mend)};
}

Finding block(const char* code, const std::string& message, const std::string& mend) {
  return finding(Finding::Level::block, code, message, mend);
}

bool is_program(const fs::path& file) {
  struct stat facts {};
  return stat(file.c_str(), &facts) == 0 && S_ISREG(facts.st_mode) && access(file.c_str(), X_OK) == 0;
}

void look_at_event(const fs::path& file, std::vector<Finding>& findings) {
  struct stat facts {};
  if (lstat(file.c_str(), &facts) != 0) return;
  if (stat(file.c_str(), &facts) != 0)
    return findings.push_back(block("hook-not-executable",
                                    "the hook " + file.string() + " leads to a file that is not there",
                                    "put the program there, or take the link away"));
  if (!is_program(file))
    findings.push_back(
        block("hook-not-executable", "the hook " + file.string() + " cannot be executed", "chmod +x it"));
  if ((facts.st_mode & S_IWOTH) != 0 || (facts.st_uid != geteuid() && facts.st_uid != 0))
    findings.push_back(block("hook-not-safe", "the hook " + file.string() + " can be changed by another user",
                             "make it yours or root's, and writable by its owner only"));
}

const std::vector<std::string>& events() {
  static const std::vector<std::string> all(hook_events.begin(), hook_events.end());
  return all;
}

bool is_event(const std::string& word) {
  return std::find(events().begin(), events().end(), word) != events().end();
}

// on_switch.sh and the like; empty: no hook's name.
std::string spelled_otherwise(const fs::path& file) {
  const std::string end = file.extension().string();
  for (const char* script : {"", ".sh", ".bash", ".py", ".pl", ".rb", ".js"}) {
    if (end != script) continue;
    std::string word = file.stem().string();
    for (char& c : word)
      c = c == '_' || c == ' ' ? '-' : static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    return word;
  }
  return "";
}

// The event that a file of another name was perhaps meant for.
std::optional<std::string> meant(const fs::path& file) {
  const std::string word = spelled_otherwise(file);
  if (word.empty()) return std::nullopt;
  for (const auto& name : {word, "on-" + word})
    if (is_event(name)) return name;
  return is_program(file) ? nearest(word, events()) : std::nullopt;
}

bool is_used(const fs::path& file) {
  std::error_code none;
  return std::any_of(events().begin(), events().end(), [&](const std::string& event) {
    return fs::equivalent(file.parent_path() / event, file, none);
  });
}

void look_at_other(const fs::path& file, std::vector<Finding>& findings) {
  if (is_event(file.filename()) || is_used(file)) return;
  const auto event = meant(file);
  if (!event) return;
  findings.push_back(finding(Finding::Level::warn, "hook-never-run",
                             file.string() + " is never run: no event has that name",
                             "name it " + *event + " if it was meant so"));
}

}  // namespace

std::vector<Finding> Hooks::examine() const {
  std::vector<Finding> findings;
  if (settings_.dir.empty()) return findings;
  std::error_code trouble;
  fs::directory_iterator entries(settings_.dir, trouble);
  if (trouble)
    return {block("hooks-missing", "the folder of hooks " + settings_.dir.string() + " is not there",
                  "make it, or take [hooks] dir out")};
  for (const auto& event : events()) look_at_event(settings_.dir / event, findings);
  std::vector<fs::path> files;
  for (; !trouble && entries != fs::directory_iterator(); entries.increment(trouble))
    files.push_back(entries->path());
  std::sort(files.begin(), files.end());
  for (const auto& file : files) look_at_other(file, findings);
  return findings;
}

std::vector<Finding> Hooks::plan(std::string_view direction) const {
  if (settings_.dir.empty()) return {};
  const bool back = direction == "backward", own = back && has("on-rollback");
  std::vector<Finding> findings;
  std::string there;
  for (const auto& event : events())
    if (has(event) && event != (own ? "on-switch" : back ? "" : "on-rollback"))
      there += (there.empty() ? "" : ", ") + event;
  if (!there.empty())
    findings.push_back(
        finding(Finding::Level::note, "hooks", "hooks are there for these events: " + there, ""));
  if (!own && !has("on-switch"))
    findings.push_back(finding(Finding::Level::warn, "hook-no-switch",
                               "no hook moves the traffic: there is no " +
                                   std::string(back ? "on-rollback and no on-switch" : "on-switch") + " in " +
                                   settings_.dir.string(),
                               "move it by hand once the other side is live, or put the hook there"));
  return findings;
}

}  // namespace tidegate::cutover
