// The target's tables and columns as they were before it became live, so that what the new application adds
// is known: no way back follows it.
#pragma once

#include <string>
#include <vector>

#include "db/postgres.hpp"
#include "replicator/control/store.hpp"

namespace tidegate::cutover {

// PREPARE. Of the schemas that the pipeline writes to; durable when it returns.
void remember_target(ControlStore& store, postgres::Connection& target, const std::string& pipeline);

struct LeftBehind {
  bool is_known = true;  // false: the target became live without such a record
  std::vector<std::string> tables, columns;
};
// What is there now and was not then.
LeftBehind left_behind(ControlStore& store, postgres::Connection& target, const std::string& pipeline);

// One sentence; empty where nothing would be left behind, as far as is known.
std::string in_words(const LeftBehind& left);

}  // namespace tidegate::cutover
