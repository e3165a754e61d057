// Every code that tidegate prints, and what an operator does about it, by what it is about;
// tests/unit/house_rules.py says when one is missing.
#pragma once

#include <span>

#include "replicator/cli/explain.hpp"

namespace tidegate::cli {

std::span<const Explanation> explained_operator();  // what was typed, configured or found in files
std::span<const Explanation> explained_source();
std::span<const Explanation> explained_target();
std::span<const Explanation> explained_values();
std::span<const Explanation> explained_pipeline();  // the daemon, its stream and its proof
std::span<const Explanation> explained_cutover();   // and rollback

}  // namespace tidegate::cli
