// A target's backup, by pg_dump and pg_restore.
#pragma once

#include <stop_token>
#include <string>
#include <vector>

#include "replicator/backup/folder.hpp"
#include "replicator/config/settings.hpp"

namespace tidegate::backup {

struct Order {
  std::string by, reason;
  int jobs = 2;  // connections of pg_dump; of pg_restore, where it is more than 1
  std::stop_token stop;
};

// Throws Refused where there is no fitting pg_dump, or nothing that could be backed up; Error.
Manifest create_of_target(const Settings& settings, const Order& order);

// Tables with rows that the role could back up, by name as SQL writes it: the first few.
std::vector<std::string> tables_with_rows(const Settings& settings);

// README.md says in which steps. The caller has asked whether it may. Throws Refused, Error.
void restore_target(const Settings& settings, const Listed& backup, const Order& order);

}  // namespace tidegate::backup
