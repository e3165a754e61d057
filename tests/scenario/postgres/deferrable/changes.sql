BEGIN; UPDATE slot SET place = 2 WHERE id = 1; UPDATE slot SET place = 1 WHERE id = 2; COMMIT;
UPDATE slot SET place = place + 1;
UPDATE later SET place = 101 - place;
BEGIN; SET CONSTRAINTS ALL DEFERRED; UPDATE later SET place = 5 WHERE id = 1; UPDATE later SET place = 100 WHERE id = 96; COMMIT;
UPDATE moving_key SET id = id + 1;
BEGIN; UPDATE moving_key SET id = 5 WHERE other = 1; UPDATE moving_key SET id = 2 WHERE other = 4; COMMIT;
UPDATE span SET at = int4range(lower(at) + 5, upper(at) + 5);
BEGIN; INSERT INTO span VALUES (100, '[10,2000)'); UPDATE span SET at = int4range(lower(at) + 5000, upper(at) + 5000) WHERE id < 100; COMMIT;
BEGIN; DELETE FROM list WHERE id = 10; UPDATE list SET next = 11 WHERE id = 9; INSERT INTO list VALUES (100, 1); UPDATE list SET next = 100 WHERE id = 50; COMMIT;
