// What a start does before it writes anything: a disk that is full must not keep an application waiting.
#pragma once

#include <filesystem>

#include "replicator/config/settings.hpp"

namespace tidegate::cutover {

// Where a run ended short of its intent and the state directory has no room, runs its on-abort. With room the
// start itself does so, and says so in the audit. Never throws.
void let_go_without_room(const Settings& settings, const std::filesystem::path& state_dir);

}  // namespace tidegate::cutover
