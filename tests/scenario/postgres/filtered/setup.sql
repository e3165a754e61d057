-- A part of the rows and a part of the columns, as publications with a row filter and a column list give it: here a [[map]] says so.
CREATE TABLE person (id int PRIMARY KEY, name text, secret text, active bool, score numeric, big text);
ALTER TABLE person ALTER big SET STORAGE EXTERNAL;
INSERT INTO person SELECT n, 'name ' || n, 'secret ' || n, n % 3 > 0, n / 7.0, repeat(md5(n::text), 100) FROM generate_series(1, 600) n;
INSERT INTO person VALUES (1001, NULL, 's', NULL, 'NaN', NULL), (1002, NULL, 's', true, 'NaN', NULL);
CREATE TABLE whole (id int PRIMARY KEY, v text);
INSERT INTO whole SELECT n, 'v' FROM generate_series(1, 50) n;
