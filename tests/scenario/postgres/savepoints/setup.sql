SELECT format('ALTER DATABASE %I SET logical_decoding_work_mem = ''64kB''', current_database()) \gexec
CREATE TABLE t (id int PRIMARY KEY, v text);
CREATE TABLE keyless (v text); ALTER TABLE keyless REPLICA IDENTITY FULL;
INSERT INTO t SELECT n, 'v' FROM generate_series(1, 2000) n;
