// report: the whole migration on one page.
#include <fmt/format.h>

#include "replicator/cli/report_verbs.hpp"
#include "replicator/cli/status_now.hpp"
#include "replicator/cli/verbs.hpp"
#include "replicator/failure.hpp"
#include "replicator/report/gather.hpp"
#include "replicator/state_dir.hpp"

namespace tidegate::cli {

report::Migration migration_of(const Invocation& invocation) {
  const auto state_dir = find_state_dir(invocation);
  const auto status = status_now(state_dir);
  if (!status)
    throw Coded<Refused>("no-report", "there is no pipeline in " + state_dir.string() + " that has run",
                         "say which one with --state DIR; `tidegate list` shows them");
  return report::gather(settings_of(invocation, Purpose::find), state_dir, *status,
                        lock_holder(state_dir).has_value());
}

int report_verb(const Invocation& invocation) {
  const auto migration = migration_of(invocation);
  if (!invocation.html.empty()) {
    const auto file = invocation.folder / invocation.html;
    write_file_atomically(file, to_html(migration));
    if (!invocation.json) fmt::print("wrote {}\n", file.string());
  }
  fmt::print("{}", invocation.json ? to_json(migration) + "\n" : to_text(migration));
  return 0;
}

}  // namespace tidegate::cli
