#include "replicator/cli/cli.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <iterator>

#include "replicator/cli/command_line.hpp"
#include "replicator/cli/explain.hpp"
#include "replicator/cli/verbs.hpp"
#include "replicator/cutover/hold_process.hpp"
#include "replicator/failure.hpp"

namespace tidegate::cli {

namespace {

constexpr VerbEntry verbs[] = {
    {"try", try_out},
    {"init", init},
    {"config check", config_check},
    {"config show", config_show},
    {"doctor", doctor},
    {"plan", plan},
    {"schema make", schema_make},
    {"schema list", schema_list},
    {"schema apply", schema_apply},
    {"schema diff", schema_diff},
    {"backup create", backup_create},
    {"backup list", backup_list},
    {"backup verify", backup_verify},
    {"backup restore", backup_restore},
    {"run", run},
    {"stop", stop},
    {"list", list},
    {"status", status},
    {"sync", sync},
    {"pause", pause},
    {"resume", resume},
    {"throttle", throttle},
    {"events", events},
    {"resync", resync},
    {"reset", reset},
    {"verify", verify},
    {"repair", repair},
    {"verify status", verify_status},
    {"verify stop", verify_stop},
    {"audit", audit},
    {"report", report_verb},
    {"support-bundle", support_bundle},
    {"keys export", keys_export},
    {"credentials export", credentials_export},
    {"quarantine list", quarantine_list},
    {"quarantine show", quarantine_show},
    {"quarantine retry", quarantine_retry},
    {"quarantine accept", quarantine_accept},
    {"login-check", login_check},
    {"cutover", cutover},
    {"rollback", cutover},
    {"abort", abort},
    {"finalize", finalize},
    {"explain", explain},
    {"version", version},
};

int act(const Invocation& invocation) {
  const auto* entry = std::find_if(std::begin(verbs), std::end(verbs),
                                   [&](const VerbEntry& verb) { return invocation.verb == verb.name; });
  if (entry == std::end(verbs)) throw std::logic_error("a verb without a handler: " + invocation.verb);
  return entry->act(invocation);
}

// What the databases say comes without a way out: it is in the explanation of their code.
Told with_way_out(Told what) {
  const Explanation* known = explanation_of(what.code);
  const bool is_general = what.code == "failed" || what.code == "refused" || what.code == "usage";
  if (what.mend.empty() && known && !is_general) what.mend = std::string(known->mend);
  return what;
}

std::string one_line(std::string text) {
  for (char& c : text)
    if (c == '\n' || c == '\t') c = ' ';
  while (!text.empty() && (text.back() == ' ' || text.back() == '.')) text.pop_back();
  return text;
}

int say(const std::exception& failure, bool json) {
  const Exit exit = exit_of(failure);
  Told what = with_way_out(told(failure));
  what.message = one_line(what.message);
  what.mend = one_line(what.mend);
  if (json)
    fmt::print(stderr, "{}\n", error_json(what, exit));
  else
    fmt::print(stderr, "tidegate: {}{}{}\n", what.message, what.mend.empty() ? "" : "; ", what.mend);
  return static_cast<int>(exit);
}

int read_and_act(int argc, char** argv) {
  const auto read = read_command_line(argc, argv);
  if (const auto* help = std::get_if<Help>(&read)) {
    fmt::print("{}", help->text);
    return static_cast<int>(Exit::done);
  }
  return act(std::get<Invocation>(read));
}

}  // namespace

int main_with(int argc, char** argv) {
  if (argc > 1 && std::string_view(argv[1]) == tidegate::cutover::hold_process_word)
    return tidegate::cutover::hold_process(argc, argv);
  try {
    const int code = read_and_act(argc, argv);
    // Output that could not be written (a full disk, say) is a failure too.
    if (std::fflush(stdout) != 0) throw std::runtime_error("the output could not be written");
    return code;
  } catch (const std::exception& failure) {
    return say(failure, asks_for_json(argc, argv));
  }
}

}  // namespace tidegate::cli
