-- One transaction of 300,000 rows (2 million with TIDEGATE_LONG=1), more than may stand in the daemon's memory.
CREATE TABLE big (id bigint PRIMARY KEY, a text, b text, n int);
SELECT CASE WHEN :long = 1 THEN 2000000 ELSE 300000 END AS count \gset
INSERT INTO big SELECT n, 'before', md5(n::text), 0 FROM generate_series(1, 20000) n;
