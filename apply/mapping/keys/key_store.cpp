#include "apply/mapping/keys/key_store.hpp"

#include "db/failpoint.hpp"
#include "proto/change.hpp"

namespace tidegate {
namespace {

constexpr const char* create_sql =
    "CREATE TABLE IF NOT EXISTS keys (scope TEXT NOT NULL, key TEXT NOT NULL, answer TEXT NOT NULL,"
    " owner TEXT NOT NULL, state INTEGER NOT NULL, PRIMARY KEY (scope, key)) WITHOUT ROWID;"
    "CREATE INDEX IF NOT EXISTS keys_by_answer ON keys (scope, answer);"
    "CREATE INDEX IF NOT EXISTS keys_by_owner ON keys (owner) WHERE owner <> '';"
    "CREATE INDEX IF NOT EXISTS keys_not_sent ON keys (state) WHERE state <> 0";

std::string_view view(const std::string& text) {
  return text;
}

KeyEntry entry_of(const sqlite::Statement& row) {
  return {row.text(0), row.text(1), row.text(2), row.text(3)};
}

std::vector<KeyEntry> all_of(sqlite::Statement& rows) {
  std::vector<KeyEntry> entries;
  while (rows.step()) entries.push_back(entry_of(rows));
  rows.reset();
  return entries;
}

std::int64_t number(KeyState state) {
  return static_cast<std::int64_t>(state);
}

}  // namespace

KeyName surrogate_name(const std::string& entity, const Row& key) {
  return {"surrogate:" + entity, key_as_json(key)};
}

KeyName uuid_name(const std::string& entity, const Row& key) {
  return {"uuid:" + entity, key_as_json(key)};
}

KeyName unique_name(const std::string& column, const std::string& value, const Row& key) {
  Row named = key;
  named.emplace_back(value);
  return {"unique:" + column, key_as_json(named)};
}

KeyStore::KeyStore(sqlite::Database database) : database_(std::move(database)) {
  database_.execute(create_sql);
}

sqlite::Statement& KeyStore::prepared(const char* sql) {
  for (auto& [known, statement] : statements_) {
    if (known == sql) return statement;
  }
  return statements_.emplace_back(sql, database_.prepare(sql)).second;
}

void KeyStore::begin() {
  if (!database_.in_transaction()) database_.execute("BEGIN IMMEDIATE");
}

void KeyStore::flush() {
  if (!database_.in_transaction()) return;
  failpoint("keys-before-flush");
  database_.execute("COMMIT");
  failpoint("keys-after-flush");
}

std::optional<KeyEntry> KeyStore::find(const std::string& scope, const std::string& key) {
  static constexpr const char* sql =
      "SELECT scope, key, answer, owner FROM keys WHERE scope = ?1 AND key = ?2 AND state <> 2";
  auto found = all_of(prepared(sql).bind(1, view(scope)).bind(2, view(key)));
  if (found.empty()) return std::nullopt;
  return std::move(found.front());
}

bool KeyStore::has_any(const std::string& scope) {
  static constexpr const char* sql =
      "SELECT scope, key, answer, owner FROM keys WHERE scope = ?1 AND state <> 2 LIMIT 1";
  return !all_of(prepared(sql).bind(1, view(scope))).empty();
}

bool KeyStore::is_taken(const std::string& scope, const std::string& answer) {
  return !with_answer(scope, answer).empty();
}

std::vector<KeyEntry> KeyStore::with_answer(const std::string& scope, const std::string& answer) {
  static constexpr const char* sql =
      "SELECT scope, key, answer, owner FROM keys INDEXED BY keys_by_answer WHERE scope = ?1 AND answer = ?2 "
      "AND state <> 2";  // else SQLite, which knows no counts, may read all of the scope
  return all_of(prepared(sql).bind(1, view(scope)).bind(2, view(answer)));
}

std::vector<KeyEntry> KeyStore::held_by(const std::string& owner) {
  static constexpr const char* sql =
      "SELECT scope, key, answer, owner FROM keys WHERE owner = ?1 AND owner <> '' AND state <> 2";
  return all_of(prepared(sql).bind(1, view(owner)));
}

std::vector<KeyEntry> KeyStore::held_by_table(const std::string& table) {
  static constexpr const char* sql =
      "SELECT scope, key, answer, owner FROM keys WHERE owner >= ?1 AND owner < ?2 AND owner <> '' AND state "
      "<> 2";
  const std::string first = table + " ", behind = table + "!";  // the character after a blank
  return all_of(prepared(sql).bind(1, view(first)).bind(2, view(behind)));
}

void KeyStore::add(const KeyEntry& entry) {
  static constexpr const char* sql =
      "INSERT INTO keys(scope, key, answer, owner, state) VALUES (?1, ?2, ?3, ?4, 1)"
      " ON CONFLICT DO UPDATE SET answer = ?3, owner = ?4, state = 1";
  begin();
  prepared(sql).bind_all(view(entry.scope), view(entry.key), view(entry.answer), view(entry.owner)).run();
}

void KeyStore::release(const KeyEntry& entry) {
  static constexpr const char* sql = "UPDATE keys SET state = 2 WHERE scope = ?1 AND key = ?2";
  begin();
  prepared(sql).bind_all(view(entry.scope), view(entry.key)).run();
}

std::vector<KeyEntry> KeyStore::in_state(KeyState state) {
  static constexpr const char* sql =
      "SELECT scope, key, answer, owner FROM keys WHERE state = ?1 AND state <> 0 ORDER BY scope, key";
  return all_of(prepared(sql).bind(1, number(state)));
}

void KeyStore::sent(const std::vector<KeyEntry>& added, const std::vector<KeyEntry>& released) {
  static constexpr const char* keep =
      "UPDATE keys SET state = 0 WHERE scope = ?1 AND key = ?2 AND answer = ?3 AND state = 1";
  static constexpr const char* drop = "DELETE FROM keys WHERE scope = ?1 AND key = ?2 AND state = 2";
  if (added.empty() && released.empty()) return;
  begin();
  for (const auto& entry : added)
    prepared(keep).bind_all(view(entry.scope), view(entry.key), view(entry.answer)).run();
  for (const auto& entry : released) prepared(drop).bind_all(view(entry.scope), view(entry.key)).run();
}

void KeyStore::take_in(const KeyEntry& entry) {
  static constexpr const char* sql =
      "INSERT INTO keys(scope, key, answer, owner, state) VALUES (?1, ?2, ?3, ?4, 0)"
      " ON CONFLICT DO UPDATE SET answer = ?3, owner = ?4, state = 0";
  begin();
  prepared(sql).bind_all(view(entry.scope), view(entry.key), view(entry.answer), view(entry.owner)).run();
}

void KeyStore::forget(const KeyEntry& entry) {
  static constexpr const char* sql = "DELETE FROM keys WHERE scope = ?1 AND key = ?2";
  begin();
  prepared(sql).bind_all(view(entry.scope), view(entry.key)).run();
}

std::size_t KeyStore::count() {
  return static_cast<std::size_t>(database_.integer("SELECT count(*) FROM keys"));
}

std::vector<KeyEntry> KeyStore::page(const std::string& scope, const std::string& key, int limit) {
  static constexpr const char* sql =
      "SELECT scope, key, answer, owner FROM keys WHERE (scope, key) > (?1, ?2) AND state <> 2"
      " ORDER BY scope, key LIMIT ?3";
  return all_of(prepared(sql).bind(1, view(scope)).bind(2, view(key)).bind(3, std::int64_t{limit}));
}

}  // namespace tidegate
