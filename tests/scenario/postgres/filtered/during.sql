UPDATE person SET active = NOT active WHERE id % 10 = 0;
UPDATE person SET secret = 'other' WHERE id % 11 = 0;
DELETE FROM person WHERE id % 50 = 0;
