#include "apply/postgres/known_parents.hpp"

namespace tidegate {
namespace {

// About 25 MB of UUIDs. Children mostly come in the order of their parents, so the newest are the ones to
// keep.
constexpr std::size_t most_known = 200000;

}  // namespace

void KnownParents::note(const std::string& of, std::vector<std::string> names) {
  Names& known = known_[of];
  known.reserve(known.size() + names.size());
  for (auto& name : names) {
    const auto [place, is_new] = known.insert(std::move(name));
    if (is_new) seen_.emplace_back(&known, &*place);
  }
  count_ += names.size();
}

void KnownParents::committed() {
  seen_.clear();
  if (count_ > most_known) forget();
}

void KnownParents::rolled_back() {
  for (const auto& [known, name] : seen_) known->erase(known->find(*name));
  seen_.clear();
}

void KnownParents::forget() {
  known_.clear();
  seen_.clear();
  count_ = 0;
}

}  // namespace tidegate
