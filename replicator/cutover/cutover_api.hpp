// What the daemon answers about cutovers. control/endpoints.md describes it.
#pragma once

#include <optional>

#include "replicator/control/api.hpp"
#include "replicator/cutover/cutover.hpp"

namespace tidegate::cutover {

// Absent where the request is none of these. `phase`: of the pipeline, by which verbs are permitted.
std::optional<control::Response> answer(Cutover& cutover, const control::Request& request,
                                        const std::string& phase, const std::string& pipeline);

}  // namespace tidegate::cutover
