#include "replicator/doctor/numbered_keys.hpp"

#include "proto/change.hpp"
#include "replicator/doctor/nameless_database.hpp"

namespace tidegate {

NumberedKeys::NumberedKeys()
    : database_(nameless_database("CREATE TABLE numbers (entity TEXT NOT NULL, key TEXT NOT NULL, number "
                                  "INTEGER NOT NULL, PRIMARY KEY (entity, key)) WITHOUT ROWID; BEGIN")) {
  find_ = database_.prepare("SELECT number FROM numbers WHERE entity = ?1 AND key = ?2");
  add_ = database_.prepare("INSERT INTO numbers VALUES (?1, ?2, ?3)");
}

std::int64_t NumberedKeys::surrogate(const std::string& entity, const Row& key) {
  const std::string text = key_as_json(key);
  std::lock_guard lock(mutex_);
  find_->bind_all(std::string_view(entity), std::string_view(text));
  if (find_->step()) {
    const std::int64_t number = find_->integer(0);
    find_->reset();
    return number;
  }
  find_->reset();
  const std::int64_t number = ++last_[entity];
  add_->bind_all(std::string_view(entity), std::string_view(text), number);
  add_->run();
  return number;
}

}  // namespace tidegate
