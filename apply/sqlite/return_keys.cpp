#include "apply/sqlite/return_keys.hpp"

#include <boost/json.hpp>

#include <algorithm>
#include <utility>

#include "apply/schema/declared_type.hpp"
#include "proto/change.hpp"

namespace tidegate {
namespace {

namespace json = boost::json;

// On disk, and gone with the connection.
sqlite::Database empty_index() {
  sqlite::Database index = sqlite::Database::in_memory();
  index.execute("ATTACH '' AS kept; PRAGMA kept.journal_mode = OFF; PRAGMA kept.synchronous = OFF");
  index.execute(
      "CREATE TABLE kept.keys (scope TEXT NOT NULL, answer TEXT NOT NULL, key TEXT NOT NULL, PRIMARY KEY "
      "(scope, "
      "answer)) WITHOUT ROWID");
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

ReturnKeys::ReturnKeys(sqlite::Database& legacy, std::shared_ptr<KeyAnswers> remembered)
    : legacy_(legacy),
      remembered_(std::move(remembered)),
      index_(empty_index()),
      into_index_(index_.prepare("INSERT OR REPLACE INTO kept.keys VALUES (?, ?, ?)")),
      in_index_(index_.prepare("SELECT key FROM kept.keys WHERE scope = ? AND answer = ?")),
      pair_by_answer_(legacy.prepare("SELECT key FROM _tidegate_keys WHERE scope = ? AND answer = ?")),
      pair_by_key_(legacy.prepare("SELECT answer FROM _tidegate_keys WHERE scope = ? AND key = ?")),
      insert_pair_(
          legacy.prepare("INSERT INTO _tidegate_keys (scope, key, answer, id) VALUES (?1, ?2, ?3, ?4) ON "
                         "CONFLICT DO UPDATE SET answer = ?3")) {
  index_.execute("BEGIN");  // never committed: it is gone with the connection anyway
}

// A key that refers to another table's is not given out here.
void ReturnKeys::own(const ColumnKey& entity, const SourceTable& table) {
  const SourceColumn* column = table.column(entity.column);
  const Affinity affinity = affinity_of(column ? column->declared_type : "");
  const bool integers = table.integer_key || affinity == Affinity::integer || affinity == Affinity::numeric;
  owners_.try_emplace({entity.scope, entity.words},
                      Owner{table.name, entity.column, entity.scope, integers, table.autoincrement});
}

void ReturnKeys::index(const ColumnKey& entity, const Value& key, const std::string& answer) {
  const std::string name = named(entity, key);
  into_index_.bind_all(view(entity.scope), view(answer), view(name)).run();
}

std::optional<Value> ReturnKeys::find(const ColumnKey& key, const std::string& answer) {
  auto name = only_text(pair_by_answer_.bind_all(view(key.scope), view(answer)));
  if (!name) name = only_text(in_index_.bind_all(view(key.scope), view(answer)));
  return name ? last_of(*name, key) : std::nullopt;
}

// Above all that were ever given out, so that a pair is one row's for good.
std::int64_t ReturnKeys::next_id(const Owner& owner) {
  const auto [known, is_new] = next_.try_emplace(owner.table, 0);
  if (!is_new) return ++known->second;
  const std::string table = sqlite::quoted(owner.table), column = sqlite::quoted(owner.column);
  auto highest =
      legacy_.prepare("SELECT max(coalesce((SELECT max(" + column + ") FROM " + table + "), 0), " +
                      (owner.autoincrement ? "coalesce((SELECT seq FROM sqlite_sequence WHERE name = ?1), 0)"
                                           : "length(?1) * 0") +
                      ", coalesce((SELECT max(id) FROM _tidegate_keys WHERE scope = ?2), 0))");
  highest.bind_all(view(owner.table), view(owner.scope)).step();
  return known->second = highest.integer(0) + 1;
}

Value ReturnKeys::find_or_give(const ColumnKey& key, const std::string& answer) {
  if (auto known = find(key, answer)) return *known;
  const Owner& owner = owners_.at({key.scope, key.words});
  const Value given = owner.gives_integers ? Value(next_id(owner)) : Value(answer);
  keep({key.scope, named(key, given)}, answer);
  return given;
}

void ReturnKeys::keep(const KeyName& name, const std::string& answer) {
  const json::array array = json::parse(name.key).as_array();
  const auto* id = array.empty() ? nullptr : array.back().if_int64();
  insert_pair_.bind_all(view(name.scope), view(name.key), view(answer), id ? Value(*id) : Value(Null{}))
      .run();
}

// --- as the mapping asks ---

// The engine that asks turns every exception into an error of its own, so it is kept.
template <typename Otherwise>
std::string ReturnKeys::answer(const KeyName& name, Otherwise otherwise) {
  std::optional<std::string> pair;
  try {
    pair = only_text(pair_by_key_.bind_all(view(name.scope), view(name.key)));
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

std::vector<KeyEntry> pairs_in(sqlite::Database& legacy) {
  std::vector<KeyEntry> pairs;
  if (legacy.integer("SELECT count(*) FROM sqlite_schema WHERE name = '_tidegate_keys'") == 0) return pairs;
  auto rows = legacy.prepare("SELECT scope, key, answer FROM _tidegate_keys ORDER BY scope, key");
  while (rows.step()) pairs.push_back({rows.text(0), rows.text(1), rows.text(2), ""});
  return pairs;
}

}  // namespace tidegate
