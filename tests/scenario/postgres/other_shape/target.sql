CREATE TABLE person (made_at timestamptz DEFAULT now(), extra jsonb, score bigint, email text, id bigint PRIMARY KEY, name text, note text DEFAULT 'none',
  shout text GENERATED ALWAYS AS (upper(name)) STORED);
CREATE TABLE visit (note text, at timestamptz, person_id int, PRIMARY KEY (at, person_id));
CREATE TABLE line (n int GENERATED ALWAYS AS IDENTITY, b text, a int);
