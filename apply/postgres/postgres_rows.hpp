// One table of a legacy Postgres database on its way back. Part of postgres_side.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "apply/mapping/back/legacy_rows.hpp"
#include "apply/postgres/native/native_sink.hpp"
#include "apply/postgres/quarantine.hpp"

namespace tidegate {

class PostgresRows : public LegacyRows {
 public:
  // `plan`: returned_plan(), as it is recorded there; `id`: of the relation of its changes.
  PostgresRows(TargetSession& legacy, const Quarantine& quarantine, const ReturnedTable& table,
               TablePlan plan, std::uint32_t id);

  const TablePlan& plan() const { return plan_; }
  const std::string& name() const { return table_.source.name; }

  void expect(const std::vector<Row>& keys) override;
  void forget() override { known_.clear(); }
  std::optional<HeldRow> find(const Row& key) override;
  Row whole(const Row& key) override;
  void each(const std::function<void(const Row&)>& give) override;
  void each_orphan(const std::function<void(const Row&)>& give) override;
  std::variant<Value, Misfit> back(std::size_t column, const Value& target, const Value* held) override;
  Value stored(std::size_t column, Value value) override;
  Value word(std::size_t column, const Value& stored) override;
  Value default_of(std::size_t column) override;
  void remove(const Row& name, const HeldRow& held) override;
  void put(ReturnedRow row) override;
  void reject(const Row& name, const std::string& column, const std::string& reason) override;
  void release(const Row& name) override;

  // Of the batch, in this order; the last forgets it. park() is true where something has to be.
  void add_removals(NativeSink& sink) const;
  bool park(NativeSink& sink) const;
  void add_rows(NativeSink& sink);

 private:
  struct Outcome {
    std::optional<HeldRow> removed = {};
    std::optional<ReturnedRow> put = {};
    std::optional<std::string> misfit = {};
    bool was_named = false;  // released: it is in the quarantine no more
    Row name = {};
  };
  // Columns of a unique index that is not the key's.
  using Unique = std::vector<std::size_t>;

  void find_uniques();
  void each_of(const std::string& condition, const std::function<void(const Row&)>& give);
  Outcome& outcome(const Row& name);
  const BoundType& bound(std::size_t column) const { return bound_[column]; }
  std::string key_of(const Row& row) const;
  static std::optional<std::string> unique_key(const Unique& unique, const Row& row);
  std::optional<std::pair<std::size_t, Value>> parked(const Unique& unique, const Outcome& of) const;
  Change change(Operation operation, const Row& values, const Row& name,
                std::optional<std::string> misfit) const;
  bool is_held(const Row& name) const;

  TargetSession& legacy_;
  const Quarantine& quarantine_;
  const ReturnedTable& table_;
  TablePlan plan_;
  Relation relation_;  // of its changes
  std::vector<std::size_t> key_;
  std::vector<BoundType> bound_;
  std::vector<Unique> uniques_;
  std::unordered_map<std::string, std::optional<HeldRow>> known_;  // by key, encoded; of the batch
  std::map<std::string, Outcome> outcomes_;                        // by name, encoded
  std::unordered_map<std::string, std::string> name_of_key_;       // of rows that are put or removed
};

}  // namespace tidegate
