#include "apply/net_changes.hpp"

namespace tidegate {

// Within one source transaction a key appears once, but for a key that changed its bytes and not its value (1
// to 1.0), which is removed and then inserted; over several transactions they follow in commit order. So the
// last one counts.
void TableNet::add(Change change) {
  Reject why;
  bool remove = change.operation == Operation::remove;
  auto key = mapper_.target_key(change.row, why);
  if (!key) {
    auto& last = unkeyed_[why.source_key];
    last = remove ? std::nullopt : std::optional(std::move(why));
    return;
  }
  auto [found, is_new] = by_key_.emplace(std::move(*key), rows_.size());
  if (is_new) {
    rows_.push_back({remove, change.operation == Operation::insert, std::move(change.row)});
  } else {
    NetRow& known = rows_[found->second];
    known.remove = remove;
    known.row = std::move(change.row);
  }
}

void NetChanges::add(const Relation& relation, Change change) {
  auto plan = plans_->find(relation.table);
  if (plan == plans_->end()) return;
  TableNet* table = nullptr;
  for (auto& known : tables_) {
    if (known->mapper().relation() == relation) table = known.get();
  }
  if (!table) table = tables_.emplace_back(std::make_unique<TableNet>(plan->second, relation)).get();
  ++rows_;
  bytes_ += size_in_memory(change);
  table->add(std::move(change));
}

}  // namespace tidegate
