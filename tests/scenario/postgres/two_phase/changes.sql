SELECT current_database() || '-1' AS one, current_database() || '-2' AS two, current_database() || '-3' AS three, current_database() || '-4' AS four \gset
BEGIN; INSERT INTO t VALUES (2001, 'prepared'); UPDATE t SET v = 'p' WHERE id < 10; PREPARE TRANSACTION :'one';
INSERT INTO t VALUES (2002, 'between prepare and commit');
COMMIT PREPARED :'one';
BEGIN; DELETE FROM t WHERE id < 500; PREPARE TRANSACTION :'two';
ROLLBACK PREPARED :'two';
-- Streamed, then prepared; another commits on the same rows right after.
BEGIN; INSERT INTO t SELECT n, repeat('s', 100) FROM generate_series(5001, 9000) n; SAVEPOINT a; DELETE FROM t WHERE id > 8000; ROLLBACK TO a; UPDATE t SET v = 's' WHERE id = 20; PREPARE TRANSACTION :'three';
BEGIN; UPDATE t SET v = repeat('lost', 100) WHERE id BETWEEN 500 AND 1000; PREPARE TRANSACTION :'four';
INSERT INTO t VALUES (2003, 'between');
ROLLBACK PREPARED :'four';
COMMIT PREPARED :'three';
UPDATE t SET v = v || '!' WHERE id % 7 = 0;
