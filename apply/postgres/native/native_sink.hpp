// The sink for a Postgres source; README.md says how it writes.
#pragma once

#include <future>
#include <map>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

#include "apply/net_changes.hpp"
#include "apply/postgres/native/composer.hpp"
#include "apply/postgres/orphan_guard.hpp"
#include "apply/sink.hpp"

namespace tidegate {

class NativeSink : public Sink {
 public:
  // What the server's foreign keys would do outside of replica mode.
  struct Guards {
    bool orphans = true;  // rows of mapped relations must have their parents by the end of each transaction
    bool outside = true;  // rows of tables without a plan follow the ON DELETE of those that go
  };
  // `plans` may change between two writes or spills; tables without a plan are left out.
  NativeSink(TargetSession& session, Quarantine& quarantine, const Plans& plans, Guards guards);
  NativeSink(TargetSession& session, Quarantine& quarantine, const Plans& plans)
      : NativeSink(session, quarantine, plans, Guards()) {}

  const Position& position() const override { return session_.position(); }
  void add(const Relation& relation, Change change) override;
  std::size_t rows() const override { return steps_.size(); }
  std::size_t bytes() const override { return bytes_; }
  void write(const Position& to) override;
  void spill(std::uint64_t sequence) override;
  void pass_on(std::uint64_t sequence) override;
  void remove_ranges(const Relation& relation, const ChunkMap::Key& key,
                     const std::vector<KeyRange>& ranges) override;

 private:
  native::Target* target_of(const Relation& relation);
  bool joins_last_truncate(const native::Step& step);
  void ask_for_shapes();
  void begin();
  void write_at_once(const Position& to);
  std::vector<postgres::Command> part_commands(std::uint64_t sequence);
  void send_part(std::uint64_t sequence);
  bool settle();
  void write_after_refusal(const Error& error, std::span<const native::Step> steps, std::uint64_t sequence);
  void write_in_order(std::span<const native::Step> steps, std::uint64_t sequence);
  void refuse(const native::Step& step, const Error& error, std::uint64_t sequence);
  void finish(const Position& to);
  void run_with_commit(std::vector<postgres::Command> commands);
  void written(const Position& to);
  bool any_watched() const;
  struct Watched {
    TablePlan plan;
    std::vector<Reject> rows;
  };
  // What a part did to rows whose parents or children are to be looked at behind it.
  struct WatchedRows {
    std::map<const native::Target*, Watched> written, gone, moved;
    std::vector<Watched> truncated;  // with rows of which other maps may have written columns
  };
  WatchedRows watched_rows() const;
  std::vector<Reject> written_before(const native::Step& truncate, const native::Target* target) const;
  void find_truncated(WatchedRows& watched);
  void open_long();
  void hold_orphans(const WatchedRows& watched, std::uint64_t sequence);
  void forget_steps();

  TargetSession& session_;
  Quarantine& quarantine_;
  const Plans& plans_;
  OutsideReferences references_;
  OrphanGuard orphans_;
  native::Composer composer_;
  std::unordered_map<std::uint32_t, std::unique_ptr<native::Target>> targets_;  // by relation
  std::vector<std::unique_ptr<native::Target>> replaced_;  // of relations that changed; steps refer to them
  std::unordered_map<std::uint32_t, native::Target*> checked_;  // since the last write: with the plan of now
  std::vector<native::Step> steps_;
  std::size_t bytes_ = 0;
  bool long_is_open_ = false;
  // A part of the long transaction that the server is at, as long as it may have to be written otherwise. The
  // session is `done`'s until it is there.
  struct Sent {
    std::vector<native::Step> steps;
    std::vector<std::unique_ptr<native::Target>> replaced;
    std::uint64_t sequence = 0;
    Quarantine::Pending before;
    std::future<void> done;
  };
  std::optional<Sent> sent_;
};

}  // namespace tidegate
