#include "replicator/cutover/backward.hpp"

#include <fmt/format.h>

#include "apply/postgres/target_closing.hpp"
#include "apply/postgres/target_tables.hpp"
#include "db/failpoint.hpp"
#include "replicator/cutover/guard_back.hpp"
#include "replicator/cutover/past_fence.hpp"
#include "replicator/cutover/target_before.hpp"
#include "replicator/journal/journal.hpp"
#include "replicator/log.hpp"
#include "replicator/server_access.hpp"

namespace tidegate::cutover {
namespace {

using namespace std::chrono_literals;

constexpr auto settle_time = 30s;  // for an earlier hold to end

}  // namespace

const char* Backward::switch_event() const {
  return parts_.hooks.has("on-rollback") ? "on-rollback" : "on-switch";
}

std::vector<Finding> Backward::examine(std::chrono::milliseconds calm, std::stop_token stop) {
  return examine_back(parts_, order_, calm, stop);
}

bool Backward::prepare(Clock::time_point until) {
  target_ = std::make_unique<postgres::Connection>(
      connect_target(connect_options(parts_.settings, "tidegate rollback")));
  plans_ = recorded_plans(*target_, parts_.settings.pipeline);
  auto took = parts_.source.absorb(true, until);
  if (took) full_compare_ = *took;
  failpoint("rollback-absorbed-before");
  return took.has_value();
}

Hold::Options Backward::what_to_hold() {
  Hold::Options options;
  options.kind = Hold::Options::Kind::postgres;
  options.where = connect_options(parts_.settings, "").url;
  options.lock_sql = hold_request(parts_.settings.pipeline, plans_);
  return options;
}

bool Backward::drain(Clock::time_point until) {
  auto reached = parts_.way_back.caught_up(until, parts_.coordination.stop_token());
  failpoint("rollback-drained");
  if (reached) drained_ = *reached;
  return reached.has_value();
}

// The forward stream goes on where it stood when the target became live: what it holds behind that is no row.
// A row would be a write that got past the legacy database's fence.
std::string Backward::target_against() {
  JournalReader journal(parts_.state_path);
  auto row = target_->run("SELECT sequence, digest FROM tidegate.pipelines WHERE pipeline = $1",
                          {parts_.settings.pipeline});
  if (row.rows() != 1) return "the target does not know the pipeline";
  const auto there = static_cast<std::uint64_t>(row.integer(0, 0));
  if (journal.digest_at(there).value_or("") != row.text(0, 1))
    return fmt::format("the target's position is {}, and the forward journal ends at {}", there,
                       journal.end());
  if (order_.accept_loss) return "";  // they are the legacy database's, and go to the target afterwards
  PastFence seen{0, 0, there};
  look_past_fence(parts_.state_path, seen);
  return in_words(seen);
}

std::optional<std::string> Backward::prove(Clock::time_point until) {
  std::string against = parts_.way_back.prove(drained_);
  const auto rejects = parts_.way_back.rejects();
  if (against.empty() && rejects > 0 && !order_.accept_loss)
    against = fmt::format("{} rows did not fit into the legacy database", rejects);
  if (against.empty() && !order_.accept_loss)
    against = in_words(left_behind(parts_.store, *target_, parts_.settings.pipeline));
  if (against.empty()) against = target_against();
  failpoint("rollback-proven");
  return Clock::now() < until ? std::optional(against) : std::nullopt;
}

void Backward::record_start(Run& /*run*/, Clock::time_point until) {
  auto took = parts_.source.absorb(fits_into_a_hold(full_compare_, order_), until);
  failpoint("rollback-absorbed");
  if (!took) throw Error("the last look at the legacy database did not end in time", "", Advice::retry);
  if (auto against = target_against(); !against.empty()) throw Error(against, "", Advice::stop);
}

std::string Backward::fence(const Run& run) {
  return close_target_sql(*target_, parts_.settings.pipeline, plans_, run.id);
}

std::optional<std::string> Backward::settle() {
  auto target = connect_target(connect_options(parts_.settings, "tidegate rollback"));
  auto says = settle_target(target, parts_.settings.pipeline, settle_time);
  failpoint("rollback-settled");
  return says.is_live ? std::nullopt : std::optional(says.run);
}

// Needs the legacy file alone: the target may be the reason for going back.
bool Backward::open(const Run& run) {
  failpoint("rollback-before-open");
  parts_.back.stop();
  parts_.legacy.open(run.id);
  parts_.source.look_everywhere();
  parts_.apply.at_rest([](SourceView&, const TargetScene& scene) { scene.session.look_whether_open(); });
  parts_.coordination.park(false);
  return true;
}

}  // namespace tidegate::cutover
