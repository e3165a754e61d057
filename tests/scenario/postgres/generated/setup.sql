CREATE TABLE area (id int PRIMARY KEY, w numeric, h numeric, size numeric GENERATED ALWAYS AS (w * h) STORED, label text,
  words tsvector GENERATED ALWAYS AS (to_tsvector('english', coalesce(label, ''))) STORED);
CREATE INDEX ON area USING gin (words);
CREATE TABLE first_generated (twice int GENERATED ALWAYS AS (n * 2) STORED, n int, id int PRIMARY KEY, big text, length int GENERATED ALWAYS AS (length(big)) STORED);
CREATE TABLE keyless (n int, square bigint GENERATED ALWAYS AS (n * n) STORED); ALTER TABLE keyless REPLICA IDENTITY FULL;
CREATE TABLE split (id int, n int, double int GENERATED ALWAYS AS (n * 2) STORED, PRIMARY KEY (id)) PARTITION BY HASH (id);
CREATE TABLE split_0 PARTITION OF split FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE split_1 PARTITION OF split FOR VALUES WITH (MODULUS 2, REMAINDER 1);
INSERT INTO area (id, w, h, label) SELECT n, n, n / 2.0, 'running cats ' || n FROM generate_series(1, 200) n;
INSERT INTO first_generated (n, id, big) SELECT n, n, repeat(md5(n::text), 500) FROM generate_series(1, 20) n;
INSERT INTO keyless SELECT n % 10 FROM generate_series(1, 50) n;
INSERT INTO split SELECT n, n FROM generate_series(1, 50) n;
