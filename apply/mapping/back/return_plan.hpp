// How the rows of a mapped source table come back from the target's rows that its maps made. README.md, "Way
// back". Pure but for compiling [map.reverse].
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "apply/mapping/keys/key_calls.hpp"
#include "apply/mapping/mapped_table.hpp"
#include "apply/plan.hpp"
#include "proto/table.hpp"

namespace tidegate {

// Where a column of the source's table comes from.
struct ReturnSource {
  enum class Kind {
    stays,   // an update leaves it, an insert takes its default
    passed,  // the target's column is nothing but this one
    key,     // the target's column is a key that ends in this one
    given,   // by [map.reverse]
  } kind = Kind::stays;
  std::size_t output = 0;              // place in ReturnPlan::outputs
  std::string target;                  // passed, key: the column there
  std::optional<ColumnKey> key = {};   // of Kind::key
  const MapColumn* reverse = nullptr;  // of Kind::given
};

struct ReturnOutput {
  MapOutput from;
  bool is_part = false;  // has the anchor's key: its row is a part of the source's row
  // Of one that is none and whose key is its own, a uuid() or surrogate(): the column that holds the anchor's
  // key.
  std::string link = {};
  // Columns of the target's key: those that are made of the row, and those with a text that all of its rows
  // have.
  std::vector<std::string> made_key = {};
  std::vector<std::pair<std::string, std::string>> constants = {};
  bool is_shared = false;  // other maps own rows of the table as well
  // Condition on the target's columns that says of a row of a shared table whether it is this map's; empty
  // where only the key memory knows.
  std::string claim = {};
  bool claims_born = false;  // it is `born`, which says nothing of a row whose key is known
};

struct ReturnPlan {
  std::string table;
  std::vector<ReturnOutput> outputs;  // in the file's order
  std::size_t anchor = 0;
  std::vector<ReturnSource> columns;  // of SourceTable::columns
  std::vector<Finding> findings;      // Level::block: the table has no way back
  // The entity of its rows, where their keys are remembered ones; nothing where the key is passed on.
  std::optional<ColumnKey> entity = {};
  // It only gives columns to rows that another table owns: the anchor is the owner's, rows of the table are
  // changed where they are, and never made or removed.
  bool contributes = false;
  const ReturnOutput& anchor_output() const { return outputs[anchor]; }
};

// May changes of this table of the target be followed?
using Follows = std::function<bool(const MapTarget&)>;

// One for each table that some map reads, in the order of `tables`; a table that comes twice is taken once.
// Plans point into `maps`. Throws Refused where [map.reverse] names no column of its table.
std::vector<ReturnPlan> plan_returns(const std::vector<MapDefinition>& maps,
                                     const std::vector<SourceTable>& tables, const Follows& follows);

}  // namespace tidegate
