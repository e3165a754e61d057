-- Transactions that the server streams before they commit: the walsender takes the database's setting, which its owner may make.
SELECT format('ALTER DATABASE %I SET logical_decoding_work_mem = ''64kB''', current_database()) \gexec
CREATE TABLE big (id int PRIMARY KEY, v text, n int);
CREATE TABLE other (id int PRIMARY KEY, v text);
CREATE TABLE keyless (n int, v text); ALTER TABLE keyless REPLICA IDENTITY FULL;
INSERT INTO big SELECT n, md5(n::text), 0 FROM generate_series(1, 5000) n;
