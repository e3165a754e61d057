BEGIN; INSERT INTO big SELECT n, 'during', 1 FROM generate_series(10001, 13000) n; UPDATE big SET n = 5 WHERE id > 10000; COMMIT;
