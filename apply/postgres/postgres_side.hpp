// A legacy Postgres database as the way back of mapped tables meets it (apply/mapping/back/legacy_rows.hpp).
// What it is told of a batch it keeps until flush(), which makes changes of it for the sink that fills a
// target. README.md of apply/mapping, "Way back".
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "apply/mapping/back/legacy_rows.hpp"
#include "apply/postgres/native/native_sink.hpp"
#include "apply/postgres/postgres_pairs.hpp"
#include "apply/postgres/quarantine.hpp"

namespace tidegate {

class PostgresRows;  // of one table

class PostgresSide : public LegacySide {
 public:
  // `plans`: what the legacy database has recorded (returned_plan()). All of them outlive it.
  PostgresSide(TargetSession& legacy, Quarantine& quarantine, const Plans& plans);
  ~PostgresSide() override;

  std::unique_ptr<LegacyRows> open(const ReturnedTable& table) override;
  PairStore& pairs() override { return pairs_; }
  bool gives_integers(const SourceTable& table, const std::string& column) const override;
  std::vector<Rejected> rejects() override;

  // Adds what the batch makes of the tables' rows, removals first. Unique values that change places within it
  // are parked first, in the long transaction of the sink.
  void flush(NativeSink& sink, std::uint64_t sequence);

  TargetSession& session() { return legacy_; }
  const Quarantine& quarantine() const { return quarantine_; }

 private:
  TargetSession& legacy_;
  Quarantine& quarantine_;
  const Plans& plans_;
  PostgresPairs pairs_;
  std::vector<PostgresRows*> tables_;  // in the order in which they were opened; their owner is the way back
};

// How a legacy table's rows are written on their way back: under the name that the rejects have.
// `table` as a Postgres source describes it.
TablePlan returned_plan(const ReturnPlan& plan, const SourceTable& table);

}  // namespace tidegate
