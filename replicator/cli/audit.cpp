// audit: who did what, when and why; and whether the record is whole.
#include "replicator/control/audit.hpp"

#include <fmt/format.h>

#include "replicator/cli/verbs.hpp"
#include "replicator/control/store.hpp"
#include "replicator/failure.hpp"
#include "replicator/journal/journal.hpp"
#include "replicator/server_access.hpp"

namespace tidegate::cli {

namespace {

void print_entry(const AuditEntry& entry) {
  fmt::print("{:>5}  {}  {:<20}  {}", entry.id, entry.at, entry.action, entry.by);
  if (!entry.before.empty() || !entry.after.empty()) fmt::print("  {} -> {}", entry.before, entry.after);
  if (!entry.detail.empty()) fmt::print("  {}", entry.detail);
  fmt::print("{}\n", entry.reason.empty() ? "" : "  \"" + entry.reason + "\"");
}

// What the target knows of the chain's end. Throws where it cannot be asked.
std::optional<AuditHead> head_in_target(const Settings& settings, const std::string& incarnation) {
  auto target = connect_target(connect_options(settings, "tidegate audit"));
  auto known = target.run(
      "SELECT 1 FROM pg_catalog.pg_attribute WHERE attrelid = pg_catalog.to_regclass('tidegate.pipelines')"
      " AND attname = 'audit_head'");
  if (known.rows() == 0) return std::nullopt;
  auto row = target.run("SELECT audit_head FROM tidegate.pipelines WHERE incarnation = $1", {incarnation});
  return row.rows() == 1 && !row.is_null(0, 0) ? audit_head_from(row.text(0, 0)) : std::nullopt;
}

struct Witness {
  std::optional<AuditHead> head;
  std::string what;  // for the last line
};

Witness ask_target(const Invocation& invocation, const std::filesystem::path& state_dir) {
  try {
    const Settings settings = settings_of(invocation, Purpose::find);
    if (settings.target.end.host.empty()) return {std::nullopt, "the target was not asked: none is named"};
    auto head = head_in_target(settings, JournalReader(state_dir / "state.db").incarnation());
    return {head,
            head ? fmt::format("the target knows entry {}", head->id) : "the target knows of no entry yet"};
  } catch (const std::exception& failure) {
    return {std::nullopt, fmt::format("the target was not asked: {}", told(failure).message)};
  }
}

}  // namespace

int audit(const Invocation& invocation) {
  const auto state_dir = find_state_dir(invocation);
  const auto file = state_dir / "control.db";
  if (!std::filesystem::exists(file))
    throw Coded<Refused>("no-audit", "there is no control.db in " + state_dir.string(),
                         "say which pipeline with --state DIR; `tidegate list` shows them");
  const auto entries = ControlStore(file).audit_entries();
  const Witness witness = ask_target(invocation, state_dir);
  for (const auto& entry : entries) {
    if (invocation.json)
      fmt::print("{}\n", to_json_line(entry));
    else
      print_entry(entry);
  }
  if (const auto fault = audit_fault(entries, witness.head))
    throw Coded<std::runtime_error>("audit-broken", *fault,
                                    "keep a copy of control.db as it is, and ask who could write it");
  if (!invocation.json) fmt::print("\n{} entries, the chain holds; {}\n", entries.size(), witness.what);
  return 0;
}

}  // namespace tidegate::cli
