// reset: what is given up. At its source, which else keeps its log for the pipeline for ever; the target's
// side is in mapping_verbs.cpp.
#include <fmt/format.h>

#include "capture/postgres/publication.hpp"
#include "capture/postgres/slot.hpp"
#include "replicator/cli/verbs.hpp"
#include "replicator/failure.hpp"
#include "replicator/server_access.hpp"
#include "replicator/state_dir.hpp"

namespace tidegate::cli {

namespace {

void refuse_while_it_runs(const std::filesystem::path& state_dir) {
  if (!lock_holder(state_dir)) return;
  throw Coded<Refused>("running", "a daemon runs on " + state_dir.string(), "end it first: tidegate stop");
}

void refuse_without_word(const Invocation& invocation, const Settings& settings) {
  if (invocation.confirm == settings.pipeline) return;
  throw Coded<Refused>(
      "not-confirmed",
      fmt::format("this drops slot {} and publication {} at the source: what commits there from then on "
                  "is not kept for pipeline {} any more, and it can never go on",
                  slot_name(settings), publication_name(settings), settings.pipeline),
      "add --confirm " + settings.pipeline + " if you mean it; the target keeps what it has");
}

}  // namespace

int reset_source(const Invocation& invocation) {
  const Settings settings = settings_of(invocation, Purpose::run);
  if (settings.source.end.kind != Endpoint::Kind::postgres)
    throw Coded<Refused>("nothing-to-reset", "a SQLite source has nothing of tidegate's",
                         "remove the state directory");
  refuse_while_it_runs(find_state_dir(invocation));
  refuse_without_word(invocation, settings);
  auto options = source_options(settings, "tidegate reset");
  bool had_slot = drop_slot(options, slot_name(settings));
  auto source = connect_source(options);
  auto publication = capture::read_publication(source, publication_name(settings));
  bool had_publication = publication && publication->ours;
  capture::drop_publication(source, publication_name(settings));
  fmt::print("slot {}: {}; publication {}: {}\n", slot_name(settings), had_slot ? "dropped" : "was not there",
             publication_name(settings), had_publication ? "dropped" : "none of ours was there");
  fmt::print("the state directory is of no more use: {}\n", find_state_dir(invocation).string());
  return 0;
}

}  // namespace tidegate::cli
