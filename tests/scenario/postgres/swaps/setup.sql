-- Unique values that move between rows; in their final state there is no conflict.
CREATE TABLE one (id int PRIMARY KEY, u int UNIQUE, v text);
CREATE TABLE two (id int PRIMARY KEY, a int, b int, v text, UNIQUE (a, b), UNIQUE (b, v));
CREATE TABLE part (id int PRIMARY KEY, name text, live bool); CREATE UNIQUE INDEX ON part (lower(name)) WHERE live;
CREATE TABLE nulls (id int PRIMARY KEY, u int, UNIQUE NULLS NOT DISTINCT (u));
CREATE TABLE room (id int PRIMARY KEY, no int, at int4range, EXCLUDE USING gist (at WITH &&));
INSERT INTO one SELECT n, n, 'v' FROM generate_series(1, 1000) n;
INSERT INTO two SELECT n, n, n, 'v' || n FROM generate_series(1, 200) n;
INSERT INTO part SELECT n, 'Name' || n, true FROM generate_series(1, 100) n;
INSERT INTO nulls VALUES (1, NULL), (2, 1), (3, 2);
INSERT INTO room SELECT n, n, int4range(n * 10, n * 10 + 10) FROM generate_series(1, 20) n;
