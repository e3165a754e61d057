#include "apply/postgres/control_schema.hpp"

#include "db/error.hpp"

namespace tidegate {
namespace {

constexpr int schema_version = 1;

// Two daemons that start at once must not both make the schema; any constant that is ours will do.
constexpr const char* lock_schema = "SELECT pg_advisory_xact_lock(7221003218841)";

constexpr const char* tables = R"sql(
CREATE SCHEMA tidegate;
REVOKE ALL ON SCHEMA tidegate FROM PUBLIC;

CREATE TABLE tidegate.version (number int NOT NULL);

-- One row per pipeline: who may write (epoch), and how far the target is (sequence, digest).
CREATE TABLE tidegate.pipelines (
  pipeline text PRIMARY KEY,
  incarnation text NOT NULL,
  direction text NOT NULL DEFAULT 'forward' CHECK (direction IN ('forward', 'backward')),
  epoch bigint NOT NULL DEFAULT 0,
  sequence bigint NOT NULL DEFAULT 0,
  digest text NOT NULL DEFAULT '',
  phase text NOT NULL DEFAULT 'new' CHECK (phase IN ('new', 'loading', 'catching_up', 'building', 'streaming')),
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now());

-- Every transaction of tidegate begins with this: it waits for a transaction of an older session that is still open,
-- and refuses when another session has taken over or the position is not the one that the caller believes in.
CREATE FUNCTION tidegate.enter(p text, my_epoch bigint, my_sequence bigint) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE now_is tidegate.pipelines;
BEGIN
  SELECT * INTO now_is FROM tidegate.pipelines WHERE pipeline = p FOR UPDATE;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'the control row of pipeline % is gone', p USING ERRCODE = 'TG002';
  ELSIF now_is.epoch <> my_epoch THEN
    RAISE EXCEPTION 'another tidegate has taken over pipeline % (epoch %, ours is %)', p, now_is.epoch, my_epoch
      USING ERRCODE = 'TG001';
  ELSIF now_is.sequence <> my_sequence THEN
    RAISE EXCEPTION 'pipeline % is at position %, not at %', p, now_is.sequence, my_sequence USING ERRCODE = 'TG003';
  END IF;
END $$;

-- The same for transactions that go on beside each other, the chunks of a snapshot: they do not wait for one another,
-- but a session that takes over waits for them. The position stands still meanwhile. The advisory lock is for
-- fairness only: share locks on a row would let new chunks pass a session that waits to take over.
CREATE FUNCTION tidegate.enter_shared(p text, my_epoch bigint) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE now_is tidegate.pipelines;
BEGIN
  PERFORM pg_advisory_xact_lock_shared(hashtextextended('tidegate lease of ' || p, 0));
  SELECT * INTO now_is FROM tidegate.pipelines WHERE pipeline = p FOR SHARE;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'the control row of pipeline % is gone', p USING ERRCODE = 'TG002';
  ELSIF now_is.epoch <> my_epoch THEN
    RAISE EXCEPTION 'another tidegate has taken over pipeline % (epoch %, ours is %)', p, now_is.epoch, my_epoch
      USING ERRCODE = 'TG001';
  END IF;
END $$;

-- Where foreign keys are switched off, says what they would have said.
CREATE FUNCTION tidegate.still_referenced(child text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'a row that the source deleted is still referenced from %', child USING ERRCODE = '23503';
END $$;

-- Tables that tidegate fills.
CREATE TABLE tidegate.tables (
  pipeline text NOT NULL REFERENCES tidegate.pipelines ON DELETE CASCADE,
  source_table text NOT NULL,
  target_table text NOT NULL,
  plan json NOT NULL,
  created_by_us boolean NOT NULL,
  loaded boolean NOT NULL DEFAULT false,
  PRIMARY KEY (pipeline, source_table));

CREATE TABLE tidegate.chunks (
  pipeline text NOT NULL REFERENCES tidegate.pipelines ON DELETE CASCADE,
  source_table text NOT NULL,
  number int NOT NULL,
  up_to bytea,             -- the last key covered, in tidegate's encoding; NULL: to the table's end
  sequence bigint,         -- where it was read: the journal's position, or the consistent point of a Postgres
                           -- source's snapshot, as a number; NULL: planned, not copied yet
  rows bigint NOT NULL DEFAULT 0,
  complete boolean NOT NULL DEFAULT true,  -- false: copied without columns that the table got meanwhile
  PRIMARY KEY (pipeline, source_table, number));

-- The columns by whose order a Postgres source's table is cut into chunks. A table that has chunks but no columns here
-- is read at once, in one snapshot.
CREATE TABLE tidegate.chunk_keys (
  pipeline text NOT NULL REFERENCES tidegate.pipelines ON DELETE CASCADE,
  source_table text NOT NULL,
  place int NOT NULL,        -- in the key, from 1
  column_name text NOT NULL,
  key_order text NOT NULL,   -- how its values compare: integer, bytes
  PRIMARY KEY (pipeline, source_table, place));

-- Indexes, constraints and the like that are built after the load.
CREATE TABLE tidegate.objects (
  pipeline text NOT NULL REFERENCES tidegate.pipelines ON DELETE CASCADE,
  name text NOT NULL,
  kind text NOT NULL,
  table_name text NOT NULL,
  state text NOT NULL CHECK (state IN ('done', 'failed')),
  error text,
  PRIMARY KEY (pipeline, kind, table_name, name));

-- Rows that do not fit, by key and reason; no values.
CREATE TABLE tidegate.quarantine (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  pipeline text NOT NULL REFERENCES tidegate.pipelines ON DELETE CASCADE,
  source_table text NOT NULL,
  source_key text NOT NULL,   -- as people read it
  key_bytes bytea NOT NULL,   -- the same, to find the row again
  target_table text NOT NULL,
  column_name text NOT NULL,
  reason text NOT NULL,
  sqlstate text NOT NULL DEFAULT '',
  constraint_name text NOT NULL DEFAULT '',
  sequence bigint NOT NULL,
  target_holds text NOT NULL CHECK (target_holds IN ('none', 'old row')),
  state text NOT NULL DEFAULT 'held' CHECK (state IN ('held', 'accepted')),
  accepted_reason text,
  first_seen timestamptz NOT NULL DEFAULT now(),
  last_seen timestamptz NOT NULL DEFAULT now(),
  UNIQUE (pipeline, source_table, source_key));

-- The summary per table that operators know from migration scripts; the truth is in chunks and pipelines.
CREATE TABLE tidegate.migration_checkpoints (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  table_name text NOT NULL UNIQUE,
  last_record_id bigint,
  last_key text,
  batch_number bigint NOT NULL DEFAULT 0 CHECK (batch_number >= 0),
  records_migrated bigint NOT NULL DEFAULT 0 CHECK (records_migrated >= 0),
  status text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'in_progress', 'completed', 'failed')),
  error_message text,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now());
CREATE INDEX migration_checkpoints_status_idx ON tidegate.migration_checkpoints (status);

-- Supabase's default privileges may have granted these to the API's roles.
REVOKE ALL ON ALL TABLES IN SCHEMA tidegate FROM PUBLIC;
DO $$
DECLARE api_role text;
BEGIN
  FOREACH api_role IN ARRAY ARRAY['anon', 'authenticated', 'service_role'] LOOP
    IF EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = api_role) THEN
      EXECUTE format('REVOKE ALL ON SCHEMA tidegate FROM %I', api_role);
      EXECUTE format('REVOKE ALL ON ALL TABLES IN SCHEMA tidegate FROM %I', api_role);
    END IF;
  END LOOP;
