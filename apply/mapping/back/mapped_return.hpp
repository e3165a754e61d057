// The way back of mapped tables: what an event touched is read from the target as it is now, and becomes a
// row of the legacy table. apply/mapping/README.md, "Way back". Used by one thread.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "apply/mapping/back/legacy_rows.hpp"
#include "apply/mapping/back/return_keys.hpp"
#include "apply/mapping/back/returned_table.hpp"
#include "apply/mapping/mapped_table.hpp"
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

class ReturnedRows;  // of one table

class MappedReturn {
 public:
  // `keys` are the memory of `options`, over the legacy's pairs. All of them outlive it. Indexes the keys of
  // all rows that the legacy tables have.
  MappedReturn(LegacySide& legacy, ReturnKeys& keys, TargetLook& target, std::vector<ReturnedTable> tables,
               const MappingOptions& options);
  ~MappedReturn();

  // Is the target's table one that a mapping fills?
  bool follows(const std::string& target_table) const;
  void add(const Relation& relation, const Change& change);

  // All of them, in the order in which they are written. For a way back that is built anew.
  std::vector<ReturnedRows*> tables() const;
  // Whether each transaction tries the rejects again, as it does at first.
  void retry(bool each_time) { retries_ = each_time; }

  // Of one transaction of the legacy database, in this order; from read() on any number of times.
  void begin();
  void read(std::uint64_t sequence);
  void remove_gone();
  void write();
  // Behind the last row: what rows that were born on the target are called in tables that only refer to them,
  // and rows of shared tables that nobody took.
  void finish();

 private:
  // A table that several maps own rows of, each by a key of the same making.
  struct Shared {
    std::string table;
    const TablePlan* plan = nullptr;
    std::vector<std::string> key;
    std::vector<ReturnedRows*> owners;
    std::map<std::string, Row> touched = {};  // keys, by their encoding
  };
  static void touch(Shared& shared, Row key);
  void find_shared();
  void retry_rejects();
  void name_ownerless();

  LegacySide& legacy_;
  ReturnKeys& keys_;
  TargetLook& target_;
  postgres::Connection* snapshot_ = nullptr;  // from read() to finish()
  std::vector<std::unique_ptr<ReturnedRows>> tables_;
  std::vector<Shared> shared_;
  bool retries_ = true;
};

}  // namespace tidegate
