-- Columns that come, and come and go again, within transactions that the server streams.
SELECT format('ALTER DATABASE %I SET logical_decoding_work_mem = ''64kB''', current_database()) \gexec
CREATE TABLE t (id int PRIMARY KEY, v text);
CREATE TABLE plain (id int PRIMARY KEY, v text);
CREATE TABLE beside (id int PRIMARY KEY, v text);
INSERT INTO t SELECT n, 'v' FROM generate_series(1, 1000) n;
INSERT INTO plain SELECT n, 'v' FROM generate_series(1, 1000) n;
CREATE TABLE whole (id int PRIMARY KEY);
