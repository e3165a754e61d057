// What the key memory has to leave in the target, as the writers of target transactions see it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "apply/mapping/keys/key_store.hpp"
#include "db/postgres.hpp"

namespace tidegate {

class KeyOutbox {
 public:
  virtual ~KeyOutbox() = default;

  // What the target does not have yet, durable here before this returns; nothing where it has all. `into` is
  // a statement that the entries' own may stand before, as common table expressions.
  virtual std::optional<postgres::Command> unsent(const postgres::Command& into) = 0;
  // The transaction that carried the last unsent() was committed.
  virtual void sent() = 0;

  // What is asked from now on is for one chunk more that is mapped ahead: unique values that its rows get or
  // give up are not sent before it.
  virtual void begin_ahead() {}
  // The next transaction is that of the first chunk that was mapped ahead and not sent.
  virtual void chunk_is_next() {}
};

// `into`, and before it in the same statement the entries: those that tidegate.keys gets and those that it
// loses.
postgres::Command with_entries(const postgres::Command& into, const std::string& pipeline,
                               const std::vector<KeyEntry>& added, const std::vector<KeyEntry>& released);

}  // namespace tidegate
