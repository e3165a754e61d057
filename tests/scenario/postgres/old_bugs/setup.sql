-- What other replicators, the server's own among them, once tripped over.
SELECT format('ALTER DATABASE %I SET logical_decoding_work_mem = ''64kB''', current_database()) \gexec
CREATE FUNCTION doubled(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 * 2';
CREATE TABLE with_function (id int PRIMARY KEY, a int); CREATE INDEX ON with_function (doubled(a)) WHERE doubled(a) > 10;
CREATE TABLE dropped (a int, gone int, c int, "dro""pped" text); ALTER TABLE dropped REPLICA IDENTITY FULL;
INSERT INTO dropped SELECT n % 3, n, n, 'x' FROM generate_series(1, 30) n;
ALTER TABLE dropped DROP COLUMN gone; ALTER TABLE dropped DROP COLUMN "dro""pped";
CREATE TABLE made (a int, twice int GENERATED ALWAYS AS (2 * a) STORED, c int); ALTER TABLE made REPLICA IDENTITY FULL;
CREATE TABLE middle (id int PRIMARY KEY, gone text, v text); ALTER TABLE middle DROP COLUMN gone;
CREATE TABLE defaults (id int PRIMARY KEY, v text DEFAULT 'the source''s', at timestamptz DEFAULT now(), u uuid DEFAULT gen_random_uuid());
CREATE TABLE upserted (id int PRIMARY KEY, u text UNIQUE, big text); ALTER TABLE upserted ALTER big SET STORAGE EXTERNAL;
CREATE SCHEMA elsewhere; CREATE TABLE elsewhere.same (id int PRIMARY KEY, v text); CREATE TABLE same (id int PRIMARY KEY, w int);
CREATE TABLE one_column (id int PRIMARY KEY);
CREATE TABLE copied (id int PRIMARY KEY, t text, b bytea);
CREATE MATERIALIZED VIEW summed AS SELECT count(*) FROM with_function;
CREATE UNLOGGED TABLE unlogged (id int PRIMARY KEY);
INSERT INTO with_function SELECT n, n FROM generate_series(1, 200) n;
INSERT INTO made (a, c) SELECT n % 3, n FROM generate_series(1, 30) n;
INSERT INTO middle SELECT n, 'v' FROM generate_series(1, 30) n;
INSERT INTO upserted SELECT n, 'u' || n, repeat(md5(n::text), 80) FROM generate_series(1, 100) n;
INSERT INTO elsewhere.same VALUES (1, 'a'); INSERT INTO same VALUES (1, 1);
