#include "apply/sqlite/mapped_return.hpp"

#include <boost/json.hpp>

#include <algorithm>

#include "apply/sqlite/returned_rows.hpp"

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
  return std::any_of(table.source.foreign_keys.begin(), table.source.foreign_keys.end(),
                     [&](const SourceForeignKey& key) { return key.columns == table.source.primary_key; });
}

}  // namespace

MappedReturn::MappedReturn(LegacyFile& file, ReturnKeys& keys, TargetLook& target,
                           std::vector<ReturnedTable> tables, const MappingOptions& options)
    : file_(file), keys_(keys), target_(target) {
  std::stable_partition(tables.begin(), tables.end(),
                        [](const ReturnedTable& table) { return !refers(table); });
  for (const ReturnedTable& table : tables)
    if (table.plan.entity) keys_.own(*table.plan.entity, table.source);
  for (ReturnedTable& table : tables)
    tables_.push_back(std::make_unique<ReturnedRows>(file, keys, std::move(table), options));
}

MappedReturn::~MappedReturn() = default;

bool MappedReturn::follows(const std::string& target_table) const {
  return std::any_of(tables_.begin(), tables_.end(),
                     [&](const auto& rows) { return rows->follows(target_table); });
}

void MappedReturn::add(const Relation& relation, const Change& change) {
  for (const auto& rows : tables_)
    if (rows->follows(relation.table)) rows->touch(relation, change);
}

void MappedReturn::begin() {
  keys_.begin();
}

// A row that did not fit may do so now: what stood in its way may have gone, or was read too old.
void MappedReturn::retry_rejects() {
  if (file_.rejects() == 0) return;
  for (const LegacyReject& reject : list_rejects(file_.database()))
    for (const auto& rows : tables_)
      if (rows->name() == reject.table) rows->touch(key_in(reject.key));
}

void MappedReturn::read(std::uint64_t sequence) {
  retry_rejects();
  snapshot_ = &target_.at(sequence);
  for (const auto& rows : tables_) rows->read(*snapshot_);
}

void MappedReturn::remove_gone() {
  for (const auto& rows : tables_) rows->remove_gone();
}

void MappedReturn::write(LegacyWrites& writes) {
  for (const auto& rows : tables_) rows->write(writes);
}

void MappedReturn::finish() {
  for (const auto& rows : tables_) rows->pair_linked(*snapshot_);
  for (const auto& rows : tables_) rows->forget();
  target_.done();
}

}  // namespace tidegate
