#include "apply/postgres/control_schema.hpp"

#include "db/error.hpp"

namespace tidegate {
namespace {

constexpr int schema_version = 4;

// Two daemons that start at once must not both make the schema; any constant that is ours will do.
constexpr const char* lock_schema = "SELECT pg_advisory_xact_lock(7221003218841)";

constexpr const char* first_version = R"sql(
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
)sql";

// What the first version lacked. Some of its targets have expect_rows, audit_head or keys.
constexpr const char* second_version = R"sql(
ALTER TABLE tidegate.pipelines ADD COLUMN IF NOT EXISTS audit_head text;

-- Makes a statement fail that did not find all of its rows: the COMMIT after it is on its way already.
CREATE OR REPLACE FUNCTION tidegate.expect_rows(counted bigint, expected bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  IF counted <> expected THEN
    RAISE EXCEPTION '% of % rows are missing', expected - counted, expected USING ERRCODE = 'P0TG1';
  END IF;
END $$;

-- The message that both functions of entry write stands in the server's log before all that the transaction writes: the
-- way back leaves such transactions out, since their rows came from the legacy database.

-- Every transaction of tidegate begins with this: it waits for a transaction of an older session that is still open,
-- and refuses when another session has taken over, when the target is live, or when the position is not the one that the
-- caller believes in.
CREATE OR REPLACE FUNCTION tidegate.enter(p text, my_epoch bigint, my_sequence bigint) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE now_is tidegate.pipelines;
BEGIN
  PERFORM pg_catalog.pg_logical_emit_message(true, 'tidegate', 'applies ' || p);
  SELECT * INTO now_is FROM tidegate.pipelines WHERE pipeline = p FOR UPDATE;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'the control row of pipeline % is gone', p USING ERRCODE = 'TG002';
  ELSIF now_is.epoch <> my_epoch THEN
    RAISE EXCEPTION 'another tidegate has taken over pipeline % (epoch %, ours is %)', p, now_is.epoch, my_epoch
      USING ERRCODE = 'TG001';
  ELSIF now_is.direction <> 'forward' THEN
    RAISE EXCEPTION 'the target of pipeline % is live: nothing is applied to it', p USING ERRCODE = 'TG004';
  ELSIF now_is.sequence <> my_sequence THEN
    RAISE EXCEPTION 'pipeline % is at position %, not at %', p, now_is.sequence, my_sequence USING ERRCODE = 'TG003';
  END IF;
END $$;

-- Begins transactions that go on beside the stream's and each other: they wait for nobody, but a session that takes over
-- waits for them, since it holds this lock alone while it changes the epoch.
CREATE OR REPLACE FUNCTION tidegate.enter_shared(p text, my_epoch bigint) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE now_is tidegate.pipelines;
BEGIN
  PERFORM pg_catalog.pg_logical_emit_message(true, 'tidegate', 'applies ' || p);
  PERFORM pg_advisory_xact_lock_shared(hashtextextended('tidegate lease of ' || p, 0));
  SELECT * INTO now_is FROM tidegate.pipelines WHERE pipeline = p;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'the control row of pipeline % is gone', p USING ERRCODE = 'TG002';
  ELSIF now_is.epoch <> my_epoch THEN
    RAISE EXCEPTION 'another tidegate has taken over pipeline % (epoch %, ours is %)', p, now_is.epoch, my_epoch
      USING ERRCODE = 'TG001';
  ELSIF now_is.direction <> 'forward' THEN
    RAISE EXCEPTION 'the target of pipeline % is live: nothing is applied to it', p USING ERRCODE = 'TG004';
  END IF;
END $$;

-- What a mapping's keys became. It outlives the pipeline's own rows: who begins again gets the same answers.
CREATE TABLE IF NOT EXISTS tidegate.keys (
  pipeline text NOT NULL,
  scope text NOT NULL,    -- surrogate:ENTITY, uuid:ENTITY or unique:TABLE.COLUMN
  key text NOT NULL,      -- JSON array
  answer text NOT NULL,
  owner text NOT NULL,    -- of a unique value: the source row that holds it
  PRIMARY KEY (pipeline, scope, key));
REVOKE ALL ON tidegate.keys FROM PUBLIC;

-- Which side takes the application's writes, by which cutover.
CREATE TABLE tidegate.live_side (
  pipeline text PRIMARY KEY REFERENCES tidegate.pipelines ON DELETE CASCADE,
  run text NOT NULL,
  live text NOT NULL CHECK (live IN ('source', 'target')),
  since timestamptz NOT NULL DEFAULT now());
REVOKE ALL ON tidegate.live_side FROM PUBLIC;

-- The fence of a target that is not live yet.
CREATE FUNCTION tidegate.refuse_write() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'table %.% still follows another database, which tidegate replicates', TG_TABLE_SCHEMA, TG_TABLE_NAME
    USING ERRCODE = '25006', HINT = 'It takes writes after the cutover; tidegate status says which side is live.';
END $$;

-- Tables that the pipeline's stream does not write, or that are being copied again: each with a position of its own.
CREATE TABLE tidegate.resyncs (
  pipeline text NOT NULL REFERENCES tidegate.pipelines ON DELETE CASCADE,
  source_table text NOT NULL,
  state text NOT NULL CHECK (state IN ('stopped', 'copying', 'following', 'merging', 'rejoining')),
  held boolean NOT NULL,      -- the pipeline's stream leaves the table out
  sequence bigint NOT NULL,   -- how far the table's own stream is
  until_sequence bigint,      -- merging: how far it has to go
  staging json,               -- the plan of the staging table; NULL: none
  changes json,               -- how the table's own shape is behind that: pieces for ALTER TABLE; NULL: it is not
  why text NOT NULL DEFAULT '',
  began_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (pipeline, source_table));
REVOKE ALL ON tidegate.resyncs FROM PUBLIC;

-- Begins the transactions of such a table's own stream.
CREATE FUNCTION tidegate.enter_lane(p text, my_epoch bigint, lane text, my_sequence bigint) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE now_is bigint;
BEGIN
  PERFORM tidegate.enter_shared(p, my_epoch);
  SELECT sequence INTO now_is FROM tidegate.resyncs WHERE pipeline = p AND source_table = lane FOR UPDATE;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'table % of pipeline % has no stream of its own any more', lane, p USING ERRCODE = 'TG002';
  ELSIF now_is <> my_sequence THEN
    RAISE EXCEPTION 'table % of pipeline % is at position %, not at %', lane, p, now_is, my_sequence
      USING ERRCODE = 'TG003';
  END IF;
END $$;
)sql";

constexpr const char* third_version = R"sql(
-- Refused writes that the fence had counted when this run changed the live side.
ALTER TABLE tidegate.live_side ADD COLUMN refused_before bigint NOT NULL DEFAULT 0;

-- Its trigger names a sequence: what is drawn from one is not rolled back with the statement that is refused. Whoever
-- is refused has no right to it, hence SECURITY DEFINER; who passes is not decided here, since in replica mode no such
-- trigger fires. Where the sequence cannot be had the write is refused all the same.
CREATE OR REPLACE FUNCTION tidegate.refuse_write() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  BEGIN
    PERFORM pg_catalog.nextval(pg_catalog.format('tidegate.%I', TG_ARGV[0])::pg_catalog.regclass);
  EXCEPTION WHEN OTHERS THEN
    NULL;
  END;
  RAISE EXCEPTION 'table %.% still follows another database, which tidegate replicates', TG_TABLE_SCHEMA, TG_TABLE_NAME
    USING ERRCODE = '25006', HINT = 'It takes writes after the cutover; tidegate status says which side is live.';
END $$;
)sql";

