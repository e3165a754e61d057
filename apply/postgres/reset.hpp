// Takes out of the target what a pipeline has put there, and nothing else.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "db/postgres.hpp"

namespace tidegate {

struct Emptied {
  std::string table;
  bool dropped = false;  // tidegate had made it
  std::int64_t rows = 0;
};

// One transaction: rows that tidegate wrote, tables that it made, and its own account of the pipeline. The
// key memory stays, so that another run gives the same answers. A daemon that still runs is refused from then
// on. Throws Refused where the target knows no such pipeline; Error where something else refers to the rows.
std::vector<Emptied> empty_target(postgres::Connection& target, const std::string& pipeline);

}  // namespace tidegate
