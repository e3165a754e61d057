-- No key, duplicates, and columns that have no equality or an inexact one.
CREATE TABLE loose (j json, f float8, n numeric, c char(4), b bool, p point, x xml, t text, a int[]); ALTER TABLE loose REPLICA IDENTITY FULL;
INSERT INTO loose SELECT ('{"n": ' || n % 5 || '}')::json, (ARRAY['NaN', '-0', '0', '0.1', '1e300']::float8[])[n % 5 + 1], (ARRAY[1.0, 1.00, 1, NULL])[n % 4 + 1], 'c' || n % 3,
  n % 2 = 0, point(n % 3, 0.1), ('<x n="' || n % 2 || '"/>')::xml, NULL, ARRAY[n % 2, NULL] FROM generate_series(1, 120) n;
CREATE TABLE twins (a int, b text); ALTER TABLE twins REPLICA IDENTITY FULL;
INSERT INTO twins SELECT n % 3, 'same' FROM generate_series(1, 90) n;
CREATE TABLE all_null (a int, b json); ALTER TABLE all_null REPLICA IDENTITY FULL;
INSERT INTO all_null SELECT NULL, NULL FROM generate_series(1, 10);
CREATE TABLE with_key (id int PRIMARY KEY, f float8, j json, d numeric); ALTER TABLE with_key REPLICA IDENTITY FULL;
INSERT INTO with_key SELECT n, n / 3.0, '{"a":  1}', n FROM generate_series(1, 50) n;
CREATE TABLE no_columns ();
CREATE TABLE indexed (k text, f float8, v int); CREATE INDEX ON indexed (k); ALTER TABLE indexed REPLICA IDENTITY FULL;
INSERT INTO indexed SELECT 'k' || n % 50, n % 4, 0 FROM generate_series(1, 200) n;
