#include "capture/postgres/publication.hpp"

#include <algorithm>

#include "db/error.hpp"
#include "db/failpoint.hpp"

namespace tidegate::capture {
namespace {

constexpr const char* our_comment = "made by tidegate";

constexpr const char* state_sql = R"(
SELECT p.puballtables, p.pubviaroot, p.pubinsert AND p.pubupdate AND p.pubdelete AND p.pubtruncate,
  coalesce(pg_catalog.obj_description(p.oid, 'pg_publication') = $2, false)
FROM pg_catalog.pg_publication p WHERE p.pubname = $1)";

// Row filters, lists of columns and whole schemas came with version 15.
constexpr const char* members_sql = R"(
SELECT n.nspname || '.' || c.relname,
  coalesce(pg_catalog.to_jsonb(r)->>'prqual', pg_catalog.to_jsonb(r)->>'prattrs') IS NOT NULL
FROM pg_catalog.pg_publication p JOIN pg_catalog.pg_publication_rel r ON r.prpubid = p.oid
  JOIN pg_catalog.pg_class c ON c.oid = r.prrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE p.pubname = $1)";

constexpr const char* schemas_sql = R"(
SELECT EXISTS (SELECT FROM pg_catalog.pg_publication p
  JOIN pg_catalog.pg_publication_namespace s ON s.pnpubid = p.oid WHERE p.pubname = $1))";

std::string only(const PostgresTable& table) {
  return "ONLY " + quoted_name(table.schema, table.name);
}

std::string table_list(const std::vector<PostgresTable>& tables) {
  std::string list;
  for (const PostgresTable& table : tables) list += (list.empty() ? "" : ", ") + only(table);
  return list;
}

std::string joined(const std::vector<std::string>& words, const char* between) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : between) + word;
  return text;
}

std::string lack_of(const PostgresTable& table) {
  if (!table.other_identity.empty())
    return "has partitions of another replica identity (" + joined(table.other_identity, ", ") + ")";
  if (table.replica_identity == ReplicaIdentity::nothing) return "has REPLICA IDENTITY NOTHING";
  if (table.replica_identity == ReplicaIdentity::index) return "has lost the index of its replica identity";
  return table.deferrable_key ? "has a DEFERRABLE primary key" : "has no primary key";
}

void require_none(const std::vector<Obstacle>& obstacles) {
  if (obstacles.empty()) return;
  std::vector<std::string> messages, mends;
  for (const Obstacle& one : obstacles) {
    messages.push_back(one.message);
    if (std::find(mends.begin(), mends.end(), one.mend) == mends.end()) mends.push_back(one.mend);
  }
  throw Refused(obstacles[0].code, joined(messages, "; "), joined(mends, " "));
}

// Behind a lock that waits, the application's statements wait as well.
void set_identity_full(postgres::Connection& source, PostgresTable& table) {
  postgres::Transaction transaction(source);
  source.run("SET LOCAL lock_timeout = '500ms'");
  for (const std::string& statement : identity_full_statements(table)) source.run(statement);
  transaction.commit();
  failpoint("publication-after-identity");
  table.replica_identity = ReplicaIdentity::full;
  table.identity.clear();
  table.other_identity.clear();
}

// Those that must be fit to be published.
std::vector<PostgresTable> judged(const std::vector<PostgresTable>& tables,
                                  const std::optional<PublicationState>& state,
                                  const PublicationOptions& options) {
  std::vector<PostgresTable> found;
  for (const PostgresTable& table : tables) {
    bool is_published = state && std::binary_search(state->tables.begin(), state->tables.end(), table.source);
    if (!options.keep_published || !is_published) found.push_back(table);
  }
  return found;
}

std::vector<std::string> set_identities(postgres::Connection& source, std::vector<PostgresTable>& tables) {
  std::vector<std::string> set;
  for (PostgresTable& table : tables) {
    if (table.usable_identity()) continue;
    set_identity_full(source, table);
    set.push_back(table.source);
  }
  return set;
}

void create(postgres::Connection& source, const std::string& name, const std::vector<PostgresTable>& tables) {
  if (!source.run("SELECT pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CREATE')")
           .boolean(0, 0)) {
    throw Refused("no-create-publication", "the source's role may not create publications",
                  "GRANT CREATE ON DATABASE to it, or connect as the owner of the database");
  }
  source.run("CREATE PUBLICATION " + quoted_name("", name) + " FOR TABLE " + table_list(tables) +
             " WITH (publish = 'insert, update, delete, truncate', publish_via_partition_root = true)");
  source.run("COMMENT ON PUBLICATION " + quoted_name("", name) + " IS " + postgres::literal(our_comment));
}

// FOR ALL TABLES cannot be taken back. Slots decode by the publication that was there at each change, so that
// dropping and making it in one transaction leaves no gap.
void alter(postgres::Connection& source, const std::string& name, const PublicationState& state,
           const std::vector<PostgresTable>& tables) {
  if (state.all_tables || state.whole_schemas) {
    source.run("DROP PUBLICATION " + quoted_name("", name));
    return create(source, name, tables);
  }
  source.run("ALTER PUBLICATION " + quoted_name("", name) + " SET TABLE " + table_list(tables));
  source.run("ALTER PUBLICATION " + quoted_name("", name) +
             " SET (publish = 'insert, update, delete, truncate', publish_via_partition_root = true)");
}

}  // namespace