constexpr const char* fourth_version = R"sql(
-- Rows that were there when the pipeline began to write into their table (--adopt): no reset, TRUNCATE or new copy takes
-- them away.
CREATE TABLE tidegate.adopted (
  pipeline text NOT NULL REFERENCES tidegate.pipelines ON DELETE CASCADE,
  target_table text NOT NULL,
  key text[] NOT NULL,
  PRIMARY KEY (pipeline, target_table, key));
REVOKE ALL ON tidegate.adopted FROM PUBLIC;
)sql";

constexpr const char* closed_to_the_api = R"sql(
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

}  // namespace

std::string control_schema_sql(postgres::Connection& look) {
  bool there = look.run("SELECT pg_catalog.to_regclass('tidegate.version') IS NOT NULL").boolean(0, 0);
  auto version = there ? look.run("SELECT max(number) FROM tidegate.version").integer(0, 0) : 1;
  if (version > schema_version) {
    throw Refused("target-newer", "the schema tidegate was made by a newer tidegate", "use that version");
  }
  std::string sql = there ? "" : first_version;
  if (version < 2) sql += second_version;
  if (version < 3) sql += third_version;
  if (version < schema_version)
    sql += std::string(fourth_version) + closed_to_the_api + "INSERT INTO tidegate.version VALUES (" +
           std::to_string(schema_version) + ");\n";
  return sql;
}

void install_control_schema(postgres::Connection& target) {
  postgres::Transaction transaction(target);
  target.run(lock_schema);
  if (auto sql = control_schema_sql(target); !sql.empty()) target.run(sql);
  transaction.commit();
}

}  // namespace tidegate
