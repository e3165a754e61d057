SET statement_timeout = 0; SET lock_timeout = 0; SET search_path = public; SET datestyle = 'ISO'; SET standard_conforming_strings = on; SET xmloption = content; SET array_nulls = on;
UPDATE spelled SET d = d + 40, ts = ts + interval '1 mon', i = -i, f = f * 1e10, b = b || '\x00ff5c' WHERE id % 2 = 0;
UPDATE spelled SET t = t || E'\\n', x = 'content <b/>' WHERE id % 3 = 0;
UPDATE spelled SET a = a || ARRAY[NULL, 'null'], c = c * 1000 WHERE id % 4 = 0;
UPDATE spelled SET id = id + 1000 WHERE id % 7 = 0;
DELETE FROM spelled WHERE id % 5 = 0;
INSERT INTO spelled VALUES (9001, '0044-03-15 BC', 'infinity', '1 year -1 days', 'NaN', '-0', '', '', '', NULL, '(0.1,NaN)', '{NULL,"NULL"}', -0.01);
BEGIN; UPDATE big SET v = repeat('b', 300); COMMIT;
