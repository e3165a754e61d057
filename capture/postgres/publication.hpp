// The publication that says which tables the slot decodes. Exactly the chosen tables are in it: a published
// table without a usable identity makes the application's own UPDATE and DELETE fail.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "capture/postgres/catalog.hpp"
#include "db/postgres.hpp"

namespace tidegate::capture {

// Something about one table, or about the server, that blocks. `code` is for `tidegate explain`.
struct Obstacle {
  std::string code, table, message, mend;
};

// Tables that cannot be published as they are, with the statement that mends each. Pure.
std::vector<Obstacle> identity_obstacles(const std::vector<PostgresTable>& tables);
// Tables that our role does not own, and foreign partitions. Pure.
std::vector<Obstacle> publication_obstacles(const std::vector<PostgresTable>& tables);

// `ALTER TABLE … REPLICA IDENTITY FULL` for the table and all its partitions. Pure.
std::vector<std::string> identity_full_statements(const PostgresTable& table);

struct PublicationState {
  bool ours = false;  // carries our comment
  bool all_tables = false, via_root = false, all_operations = false, whole_schemas = false;
  std::vector<std::string> tables;    // source names, sorted
  std::vector<std::string> filtered;  // of those the ones with a row filter or a list of columns
  bool operator==(const PublicationState&) const = default;
};
std::optional<PublicationState> read_publication(postgres::Connection& source, const std::string& name);

// How the publication differs from one of exactly these tables, in words; empty: it does not. Pure.
std::vector<std::string> differences(const PublicationState& state, const std::vector<PostgresTable>& tables);

struct PublicationOptions {
  bool set_identity_full = false;  // consent to REPLICA IDENTITY FULL where a table has no usable identity
  // A table that is published already stays so, whatever became of its identity or owner: who follows the
  // stream judges that, and leaving it out would lose its changes.
  bool keep_published = false;
};

struct PublicationChanges {
  bool created = false;
  std::vector<std::string> altered;        // what differed, in words
  std::vector<std::string> identity_full;  // tables whose identity was set
};

// Afterwards the publication holds exactly `tables`, for all operations and via the partition root.
// Identities are set first, each in a transaction of its own that waits half a second at most for its lock
// (behind it the application's statements wait too), and `tables` is changed accordingly. Throws Refused
// where a table cannot be published, where we own neither table nor publication, and where one of that name
// is not ours; Error with Advice::retry where a lock was not to be had.
PublicationChanges ensure_publication(postgres::Connection& source, const std::string& name,
                                      std::vector<PostgresTable>& tables, const PublicationOptions& options);

// Adds one table to the publication, which is ours, unless it is there already; an identity is set as above,
// and `table` changed accordingly. Throws as above. Returns whether an identity was set.
bool add_to_publication(postgres::Connection& source, const std::string& name, PostgresTable& table,
                        const PublicationOptions& options);

// Drops it if it is there and ours.
void drop_publication(postgres::Connection& source, const std::string& name);

}  // namespace tidegate::capture
