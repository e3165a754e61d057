#include "replicator/verify/line_merge.hpp"

#include <algorithm>

#include "apply/postgres/copy_line.hpp"
#include "apply/postgres/orphan_guard.hpp"
#include "proto/change.hpp"

namespace tidegate::verify {
namespace {

// One round trip to the speller for so many; a bound on memory.
constexpr std::size_t most_doubts = 1000, most_doubt_bytes = 4 << 20;
constexpr std::uint64_t rows_between_counts = 2000;

}  // namespace

namespace {

std::vector<std::string> texts_of(const Row& key) {
  std::vector<std::string> texts;
  for (const Value& value : key) {
    const auto* number = std::get_if<std::int64_t>(&value);
    texts.push_back(number ? std::to_string(*number) : std::get<std::string>(value));
  }
  return texts;
}

}  // namespace

bool LineMerge::excepted(const std::string& key) {
  auto found = scene_.held.find(key);
  if (found == scene_.held.end()) return false;
  findings_.excepted.push_back({scene_.plan.source, key, found->second.reason});
  return true;
}

// Taken out, or what a contributor wrote into it, and its row of the source is not found yet.
bool LineMerge::is_waited_for(const std::vector<std::string_view>& fields) {
  return is_mapped() && !scene_.held.empty() &&
         excepted(key_of_target(texts_of(scene_.order.key_of(fields))));
}

std::string LineMerge::shown_key(const std::vector<std::string_view>& fields) const {
  return key_as_json(scene_.order.key_of(fields));
}

// `key`: the source's, by which the quarantine knows the row; `shown`: by which people find it.
void LineMerge::differ(Kind kind, const std::string& key, std::string shown, const std::string& key_bytes,
                       std::vector<std::string> columns, bool unowned) {
  if (excepted(key)) return;
  add(findings_, {Side::target, kind, scene_.plan.source, std::move(shown), key_bytes, std::move(columns),
                  unowned ? kUnseenVersion : ""});
}

// The target's, to find the row again.
std::string LineMerge::own_key() const {
  return encode(scene_.order.key_of(target_.fields));
}

void LineMerge::misfit(const std::string& key, const std::string& key_bytes) {
  ++uncounted_;
  differ(Kind::missing, key, is_mapped() ? "{\"source\":" + key + "}" : key, key_bytes);
}

// A row that only the target has. Of a mapped one nobody knows the source's row: its version is asked for
// later.
void LineMerge::stands_alone() {
  const std::string key = shown_key(target_.fields);
  if (scene_.leftover) {
    auto columns = scene_.leftover(target_.fields);
    if (!columns.empty()) differ(Kind::differs, "", key, own_key(), std::move(columns), true);
  } else if (is_mapped()) {
    differ(Kind::extra, "", key, own_key(), {}, true);
  } else {
    differ(Kind::extra, key, key, own_key());
  }
}

void LineMerge::count(bool last) {
  if (!last && uncounted_ < rows_between_counts) return;
  findings_.rows += uncounted_;
  scene_.compared(uncounted_);
  uncounted_ = 0;
}

// The lines differ. One of them may stand alone.
void LineMerge::meet(SourceLines& source, TargetLines& target) {
  auto look = [&](Stream& side, std::string_view line) {
    split_fields(line, side.fields);
    if (side.before.empty()) return side.before.assign(line), void();
    std::vector<std::string_view> before;
    split_fields(side.before, before);
    bool falls = side.before != line && scene_.order.compare(before, side.fields) >= 0;
    if (falls && scene_.order.is_natural()) throw OrderBroken();
    side.before.assign(line);
  };
  if (source_.there) look(source_, source.line());
  if (target_.there) look(target_, target.line());
  auto order = !target_.there   ? std::weak_ordering::less
               : !source_.there ? std::weak_ordering::greater
                                : scene_.order.compare(source_.fields, target_.fields);
  if (order == 0) doubt(source, target);
  if (order < 0 && !is_waited_for(source_.fields))
    differ(Kind::missing, source.key(), is_mapped() ? shown_key(source_.fields) : source.key(),
           source.key_bytes());
  if (order > 0) stands_alone();
  if (order <= 0) ++uncounted_, source_.there = source.next();
  if (order >= 0) target_.there = target.next();
}

void LineMerge::doubt(SourceLines& source, TargetLines& target) {
  doubts_.push_back(
      {std::string(source.line()), std::string(target.line()), source.key(), source.key_bytes()});
  doubt_bytes_ += source.line().size() + target.line().size();
  if (doubts_.size() >= most_doubts || doubt_bytes_ >= most_doubt_bytes) settle();
}

void LineMerge::compare_fields(std::size_t doubt, std::vector<Pending>& pending,
                               std::vector<std::vector<std::size_t>>& differing) {
  std::vector<std::string_view> mine, theirs;
  split_fields(doubts_[doubt].source, mine);
  split_fields(doubts_[doubt].target, theirs);
  for (std::size_t i = 0; i < mine.size(); ++i) {
    if (mine[i] == theirs[i]) continue;
    auto source = field_value(mine[i]), target = field_value(theirs[i]);
    if (!source || !target) {
      differing[doubt].push_back(i);
    } else {
      pending[i].doubts.push_back(doubt);
      pending[i].source.push_back(std::move(*source));
      pending[i].target.push_back(std::move(*target));
    }
  }
}

// The server says how its columns print what the source has.
void LineMerge::settle() {
  std::vector<Pending> pending(scene_.plan.columns.size());
  std::vector<std::vector<std::size_t>> differing(doubts_.size());  // columns
  for (std::size_t i = 0; i < doubts_.size(); ++i) compare_fields(i, pending, differing);
  for (std::size_t column = 0; column < pending.size(); ++column) {
    Pending& each = pending[column];
    if (each.doubts.empty()) continue;
    auto spelt = scene_.speller.spell(scene_.plan, column, std::move(each.source));
    for (std::size_t i = 0; i < spelt.size(); ++i)
      if (spelt[i] != each.target[i]) differing[each.doubts[i]].push_back(column);
  }
  for (std::size_t i = 0; i < doubts_.size(); ++i) {
    if (differing[i].empty()) continue;
    std::sort(differing[i].begin(), differing[i].end());
    std::vector<std::string> columns;
    for (auto column : differing[i]) columns.push_back(scene_.plan.columns[column].target);
    std::vector<std::string_view> fields;
    split_fields(doubts_[i].target, fields);
    if (is_waited_for(fields)) continue;
    differ(Kind::differs, doubts_[i].key, is_mapped() ? shown_key(fields) : doubts_[i].key,
           doubts_[i].key_bytes, std::move(columns));
  }
  doubts_.clear();
  doubt_bytes_ = 0;
}

void LineMerge::run(SourceLines& source, TargetLines& target) {
  source_.there = source.next();
  target_.there = target.next();
  while (source_.there || target_.there) {
    if (source_.there && target_.there && source.line() == target.line()) {
      source_.there = source.next();
      target_.there = target.next();
      ++uncounted_;
    } else {
      meet(source, target);
    }
    count(false);
  }
  settle();
  count(true);
}

}  // namespace tidegate::verify
