// The key memory's file, keys.db in the state directory: one row for each answer that was given. A
// transaction is open from the first change to flush(); a crash takes back what was not flushed.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "db/sqlite.hpp"
#include "proto/value.hpp"

namespace tidegate {

struct KeyEntry {
  std::string scope;  // "surrogate:user", "uuid:user", "unique:public.users.email"
  std::string key;    // JSON array
  std::string answer;
  std::string owner;  // of a unique value: the source row that holds it; else empty
  bool operator==(const KeyEntry&) const = default;
};

// Under which an answer is kept.
struct KeyName {
  std::string scope, key;
};
KeyName surrogate_name(const std::string& entity, const Row& key);
KeyName uuid_name(const std::string& entity, const Row& key);
KeyName unique_name(const std::string& column, const std::string& value, const Row& key);

// Against what the target holds in tidegate.keys.
enum class KeyState { sent = 0, added = 1, released = 2 };

class KeyStore {
 public:
  explicit KeyStore(sqlite::Database database);

  std::optional<KeyEntry> find(const std::string& scope, const std::string& key);  // none that was released
  bool has_any(const std::string& scope);
  bool is_taken(const std::string& scope, const std::string& answer);
  std::vector<KeyEntry> with_answer(const std::string& scope, const std::string& answer);
  std::vector<KeyEntry> held_by(const std::string& owner);
  std::vector<KeyEntry> held_by_table(const std::string& table);  // owners are "TABLE KEY"

  void add(const KeyEntry& entry);  // in the place of one that was released
  void release(const KeyEntry& entry);
  // Durable when it returns.
  void flush();

  std::vector<KeyEntry> in_state(KeyState state);
  // The target has what was sent of these.
  void sent(const std::vector<KeyEntry>& added, const std::vector<KeyEntry>& released);

  // For the meeting with the target; each as the target has it.
  void take_in(const KeyEntry& entry);
  void forget(const KeyEntry& entry);
  std::size_t count();
  // In order of scope and key, behind that place; at most `limit`.
  std::vector<KeyEntry> page(const std::string& scope, const std::string& key, int limit);

 private:
  void begin();
  sqlite::Statement& prepared(const char* sql);

  sqlite::Database database_;
  std::vector<std::pair<const char*, sqlite::Statement>> statements_;
};

}  // namespace tidegate
