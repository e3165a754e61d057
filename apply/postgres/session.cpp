#include "apply/postgres/session.hpp"

#include <array>

#include "apply/postgres/control_schema.hpp"
#include "apply/postgres/replica_mode.hpp"
#include "db/error.hpp"
#include "db/failpoint.hpp"

namespace tidegate {
namespace {

constexpr std::array<std::string_view, 5> phase_names{"new", "loading", "catching_up", "building",
                                                      "streaming"};

TargetPhase phase_named(std::string_view name) {
  for (std::size_t i = 0; i < phase_names.size(); ++i) {
    if (phase_names[i] == name) return static_cast<TargetPhase>(i);
  }
  throw Refused("target-newer",
                "the target is in phase '" + std::string(name) + "', which this tidegate does not know",
                "use the version of tidegate that filled it");
}

}  // namespace

std::string_view name_of(TargetPhase phase) {
  return phase_names[static_cast<std::size_t>(phase)];
}

std::string mark_of(const std::string& pipeline) {
  return "applies " + pipeline;
}

Refused other_state_directory(const std::string& pipeline) {
  return Refused(
      "other-state-directory", "the target holds pipeline '" + pipeline + "' of another state directory",
      "run tidegate with that one (--state), on the machine where it is, or give this pipeline another name "
      "([pipeline] name)");
}

TargetSession::TargetSession(const TargetOptions& options, const std::string& incarnation)
    : options_(options), connection_(options.connect) {
  if (options_.filled_before) refuse_empty_target();
  install_control_schema(connection_);
  take_lease(incarnation);
  replica_mode_ = try_replica_mode(connection_);
}

TargetSession::TargetSession(const TargetSession& lease, const std::string& lane)
    : options_(lease.options_),
      lane_(lane),
      connection_(options_.connect),
      phase_(TargetPhase::streaming),
      epoch_(lease.epoch_),
      replica_mode_(try_replica_mode(connection_)) {
  find_lane();
}

void TargetSession::find_lane() {
  postgres::Transaction transaction(connection_);
  connection_.run("SELECT tidegate.enter_shared($1, $2)", {options_.pipeline, std::to_string(epoch_)});
  auto row = connection_.run(
      "SELECT sequence FROM tidegate.resyncs WHERE pipeline = $1 AND source_table = $2 FOR UPDATE",
      {options_.pipeline, lane_});
  if (row.rows() == 0) throw Error("table " + lane_ + " is not being copied again", "TG002", Advice::stop);
  position_.sequence = static_cast<std::uint64_t>(row.integer(0, 0));
  transaction.commit();
}

void TargetSession::refuse_empty_target() {
  bool there =
      connection_.run("SELECT pg_catalog.to_regclass('tidegate.pipelines') IS NOT NULL").boolean(0, 0);
  there = there &&
          connection_
              .run("SELECT EXISTS (SELECT FROM tidegate.pipelines WHERE pipeline = $1 AND phase <> 'new')",
                   {options_.pipeline})
              .boolean(0, 0);
  if (there) return;
  throw Refused(
      "target-swapped",
      "the target holds nothing of pipeline '" + options_.pipeline +
          "', but this state directory has filled one before: it is another target, or it was emptied or "
          "restored",
      "use the right --target, or a new state directory (--state) to fill this one from the beginning");
}

void TargetSession::take_lease(const std::string& incarnation) {
  postgres::Transaction transaction(connection_);
  // In the queue before chunks that come later (tidegate.enter_shared).
  connection_.run("SELECT pg_advisory_xact_lock(hashtextextended('tidegate lease of ' || $1, 0))",
                  {options_.pipeline});
  connection_.run(
      "INSERT INTO tidegate.pipelines(pipeline, incarnation) VALUES ($1, $2) ON CONFLICT DO NOTHING",
      {options_.pipeline, incarnation});
  auto row = connection_.run(
      "SELECT incarnation, epoch, sequence, digest, phase, direction <> 'forward' FROM tidegate.pipelines "
      "WHERE pipeline = $1 FOR UPDATE",
      {options_.pipeline});
  if (row.text(0, 0) != incarnation) {
    throw other_state_directory(options_.pipeline);
  }
  epoch_ = row.integer(0, 1) + 1;
  position_ = {incarnation, static_cast<std::uint64_t>(row.integer(0, 2)), std::string(row.text(0, 3))};
  phase_ = phase_named(row.text(0, 4));
  is_open_ = row.boolean(0, 5);
  connection_.run("UPDATE tidegate.pipelines SET epoch = $2, updated_at = now() WHERE pipeline = $1",
                  {options_.pipeline, std::to_string(epoch_)});
  transaction.commit();
  failpoint("apply-after-lease");
}

void TargetSession::look_whether_open() {
  auto row = connection_.run("SELECT direction <> 'forward' FROM tidegate.pipelines WHERE pipeline = $1",
                             {options_.pipeline});
  is_open_ = row.rows() == 1 && row.boolean(0, 0);
}

postgres::Command TargetSession::enter() const {
  if (!lane_.empty()) {
    return {"SELECT tidegate.enter_lane($1, $2, $3, $4)",
            {options_.pipeline, std::to_string(epoch_), lane_, std::to_string(position_.sequence)}};
  }
  return {"SELECT tidegate.enter($1, $2, $3)",
          {options_.pipeline, std::to_string(epoch_), std::to_string(position_.sequence)}};
}

postgres::Command TargetSession::advance_to(const Position& next) const {
  postgres::Command last{
      "UPDATE tidegate.pipelines SET sequence = $2, digest = $3, updated_at = now() WHERE pipeline = $1",
      {options_.pipeline, std::to_string(next.sequence), next.digest}};
  if (!lane_.empty()) {
    last = {"UPDATE tidegate.resyncs SET sequence = $3 WHERE pipeline = $1 AND source_table = $2",
            {options_.pipeline, lane_, std::to_string(next.sequence)}};
  }
  return with_keys(keys_, std::move(last));
}

void TargetSession::moved(const Position& next) {
  position_ = next;
  if (keys_) keys_->sent();
}

postgres::Command with_keys(KeyOutbox* keys, postgres::Command last) {
  auto more = keys ? keys->unsent(last) : std::nullopt;
  return more ? std::move(*more) : std::move(last);
}

postgres::Command TargetSession::change_phase(TargetPhase next) const {
  return {"UPDATE tidegate.pipelines SET phase = $2, updated_at = now() WHERE pipeline = $1",
          {options_.pipeline, std::string(name_of(next))}};
}

TargetTransaction::TargetTransaction(TargetSession& session) : transaction_(session.connection()) {
  auto command = session.enter();
  session.connection().run(command.sql, command.parameters);
}

WorkerSession::WorkerSession(const TargetSession& lease)
    : pipeline_(lease.pipeline()),
      epoch_(lease.epoch()),
      connection_(lease.options().connect),
      replica_mode_(try_replica_mode(connection_)),
      keys_(lease.keys()) {}

postgres::Command WorkerSession::enter() const {
  return {"SELECT tidegate.enter_shared($1, $2)", {pipeline_, std::to_string(epoch_)}};
}

WorkerTransaction::WorkerTransaction(WorkerSession& session) : transaction_(session.connection()) {
  auto command = session.enter();
  session.connection().run(command.sql, command.parameters);
}

}  // namespace tidegate
