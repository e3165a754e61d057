UPDATE plain SET n = n + 1;
UPDATE plain SET id = id + 500 WHERE id > 50;
UPDATE not_null SET n = 7;
