BEGIN; UPDATE one SET u = -1 WHERE id = 1; UPDATE one SET u = 1 WHERE id = 2; UPDATE one SET u = 2 WHERE id = 1; COMMIT;
BEGIN; DELETE FROM one WHERE id = 5; UPDATE one SET u = 5 WHERE id = 6; INSERT INTO one VALUES (5, 6, 'again'); COMMIT;
-- All of them by one: u becomes its neighbour's.
BEGIN; UPDATE one SET u = -u WHERE id > 10; UPDATE one SET u = -u + 1 WHERE id > 10; COMMIT;
-- A chain over several transactions, which end in one batch.
UPDATE one SET u = NULL WHERE id = 7; UPDATE one SET u = 7 WHERE id = 8; UPDATE one SET u = 8 WHERE id = 7;
BEGIN; UPDATE one SET id = -1 WHERE id = 3; UPDATE one SET id = 3 WHERE id = 4; UPDATE one SET id = 4 WHERE id = -1; COMMIT;
BEGIN; UPDATE two SET a = a + 1000; UPDATE two SET a = a - 1000 + 1, b = b; UPDATE two SET v = 'x' || v; COMMIT;
BEGIN; UPDATE two SET b = -1 WHERE id = 1; UPDATE two SET b = 1, v = 'xv1' WHERE id = 2; UPDATE two SET b = 2 WHERE id = 1; COMMIT;
BEGIN; UPDATE part SET live = false WHERE id = 1; INSERT INTO part VALUES (101, 'NAME1', true); COMMIT;
BEGIN; UPDATE part SET live = false WHERE id = 101; UPDATE part SET live = true WHERE id = 1; COMMIT;
BEGIN; UPDATE nulls SET u = 100 WHERE id = 1; UPDATE nulls SET u = NULL WHERE id = 2; UPDATE nulls SET u = 1 WHERE id = 1; COMMIT;
BEGIN; UPDATE room SET at = 'empty' WHERE id = 1; UPDATE room SET at = '[10,20)' WHERE id = 2; UPDATE room SET at = '[20,30)' WHERE id = 1; COMMIT;
BEGIN; DELETE FROM room WHERE id = 3; INSERT INTO room VALUES (30, 3, '[30,35)'), (31, 3, '[35,40)'); COMMIT;
