-- All rows once more as inserts, updates of them, keys that change, deletes.
SET timezone = 'UTC';
CREATE FUNCTION pg_temp.again(name regclass) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE format('CREATE TEMP TABLE copied ON COMMIT DROP AS SELECT * FROM %s', name);
  UPDATE copied SET id = id + 100;
  EXECUTE format('INSERT INTO %s SELECT * FROM copied', name);
  DROP TABLE copied;
END $$;
SELECT pg_temp.again(name) FROM unnest(ARRAY['numbers', 'strings', 'times', 'shapes', 'systems', 'ranges', 'lists', 'kinds.own']::regclass[]) name \g /dev/null
SELECT format('UPDATE %s SET touched = touched + 1 WHERE id %% 2 = 1', name) FROM unnest(ARRAY['numbers', 'strings', 'times', 'shapes', 'systems', 'ranges', 'lists', 'kinds.own', 'added']::regclass[]) name \gexec
SELECT format('UPDATE %s SET id = id + 1000 WHERE id %% 3 = 0', name) FROM unnest(ARRAY['numbers', 'strings', 'times', 'shapes', 'systems', 'ranges', 'lists', 'kinds.own', 'added']::regclass[]) name \gexec
SELECT format('DELETE FROM %s WHERE id = 2', name) FROM unnest(ARRAY['numbers', 'strings', 'times', 'shapes', 'systems', 'ranges', 'lists', 'kinds.own', 'added']::regclass[]) name \gexec
INSERT INTO added VALUES (10, 0, 'Other', '{C}', 'k=>v', NULL, 'a.b.c', '{x}', 'a.*{1,2}', 'a|b');
UPDATE added SET c = 'MIXED' WHERE id = 1;
UPDATE numbers SET n = 1.0 WHERE id = 6;
UPDATE strings SET t = t || 'more', b = NULL, jb = jb || '{"x": 1}' WHERE id = 102;
UPDATE kinds.own SET i.a = 7, ml = ml || 'ok'::kinds."Mood", cp.a = 14 WHERE id = 101;
UPDATE lists SET i[0:0] = '{9}' WHERE id = 104;

SELECT format('UPDATE %s SET v = v + 10', name) FROM unnest(ARRAY['key_date', 'key_numeric', 'key_float', 'key_bytea', 'key_char', 'key_enum', 'key_bool', 'key_jsonb', 'key_time', 'key_citext', 'key_part']::regclass[]) name \gexec
UPDATE key_numeric SET k = 1.1 WHERE k = 1.10;
UPDATE key_float SET k = 0 WHERE k = 0;
UPDATE key_citext SET k = 'AB' WHERE k = 'ab';
UPDATE key_jsonb SET k = '{"a": 1}' WHERE v = 11;
UPDATE key_bytea SET k = '\x0001' WHERE k = '\x00';
UPDATE key_char SET k = 'new' WHERE k = '';
UPDATE key_time SET i = '30 days' WHERE v = 11;
UPDATE key_part SET k.a = 5 WHERE v = 11;
DELETE FROM key_numeric WHERE k = 'NaN';
DELETE FROM key_float WHERE k = 'NaN';
DELETE FROM key_date WHERE k = 'infinity';
DELETE FROM key_enum WHERE k = '';
DELETE FROM key_bool WHERE k;
DELETE FROM key_citext WHERE k = 'CD';
DELETE FROM key_part WHERE v = 12;
INSERT INTO unreadable SELECT 2, i FROM unreadable;
INSERT INTO unreadable VALUES (3, '1 day');
