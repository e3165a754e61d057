#include "apply/mapping/keys/key_memory.hpp"

#include <algorithm>
#include <set>
#include <utility>

#include "apply/text_format.hpp"
#include "proto/change.hpp"

namespace tidegate {
namespace {

constexpr int drawn_at_once = 50, page_size = 10000;

bool is_unique_scope(const KeyEntry& entry) {
  return entry.scope.starts_with("unique:");
}

// One array literal for each column of the entries.
std::vector<postgres::Parameter> arrays_of(const std::vector<KeyEntry>& entries) {
  std::vector<std::string> arrays(4, "{");
  for (const auto& entry : entries) {
    const std::string* fields[] = {&entry.scope, &entry.key, &entry.answer, &entry.owner};
    for (std::size_t i = 0; i < arrays.size(); ++i) {
      if (arrays[i].size() > 1) arrays[i] += ',';
      append_array_element(*fields[i], arrays[i]);
    }
  }
  std::vector<postgres::Parameter> parameters;
  for (auto& array : arrays) parameters.emplace_back(std::move(array) + "}");
  return parameters;
}

KeyEntry entry_at(const postgres::Result& rows, int i) {
  return {std::string(rows.text(i, 0)), std::string(rows.text(i, 1)), std::string(rows.text(i, 2)),
          std::string(rows.text(i, 3))};
}

constexpr const char* insert_sql =
    "INSERT INTO tidegate.keys(pipeline, scope, key, answer, owner)"
    " SELECT $1::text, * FROM unnest($2::text[], $3::text[], $4::text[], $5::text[])"
    " ON CONFLICT (pipeline, scope, key) DO UPDATE SET answer = excluded.answer, owner = excluded.owner";

}  // namespace

std::string numbered_value(const std::string& value, int n) {
  const auto at = value.rfind('@');
  const std::string plus = "+" + std::to_string(n);
  return at == std::string::npos ? value + plus : value.substr(0, at) + plus + value.substr(at);
}

std::optional<std::string> KeyMemory::remembered(const KeyName& name) {
  auto found = store_.find(name.scope, name.key);
  if (!found) return std::nullopt;
  return found->answer;
}

// The engine that asks turns every exception into an error of its own, so it is kept.
template <typename Work>
auto KeyMemory::answer(Work work) {
  std::lock_guard lock(mutex_);
  try {
    return work();
  } catch (...) {
    failure_ = std::current_exception();
    throw;
  }
}

void KeyMemory::rethrow_failure() {
  std::lock_guard lock(mutex_);
  if (auto failure = std::exchange(failure_, nullptr)) std::rethrow_exception(failure);
}

std::int64_t KeyMemory::next_of(const std::string& entity) {
  auto& left = drawn_[entity];
  if (left.empty()) {
    left = draw_(entity, drawn_at_once);
    std::reverse(left.begin(), left.end());
  }
  const std::int64_t next = left.back();
  left.pop_back();
  return next;
}

std::int64_t KeyMemory::surrogate(const std::string& entity, const Row& key) {
  return answer([&]() -> std::int64_t {
    const KeyName name = surrogate_name(entity, key);
    if (auto known = remembered(name)) return std::stoll(*known);
    const std::int64_t made = next_of(entity);
    store_.add({name.scope, name.key, std::to_string(made), ""});
    return made;
  });
}

std::string KeyMemory::uuid(const std::string& entity, const Row& key, const std::string& made) {
  return answer([&]() -> std::string {
    const KeyName name = uuid_name(entity, key);
    if (auto known = remembered(name)) return *known;
    store_.add({name.scope, name.key, made, ""});
    return made;
  });
}

std::string KeyMemory::paired_uuid(const std::string& entity, const Row& key, const std::string& made) {
  return answer([&]() -> std::string {
    const KeyName name = uuid_name(entity, key);
    const auto [known, is_new] = paired_.try_emplace(name.scope, false);
    if (is_new) known->second = store_.has_any(name.scope);
    return known->second ? remembered(name).value_or(made) : made;
  });
}

void KeyMemory::take_pairs(const std::vector<KeyEntry>& pairs) {
  std::lock_guard lock(mutex_);
  for (const KeyEntry& pair : pairs)
    if (store_.find(pair.scope, pair.key) != pair) store_.add(pair);
  paired_.clear();
  store_.flush();
}

std::string KeyMemory::free_value(const std::string& scope, const std::string& value) {
  if (!store_.is_taken(scope, value)) return value;
  int& n = next_choice_.try_emplace({scope, value}, 2).first->second;
  std::string wanted = numbered_value(value, n);
  while (store_.is_taken(scope, wanted)) wanted = numbered_value(value, ++n);
  return wanted;
}

void KeyMemory::release(const std::vector<KeyEntry>& entries) {
  for (const auto& entry : entries) {
    store_.release(entry);
    note_ahead(entry.scope, entry.key);
  }
  if (!entries.empty()) next_choice_.clear();
}

std::string KeyMemory::unique_value(const std::string& column, const std::string& value, const Row& key) {
  return answer([&]() -> std::string {
    const KeyName name = unique_name(column, value, key);
    std::erase_if(before_,
                  [&](const KeyEntry& entry) { return entry.scope == name.scope && entry.key == name.key; });
    if (auto known = remembered(name)) return *known;
    std::string made = free_value(name.scope, value);
    store_.add({name.scope, name.key, made, owner_});
    note_ahead(name.scope, name.key);
    return made;
  });
}

void KeyMemory::begin_row(std::string owner) {
  std::lock_guard lock(mutex_);
  owner_ = std::move(owner);
  before_ = store_.held_by(owner_);
}

void KeyMemory::end_row(bool asked_all) {
  std::lock_guard lock(mutex_);
  if (asked_all) release(before_);
  before_.clear();
  owner_.clear();
}

void KeyMemory::row_is_gone(const std::string& owner) {
  std::lock_guard lock(mutex_);
  release(store_.held_by(owner));
}

void KeyMemory::table_is_empty(const std::string& table) {
  std::lock_guard lock(mutex_);
  release(store_.held_by_table(table));
}

// --- towards the target ---

void KeyMemory::note_ahead(const std::string& scope, const std::string& key) {
  if (mapped_ > due_) ahead_[{scope, key}] = mapped_;
}

void KeyMemory::begin_ahead() {
  std::lock_guard lock(mutex_);
  ++mapped_;
}

void KeyMemory::chunk_is_next() {
  std::lock_guard lock(mutex_);
  ++due_;
  std::erase_if(ahead_, [&](const auto& entry) { return entry.second <= due_; });
}

std::vector<KeyEntry> KeyMemory::due(KeyState state) {
  auto entries = store_.in_state(state);
  std::erase_if(entries, [&](const KeyEntry& entry) { return ahead_.contains({entry.scope, entry.key}); });
  return entries;
}

std::optional<postgres::Command> KeyMemory::unsent(const postgres::Command& into) {
  std::lock_guard lock(mutex_);
  adding_ = due(KeyState::added);
  releasing_ = due(KeyState::released);
  if (adding_.empty() && releasing_.empty()) return std::nullopt;
  store_.flush();
  return with_entries(into, pipeline_, adding_, releasing_);
}

postgres::Command with_entries(const postgres::Command& into, const std::string& pipeline,
                               const std::vector<KeyEntry>& added, const std::vector<KeyEntry>& released) {
  const auto first = into.parameters.size();
  auto parameter = [&](std::size_t i) { return "$" + std::to_string(first + i); };
  auto texts = [&](std::size_t i) { return parameter(i) + "::text[]"; };
  postgres::Command command{
      "WITH released AS (DELETE FROM tidegate.keys AS k USING unnest(" + texts(2) + ", " + texts(3) +
          ") AS g(scope, key) WHERE k.pipeline = " + parameter(1) +
          " AND k.scope = g.scope AND k.key = g.key),"
          " added AS (INSERT INTO tidegate.keys(pipeline, scope, key, answer, owner) SELECT " +
          parameter(1) + ", * FROM unnest(" + texts(4) + ", " + texts(5) + ", " + texts(6) + ", " + texts(7) +
          ") ON CONFLICT (pipeline, scope, key) DO UPDATE SET answer = excluded.answer, owner = "
          "excluded.owner) " +
          into.sql,
      into.parameters};
  auto gone = arrays_of(released);
  gone.resize(2);
  command.parameters.emplace_back(pipeline);
  for (auto& more : {gone, arrays_of(added)})
    command.parameters.insert(command.parameters.end(), more.begin(), more.end());
  return command;
}

void KeyMemory::sent() {
  std::lock_guard lock(mutex_);
  store_.sent(adding_, releasing_);
  adding_.clear();
  releasing_.clear();
}

// --- meeting ---

void KeyMemory::take_from(postgres::Connection& target) {
  KeyEntry last;
  for (int got = page_size; got == page_size;) {
    auto rows = target.run(
        "SELECT scope, key, answer, owner FROM tidegate.keys WHERE pipeline = $1 AND (scope, key) > ($2, $3)"
        " ORDER BY scope, key LIMIT " +
            std::to_string(page_size),
        {pipeline_, last.scope, last.key});
    got = rows.rows();
    for (int i = 0; i < got; ++i) store_.take_in(last = entry_at(rows, i));
  }
}

void KeyMemory::give_to(postgres::Connection& target) {
  KeyEntry last;
  for (auto page = store_.page("", "", page_size); !page.empty();
       page = store_.page(last.scope, last.key, page_size)) {
    last = page.back();
    std::vector<postgres::Parameter> parameters{pipeline_};
    for (auto& array : arrays_of(page)) parameters.push_back(std::move(array));
    target.run(insert_sql, parameters);
    store_.sent(page, {});
  }
}

// What the target does not show of the last transactions did not happen; it may have happened though its
// answer was lost.
void KeyMemory::settle(postgres::Connection& target) {
  for (const auto state : {KeyState::added, KeyState::released}) {
    const auto entries = store_.in_state(state);
    for (std::size_t first = 0; first < entries.size(); first += page_size) {
      const auto last = std::min<std::size_t>(first + page_size, entries.size());
      settle(target, {entries.begin() + static_cast<std::ptrdiff_t>(first),
                      entries.begin() + static_cast<std::ptrdiff_t>(last)});
    }
  }
}

void KeyMemory::settle(postgres::Connection& target, const std::vector<KeyEntry>& entries) {
  const auto arrays = arrays_of(entries);
  const auto rows = target.run(
      "SELECT scope, key, k.answer, k.owner FROM tidegate.keys AS k JOIN unnest($2::text[], $3::text[])"
      " AS g(scope, key) USING (scope, key) WHERE k.pipeline = $1",
      {pipeline_, arrays[0], arrays[1]});
  std::set<std::pair<std::string, std::string>> there;
  for (int i = 0; i < rows.rows(); ++i) {
    const KeyEntry entry = entry_at(rows, i);
    store_.take_in(entry);
    there.emplace(entry.scope, entry.key);
  }
  for (const auto& entry : entries) {
    if (is_unique_scope(entry) && !there.contains({entry.scope, entry.key})) store_.forget(entry);
  }
}

void KeyMemory::meet(postgres::Connection& target, bool fresh) {
  std::lock_guard lock(mutex_);
  adding_.clear();
  releasing_.clear();
  before_.clear();
  next_choice_.clear();
  paired_.clear();
  ahead_.clear();
  mapped_ = due_ = 0;
  if (fresh) {
    take_from(target);
    give_to(target);
  } else {
    settle(target);
  }
  store_.flush();
}

}  // namespace tidegate
