-- Logical messages of others, also under our own prefix: none is a row, and none takes a transaction's rows away.
SELECT format('ALTER DATABASE %I SET logical_decoding_work_mem = ''64kB''', current_database()) \gexec
CREATE TABLE t (id int PRIMARY KEY, v text);
INSERT INTO t SELECT n, 'v' FROM generate_series(1, 500) n;
