// The verbs. Each returns its exit code, prints what it found to stdout, and throws for failures (see
// failure.hpp).
#pragma once

#include "replicator/cli/invocation.hpp"

namespace tidegate::cli {

using Verb = int (*)(const Invocation&);

struct VerbEntry {
  const char* name;
  Verb act;
};

// Written with the pipeline.
int try_out(const Invocation& invocation);
int run(const Invocation& invocation);
int plan(const Invocation& invocation);
int doctor(const Invocation& invocation);
int events(const Invocation& invocation);
int audit(const Invocation& invocation);
int keys_export(const Invocation& invocation);
int reset(const Invocation& invocation);
int backup_create(const Invocation& invocation);
int backup_list(const Invocation& invocation);
int backup_verify(const Invocation& invocation);
int backup_restore(const Invocation& invocation);
int report_verb(const Invocation& invocation);
int support_bundle(const Invocation& invocation);
int schema_make(const Invocation& invocation);
int schema_list(const Invocation& invocation);
int schema_apply(const Invocation& invocation);
int schema_diff(const Invocation& invocation);

// Written here.
int init(const Invocation& invocation);
int config_check(const Invocation& invocation);
int config_show(const Invocation& invocation);
int explain(const Invocation& invocation);
int version(const Invocation& invocation);
int list(const Invocation& invocation);
int status(const Invocation& invocation);
int login_check(const Invocation& invocation);
int credentials_export(const Invocation& invocation);

// What the daemon is asked over its socket.
int stop(const Invocation& invocation);
int sync(const Invocation& invocation);
int attach_to_resync(const Invocation& invocation);
int resync(const Invocation& invocation);
int reset_source(const Invocation& invocation);  // for reset()
int pause(const Invocation& invocation);
int resume(const Invocation& invocation);
int throttle(const Invocation& invocation);
int cutover(const Invocation& invocation);
int abort(const Invocation& invocation);
int finalize(const Invocation& invocation);
// The daemon ends; its answer, or nothing where none ran. Throws where it does not end in time.
std::optional<std::string> end_daemon(const Invocation& invocation);
int verify(const Invocation& invocation);
int repair(const Invocation& invocation);
int verify_status(const Invocation& invocation);
int verify_stop(const Invocation& invocation);
int quarantine_list(const Invocation& invocation);
int quarantine_show(const Invocation& invocation);
int quarantine_retry(const Invocation& invocation);
int quarantine_accept(const Invocation& invocation);

}  // namespace tidegate::cli
