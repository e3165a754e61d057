-- The legacy model, as years of use have left it: text ids, an account table for each kind of person, the admin in the school's row, soft deletes,
-- people who have several accounts under one e-mail or telephone number, or none.
CREATE TABLE school (id text PRIMARY KEY, name text NOT NULL, address text, admin_name text NOT NULL, admin_email text, admin_phone text);
CREATE TABLE class (id text PRIMARY KEY, school_id text NOT NULL REFERENCES school, name text NOT NULL);
CREATE TABLE teacher (id text PRIMARY KEY, school_id text REFERENCES school, name text NOT NULL, email text, phone text, address text, deleted_at timestamptz);
CREATE TABLE teacher_class (teacher_id text REFERENCES teacher, class_id text REFERENCES class, PRIMARY KEY (teacher_id, class_id));
CREATE TABLE parent (id text PRIMARY KEY, name text NOT NULL, email text, phone text, address text, deleted_at timestamptz);
CREATE TABLE student (id text PRIMARY KEY, class_id text REFERENCES class, name text NOT NULL, email text, phone text, address text, born date, deleted_at timestamptz);
CREATE TABLE student_parent (student_id text REFERENCES student, parent_id text REFERENCES parent, PRIMARY KEY (student_id, parent_id));

INSERT INTO school SELECT 's' || n, 'School ' || n, n || ' High Street', 'Admin S' || n, 'Person' || n || '@X.org', '030 12345' || 100 + n FROM generate_series(1, 4) n;
INSERT INTO class SELECT 'c' || n, 's' || 1 + n % 4, 'Class ' || n FROM generate_series(1, 12) n;
INSERT INTO teacher SELECT 't' || n, 's' || 1 + n % 4, 'Terry T' || n, 'Person' || n % 30 || '@x.org', CASE WHEN n % 3 > 0 THEN '030 12345' || 100 + n % 20 END, n || ' Low Street',
  CASE WHEN n % 7 = 0 THEN now() END FROM generate_series(1, 40) n;
INSERT INTO teacher_class SELECT 't' || n, 'c' || 1 + n % 12 FROM generate_series(1, 40) n;
INSERT INTO parent SELECT 'p' || n, 'Pat P' || n, CASE WHEN n % 4 > 0 THEN ' person' || n % 50 || '@x.org' END, '+49 30 12345' || 100 + n % 40, NULL, CASE WHEN n % 9 = 0 THEN now() END
  FROM generate_series(1, 60) n;
INSERT INTO student SELECT 'k' || n, 'c' || 1 + n % 12, 'Kim K' || n, CASE WHEN n % 3 = 0 THEN 'person' || n % 60 || '@x.org' END, CASE WHEN n % 5 = 0 THEN '0049 (30) 12345-' || 100 + n % 30 END,
  NULL, date '2010-01-01' + n, CASE WHEN n % 11 = 0 THEN now() END FROM generate_series(1, 120) n;
INSERT INTO student_parent SELECT 'k' || n, 'p' || 1 + n % 60 FROM generate_series(1, 120) n UNION SELECT 'k' || n, 'p' || 1 + n * 7 % 60 FROM generate_series(1, 120) n;
