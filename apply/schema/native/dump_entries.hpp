// What pg_dump wrote, cut into its entries. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "apply/schema/native/pg_tokens.hpp"

namespace tidegate::native {

// One object as pg_dump announces it ("-- Name: users; Type: TABLE; Schema: public; Owner: -") with the
// statements that follow: the one that makes it, and those that set what CREATE has no words for.
struct DumpEntry {
  std::string type, schema, name;
  std::vector<std::string> statements;  // without the dump's own SET
  QualifiedName subject;  // the first schema.name of the first statement; empty where there is none
};

// Entries in the dump's order, those without a statement left out. Throws std::invalid_argument on SQL that
// cannot be followed.
std::vector<DumpEntry> entries_of(std::string_view dump);

}  // namespace tidegate::native
