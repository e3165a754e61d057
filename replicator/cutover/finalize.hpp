// The end of a pipeline whose target is live. README.md, "Finalize", has the steps; each can be done again,
// so that after a crash the same call goes on.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "apply/plan.hpp"
#include "replicator/config/settings.hpp"

namespace tidegate::cutover {

// Gone for good: nothing is asked of the legacy database, and nothing is cleaned there.
enum class LegacyIs { there, gone };

// What keeps it from beginning, and notes of what it will do. Changes nothing.
std::vector<Finding> examine_end(const Settings& settings, LegacyIs legacy_is);

// The caller holds the state directory. `said` hears each step once it is done. Throws Refused where
// something blocks; where it throws later, what was done stays done, and a daemon is refused from then on.
using Said = std::function<void(const std::string&)>;
void finalize(const Settings& settings, LegacyIs legacy_is, const std::string& by, const std::string& reason,
              const Said& said);

// Before anything is opened there: throws Refused ("finalized") where it has begun.
void refuse_finalized(const std::filesystem::path& state_dir);

// Before the first run changes it: `finalize` puts it back.
void remember_journal_mode(const Settings& settings);

}  // namespace tidegate::cutover
