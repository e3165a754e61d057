INSERT INTO account SELECT n, n FROM generate_series(101, 150) n;
UPDATE account SET balance = balance + 1 WHERE id < 20;
DELETE FROM account WHERE id BETWEEN 30 AND 40;
UPDATE account SET id = id + 1000 WHERE id < 5;
BEGIN; TRUNCATE account; INSERT INTO account VALUES (1, 1); COMMIT;
