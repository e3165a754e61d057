BEGIN; SELECT pg_logical_emit_message(true, 'other', 'x') \g /dev/null
INSERT INTO t VALUES (1001, 'between two'); SELECT pg_logical_emit_message(true, 'other', E'\\x00 not bytes') \g /dev/null
COMMIT;
BEGIN; SELECT pg_logical_emit_message(true, 'tidegate', '') \g /dev/null
INSERT INTO t VALUES (1002, 'ours by name'); COMMIT;
BEGIN; INSERT INTO t VALUES (1003, 'ours by name'); SELECT pg_logical_emit_message(true, 'tidegate', 'tidegate_messages 0 18446744073709551615') \g /dev/null
COMMIT;
SELECT pg_logical_emit_message(false, 'tidegate', 'tidegate_messages 0 99999') \g /dev/null
SELECT pg_logical_emit_message(true, '', '') \g /dev/null
BEGIN; SELECT pg_logical_emit_message(true, 'other', 'alone') \g /dev/null
ROLLBACK;
BEGIN; INSERT INTO t VALUES (1004, 'lost'); SELECT pg_logical_emit_message(false, 'other', 'not lost') \g /dev/null
ROLLBACK;
-- In a streamed one, within and after a subtransaction that is given up; and a message that is larger than the memory for decoding.
BEGIN; INSERT INTO t SELECT n, repeat('s', 100) FROM generate_series(2001, 4000) n; SELECT pg_logical_emit_message(true, 'tidegate', 'in the middle') \g /dev/null
SAVEPOINT a; UPDATE t SET v = repeat('lost', 30); SELECT pg_logical_emit_message(true, 'other', 'lost') \g /dev/null
ROLLBACK TO a; SELECT pg_logical_emit_message(true, 'other', repeat('long', 500000)) \g /dev/null
DELETE FROM t WHERE id > 3500; COMMIT;
SELECT pg_logical_emit_message(true, 'other', repeat('long', 500000)) \g /dev/null
UPDATE t SET v = v || '!' WHERE id % 50 = 0;
