-- Values outside the row do not come with an update that leaves them as they were.
CREATE FUNCTION noise(n int, parts int) RETURNS text LANGUAGE sql IMMUTABLE AS $$SELECT string_agg(md5(n || '/' || i), '') FROM generate_series(1, parts) i$$;
CREATE TABLE plain (id int PRIMARY KEY, n int, big text, big2 bytea, doc jsonb);
CREATE TABLE full_row (id int PRIMARY KEY, n int, big text); ALTER TABLE full_row REPLICA IDENTITY FULL;
CREATE TABLE keyless (n int, big text); ALTER TABLE keyless REPLICA IDENTITY FULL;
CREATE TABLE big_key (k text PRIMARY KEY, n int, big text); ALTER TABLE big_key ALTER big SET STORAGE EXTERNAL; ALTER TABLE big_key ALTER k SET STORAGE EXTERNAL;
CREATE TABLE not_null (id int PRIMARY KEY, n int, big text NOT NULL CHECK (length(big) > 10), u int UNIQUE);
CREATE TABLE by_index (id int NOT NULL, big text); CREATE UNIQUE INDEX by_index_id ON by_index (id); ALTER TABLE by_index REPLICA IDENTITY USING INDEX by_index_id;
INSERT INTO plain SELECT n, 0, noise(n, 300), decode(noise(n, 300), 'hex'), jsonb_build_object('v', noise(n, 300)) FROM generate_series(1, 60) n;
INSERT INTO full_row SELECT n, 0, noise(n, 300) FROM generate_series(1, 40) n;
INSERT INTO keyless SELECT n % 10, noise(n % 5, 300) FROM generate_series(1, 20) n;
INSERT INTO big_key SELECT noise(n, 70), n, noise(n, 300) FROM generate_series(1, 20) n;
INSERT INTO not_null SELECT n, 0, noise(n, 300), n FROM generate_series(1, 30) n;
INSERT INTO by_index SELECT n, noise(n, 300) FROM generate_series(1, 30) n;
