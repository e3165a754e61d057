#include "replicator/pipeline/enum_drift.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "db/postgres.hpp"

namespace tidegate {
namespace {

using capture::EnumType;
using postgres::literal;

const EnumType* same_type(const std::vector<EnumType>& types, const EnumType& wanted) {
  auto found = std::find_if(types.begin(), types.end(), [&](const EnumType& each) {
    return each.schema == wanted.schema && each.name == wanted.name;
  });
  return found == types.end() ? nullptr : &*found;
}

// One type of the target, changed label by label.
class Following {
 public:
  Following(const EnumType& now, const EnumType& target, std::vector<EnumChange>& changes)
      : shown_(now.schema + "." + now.name),
        alter_("ALTER TYPE " + capture::quoted_name(now.schema, now.name)),
        changes_(changes) {
    for (const auto& label : target.labels) labels_.push_back(label.text);
  }

  // Names may go round in a circle; then one of them steps aside first.
  void rename_all(std::vector<std::pair<std::string, std::string>> renamed) {
    std::erase_if(renamed, [&](const auto& pair) { return !has(pair.first); });
    while (true) {
      drop_what_is_taken(renamed);
      if (renamed.empty()) return;
      auto free =
          std::find_if(renamed.begin(), renamed.end(), [&](const auto& pair) { return !has(pair.second); });
      if (free != renamed.end()) {
        rename(free->first, free->second);
        renamed.erase(free);
      } else {
        std::string aside = "tidegate " + std::to_string(changes_.size());
        rename(renamed.front().first, aside);
        renamed.front().first = aside;
      }
    }
  }

  void add_missing(const EnumType& now) {
    std::string previous;
    bool first = true;
    for (const auto& label : now.labels) {
      if (!has(label.text)) add(label.text, first ? std::nullopt : std::optional(previous));
      previous = label.text;
      first = false;
    }
  }

 private:
  using Renamed = std::vector<std::pair<std::string, std::string>>;

  // The target has a label of that name which none of the others leaves.
  void drop_what_is_taken(Renamed& renamed) const {
    std::erase_if(renamed, [&](const auto& pair) {
      return has(pair.second) && std::none_of(renamed.begin(), renamed.end(),
                                              [&](const auto& other) { return other.first == pair.second; });
    });
  }
  bool has(const std::string& label) const {
    return std::find(labels_.begin(), labels_.end(), label) != labels_.end();
  }
  void rename(const std::string& from, const std::string& to) {
    changes_.push_back({shown_, fmt::format("calls the label {} {} now", literal(from), literal(to)),
                        fmt::format("{} RENAME VALUE {} TO {}", alter_, literal(from), literal(to))});
    *std::find(labels_.begin(), labels_.end(), from) = to;
  }
  void add(const std::string& label, const std::optional<std::string>& behind) {
    std::string place;
    if (behind)
      place = " AFTER " + literal(*behind);
    else if (!labels_.empty())
      place = " BEFORE " + literal(labels_.front());
    changes_.push_back({shown_, "got the label " + literal(label),
                        fmt::format("{} ADD VALUE IF NOT EXISTS {}{}", alter_, literal(label), place)});
    labels_.insert(behind ? std::find(labels_.begin(), labels_.end(), *behind) + 1 : labels_.begin(), label);
  }

  std::string shown_, alter_;
  std::vector<std::string> labels_;  // the target's, with the changes so far
  std::vector<EnumChange>& changes_;
};

std::vector<std::pair<std::string, std::string>> renamed_labels(const EnumType& before, const EnumType& now) {
  std::vector<std::pair<std::string, std::string>> renamed;
  for (const auto& old : before.labels) {
    for (const auto& label : now.labels) {
      if (label.oid == old.oid && label.text != old.text) renamed.emplace_back(old.text, label.text);
    }
  }
  return renamed;
}

}  // namespace

std::vector<EnumChange> enum_changes(const std::vector<EnumType>& before, const std::vector<EnumType>& now,
                                     const std::vector<EnumType>& target) {
  std::vector<EnumChange> changes;
  for (const EnumType& type : now) {
    auto* there = same_type(target, type);
    if (!there) continue;
    Following following(type, *there, changes);
    if (auto* old = same_type(before, type)) following.rename_all(renamed_labels(*old, type));
    following.add_missing(type);
  }
  return changes;
}

bool names_were_handed_on(const EnumType& before, const EnumType& now) {
  return std::any_of(before.labels.begin(), before.labels.end(), [&](const auto& old) {
    return std::any_of(now.labels.begin(), now.labels.end(),
                       [&](const auto& label) { return label.text == old.text && label.oid != old.oid; });
  });
}

}  // namespace tidegate
