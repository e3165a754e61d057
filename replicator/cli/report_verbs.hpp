// What report and support-bundle begin with.
#pragma once

#include "replicator/cli/invocation.hpp"
#include "replicator/report/migration_report.hpp"

namespace tidegate::cli {

// Throws Refused where no pipeline has run.
report::Migration migration_of(const Invocation& invocation);

}  // namespace tidegate::cli
