// One mapped table of a legacy database, as the way back asks it and writes to it: what differs between a
// SQLite file and a Postgres database. Columns are numbered as writable_columns() has them; "name" is the
// key by which the target names the row: so a reject is called.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "apply/mapping/back/pair_store.hpp"
#include "apply/mapping/back/returned_table.hpp"
#include "apply/plan.hpp"
#include "proto/value.hpp"

namespace tidegate {

struct HeldRow {
  Row row;
  std::optional<std::int64_t> rowid = {};  // of a SQLite table that has one
};

struct ReturnedRow {
  Row name;
  std::optional<HeldRow> held = {};
  Row values = {};
  std::vector<std::size_t> changed = {};  // columns; of a row that is held
};

class LegacyRows {
 public:
  virtual ~LegacyRows() = default;

  // Rows with these keys will be asked for, within one transaction or until forget().
  virtual void expect(const std::vector<Row>& keys) = 0;
  virtual void forget() = 0;
  virtual std::optional<HeldRow> find(const Row& key) = 0;
  // In the layout of ReturnedTable::relation; empty where there is none.
  virtual Row whole(const Row& key) = 0;
  virtual void each(const std::function<void(const Row&)>& give) = 0;
  // Those whose parent by a foreign key is not there, where the legacy database must not have such.
  virtual void each_orphan(const std::function<void(const Row&)>& give) = 0;

  // What a column of the target that is nothing but this one says; `held` stays where it means the same.
  virtual std::variant<Value, Misfit> back(std::size_t column, const Value& target, const Value* held) = 0;
  // What an expression or a key gives, as it is stored; and as the mapping's keys have what is stored.
  virtual Value stored(std::size_t column, Value value) = 0;
  virtual Value word(std::size_t column, const Value& stored) = 0;
  // What a new row gets that does not say.
  virtual Value default_of(std::size_t column) = 0;

  // All of them within the transaction, in which those that are gone are removed first.
  virtual void remove(const Row& name, const HeldRow& held) = 0;
  virtual void put(ReturnedRow row) = 0;
  virtual void reject(const Row& name, const std::string& column, const std::string& reason) = 0;
  virtual void release(const Row& name) = 0;
};

// The legacy database of one way back.
class LegacySide {
 public:
  virtual ~LegacySide() = default;

  virtual std::unique_ptr<LegacyRows> open(const ReturnedTable& table) = 0;
  virtual PairStore& pairs() = 0;
  // New keys of the column are integers.
  virtual bool gives_integers(const SourceTable& table, const std::string& column) const = 0;
  // Tables, and the names of rows that they could not take; as JSON.
  struct Rejected {
    std::string table, name;
  };
  virtual std::vector<Rejected> rejects() = 0;
};

}  // namespace tidegate
