#include "apply/mapping/keys/remembered_keys.hpp"

#include <stdexcept>
#include <utility>

namespace tidegate {
namespace {

// A deferred transaction has its snapshot from its first read on.
sqlite::Database opened(sqlite::Database keys) {
  keys.execute("BEGIN");
  keys.integer("SELECT EXISTS (SELECT 1 FROM keys)");
  return keys;
}

}  // namespace

RememberedKeys::RememberedKeys(sqlite::Database keys) : store_(opened(std::move(keys))) {}

// The engine that asks turns every exception into an error of its own, so it is kept.
std::optional<std::string> RememberedKeys::find(const KeyName& name) {
  std::lock_guard lock(mutex_);
  try {
    auto found = store_.find(name.scope, name.key);
    if (!found) return std::nullopt;
    return std::move(found->answer);
  } catch (...) {
    failure_ = std::current_exception();
    throw;
  }
}

std::string RememberedKeys::known(const KeyName& name) {
  auto found = find(name);
  if (!found) throw std::out_of_range("the key memory has no such entry");
  return std::move(*found);
}

std::int64_t RememberedKeys::surrogate(const std::string& entity, const Row& key) {
  return std::stoll(known(surrogate_name(entity, key)));
}

std::string RememberedKeys::uuid(const std::string& entity, const Row& key, const std::string& made) {
  return find(uuid_name(entity, key)).value_or(made);
}

std::string RememberedKeys::paired_uuid(const std::string& entity, const Row& key, const std::string& made) {
  const KeyName name = uuid_name(entity, key);
  {
    std::lock_guard lock(mutex_);
    const auto [known, is_new] = paired_.try_emplace(name.scope, false);
    if (is_new) known->second = store_.has_any(name.scope);
    if (!known->second) return made;
  }
  return find(name).value_or(made);
}

std::string RememberedKeys::unique_value(const std::string& column, const std::string& value,
                                         const Row& key) {
  return known(unique_name(column, value, key));
}

void RememberedKeys::rethrow_failure() {
  std::lock_guard lock(mutex_);
  if (auto failure = std::exchange(failure_, nullptr)) std::rethrow_exception(failure);
}

}  // namespace tidegate
