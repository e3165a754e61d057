INSERT INTO person VALUES (1000, 'new', NULL, 1, NULL);
UPDATE person SET name = 'renamed' WHERE id % 3 = 0;
UPDATE person SET id = id + 5000 WHERE id BETWEEN 10 AND 20;
DELETE FROM person WHERE id BETWEEN 30 AND 40;
UPDATE visit SET at = at + interval '1 year' WHERE person_id < 50;
DELETE FROM visit WHERE person_id > 450;
DELETE FROM line WHERE ctid = (SELECT min(ctid) FROM line WHERE a = 1);
UPDATE line SET b = 'm' WHERE a = 2;
