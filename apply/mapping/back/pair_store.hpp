// The pairs of keys that a legacy database keeps: its own and the target's, of rows that were born on the
// target. A pair is durable with the transaction in which it was kept, or never was.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "apply/mapping/keys/key_store.hpp"

namespace tidegate {

// The column that an entity's keys end in.
struct KeyOwner {
  std::string table, column, scope;
  bool gives_integers = true, autoincrement = false;
};

class PairStore {
 public:
  virtual ~PairStore() = default;

  // Names of that answer: one, but for a broken account.
  virtual std::vector<std::string> keys_of(const std::string& scope, const std::string& answer) = 0;
  virtual std::optional<std::string> answer_of(const KeyName& name) = 0;
  virtual void keep(const KeyName& name, const std::string& answer, std::optional<std::int64_t> id) = 0;

  // An integer above all that were ever given out. `last`: what this transaction gave out last.
  virtual std::int64_t next_id(const KeyOwner& owner, std::optional<std::int64_t> last) = 0;
  // Does the table have a row with this text as its key?
  virtual bool is_taken(const KeyOwner& owner, const std::string& key) = 0;
};

}  // namespace tidegate
