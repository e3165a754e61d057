// What carries rows of mapped tables into a legacy Postgres database, with all that it stands on.
#pragma once

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "apply/postgres/native/native_sink.hpp"
#include "apply/postgres/postgres_side.hpp"
#include "apply/postgres/quarantine.hpp"
#include "apply/postgres/return_sink.hpp"
#include "replicator/cutover/mapped_way_back.hpp"

namespace tidegate::cutover {

class PostgresMapped {
 public:
  struct Into {
    TargetSession& session;
    Quarantine& quarantine;
    const Plans& plans;
  };
  // All that is given outlives it. Throws Refused where a mapped table has no way back.
  PostgresMapped(const Settings& settings, Into into);

  // One of these, once: behind the stream, or as a snapshot of the target sees it.
  void follow(NativeSink& native, const std::string& journal_path);
  void begin_anew(NativeSink& native, postgres::Connection& snapshot);

  Sink& sink() { return *sink_; }
  MappedReturn& rows() { return *MappedWayBack::rows_of(running_); }

 private:
  struct Recorded {
    std::vector<TablePlan> plans;
    std::set<std::string> followed;
  };
  static Recorded recorded_at_target(const Settings& settings);

  Into into_;
  Recorded recorded_;
  std::vector<SourceTable> tables_;
  MappedWayBack way_;
  PostgresSide side_;
  std::shared_ptr<MappedWayBack::Running> running_;
  std::optional<ReturnSink> sink_;
};

}  // namespace tidegate::cutover
