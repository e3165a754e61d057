// uuid(), surrogate() and unique_value() in the expressions' engine.
#pragma once

#include <memory>
#include <set>
#include <string>

#include "apply/mapping/keys/key_answers.hpp"
#include "apply/mapping/uuid.hpp"
#include "db/sqlite.hpp"

namespace tidegate {

// Without a memory, as for `plan`, surrogate() gives 0 and unique_value() its value. `remembered`: entities
// whose UUIDs are kept; for others the memory is asked for pairs of rows that were born on the target.
void register_key_functions(sqlite::Database& engine, const UuidMaker& uuids,
                            const std::shared_ptr<KeyAnswers>& memory,
                            const std::set<std::string>& remembered);

}  // namespace tidegate
