// support-bundle: all that a helper needs to see, and no row value: not even a key.
#include <fmt/format.h>
#include <sys/utsname.h>

#include <boost/json.hpp>
#include <fstream>

#include "capture/postgres/child_process.hpp"
#include "replicator/cli/command_line.hpp"
#include "replicator/cli/plan_text.hpp"
#include "replicator/cli/report_verbs.hpp"
#include "replicator/cli/verbs.hpp"
#include "replicator/config/units.hpp"
#include "replicator/cutover/hook_output.hpp"
#include "replicator/doctor/doctor.hpp"
#include "replicator/failure.hpp"
#include "replicator/scratch_folder.hpp"
#include "replicator/state_dir.hpp"
#include "replicator/verify/report.hpp"

namespace tidegate::cli {

namespace {

namespace fs = std::filesystem;
namespace json = boost::json;

constexpr std::streamoff most_log = 4 << 20;  // bytes from its end

std::string settings_text(const Settings& settings) {
  std::string text;
  for (const auto& line : show(settings))
    text += fmt::format("{} = {}  # {}\n", line.name, line.value, line.origin);
  return text;
}

// From the first whole line on. Our logs hold no secret; what stands in one all the same is masked.
std::string log_text(const Settings& settings, const fs::path& state_dir) {
  const fs::path file = settings.log.file.empty() ? state_dir / "daemon.log" : fs::path(settings.log.file);
  std::ifstream stream(file, std::ios::binary | std::ios::ate);
  if (!stream) return "no log at " + file.string() + "\n";
  const std::streamoff size = stream.tellg(), begin = std::max<std::streamoff>(size - most_log, 0);
  stream.seekg(begin);
  std::string text(static_cast<std::size_t>(size - begin), '\0'), masked;
  stream.read(text.data(), size - begin);
  std::size_t at = begin == 0 ? 0 : std::min(text.find('\n'), text.size() - 1) + 1;
  for (std::size_t end = at; at < text.size(); at = end + 1) {
    end = std::min(text.find('\n', at), text.size());
    masked += masked_text(text.substr(at, end - at)) + "\n";
  }
  return masked;
}

std::string machine_text(const fs::path& state_dir) {
  utsname system{};
  uname(&system);
  std::error_code ignored;
  const auto space = fs::space(state_dir, ignored);
  std::string text = fmt::format("{}\n{} {} {}\nstate directory: {} free\n", version_text(), system.sysname,
                                 system.release, system.machine, format_size(space.available));
  for (const auto& entry : fs::recursive_directory_iterator(state_dir, ignored)) {
    if (entry.is_regular_file(ignored))
      text += fmt::format("{:>14}  {}\n", entry.file_size(ignored),
                          fs::relative(entry.path(), state_dir).string());
  }
  return text;
}

// An end that does not answer is a finding as well.
template <typename Examine>
void examine(std::vector<Finding>& findings, const Settings& settings, Examine&& end) {
  try {
    for (auto& finding : end(settings)) findings.push_back(std::move(finding));
  } catch (const std::exception& failure) {
    const Told what = told(failure);
    findings.push_back({Finding::Level::block, what.code, "", "", what.message, what.mend});
  }
}

// What doctor finds without reading the rows, whose findings name keys.
std::string findings_of(const Settings& settings) {
  std::vector<Finding> findings;
  examine(findings, settings, [](const Settings& s) { return plan_from_catalogue(s).findings; });
  examine(findings, settings, examine_target);
  examine(findings, settings, examine_machine);
  return json::serialize(findings_json(findings)) + "\n";
}

// The newest verify without the rows that it names.
std::string verify_text(const report::Migration& migration) {
  if (!migration.verification) return "null\n";
  verify::Report report = *migration.verification;
  report.differences.clear();
  report.excepted.clear();
  return verify::to_json(report) + "\n";
}

void write_parts(const fs::path& folder, const Invocation& invocation, const Settings& settings,
                 const report::Migration& migration) {
  const auto state_dir = find_state_dir(invocation);
  const auto write = [&](const char* name, const std::string& text) {
    write_file_atomically(folder / name, text);
  };
  std::string audit;
  for (auto entry : migration.audit) {
    entry.detail = cutover::without_output(entry.detail);
    audit += to_json_line(entry) + "\n";
  }
  write("configuration.txt", settings_text(settings));
  write("status.json", to_json(migration.status) + "\n");
  write("findings.json", findings_of(settings));
  write("verify.json", verify_text(migration));
  write("audit.jsonl", audit);
  write("log.txt", log_text(settings, state_dir));
  write("machine.txt", machine_text(state_dir));
}

}  // namespace

int support_bundle(const Invocation& invocation) {
  const auto migration = migration_of(invocation);
  const Settings settings = settings_of(invocation, Purpose::find);
  const std::string name =
      invocation.word.empty() ? "tidegate-" + migration.status.pipeline + ".tar.gz" : invocation.word;
  const fs::path file = invocation.folder / name;
  if (fs::exists(file))
    throw Coded<Refused>("file-exists", file.string() + " is there already", "name another file");
  const ScratchFolder parts(file.string() + ".parts"), made(file.string() + ".part");
  const fs::path bundle = made.path() / "bundle";
  write_parts(parts.path(), invocation, settings, migration);
  const auto done =
      capture::run_child({"/bin/tar", "--create", "--gzip", "--owner=0", "--group=0",
                          "--file=" + bundle.string(), "--directory=" + parts.path().string(), "."},
                         {}, 4096);
  if (done.status != 0) throw std::runtime_error("tar: " + done.err);
  fs::permissions(bundle, fs::perms::owner_read | fs::perms::owner_write);
  fs::rename(bundle, file);
  if (invocation.json)
    fmt::print("{}\n", json::serialize(json::object{{"file", file.string()}}));
  else
    fmt::print(
        "wrote {}; it holds no row value and no secret, but names of tables, columns and hosts: look through "
        "it before you send it\n",
        file.string());
  return 0;
}

}  // namespace tidegate::cli