std::vector<Obstacle> identity_obstacles(const std::vector<PostgresTable>& tables) {
  std::vector<Obstacle> obstacles;
  for (const PostgresTable& table : tables) {
    if (table.usable_identity()) continue;
    obstacles.push_back({"no-replica-identity", table.source,
                         "table " + table.source + " " + lack_of(table) +
                             ": once published, the application's UPDATE and DELETE on it would fail",
                         "give it a primary key, or let tidegate run (--allow-identity-full, [source] "
                         "set_identity_full = true): " +
                             joined(identity_full_statements(table), "; ") + ";"});
  }
  return obstacles;
}

std::vector<Obstacle> publication_obstacles(const std::vector<PostgresTable>& tables) {
  std::vector<Obstacle> obstacles;
  for (const PostgresTable& table : tables) {
    if (!table.owned) {
      obstacles.push_back(
          {"not-table-owner", table.source,
           "the source's role does not own table " + table.source + ", and only an owner may publish a table",
           "connect as the tables' owner, or GRANT that role to the one that tidegate uses"});
    }
    if (!table.foreign_partitions.empty()) {
      obstacles.push_back({"foreign-partition", table.source,
                           "table " + table.source + " has partitions that are foreign tables (" +
                               joined(table.foreign_partitions, ", ") + "), so it cannot be published",
                           "detach them, or leave the table out ([tables] exclude)"});
    }
  }
  return obstacles;
}

std::vector<std::string> identity_full_statements(const PostgresTable& table) {
  std::vector<std::string> statements = {"ALTER TABLE " + only(table) + " REPLICA IDENTITY FULL"};
  for (const TableFile& file : table.files) {
    if (file.oid != table.oid)
      statements.push_back("ALTER TABLE ONLY " + quoted_name(file.schema, file.name) +
                           " REPLICA IDENTITY FULL");
  }
  return statements;
}

std::optional<PublicationState> read_publication(postgres::Connection& source, const std::string& name) {
  auto head = source.run(state_sql, {name, our_comment});
  if (head.rows() == 0) return std::nullopt;
  PublicationState state;
  state.all_tables = head.boolean(0, 0);
  state.via_root = head.boolean(0, 1);
  state.all_operations = head.boolean(0, 2);
  state.ours = head.boolean(0, 3);
  auto members = source.run(members_sql, {name});
  for (int i = 0; i < members.rows(); ++i) {
    state.tables.emplace_back(members.text(i, 0));
    if (members.boolean(i, 1)) state.filtered.emplace_back(members.text(i, 0));
  }
  std::sort(state.tables.begin(), state.tables.end());
  if (source.server_version() >= 150000) state.whole_schemas = source.run(schemas_sql, {name}).boolean(0, 0);
  return state;
}

std::vector<std::string> differences(const PublicationState& state,
                                     const std::vector<PostgresTable>& tables) {
  std::vector<std::string> wanted, found;
  for (const PostgresTable& table : tables) wanted.push_back(table.source);
  std::sort(wanted.begin(), wanted.end());
  if (state.all_tables) return {"it is FOR ALL TABLES"};
  if (state.whole_schemas) return {"it has whole schemas"};
  for (const std::string& name : wanted) {
    if (!std::binary_search(state.tables.begin(), state.tables.end(), name))
      found.push_back("it lacks table " + name);
  }
  for (const std::string& name : state.tables) {
    if (!std::binary_search(wanted.begin(), wanted.end(), name)) found.push_back("it has table " + name);
  }
  for (const std::string& name : state.filtered) found.push_back("it has a filter on table " + name);
  if (!state.via_root) found.push_back("it does not publish via the partition root");
  if (!state.all_operations) found.push_back("it does not publish all operations");
  return found;
}

PublicationChanges ensure_publication(postgres::Connection& source, const std::string& name,
                                      std::vector<PostgresTable>& tables, const PublicationOptions& options) {
  if (tables.empty())
    throw Refused("no-tables", "the source has no table to replicate", "see [tables] include and exclude");
  auto state = read_publication(source, name);
  require_none(publication_obstacles(judged(tables, state, options)));
  if (state && !state->ours) {
    throw Refused("publication-not-ours",
                  "the source has a publication " + name + " that tidegate did not make",
                  "drop or rename it, or give this pipeline another name");
  }
  PublicationChanges changes;
  if (options.set_identity_full) {
    changes.identity_full = set_identities(source, tables);
  } else {
    require_none(identity_obstacles(judged(tables, state, options)));
  }
  if (state && (changes.altered = differences(*state, tables)).empty()) return changes;
  postgres::Transaction transaction(source);
  changes.created = !state;
  if (state) {
    alter(source, name, *state, tables);
  } else {
    create(source, name, tables);
  }
  transaction.commit();
  failpoint("publication-after-commit");
  return changes;
}

bool add_to_publication(postgres::Connection& source, const std::string& name, PostgresTable& table,
                        const PublicationOptions& options) {
  require_none(publication_obstacles({table}));
  const bool sets = options.set_identity_full && !table.usable_identity();
  if (sets) set_identity_full(source, table);
  require_none(identity_obstacles({table}));
  auto state = read_publication(source, name);
  if (state && std::binary_search(state->tables.begin(), state->tables.end(), table.source)) return sets;
  source.run("ALTER PUBLICATION " + quoted_name("", name) + " ADD TABLE " + only(table));
  return sets;
}

void drop_publication(postgres::Connection& source, const std::string& name) {
  auto state = read_publication(source, name);
  if (state && state->ours) source.run("DROP PUBLICATION " + quoted_name("", name));
}

}  // namespace tidegate::capture
