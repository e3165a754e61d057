UPDATE bytewise SET name = name || 'during' WHERE v % 10 = 0;
UPDATE nocase SET v = v + 1000 WHERE v % 10 = 0;
