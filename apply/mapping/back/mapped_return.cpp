#include "apply/mapping/back/mapped_return.hpp"

#include <algorithm>
#include <boost/json.hpp>

#include "apply/mapping/back/returned_rows.hpp"
#include "apply/mapping/back/target_rows.hpp"

namespace tidegate {
namespace {

// As a reject has it.
Row key_in(const std::string& json) {
  Row key;
  const boost::json::value parsed = boost::json::parse(json);
  for (const auto& value : parsed.as_array())
    key.push_back(value.is_string() ? Value(std::string(value.get_string())) : Value(Null{}));
  return key;
}

// Where several tables have keys of one entity, those whose keys refer to another table do not give them out.
bool refers(const ReturnedTable& table) {
  return table.plan.contributes ||
         std::any_of(table.source.foreign_keys.begin(), table.source.foreign_keys.end(),
                     [&](const SourceForeignKey& key) { return key.columns == table.source.primary_key; });
}

}  // namespace

MappedReturn::MappedReturn(LegacySide& legacy, ReturnKeys& keys, TargetLook& target,
                           std::vector<ReturnedTable> tables, const MappingOptions& options)
    : legacy_(legacy), keys_(keys), target_(target) {
  std::stable_partition(tables.begin(), tables.end(),
                        [](const ReturnedTable& table) { return !refers(table); });
  for (const ReturnedTable& table : tables)
    if (const auto& entity = table.plan.entity; entity && !table.plan.contributes)
      keys_.own(*entity, table.source, legacy.gives_integers(table.source, entity->column));
  for (ReturnedTable& table : tables)
    tables_.push_back(std::make_unique<ReturnedRows>(legacy, keys, std::move(table), options));
  find_shared();
}

MappedReturn::~MappedReturn() = default;

// Rows whose key holds a constant are nobody's where no owner has that constant.
void MappedReturn::find_shared() {
  for (const auto& rows : tables_) {
    for (std::size_t i = 0; i < rows->table().plan.outputs.size(); ++i) {
      const ReturnOutput& output = rows->table().plan.outputs[i];
      if (!output.is_shared || !output.is_part || !output.constants.empty()) continue;
      const std::string name = output.from.target->schema + "." + output.from.target->table;
      auto known = std::find_if(shared_.begin(), shared_.end(),
                                [&](const Shared& each) { return each.table == name; });
      if (known == shared_.end())
        known = shared_.insert(known, {name, &rows->table().plans[i], output.made_key, {}});
      known->owners.push_back(rows.get());
    }
  }
}

std::vector<ReturnedRows*> MappedReturn::tables() const {
  std::vector<ReturnedRows*> all;
  for (const auto& rows : tables_) all.push_back(rows.get());
  return all;
}

bool MappedReturn::follows(const std::string& target_table) const {
  return std::any_of(tables_.begin(), tables_.end(),
                     [&](const auto& rows) { return rows->follows(target_table); });
}

void MappedReturn::add(const Relation& relation, const Change& change) {
  for (const auto& rows : tables_)
    if (rows->follows(relation.table)) rows->touch(relation, change);
  for (Shared& shared : shared_) {
    if (shared.table != relation.table) continue;
    for (const Row* row : {&change.row, &change.before})
      if (!row->empty()) touch(shared, values_in(relation, *row, shared.key));
  }
}

void MappedReturn::touch(Shared& shared, Row key) {
  const bool whole = std::all_of(
      key.begin(), key.end(), [](const Value& value) { return std::holds_alternative<std::string>(value); });
  if (whole) shared.touched.insert_or_assign(encode(key), std::move(key));
}

void MappedReturn::begin() {
  keys_.begin();
}

// A row that did not fit may do so now: what stood in its way may have gone, or was read too old.
void MappedReturn::retry_rejects() {
  for (const auto& [table, name] : legacy_.rejects()) {
    const Row key = key_in(name);
    for (const auto& rows : tables_)
      if (rows->name() == table) rows->touch(key);
    for (Shared& shared : shared_)
      if (shared.owners.front()->name() == table) touch(shared, key);
  }
}

void MappedReturn::read(std::uint64_t sequence) {
  if (retries_) retry_rejects();
  snapshot_ = &target_.at(sequence);
  for (const auto& rows : tables_) rows->read(*snapshot_);
}

void MappedReturn::remove_gone() {
  for (const auto& rows : tables_) rows->remove_gone();
}

void MappedReturn::write() {
  for (const auto& rows : tables_) rows->write();
}

// Of rows that are there. Who takes a row may come with a later transaction: then it is tried again.
void MappedReturn::name_ownerless() {
  for (Shared& shared : shared_) {
    TargetRowsByKey query{quoted_name(*shared.plan), {}, {}, {}};
    for (const auto& name : shared.key) {
      const auto column = std::find_if(shared.plan->columns.begin(), shared.plan->columns.end(),
                                       [&](const ColumnPlan& each) { return each.target == name; });
      query.key.push_back(&*column);
      query.columns.push_back("t." + quoted(name));
    }
    std::vector<Row> keys;
    for (const auto& [at, key] : shared.touched) keys.push_back(key);
    for (const Row& row : rows_by_key(*snapshot_, query, keys))
      if (std::none_of(shared.owners.begin(), shared.owners.end(),
                       [&](ReturnedRows* owner) { return owner->has(row); }))
        shared.owners.front()->reject(row, Misfit::owner_unknown);
    shared.touched.clear();
  }
}

void MappedReturn::finish() {
  name_ownerless();
  for (const auto& rows : tables_) rows->pair_linked(*snapshot_);
  for (const auto& rows : tables_) rows->forget();
  target_.done();
}

}  // namespace tidegate
