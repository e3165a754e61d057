-- Databases whose own defaults would spell values otherwise, end statements and sessions early, find other tables, commit without waiting.
CREATE TABLE spelled (id int PRIMARY KEY, d date, ts timestamptz, i interval, f float8, f4 real, b bytea, t text, x xml, m bool, p point, a text[], c money);
INSERT INTO spelled SELECT n, date '2024-02-01' + n, timestamptz '2024-02-01 03:04:05.678+00' + n * interval '1 hour', n * interval '1 day 02:03:04.5' - interval '1 mon', n / 7.0, n / 7.0,
  decode(md5(n::text), 'hex'), E'back\\slash ''quoted''', '<a/>', n % 2 = 0, point(n / 3.0, -n), ARRAY['NULL', NULL, 'a'], n * 1.25 FROM generate_series(1, 300) n;
CREATE TABLE big (id int PRIMARY KEY, v text);
INSERT INTO big SELECT n, repeat(md5(n::text), 20) FROM generate_series(1, 10000) n;
SELECT format('ALTER DATABASE %I SET %s', current_database(), setting) FROM unnest(ARRAY['datestyle = ''German, DMY''', 'intervalstyle = ''sql_standard''', 'timezone = ''Asia/Kolkata''',
  'extra_float_digits = -10', 'bytea_output = ''escape''', 'standard_conforming_strings = off', 'xmloption = ''document''', 'statement_timeout = ''5s''',
  'idle_in_transaction_session_timeout = ''5s''', 'lock_timeout = ''10ms''', 'default_transaction_isolation = ''serializable''', 'synchronous_commit = off', 'idle_session_timeout = ''500ms''',
  'search_path = ''pg_temp''', 'transform_null_equals = on', 'array_nulls = off', 'quote_all_identifiers = on']) setting \gexec
