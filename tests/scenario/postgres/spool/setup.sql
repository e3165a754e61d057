-- Open transactions of more bytes than their spool may hold.
SELECT format('ALTER DATABASE %I SET logical_decoding_work_mem = ''64kB''', current_database()) \gexec
CREATE TABLE big (id int PRIMARY KEY, v text);
CREATE TABLE beside (id int PRIMARY KEY);
