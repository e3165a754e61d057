BEGIN;
INSERT INTO t VALUES (10001, 'kept');
SAVEPOINT a; INSERT INTO t VALUES (10002, 'lost'); UPDATE t SET v = 'lost' WHERE id < 100; SAVEPOINT b; DELETE FROM t WHERE id < 50; ROLLBACK TO a;
SAVEPOINT c; UPDATE t SET v = 'c' WHERE id < 10; RELEASE c;
SAVEPOINT d; TRUNCATE t; ROLLBACK TO d; RELEASE d;
COMMIT;
-- The same, streamed: each part is larger than the memory for decoding.
BEGIN;
INSERT INTO t SELECT n, repeat('k', 50) FROM generate_series(20001, 23000) n;
SAVEPOINT a; UPDATE t SET v = repeat('lost', 30); SAVEPOINT b; DELETE FROM t; INSERT INTO t SELECT n, 'lost' FROM generate_series(1, 3000) n; RELEASE b; ROLLBACK TO a;
SAVEPOINT c; UPDATE t SET v = 'c' WHERE id > 20000 AND id % 2 = 0; SAVEPOINT e; INSERT INTO keyless SELECT 'k' || n FROM generate_series(1, 2000) n; RELEASE e; RELEASE c;
SAVEPOINT f; INSERT INTO keyless SELECT 'lost' || n FROM generate_series(1, 2000) n; ROLLBACK TO f; INSERT INTO keyless SELECT 'f' || n FROM generate_series(1, 2000) n;
UPDATE keyless SET v = 'x' WHERE v = 'k7';
COMMIT;
-- Many subtransactions, more than a server keeps in its array.
CREATE FUNCTION pg_temp.many() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  FOR i IN 1..600 LOOP
    BEGIN
      INSERT INTO t VALUES (30000 + i, repeat('m', 300));
      IF i % 3 = 0 THEN RAISE EXCEPTION 'back'; END IF;
    EXCEPTION WHEN raise_exception THEN NULL;
    END;
  END LOOP;
END $$;
SELECT pg_temp.many() \g /dev/null
BEGIN; SAVEPOINT a; INSERT INTO t SELECT n, repeat('gone', 50) FROM generate_series(40001, 42000) n; RELEASE a; ROLLBACK;
