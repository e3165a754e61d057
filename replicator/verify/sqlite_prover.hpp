// A SQLite file against its target: the live file against the shadow at a cut, and the shadow of that cut
// against the target at the cut's position.
#pragma once

#include <memory>

#include "replicator/config/settings.hpp"
#include "replicator/pipeline/apply_hold.hpp"
#include "replicator/verify/prover.hpp"

namespace tidegate {
class CaptureWorker;
}

namespace tidegate::verify {

std::unique_ptr<Prover> make_sqlite_prover(const Settings& settings, CaptureWorker& capture, ApplyHold& hold);

}  // namespace tidegate::verify
