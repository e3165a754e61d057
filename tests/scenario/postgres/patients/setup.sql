-- A hospital's table as a migration meets it.
CREATE TABLE patients (
  id serial PRIMARY KEY,
  patient_id varchar(20) NOT NULL UNIQUE,
  name varchar(100) NOT NULL,
  age integer CHECK (age > 0),
  gender varchar(10) CHECK (gender IN ('male', 'female', 'other')),
  born date,
  admitted date NOT NULL DEFAULT CURRENT_DATE,
  discharged date,
  created_at timestamptz DEFAULT CURRENT_TIMESTAMP,
  updated_at timestamptz DEFAULT CURRENT_TIMESTAMP,
  CONSTRAINT in_order CHECK (discharged IS NULL OR discharged >= admitted));
CREATE INDEX idx_patients_name ON patients (name);
CREATE INDEX idx_patients_admitted ON patients (admitted DESC) WHERE discharged IS NULL;
COMMENT ON TABLE patients IS 'who was here';
INSERT INTO patients (patient_id, name, age, gender, born, admitted) SELECT 'P' || lpad(n::text, 6, '0'), 'Patient ' || n, n % 90 + 1, (ARRAY['male', 'female', 'other'])[n % 3 + 1],
  date '1940-01-01' + n % 20000, date '2024-01-01' + n % 300 FROM generate_series(1, 250000) n;
CREATE TABLE wards (code text COLLATE "C" PRIMARY KEY, name text);
INSERT INTO wards SELECT 'W' || lpad(n::text, 3, '0'), 'ward' FROM generate_series(1, 40) n;
CREATE TABLE empty_ward (id int PRIMARY KEY);
ANALYZE;