END $$;
)sql";

// Not part of the first version's schema, so it may be missing.
constexpr const char* expect_rows = R"sql(
-- Makes a statement fail that did not find all of its rows: the COMMIT after it is on its way already.
CREATE FUNCTION tidegate.expect_rows(counted bigint, expected bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  IF counted <> expected THEN
    RAISE EXCEPTION '% of % rows are missing', expected - counted, expected USING ERRCODE = 'P0TG1';
  END IF;
END $$;
)sql";

// Nor was this. It outlives the pipeline's own rows: who begins again gets the same answers.
constexpr const char* keys = R"sql(
CREATE TABLE tidegate.keys (
  pipeline text NOT NULL,
  scope text NOT NULL,    -- surrogate:ENTITY, uuid:ENTITY or unique:TABLE.COLUMN
  key text NOT NULL,      -- JSON array
  answer text NOT NULL,
  owner text NOT NULL,    -- of a unique value: the source row that holds it
  PRIMARY KEY (pipeline, scope, key));
REVOKE ALL ON tidegate.keys FROM PUBLIC;
)sql";

// Asked first: a role that only uses the schema may not alter it, even to no effect.
constexpr const char* has_audit_head =
    "SELECT EXISTS (SELECT FROM pg_catalog.pg_attribute WHERE attrelid = "
    "pg_catalog.to_regclass('tidegate.pipelines') AND attname = 'audit_head' AND NOT attisdropped)";

}  // namespace

void install_control_schema(postgres::Connection& target) {
  postgres::Transaction transaction(target);
  target.run(lock_schema);
  bool there = target.run("SELECT pg_catalog.to_regclass('tidegate.version') IS NOT NULL").boolean(0, 0);
  if (!there) {
    target.run(tables);
    target.run("INSERT INTO tidegate.version VALUES (" + std::to_string(schema_version) + ")");
  } else if (target.run("SELECT max(number) FROM tidegate.version").integer(0, 0) > schema_version) {
    throw Refused("target-newer", "the target's schema tidegate was made by a newer tidegate",
                  "use that version");
  }
  if (target.run("SELECT pg_catalog.to_regproc('tidegate.expect_rows') IS NULL").boolean(0, 0)) {
    target.run(expect_rows);
  }
  if (target.run("SELECT pg_catalog.to_regclass('tidegate.keys') IS NULL").boolean(0, 0)) target.run(keys);
  if (!target.run(has_audit_head).boolean(0, 0))
    target.run("ALTER TABLE tidegate.pipelines ADD audit_head text");
  transaction.commit();
}

}  // namespace tidegate
