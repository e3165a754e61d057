// Rows of the target that were seen to be there, so that those that refer to them need not ask again. Only
// for a copy during which nobody else takes rows of the target away.
#pragma once

#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

namespace tidegate {

class KnownParents {
 public:
  // `of`: what they are named by (ForeignKey::domain()).
  bool contains(const std::string& of, const std::string& name) const {
    const auto names = known_.find(of);
    return names != known_.end() && names->second.contains(name);
  }
  // Seen within the transaction under way: they stay known once it is committed.
  void note(const std::string& of, std::vector<std::string> names);
  void committed();
  void rolled_back();
  void forget();

 private:
  using Names = std::unordered_set<std::string>;
  std::unordered_map<std::string, Names> known_;
  std::vector<std::pair<Names*, const std::string*>> seen_;  // in the transaction under way
  std::size_t count_ = 0;
};

}  // namespace tidegate
