// Makes the functions of README.md known to an SQLite connection: the thin shell around the pure ones beside
// it.
#pragma once

#include <optional>

#include "apply/mapping/functions/temporary_password.hpp"
#include "db/sqlite.hpp"

namespace tidegate {

struct FunctionSettings {
  // Absent where the operator gave no secret: temporary_password then fails each row that asks for it, by
  // name.
  std::optional<TemporaryPasswords> temporary_passwords;
};

// What goes wrong in one fails its statement with a message that names the function and never the value.
void add_functions(sqlite::Database& database, const FunctionSettings& settings);

}  // namespace tidegate
