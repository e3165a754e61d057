// What can be known beforehand of a Postgres source. Writes nothing there.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "apply/plan.hpp"
#include "capture/postgres/catalog.hpp"
#include "capture/postgres/publication.hpp"
#include "capture/postgres/watch.hpp"
#include "db/postgres.hpp"
#include "replicator/config/settings.hpp"

namespace tidegate {

struct PostgresSourceFacts {
  capture::ServerFacts server;
  std::vector<capture::PostgresTable> tables;
  std::vector<capture::CatalogNote> not_carried;
  std::vector<capture::OldTransaction> old;
  std::vector<std::string> row_security;  // tables whose policies hide rows from our role
  std::vector<std::string> unreadable;    // tables that our role may not SELECT
  std::optional<capture::PublicationState> publication;
  std::string encoding;  // of the database, e.g. UTF8
  std::uint64_t large_objects = 0;
  std::uint64_t wal_bytes_per_hour = 0;  // on average since the server's statistics began; 0: not known
  bool may_replicate = false, may_create = false;
  bool has_slot = false;  // ours is there already
};

// `slot` and `publication` are those of this pipeline.
PostgresSourceFacts read_postgres_source(postgres::Connection& source, const TableChoice& choice,
                                         const std::string& slot, const std::string& publication);

// What the operator has consented to.
struct PostgresSourceConsent {
  bool identity_full = false;  // REPLICA IDENTITY FULL for tables without a usable identity
  bool unbounded_wal = false;  // a slot for which the source keeps WAL without limit
  std::uint64_t wal_room = 0;  // what the source's disk has for that; 0: not said
};

// Pure.
std::vector<Finding> findings_of(const PostgresSourceFacts& facts, const PostgresSourceConsent& consent);

// Connects, reads, judges; with pg_dump, what of the schema is not carried over.
std::vector<Finding> examine_postgres_source(const Settings& settings, const std::string& slot,
                                             const std::string& publication);

}  // namespace tidegate
