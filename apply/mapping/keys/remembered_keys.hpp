// The key memory as it was at one moment, for those who only look: nothing is given out, and nothing kept.
#pragma once

#include <exception>
#include <map>
#include <mutex>

#include "apply/mapping/keys/key_answers.hpp"
#include "apply/mapping/keys/key_store.hpp"

namespace tidegate {

// What the memory does not know is an expression that fails. A UUID that is not remembered is the one that
// was made.
class RememberedKeys : public LookedUpAnswers {
 public:
  // keys.db, on a connection of its own; what was flushed by now is seen as long as this lives.
  explicit RememberedKeys(sqlite::Database keys);

  std::int64_t surrogate(const std::string& entity, const Row& key) override;
  std::string uuid(const std::string& entity, const Row& key, const std::string& made) override;
  std::string paired_uuid(const std::string& entity, const Row& key, const std::string& made) override;
  std::string unique_value(const std::string& column, const std::string& value, const Row& key) override;
  void rethrow_failure() override;

 private:
  std::optional<std::string> find(const KeyName& name);
  std::string known(const KeyName& name);

  std::mutex mutex_;
  KeyStore store_;
  std::map<std::string, bool> paired_;  // does the memory have anything of that scope
  std::exception_ptr failure_;
};

}  // namespace tidegate
