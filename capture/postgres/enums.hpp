// Enums of a Postgres database, and their labels, which change without any event in the stream.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "capture/postgres/catalog.hpp"
#include "db/postgres.hpp"

namespace tidegate::capture {

struct EnumLabel {
  std::uint32_t oid = 0;  // stays when the label is renamed
  std::string text;
  bool operator==(const EnumLabel&) const = default;
};

struct EnumType {
  std::string schema, name;
  std::vector<EnumLabel> labels;           // in the type's own order
  std::vector<std::uint32_t> tables = {};  // whose rows have it; known of a source only
  bool operator==(const EnumType& other) const {
    return schema == other.schema && name == other.name && labels == other.labels;
  }
};

// Those that rows of these tables are made of: in columns, and within arrays, domains, composites and ranges.
std::vector<EnumType> read_enums(postgres::Connection& source, const std::vector<PostgresTable>& tables);

// Those of the same names in another database; what is not there, or is no enum there, is left out.
std::vector<EnumType> read_enums_like(postgres::Connection& database, const std::vector<EnumType>& types);

}  // namespace tidegate::capture
