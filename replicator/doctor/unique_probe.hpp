// What a unique index of the target would take for the same: asked of its server, since only that knows what
// lower(), citext or another expression make of a value. Writes nothing.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "replicator/doctor/kept_rows.hpp"
#include "replicator/doctor/seen_values.hpp"
#include "replicator/doctor/target_rules.hpp"

namespace tidegate {

class UniqueProbe {
 public:
  // `plan` has all of the rule's columns. The keys are added to `set` of `seen`. What is referred to must
  // outlive the probe.
  UniqueProbe(postgres::Connection& target, const TablePlan& plan, const Relation& relation,
              const UniqueRule& rule, SeenValues& seen, std::int64_t set);

  // A row that fits the plan, and its name as people are shown it. One that the server's types refuse is
  // passed over.
  void add(const Row& row, const std::string& name);
  void finish();
  // Each batch that the server refuses costs more questions, and there is an end to them: what was left out
  // then, once the probe has finished.
  std::optional<Finding> not_all_asked() const;

 private:
  void ask(std::size_t first, std::size_t last);
  void take(const postgres::Result& keys, std::size_t first);

  postgres::Connection& target_;
  TablePlan plan_;  // of the rule's columns only
  RowMapper mapper_;
  SeenValues& seen_;
  std::int64_t set_;
  std::string index_, sql_;
  std::vector<std::size_t> read_;  // places in a row
  std::vector<KeptRow> kept_;      // what the index does not read is NULL
  std::size_t refused_ = 0;
  std::uint64_t not_asked_ = 0;  // rows
};

}  // namespace tidegate
