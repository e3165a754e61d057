UPDATE event SET at = at + 365 WHERE id BETWEEN 400 AND 500;
UPDATE hashed SET k = 'during' || k WHERE v % 5 = 0;
