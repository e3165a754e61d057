// [cutover] and [hooks] of tidegate.toml.
#pragma once

#include <array>
#include <filesystem>

#include "replicator/config/section.hpp"

namespace tidegate {

// Files of these names in [hooks] dir are run; cutover/README.md says when, and what each may do.
inline constexpr std::array hook_events{"check",       "on-ready",   "before-fence",  "on-hold", "on-drained",
                                        "on-fenced",   "on-switch",  "verify-switch", "on-done", "on-abort",
                                        "on-rollback", "on-failure", "on-status"};

void read_cutover(Section section, CutoverSettings& into);
// A relative `dir` is meant from `folder`.
void read_hooks(Section section, const std::filesystem::path& folder, HookSettings& into);

}  // namespace tidegate
