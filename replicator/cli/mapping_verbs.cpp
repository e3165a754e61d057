// keys export, reset: what a mapping remembers, and a new beginning.
#include <fmt/format.h>

#include <boost/json.hpp>

#include "apply/postgres/reset.hpp"
#include "apply/postgres/target_fence.hpp"
#include "db/sqlite.hpp"
#include "replicator/cli/verbs.hpp"
#include "replicator/config/units.hpp"
#include "replicator/control/store.hpp"
#include "replicator/cutover/permitted.hpp"
#include "replicator/cutover/reverse_capture.hpp"
#include "replicator/failure.hpp"
#include "replicator/server_access.hpp"
#include "replicator/who.hpp"

namespace tidegate::cli {

namespace json = boost::json;

// One JSON object per line, in order of scope and key.
int keys_export(const Invocation& invocation) {
  const auto file = find_state_dir(invocation) / "keys.db";
  if (!std::filesystem::exists(file))
    throw Coded<Refused>("no-keys", "there is no key memory at " + file.string(),
                         "a pipeline with a [[map]] makes it; --state DIR says which pipeline");
  sqlite::Database keys(file.string(), sqlite::Database::Mode::read_write, std::chrono::seconds(5));
  auto rows = keys.prepare("SELECT scope, key, answer FROM keys WHERE state <> 2 ORDER BY scope, key");
  while (rows.step()) {
    const json::object line{
        {"scope", rows.text(0)}, {"key", json::parse(rows.text(1))}, {"answer", rows.text(2)}};
    fmt::print("{}\n", json::serialize(line));
  }
  return 0;
}

namespace {

void print_emptied(const std::vector<Emptied>& tables, bool as_json) {
  json::array list;
  for (const auto& table : tables) {
    list.push_back({{"table", table.table}, {"dropped", table.dropped}, {"rows", table.rows}});
    if (as_json) continue;
    const std::string what =
        table.dropped
            ? "dropped"
            : fmt::format("{} rows taken out", format_count(static_cast<std::uint64_t>(table.rows)));
    fmt::print("  {}  {}\n", table.table, what);
  }
  if (as_json) fmt::print("{}\n", json::serialize(json::object{{"tables", list}}));
}

// A slot that nobody consumes would keep the target's log until its disk is full.
bool drop_way_back(const Settings& settings) {
  try {
    return cutover::drop_reverse_slot(settings);
  } catch (const Error& failure) {
    if (failure.advice() != Advice::retry) throw;
    throw Coded<Refused>("running", "the daemon still consumes the way back: " + std::string(failure.what()),
                         "end it first: tidegate stop");
  }
}

}  // namespace

int reset(const Invocation& invocation) {
  if (invocation.word == "source") return reset_source(invocation);
  const Settings settings = settings_of(invocation, Purpose::run);
  if (!invocation.empty_target)
    throw Coded<Usage>(
        "usage", "reset what?",
        "tidegate reset --target empties the target, tidegate reset source gives the source up");
  if (invocation.confirm != settings.pipeline)
    throw Coded<Refused>("not-confirmed", "reset takes all that the pipeline wrote out of the target",
                         "add --confirm " + settings.pipeline + " if you mean it");
  auto target = connect_target(connect_options(settings, "tidegate reset"));
  if (ask_target(target, settings.pipeline).is_live)
    tidegate::cutover::require_permitted("reset", "reversed");
  const bool had_way_back = drop_way_back(settings);
  const auto emptied = empty_target(target, settings.pipeline);
  if (std::filesystem::exists(settings.state_dir / "control.db"))
    ControlStore(settings.state_dir / "control.db")
        .audit("reset --target", who_runs_this(), invocation.flags.reason.value_or(""), "");
  print_emptied(emptied, invocation.json);
  if (had_way_back && !invocation.json)
    fmt::print("  the way back's slot {}  dropped\n", cutover::reverse_slot_name(settings));
  if (!invocation.json)
    fmt::print(
        "\nThe key memory stays in the target. Begin again with a new state directory (--state DIR).\n");
  return 0;
}

}  // namespace tidegate::cli
