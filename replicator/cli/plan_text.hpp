// A plan for eyes, and as JSON. Pure.
#pragma once

#include <boost/json/fwd.hpp>
#include <optional>
#include <string>

#include "apply/mapping/back/reversal.hpp"
#include "replicator/pipeline/daemon.hpp"
#include "replicator/pipeline/estimate.hpp"
#include "replicator/pipeline/mapping_samples.hpp"

namespace tidegate::cli {

// Each column of a mapped relation: its expression, and the types that it has in rows of the source.
// `of_server`: says how a server's values are bound.
std::string mapping_text(const std::vector<MapSample>& samples, bool of_server);
// What a way back could take of each mapped table, and what not.
std::string way_back_text(const std::vector<Reversal>& reversals);
// Tables with their rows, and what is not carried over as it is.
std::string plan_text(const PlannedPipeline& planned, const Settings& settings,
                      const std::optional<Estimate>& estimate = {});
// The SQL that `run` would execute.
std::string ddl_text(const PlannedPipeline& planned, const Settings& settings);
std::string plan_json(const PlannedPipeline& planned, const Settings& settings,
                      const std::optional<Estimate>& estimate = {},
                      const std::vector<MapSample>& samples = {});

// Findings by level, each with its mend.
boost::json::array findings_json(const std::vector<Finding>& findings);
std::string findings_text(const std::vector<Finding>& findings);

}  // namespace tidegate::cli
