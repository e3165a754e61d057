-- One that is rolled back after it was streamed.
BEGIN; UPDATE big SET v = repeat('lost', 100); TRUNCATE other; ROLLBACK;
BEGIN; INSERT INTO keyless SELECT n % 100, 'k' FROM generate_series(1, 5000) n; UPDATE keyless SET v = 'l' WHERE n = 7; DELETE FROM keyless WHERE n > 50; COMMIT;
-- Keys that change and rows that come and go within one.
BEGIN; UPDATE big SET id = -id WHERE id < 2000; DELETE FROM big WHERE id BETWEEN -500 AND -1; INSERT INTO big SELECT n, 'back', 0 FROM generate_series(1, 700) n;
TRUNCATE other; INSERT INTO other SELECT n, repeat('o', 100) FROM generate_series(1, 3000) n; COMMIT;
