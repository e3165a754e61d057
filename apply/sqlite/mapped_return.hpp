// The way back of mapped tables: what an event touched is read from the target as it is now, and becomes a
// row of the legacy table. apply/mapping/README.md, "Way back". Used by one thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "apply/mapping/mapped_table.hpp"
#include "apply/mapping/return_plan.hpp"
#include "apply/sqlite/legacy_file.hpp"
#include "apply/sqlite/legacy_writes.hpp"
#include "apply/sqlite/return_keys.hpp"
#include "db/postgres.hpp"

namespace tidegate {

// The target as a snapshot shows it.
class TargetLook {
 public:
  virtual ~TargetLook() = default;
  // A snapshot that sees all that the reverse journal has up to `sequence`. Throws Error where the target is
  // away.
  virtual postgres::Connection& at(std::uint64_t sequence) = 0;
  virtual void done() = 0;  // the snapshot may end
};

// One mapped table of the legacy file, with all that says how its rows come back.
struct ReturnedTable {
  ReturnPlan plan;
  SourceTable source;
  Relation relation;             // of its rows, as the maps read them
  std::vector<TablePlan> plans;  // of plan.outputs, as the target has recorded them
};

class ReturnedRows;  // of one table

class MappedReturn {
 public:
  // `file` has begun; `keys` are the memory of `options`. All of them outlive it. Indexes the keys of all
  // rows that the legacy tables have.
  MappedReturn(LegacyFile& file, ReturnKeys& keys, TargetLook& target, std::vector<ReturnedTable> tables,
               const MappingOptions& options);
  ~MappedReturn();

  // Is the target's table one that a mapping fills?
  bool follows(const std::string& target_table) const;
  void add(const Relation& relation, const Change& change);

  // Of one transaction of the legacy file, in this order; from read() on any number of times.
  void begin();
  void read(std::uint64_t sequence);
  void remove_gone();
  void write(LegacyWrites& writes);
  // Behind the last row: what rows that were born on the target are called in tables that only refer to them.
  void finish();

 private:
  void retry_rejects();

  LegacyFile& file_;
  ReturnKeys& keys_;
  TargetLook& target_;
  postgres::Connection* snapshot_ = nullptr;  // from read() to finish()
  std::vector<std::unique_ptr<ReturnedRows>> tables_;
};

}  // namespace tidegate
