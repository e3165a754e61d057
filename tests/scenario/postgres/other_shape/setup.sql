-- The target has its own column order, more columns, and wider types.
CREATE TABLE person (id serial PRIMARY KEY, name varchar(20), email text, score int, extra jsonb);
CREATE TABLE visit (person_id int, at timestamptz, note text, PRIMARY KEY (person_id, at));
CREATE TABLE line (a int, b text); ALTER TABLE line REPLICA IDENTITY FULL;
INSERT INTO person SELECT n, 'p' || n, 'p' || n || '@example.org', n, jsonb_build_object('n', n) FROM generate_series(1, 500) n;
INSERT INTO visit SELECT n, timestamptz '2024-01-01 00:00+00' + n * interval '1 hour', 'x' FROM generate_series(1, 500) n;
INSERT INTO line SELECT n % 5, 'l' FROM generate_series(1, 20) n;
