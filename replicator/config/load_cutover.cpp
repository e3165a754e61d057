#include "replicator/config/load_cutover.hpp"

namespace tidegate {

void read_cutover(Section section, CutoverSettings& into) {
  into.max_hold = section.duration("max_hold").value_or(into.max_hold);
  into.max_lag = section.duration("max_lag").value_or(into.max_lag);
  into.calm = section.duration("calm").value_or(into.calm);
  into.timeout = section.duration("timeout").value_or(into.timeout);
  into.attempts = section.count("attempts").value_or(into.attempts);
  into.backup_max_age = section.duration("backup_max_age").value_or(into.backup_max_age);
  section.finish();
}

void read_hooks(Section section, const std::filesystem::path& folder, HookSettings& into) {
  if (const auto dir = section.text("dir"); dir && !dir->empty())
    into.dir = (folder / *dir).lexically_normal();
  into.timeout = section.duration("timeout").value_or(into.timeout);
  if (auto timeouts = section.section("timeouts")) {
    for (const char* event : hook_events)
      if (const auto time = timeouts->duration(event)) into.timeouts[event] = *time;
    timeouts->finish();
  }
  if (auto policies = section.section("policies")) {
    for (const char* event : hook_events)
      if (const auto word = policies->choice(event, {"fail", "retry", "warn"}))
        into.policies[event] = static_cast<HookPolicy>(*word);
    policies->finish();
  }
  section.finish();
}

}  // namespace tidegate
