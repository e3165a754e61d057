#include "apply/mapping/back/return_keys.hpp"

#include <boost/json.hpp>

#include <algorithm>
#include <utility>

#include "proto/change.hpp"

namespace tidegate {
namespace {

namespace json = boost::json;

// On disk, and gone with the connection.
sqlite::Database empty_index() {
  sqlite::Database index = sqlite::Database::in_memory();
  index.execute("ATTACH '' AS kept; PRAGMA kept.journal_mode = OFF; PRAGMA kept.synchronous = OFF");
  index.execute(
      "CREATE TABLE kept.keys (scope TEXT NOT NULL, answer TEXT NOT NULL, key TEXT NOT NULL, outside "
      "INTEGER NOT NULL, PRIMARY KEY (scope, answer)) WITHOUT ROWID; CREATE INDEX kept.by_key ON keys "
      "(scope, key)");
  return index;
}

Value value_of(const json::value& value) {
  if (const auto* number = value.if_int64()) return *number;
  if (const auto* number = value.if_double()) return *number;
  if (const auto* text = value.if_string()) return std::string(*text);
  return Null{};
}

Row words_of(const ColumnKey& key) {
  return {key.words.begin(), key.words.end()};
}

std::string named(const ColumnKey& key, const Value& last) {
  Row row = words_of(key);
  row.push_back(last);
  return key_as_json(row);
}

// What stands behind the words; nothing where the key has others.
std::optional<Value> last_of(const std::string& name, const ColumnKey& key) {
  const json::array array = json::parse(name).as_array();
  if (array.size() != key.words.size() + 1) return std::nullopt;
  for (std::size_t i = 0; i < key.words.size(); ++i)
    if (!array[i].is_string() || array[i].get_string() != key.words[i]) return std::nullopt;
  return value_of(array.back());
}

std::optional<std::string> only_text(sqlite::Statement& statement) {
  std::optional<std::string> text;
  if (statement.step()) text = statement.text(0);
  statement.reset();
  return text;
}

std::string_view view(const std::string& text) {
  return text;
}

}  // namespace

std::string text_of_key(const Value& value) {
  if (const auto* text = std::get_if<std::string>(&value)) return *text;
  if (const auto* number = std::get_if<std::int64_t>(&value)) return std::to_string(*number);
  return "";
}

ReturnKeys::ReturnKeys(PairStore& pairs, std::shared_ptr<KeyAnswers> remembered)
    : pairs_(pairs),
      remembered_(std::move(remembered)),
      index_(empty_index()),
      into_index_(index_.prepare("INSERT OR REPLACE INTO kept.keys VALUES (?, ?, ?, ?)")),
      in_index_(index_.prepare("SELECT key FROM kept.keys WHERE scope = ? AND answer = ?")),
      name_in_index_(index_.prepare("SELECT 1 FROM kept.keys WHERE scope = ? AND key = ?")),
      outside_(index_.prepare("SELECT 1 FROM kept.keys WHERE scope = ? AND answer = ? AND outside")) {
  index_.execute("BEGIN");  // never committed: it is gone with the connection anyway
}

// A key that refers to another table's is not given out here.
void ReturnKeys::own(const ColumnKey& entity, const SourceTable& table, bool integers) {
  owners_.try_emplace({entity.scope, entity.words},
                      KeyOwner{table.name, entity.column, entity.scope, integers, table.autoincrement});
}

void ReturnKeys::index(const ColumnKey& entity, const Value& key, const std::string& answer, bool outside) {
  const std::string name = named(entity, key);
  into_index_.bind_all(view(entity.scope), view(answer), view(name), std::int64_t{outside}).run();
  if (const auto* id = std::get_if<std::int64_t>(&key)) {
    auto& highest = highest_[{entity.scope, entity.words}];
    highest = std::max(highest, *id);
  }
}

bool ReturnKeys::is_outside(const ColumnKey& entity, const std::string& answer) {
  return only_text(outside_.bind_all(view(entity.scope), view(answer))).has_value();
}

std::vector<std::string> ReturnKeys::names_of(const std::string& scope, const std::string& answer) {
  auto names = pairs_.keys_of(scope, answer);
  if (!names.empty()) return names;
  if (auto name = only_text(in_index_.bind_all(view(scope), view(answer)))) names.push_back(std::move(*name));
  return names;
}

std::optional<Value> ReturnKeys::find(const ColumnKey& key, const std::string& answer) {
  for (const std::string& name : names_of(key.scope, answer))
    if (auto last = last_of(name, key)) return last;
  return std::nullopt;
}

bool ReturnKeys::is_anothers(const ColumnKey& key, const std::string& answer) {
  return !find(key, answer) && !names_of(key.scope, answer).empty();
}

// Above all that were ever given out, so that a pair is one row's for good. A text is the target's own, with
// a mark behind it where the legacy table had such a key.
Value ReturnKeys::give(const KeyOwner& owner, const ColumnKey& key, const std::string& answer) {
  if (owner.gives_integers) {
    const auto last = next_.find(owner.table);
    std::int64_t id = pairs_.next_id(owner, last == next_.end() ? std::nullopt : std::optional(last->second));
    auto highest = highest_.find({key.scope, key.words});
    if (highest != highest_.end() && id <= highest->second) id = ++highest->second;  // that row has gone
    return next_[owner.table] = id;
  }
  const auto is_given = [&](const std::string& text) {
    const KeyName name{key.scope, named(key, text)};
    const bool indexed = only_text(name_in_index_.bind_all(view(name.scope), view(name.key))).has_value();
    return indexed || pairs_.answer_of(name) || pairs_.is_taken(owner, text);
  };
  std::string text = answer;
  for (int more = 2; is_given(text); ++more) text = answer + "+" + std::to_string(more);
  return text;
}

std::optional<Value> ReturnKeys::find_or_give(const ColumnKey& key, const std::string& answer) {
  const auto names = names_of(key.scope, answer);
  for (const std::string& name : names)
    if (auto last = last_of(name, key)) return last;
  if (!names.empty()) return std::nullopt;
  Value given = give(owners_.at({key.scope, key.words}), key, answer);
  keep({key.scope, named(key, given)}, answer);
  return given;
}

void ReturnKeys::keep(const KeyName& name, const std::string& answer) {
  const json::array array = json::parse(name.key).as_array();
  const auto* id = array.empty() ? nullptr : array.back().if_int64();
  pairs_.keep(name, answer, id ? std::optional(*id) : std::nullopt);
}

// --- as the mapping asks ---

// The engine that asks turns every exception into an error of its own, so it is kept.
template <typename Otherwise>
std::string ReturnKeys::answer(const KeyName& name, Otherwise otherwise) {
  std::optional<std::string> pair;
  try {
    pair = pairs_.answer_of(name);
  } catch (...) {
    failure_ = std::current_exception();
    throw;
  }
  std::string found = pair ? std::move(*pair) : otherwise();
  if (listens_) asked_.emplace_back(name, found);
  return found;
}

void ReturnKeys::rethrow_failure() {
  if (auto failure = std::exchange(failure_, nullptr)) std::rethrow_exception(failure);
  remembered_->rethrow_failure();
}

void ReturnKeys::listen() {
  listens_ = true;
  asked_.clear();
}

std::optional<KeyName> ReturnKeys::asked_for(const std::string& answer) {
  listens_ = false;
  for (const auto& [name, given] : asked_)
    if (given == answer) return name;
  return std::nullopt;
}

std::int64_t ReturnKeys::surrogate(const std::string& entity, const Row& key) {
  return std::stoll(answer(surrogate_name(entity, key),
                           [&] { return std::to_string(remembered_->surrogate(entity, key)); }));
}

std::string ReturnKeys::uuid(const std::string& entity, const Row& key, const std::string& made) {
  return answer(uuid_name(entity, key), [&] { return remembered_->uuid(entity, key, made); });
}

std::string ReturnKeys::paired_uuid(const std::string& entity, const Row& key, const std::string& made) {
  return answer(uuid_name(entity, key), [&] { return remembered_->paired_uuid(entity, key, made); });
}

std::string ReturnKeys::unique_value(const std::string& column, const std::string& value, const Row& key) {
  return remembered_->unique_value(column, value, key);
}

}  // namespace tidegate
