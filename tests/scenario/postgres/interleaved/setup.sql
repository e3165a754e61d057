-- Transactions that begin, write and commit in different orders: what counts is the commit.
CREATE TABLE account (id int PRIMARY KEY, balance int NOT NULL, by_whom text);
CREATE TABLE entry (id serial PRIMARY KEY, account_id int REFERENCES account, amount int, note text);
INSERT INTO account SELECT n, 0, 'setup' FROM generate_series(1, 100) n;
