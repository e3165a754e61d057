// Two Postgres tables that should be equal: from the sum over all rows down to the rows and columns that
// differ.
#pragma once

#include <future>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "apply/plan.hpp"
#include "db/postgres.hpp"
#include "replicator/verify/checksums.hpp"
#include "replicator/verify/findings.hpp"
#include "replicator/verify/target_end.hpp"

namespace tidegate::verify {

// One end: a connection in its snapshot, and the statements in its names.
struct ChecksumEnd {
  postgres::Connection& connection;
  Checksums sql;
};

class TablePair {
 public:
  TablePair(const TablePlan& plan, const Held& held, ChecksumEnd source, ChecksumEnd target)
      : plan_(plan), held_(held), source_(std::move(source)), target_(std::move(target)) {}

  // `findings.rows` becomes the source's.
  void compare(Findings& findings);
  void count(std::uint64_t held_nowhere, Findings& findings);

 private:
  using Results = std::pair<postgres::Result, postgres::Result>;  // of the source, of the target
  template <typename Statement>
  Results both(Statement statement);
  std::vector<std::pair<int, std::uint64_t>> differing_groups();
  void compare_rows(const std::vector<int>& groups, Findings& findings);
  void compare_keyless(const Results& rows, Findings& findings);
  void compare_columns(const std::vector<Row>& keys, Findings& findings);
  void differ(Kind kind, const Row& key, std::vector<std::string> columns, Findings& findings);

  const TablePlan& plan_;
  const Held& held_;
  ChecksumEnd source_, target_;
  std::size_t excepted_keyless_ = 0;
};

}  // namespace tidegate::verify
