-- Constraints that are looked at when the transaction commits: rows may break them on the way.
CREATE TABLE slot (id int PRIMARY KEY, place int UNIQUE DEFERRABLE INITIALLY DEFERRED, v text);
CREATE TABLE later (id int PRIMARY KEY, place int UNIQUE DEFERRABLE INITIALLY IMMEDIATE);
CREATE TABLE moving_key (id int NOT NULL, other int NOT NULL, PRIMARY KEY (id) DEFERRABLE INITIALLY DEFERRED, UNIQUE (other));
ALTER TABLE moving_key REPLICA IDENTITY USING INDEX moving_key_other_key;
CREATE TABLE span (id int PRIMARY KEY, at int4range, CONSTRAINT no_overlap EXCLUDE USING gist (at WITH &&) DEFERRABLE INITIALLY DEFERRED);
CREATE TABLE list (id int PRIMARY KEY, next int UNIQUE DEFERRABLE INITIALLY DEFERRED REFERENCES list DEFERRABLE INITIALLY DEFERRED);
INSERT INTO slot SELECT n, n, 'v' FROM generate_series(1, 500) n;
INSERT INTO later SELECT n, n FROM generate_series(1, 100) n;
INSERT INTO moving_key SELECT n, n FROM generate_series(1, 100) n;
INSERT INTO span SELECT n, int4range(n * 10, n * 10 + 10) FROM generate_series(1, 50) n;
INSERT INTO list SELECT n, n % 50 + 1 FROM generate_series(1, 50) n;
