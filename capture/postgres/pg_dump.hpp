// The schema of the source, in the words of the server's own pg_dump.
#pragma once

#include <string>
#include <vector>

#include "capture/postgres/catalog.hpp"
#include "db/postgres.hpp"
#include "proto/extension.hpp"

namespace tidegate::capture {

struct PgDumpOptions {
  std::string bin;  // folder of pg_dump; empty: the newest under /usr/lib/postgresql, then PATH's folders
  std::string snapshot;  // an exported snapshot; empty: as the schema is now
};

struct PgDumpProgram {
  std::string path;
  int major = 0;
};
// Throws Refused where there is none, or where it is older than the server.
PgDumpProgram find_pg_dump(const std::string& bin, int server_version);

// "pg_dump (PostgreSQL) 15.18 (Debian …)" → 15; 0 where it is something else. Pure.
int pg_dump_major(const std::string& version_output);

// Plain SQL of the whole database's schema, without owners, privileges, tablespaces and security labels, and
// without the tables that are not in `tables` (they are not locked, so their rights do not matter). pg_dump
// holds ACCESS SHARE locks while it reads, and waits 20 s at most for them. The password goes by the child's
// environment. Throws Error with pg_dump's own words.
std::string dump_schema(postgres::Connection& source, const std::vector<PostgresTable>& tables,
                        const PgDumpOptions& options);

// Those that a table's definition may name; without plpgsql.
std::vector<SourceExtension> read_extensions(postgres::Connection& source);

}  // namespace tidegate::capture
