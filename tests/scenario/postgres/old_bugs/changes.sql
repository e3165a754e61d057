INSERT INTO with_function SELECT n, n FROM generate_series(1000, 1200) n;
UPDATE with_function SET a = a + 1 WHERE doubled(a) > 100;
UPDATE with_function SET a = a;
UPDATE dropped SET c = 100 WHERE c = 2; DELETE FROM dropped WHERE c = 3; INSERT INTO dropped VALUES (NULL, NULL), (NULL, NULL);
DELETE FROM dropped WHERE ctid = (SELECT min(ctid) FROM dropped WHERE a IS NULL);
UPDATE made SET c = 100 WHERE c = 2; DELETE FROM made WHERE c = 3; UPDATE made SET a = 9 WHERE c = 4;
UPDATE middle SET v = 'w' WHERE id % 2 = 0; UPDATE middle SET id = id + 100 WHERE id < 5; INSERT INTO middle VALUES (999, 'x');
INSERT INTO defaults (id) SELECT generate_series(1, 20); INSERT INTO defaults VALUES (100, NULL, NULL, NULL); UPDATE defaults SET v = DEFAULT WHERE id = 100;
-- Insertions that find another one there, in a streamed transaction and with values out of line.
BEGIN; INSERT INTO upserted SELECT n, 'u' || n, repeat(md5((-n)::text), 80) FROM generate_series(50, 300) n ON CONFLICT (id) DO UPDATE SET big = excluded.big;
INSERT INTO upserted SELECT n + 1000, 'u' || n, 'never' FROM generate_series(1, 100) n ON CONFLICT (u) DO NOTHING;
INSERT INTO upserted SELECT n + 1000, 'u' || n, 'moved' FROM generate_series(1, 20) n ON CONFLICT (u) DO UPDATE SET id = upserted.id + 5000; COMMIT;
MERGE INTO upserted t USING (SELECT generate_series(90, 110) AS id) s ON t.id = s.id WHEN MATCHED AND t.id % 2 = 0 THEN DELETE WHEN MATCHED THEN UPDATE SET u = 'merged ' || t.id WHEN NOT MATCHED THEN INSERT VALUES (s.id, 'new ' || s.id, NULL);
UPDATE elsewhere.same SET v = 'b'; UPDATE same SET w = 2; INSERT INTO elsewhere.same VALUES (2, 'c'); INSERT INTO same VALUES (3, 3);
INSERT INTO one_column SELECT generate_series(1, 100); UPDATE one_column SET id = id + 1000 WHERE id < 50; DELETE FROM one_column WHERE id BETWEEN 60 AND 70;
COPY copied FROM STDIN;
1	a\\b\tc\nd	\\x00ff5c
2	\N	\N
3		\\x
4	\\N	\\x5c78
\.
BEGIN; CREATE TEMP TABLE scratch (id int PRIMARY KEY); INSERT INTO scratch SELECT generate_series(1, 3000); UPDATE scratch SET id = -id; INSERT INTO unlogged SELECT * FROM scratch;
REFRESH MATERIALIZED VIEW summed; INSERT INTO one_column SELECT id FROM scratch WHERE id > -10; CREATE TABLE short_lived AS SELECT * FROM scratch; DROP TABLE short_lived; DROP TABLE scratch; COMMIT;
REFRESH MATERIALIZED VIEW summed; VACUUM FULL one_column; CLUSTER with_function USING with_function_pkey; REINDEX TABLE upserted;
BEGIN; SELECT * FROM middle WHERE id < 10 FOR UPDATE \g /dev/null
SAVEPOINT s; UPDATE middle SET v = 'locked' WHERE id = 6; RELEASE s; COMMIT;
BEGIN; COMMIT; BEGIN; SAVEPOINT s; RELEASE s; COMMIT; BEGIN; INSERT INTO one_column VALUES (-999); DELETE FROM one_column WHERE id = -999; COMMIT;
UPDATE one_column SET id = id;
