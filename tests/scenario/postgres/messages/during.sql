SELECT pg_logical_emit_message(false, 'other', 'during') \g /dev/null
BEGIN; SELECT pg_logical_emit_message(true, 'other', 'during') \g /dev/null
UPDATE t SET v = 'during' WHERE id < 20; COMMIT;
