// From all that pg_dump says of a database to what makes the chosen tables on the target. Pure.
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "apply/plan.hpp"
#include "apply/schema/ddl.hpp"
#include "apply/schema/native/native_plan.hpp"
#include "apply/schema/planner.hpp"
#include "proto/extension.hpp"
#include "proto/table.hpp"

namespace tidegate {

struct DumpChoice {
  std::vector<SourceTable> tables;          // those that are replicated, partitioned roots included
  std::vector<std::string> left_out;        // source names of the source's other tables
  std::vector<SourceExtension> extensions;  // of the source
  std::map<std::string, std::string> target_extensions;  // installed at the target: name → schema
  PlanOptions options;                                   // grants, revoke_from, enable_rls
};

struct NativeSchema {
  Ddl ddl;  // `table` of its objects is the source's name; of partitions, their root's
  std::vector<std::string> at_end;   // once, when all is built
  MovedNames moved;                  // for native_plan()
  std::set<std::string> extensions;  // those that the tables need
};

// Before the load: schemas, extensions (into schema `extensions`, unless the target has them elsewhere),
// types, functions that a table's definition needs, sequences, tables with defaults and CHECKs, partitions,
// comments, access. After it, in order: primary keys, unique and exclusion constraints and unique indexes,
// indexes, statistics, CHECKs that are NOT VALID, foreign keys (first NOT VALID, then validated). What is
// left out has a finding each; one that blocks says that the tables cannot be made as they are. `dump` is
// pg_dump's plain text of the whole schema without owners and privileges. Throws std::invalid_argument where
// it cannot be followed.
NativeSchema filter_dump(std::string_view dump, const DumpChoice& choice);

}  // namespace tidegate
