-- Names that need quotes, of 63 bytes, and in scripts of many bytes; text of all planes in a UTF-8 database.
CREATE SCHEMA "Odd ""Schema"" ümlaut";
SET search_path = "Odd ""Schema"" ümlaut";
CREATE TYPE "My, Type" AS ENUM ('a "quoted" label', 'it''s', 'комментарий');
CREATE TABLE "Table.With ""Quotes"" and 'such'" ("Id" int PRIMARY KEY, "select" text, "a""b" "My, Type", "c'd" int[], "$1" text, "%s" text, "back\slash" text, "колонка" text,
  "émoji 😀" text, " leading and trailing " text, "new
line" text);
CREATE INDEX "Index ""odd""" ON "Table.With ""Quotes"" and 'such'" (lower("select")) WHERE "$1" IS NOT NULL;
INSERT INTO "Table.With ""Quotes"" and 'such'" SELECT n, 's', 'it''s', ARRAY[n], '$1', '%s', '\', 'привет', '😀', ' ', E'\n' FROM generate_series(1, 50) n;
CREATE TABLE aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffggg ("key" text PRIMARY KEY,
  aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffhhh int DEFAULT 1 CONSTRAINT aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffchk CHECK (true),
  aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffiii serial UNIQUE);
INSERT INTO aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffggg ("key") SELECT 'k' || n FROM generate_series(1, 20) n;
CREATE TABLE "таблица с именем" ("ключ" text PRIMARY KEY, v text);
INSERT INTO "таблица с именем" SELECT chr(n) || '/' || n, repeat(chr(n), 3) FROM unnest(ARRAY[1, 9, 10, 13, 34, 39, 92, 127, 128, 159, 223, 1078, 8232, 55295, 57344, 65279, 65535, 65536, 128512, 1114111]) n;
CREATE TABLE "UPPER" ("A" int, "B" int, "a" int, "b" int, PRIMARY KEY ("B", "a"));
INSERT INTO "UPPER" SELECT n, n + 1, n + 2, n + 3 FROM generate_series(1, 20) n;
CREATE TABLE public."user" ("order" int PRIMARY KEY, "group" text, "user" text DEFAULT current_user, "table" jsonb);
INSERT INTO public."user" SELECT n, 'g' FROM generate_series(1, 10) n;
CREATE TABLE "Keyless ""Full""" ("X y" text, "Z" json);
ALTER TABLE "Keyless ""Full""" REPLICA IDENTITY FULL;
INSERT INTO "Keyless ""Full""" VALUES ('a"b''c\d', '{"\u00e9": 1}'), ('a"b''c\d', '{"\u00e9": 1}'), (NULL, NULL);
