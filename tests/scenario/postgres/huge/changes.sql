SELECT CASE WHEN :long = 1 THEN 2000000 ELSE 300000 END AS count \gset
SET statement_timeout = 0;
BEGIN;
INSERT INTO big SELECT 100000 + n, md5(n::text), repeat(md5((-n)::text), 6), n FROM generate_series(1, :count) n;
UPDATE big SET n = -1 WHERE id <= 20000;
DELETE FROM big WHERE id BETWEEN 100001 AND 110000;
COMMIT;
