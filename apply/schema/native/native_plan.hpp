// What becomes of one table of a Postgres source on a Postgres target: the same table. Pure.
#pragma once

#include <map>
#include <string>
#include <utility>

#include "apply/plan.hpp"
#include "proto/table.hpp"

namespace tidegate {

// (schema, name) at the source → schema at the target, for what an extension brings and has elsewhere there.
using MovedNames = std::map<std::pair<std::string, std::string>, std::string>;

// `table` as a Postgres source describes it: name "schema.table" (split at the first dot), types as
// format_type prints them under an empty search_path, `primary_key` the columns by which events name a row,
// empty under REPLICA IDENTITY FULL. Generated columns are left out of the plan: the target computes them.
TablePlan native_plan(const SourceTable& table, const MovedNames& moved = {});

// "numeric(10,2)[]" → "numeric[]". As a cast the result changes no value: bpchar for character(5), "bit" in
// quotes for bit(3).
std::string without_modifier(const std::string& type);

}  // namespace tidegate
