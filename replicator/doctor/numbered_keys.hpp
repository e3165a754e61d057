// The numbers that surrogate() would give, while doctor looks: each key of an entity one of its own, so that
// who refers to whom can be told. Nothing is remembered, and no sequence of the target is drawn from.
#pragma once

#include <map>
#include <mutex>
#include <optional>

#include "apply/mapping/keys/key_answers.hpp"
#include "db/sqlite.hpp"

namespace tidegate {

class NumberedKeys : public LookedUpAnswers {
 public:
  NumberedKeys();
  std::int64_t surrogate(const std::string& entity, const Row& key) override;
  std::string uuid(const std::string&, const Row&, const std::string& made) override { return made; }
  std::string paired_uuid(const std::string&, const Row&, const std::string& made) override { return made; }
  std::string unique_value(const std::string&, const std::string& value, const Row&) override {
    return value;
  }
  void rethrow_failure() override {}

 private:
  std::mutex mutex_;
  sqlite::Database database_;
  std::optional<sqlite::Statement> find_, add_;
  std::map<std::string, std::int64_t> last_;  // by entity
};

}  // namespace tidegate
