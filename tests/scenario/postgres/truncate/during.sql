TRUNCATE alone RESTART IDENTITY;
INSERT INTO alone (v) SELECT 'during' FROM generate_series(1, 10);
