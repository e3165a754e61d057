CREATE TABLE person (id int PRIMARY KEY, name text, score numeric, big text);
CREATE TABLE whole (id int PRIMARY KEY, v text);
