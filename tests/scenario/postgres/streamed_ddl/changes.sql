BEGIN; INSERT INTO t SELECT n, repeat('a', 60) FROM generate_series(2001, 4000) n; ALTER TABLE t ADD COLUMN c int; UPDATE t SET c = id WHERE id > 1500;
INSERT INTO t SELECT n, repeat('b', 60), n FROM generate_series(4001, 6000) n; ALTER TABLE t ADD COLUMN d text; INSERT INTO t SELECT n, 'e', n, 'd' FROM generate_series(6001, 8000) n; COMMIT;
INSERT INTO t VALUES (9001, 'after', 1, 'd');
-- The column goes with its subtransaction, its rows too; more rows follow in the old shape.
BEGIN; INSERT INTO plain SELECT n, repeat('a', 60) FROM generate_series(2001, 4000) n;
SAVEPOINT s; ALTER TABLE plain ADD COLUMN gone int; INSERT INTO plain SELECT n, repeat('lost', 20), n FROM generate_series(4001, 6000) n; UPDATE plain SET gone = 7; ROLLBACK TO s;
INSERT INTO plain SELECT n, repeat('kept', 20) FROM generate_series(4001, 6000) n; UPDATE plain SET v = 'u' WHERE id < 100; COMMIT;
INSERT INTO plain VALUES (9001, 'after');
-- All of it is given up, and a table that was made with it.
BEGIN; ALTER TABLE t ADD COLUMN never int DEFAULT 5; CREATE TABLE never (id int PRIMARY KEY); INSERT INTO never SELECT generate_series(1, 5000); UPDATE t SET never = 6; ROLLBACK;
UPDATE t SET v = 'end' WHERE id < 100;
UPDATE plain SET v = 'end' WHERE id < 50;
INSERT INTO beside VALUES (1, 'end');
