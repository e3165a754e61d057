// Rows that the target refused because another row stood in their way (a unique value still taken, a parent
// not there yet, a child still there). They are tried again at the end of the source transaction, when all
// its rows have been written, and only what is refused then goes to the quarantine.
#pragma once

#include <cstdint>
#include <vector>

#include "apply/mapping/row_mapper.hpp"
#include "apply/net_changes.hpp"
#include "apply/postgres/outside_references.hpp"
#include "apply/postgres/quarantine.hpp"
#include "db/error.hpp"

namespace tidegate {

class DeferredRows {
 public:
  DeferredRows(TargetSession& session, Quarantine& quarantine, const OutsideReferences& references)
      : session_(session), quarantine_(quarantine), references_(references) {}

  static bool may_succeed_later(const Error& error);
  // False, having taken nothing, where too many wait already: then the row is refused for good.
  bool add(const RowMapper& mapper, const NetRow& row, std::uint64_t sequence, const Error& error);
  bool empty() const { return waiting_.empty(); }
  // Within the source transaction's target transaction, after its last row.
  void settle();
  void forget();
  // This row has changed since.
  void forget(const RowMapper& mapper, const Row& row);

 private:
  struct Waiting {
    RowMapper mapper;
    NetRow net;
    std::uint64_t sequence;
    Error error;
  };
  void retry_until_no_progress();
  void write_with_checks_at_the_end();
  void exchange_through_parked_values();
  void park(const Waiting& row);
  std::vector<std::string> columns_of_index(const Waiting& row);
  void write(const Waiting& row);
  void upsert(const Waiting& row);
  void remove(const Waiting& row);
  void refuse_rest();

  TargetSession& session_;
  Quarantine& quarantine_;
  const OutsideReferences& references_;
  std::vector<Waiting> waiting_;
  std::size_t bytes_ = 0;
};

}  // namespace tidegate
