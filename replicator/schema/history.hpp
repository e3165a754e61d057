// What migrations a target has had, and carrying out those that it has not.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "db/postgres.hpp"
#include "replicator/schema/migration_files.hpp"

namespace tidegate::schema {

struct Applied {
  std::string version, name;
};
// In order of version; empty where the target has no history.
std::vector<Applied> applied_to(postgres::Connection& target);

// One version, as files and target know it.
struct Known {
  std::optional<MigrationFile> file;
  std::optional<Applied> applied;
};
// In order of version. Pure.
std::vector<Known> compared(const std::vector<MigrationFile>& files, const std::vector<Applied>& applied);

// The files that the target has not had. Throws Refused where the Supabase CLI would refuse as well: the
// target has a version that is not here ("schema-history-differs"), or a file is older than the newest that
// it has ("schema-out-of-order"). Pure.
std::vector<MigrationFile> pending(const std::vector<Known>& versions);

// Makes the history's table where there is none, and carries one file out, with its row: in one transaction
// where its statements can be in one, else one by one with the row at last. Throws Error that names file and
// statement; README.md says what a crash leaves.
void apply(postgres::Connection& target, const MigrationFile& file);

}  // namespace tidegate::schema
