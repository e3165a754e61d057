// Whether a text is JSON. Pure; no tree is built.
#pragma once

#include <string_view>

namespace tidegate {

// RFC 8259, to a depth of 1,000 (Postgres' own limit depends on its stack and lies above that).
bool is_json(std::string_view text);

// JSON that Postgres' jsonb takes as well: valid UTF-8, no \u0000, no half of a surrogate pair, numbers
// within numeric's range, no more than 256 MiB.
bool is_jsonb(std::string_view text);

}  // namespace tidegate
