-- Every built-in type that a column may have, with its extremes; arrays, and types of one's own.
SET timezone = 'UTC';
CREATE TABLE numbers (id int PRIMARY KEY, touched int DEFAULT 0, b bool, i2 int2, i4 int4, i8 int8, f4 float4, f8 float8, n numeric, n5 numeric(38,10),
  m money, o oid);
INSERT INTO numbers VALUES
  (1, 0, true, 32767, 2147483647, 9223372036854775807, 3.4028235e38, 1.7976931348623157e308, 'NaN', 1234567890123456789012345678.0123456789, '92233720368547758.07', 4294967295),
  (2, 0, false, -32768, -2147483648, -9223372036854775808, 1e-45, 5e-324, 'Infinity', -0.0000000001, '-92233720368547758.08', 0),
  (3, 0, NULL, 0, 0, 0, '-0', '-0', '-Infinity', 0, '0', 1),
  (4, 0, NULL, NULL, NULL, NULL, 'NaN', 'Infinity', ('1' || repeat('0', 131071))::numeric, NULL, NULL, NULL),
  (5, 0, true, 1, 1, 1, '-Infinity', 0.1, ('0.' || repeat('0', 16382) || '1')::numeric, 1.10, 12, 12),
  (6, 0, true, 1, 1, 1, 0.1, 0.30000000000000004, 1.000, 1.5, 1, 1);
CREATE TABLE strings (id int PRIMARY KEY, touched int DEFAULT 0, t text, v varchar(5), v0 varchar, c char(5), c1 char, bp bpchar, ch "char", n name, b bytea,
  j json, jb jsonb, jp jsonpath, x xml, u uuid, bits bit(7), vb varbit, vb5 bit varying(5), ts tsvector, tq tsquery);
INSERT INTO strings VALUES
  (1, 0, '', '', '', '', '', '', '', '', '', '{}', '{}', '$', '', '00000000-0000-0000-0000-000000000000', B'0000000', B'', B'', '', ''),
  (2, 0, E'a\tb\nc\\d\r\x01\x7f', '€€€€€', repeat('x', 3000), 'ab', 'z', 'ab   ', 'x', 'a name', '\x00ff5c0a', '{"b": 1,  "a": [1,
   2], "a": null}', '{"b": 1, "a": "\u00e9", "n": 1.10, "big": 123456789012345678901234567890}', '$.a[*] ? (@.x > 1)', '<a b="c">&amp;<!-- d --></a>',
   'ffffffff-ffff-ffff-ffff-ffffffffffff', B'1010101', B'101', B'11111', $$'it''s':1A,2B 'x\\y':3 word$$, $$'a b' & !c:*AB | (d <-> e)$$),
  (3, 0, '\N', E'\\.', 'NULL', 'NULL ', '"', '  x', E'\\101', repeat('n', 63), decode(repeat('00', 5000), 'hex'), 'null', 'null', 'lax $', '<?xml version="1.0"?><r/>',
   'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', B'1111111', repeat('01', 900)::varbit, B'', 'a:1,2,3', '!!a'),
  (4, 0, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
  (5, 0, '{}', '{},"', '''', 'é', 'ß', ' ', E'\\377', 'é', '\xdeadbeef', '"a string"', '[]', 'strict $.k', '<é/>', gen_random_uuid(), B'0000001', B'0', B'1', 'é', 'é'),
  (6, 0, U&'\+01F600 \FEFF \200B', E'\n', E'\r\n', E'\t', ' ', '', ' ', '', '\x5c2e', '"\u0000"', '1e3', '$[last]', 'text', gen_random_uuid(), B'0000010', B'00', B'00', '', '');
CREATE TABLE times (id int PRIMARY KEY, touched int DEFAULT 0, d date, t time, t0 time(0), tz timetz, ts timestamp, ts3 timestamp(3), tstz timestamptz, i interval,
  iy interval year to month, i2 interval second(2));
INSERT INTO times VALUES
  (1, 0, 'infinity', '24:00:00', '00:00', '24:00:00-15:59', 'infinity', 'infinity', 'infinity', '178000000 years', '1 year 1 mon', '0.01 sec'),
  (2, 0, '-infinity', '00:00:00', '23:59:59', '00:00:00+15:59', '-infinity', '-infinity', '-infinity', '-178000000 years', '-1 mon', '-0.01 sec'),
  (3, 0, '4713-01-01 BC', '12:34:56.789012', '12:00', '12:34:56.789012+05:30', '4713-01-01 00:00:00 BC', '2024-02-29 23:59:59.999', '4713-01-01 00:00:00+00 BC', '1 mon -1 day +00:00:00.000001', NULL, NULL),
  (4, 0, '5874897-12-31', NULL, NULL, NULL, '294276-12-31 23:59:59.999999', NULL, '294276-12-31 23:59:59.999999+00', '-2147483648 mons -2147483648 days -2562047787:59:59.999999', NULL, NULL),
  (5, 0, '0001-01-01 BC', NULL, NULL, '12:00:00+00:00:30', '1970-01-01', '0001-01-01 BC', '1883-11-18 12:03:58-04:56:02', '0', '0', '0'),
  (6, 0, '1582-10-10', NULL, NULL, NULL, '1999-12-31 23:59:59.9999995', '1999-12-31 23:59:59.9995', '2024-03-31 02:30:00 Europe/Berlin', '1 year 2 mons 3 days 04:05:06.789', NULL, NULL);
-- The least interval prints as what no server reads: in binary it arrives, from the stream it is named in the quarantine.
CREATE TABLE unreadable (id int PRIMARY KEY, i interval);
INSERT INTO unreadable VALUES (1, '-9223372036854775808 us');
CREATE TABLE shapes (id int PRIMARY KEY, touched int DEFAULT 0, p point, l line, s lseg, b box, pa path, po polygon, c circle, ip inet, ci cidr, ma macaddr, m8 macaddr8);
INSERT INTO shapes VALUES
  (1, 0, '(0.1,-0)', '{1,-1,0.30000000000000004}', '[(0,0),(1e300,1e-300)]', '(1,1),(0,0)', '[(0,0),(1,1)]', '((0,0),(1,1),(1,0))', '<(0,0),1>', '192.168.0.1/24', '10.0.0.0/8', '08:00:2b:01:02:03', '08:00:2b:01:02:03:04:05'),
  (2, 0, '(NaN,Infinity)', '{0,1,2}', '[(1,2),(1,2)]', '(-1,-1),(-2,-2)', '((0,0),(1,1),(2,0))', '((0.1,0.2))', '<(1.5,-2.5),0>', '::1', '2001:db8::/32', 'ff:ff:ff:ff:ff:ff', 'ff:ff:ff:ff:ff:ff:ff:ff'),
  (3, 0, NULL, NULL, NULL, NULL, NULL, NULL, NULL, '::ffff:1.2.3.4/128', '0.0.0.0/0', NULL, NULL),
  (4, 0, '(-Infinity,5e-324)', NULL, NULL, NULL, NULL, NULL, NULL, '255.255.255.255/0', '1.2.3.4/32', NULL, NULL);
CREATE TABLE systems (id int PRIMARY KEY, touched int DEFAULT 0, rc regclass, rp regproc, rpe regprocedure, ro regoper, roe regoperator, rt regtype, rr regrole,
  rn regnamespace, rco regconfig, rd regdictionary, rcl regcollation, x xid, x8 xid8, c cid, ti tid, lsn pg_lsn, sn pg_snapshot, tsn txid_snapshot,
  iv int2vector, ov oidvector, cur refcursor, acl aclitem[]);
INSERT INTO systems VALUES
  (1, 0, 'pg_class', 'pg_backend_pid', 'abs(integer)', '||/', '+(integer,integer)', 'timestamp with time zone', 'postgres', 'pg_catalog', 'english', 'simple', '"C"',
   '4294967295', '18446744073709551615', '7', '(4294967295,65535)', 'FFFFFFFF/FFFFFFFF', '10:20:10,14,15', '10:20:10,14', '1 2 3', '1 2 4294967295', 'c', '{postgres=arwdDxt/postgres}'),
  (2, 0, '0', '0', '0', '0', '0', 'integer[]', '0', '0', '0', '0', '0', '0', '0', '0', '(0,0)', '0/0', '1:1:', '1:1:', '', '', '', '{}'),
  (3, 0, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
CREATE TABLE ranges (id int PRIMARY KEY, touched int DEFAULT 0, i4 int4range, i8 int8range, n numrange, d daterange, ts tsrange, tz tstzrange, mi4 int4multirange,
  mi8 int8multirange, mn nummultirange, md datemultirange, mts tsmultirange, mtz tstzmultirange);
INSERT INTO ranges VALUES
  (1, 0, 'empty', '(,)', '[1.10,2.20)', '[2024-01-01,infinity)', '[-infinity,infinity]', '("2024-01-01 00:00:00+00",)', '{}', '{(,)}', '{[1.1,2.2),(3,4]}', '{[2024-01-01,2024-01-02)}', '{}', '{}'),
  (2, 0, '[1,5]', '[-9223372036854775808,9223372036854775807)', '(NaN,NaN]', 'empty', '["2024-01-01 00:00:00","2024-01-01 00:00:00"]', 'empty', '{[1,2],[5,6],(10,)}', NULL,
   '{[-Infinity,Infinity]}', '{(,)}', '{["2024-01-01 00:00","2024-01-02 00:00")}', '{("2024-01-01 00:00+00","2024-01-02 00:00+01")}'),
  (3, 0, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
CREATE TABLE lists (id int PRIMARY KEY, touched int DEFAULT 0, i int[], i2 int2[], t text[], n numeric(10,2)[], f float8[], b bytea[], bo bool[], d date[], tz timestamptz[], iv interval[], j jsonb[],
  js json[], x xml[], bx box[], p point[], u uuid[], c char(3)[], vc varchar(3)[], r int4range[], mr int4multirange[], ip inet[], rc regclass[], bits bit(3)[], q "char"[], na name[], m money[], ts tsvector[]);
INSERT INTO lists VALUES
  (1, 0, '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}'),
  (2, 0, '[-1:1][2:3]={{1,2},{3,NULL},{5,6}}', '{1,NULL}', ARRAY['', NULL, 'NULL', 'a"b', 'c\d', '{e}', 'f,g', ' h ', E'\n'], '{1.10,NULL,NaN}', '{NaN,-0,1e308}', ARRAY['\x00'::bytea, '\x5c', '', NULL],
   '{t,f,NULL}', '{infinity,4713-01-01 BC}', '{"2024-01-01 00:00:00.000001+00"}', '{"1 day","-1 mon"}', ARRAY['{"a": "\""}'::jsonb, 'null', NULL], ARRAY['{"a":  1}'::json], ARRAY['<a b="1"/>'::xml],
   '{(1,1),(0,0);(2,2),(1,1)}', ARRAY[point(1,2), NULL], ARRAY[gen_random_uuid()], '{a,"b  ",ccc}', '{€€€}', ARRAY['[1,2)'::int4range, 'empty'], ARRAY['{[1,2),[3,4)}'::int4multirange], '{::1,10.0.0.1/8}',
   '{pg_class}', '{101,111}', ARRAY['a'::"char", '', '"'], '{"a b"}', ARRAY[1.5::money, '-1234567.89'::money], ARRAY['a:1 b:2'::tsvector]),
  (3, 0, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO lists (id, i, t) SELECT 4, array_agg(n), array_agg(repeat('x', n % 50)) FROM generate_series(1, 20000) n;

CREATE SCHEMA kinds;
CREATE TYPE kinds."Mood" AS ENUM ('sad', 'ok', 'it''s "fine"', 'a,b', '');
CREATE DOMAIN kinds.positive AS int CHECK (VALUE > 0);
CREATE DOMAIN kinds.code AS varchar(8) NOT NULL DEFAULT 'none';
CREATE DOMAIN kinds.codes AS kinds.code[];
CREATE TYPE kinds.inner_part AS (a int, "B c" text, m kinds."Mood");
CREATE TYPE kinds.whole AS (p kinds.inner_part, list kinds.inner_part[], d kinds.positive, n numeric(10,3));
CREATE DOMAIN kinds.checked_part AS kinds.inner_part CHECK ((VALUE).a IS DISTINCT FROM 13);
CREATE TYPE kinds.float_range AS RANGE (subtype = float8, subtype_diff = float8mi, multirange_type_name = kinds.float_ranges);
CREATE TYPE kinds.mood_range AS RANGE (subtype = kinds."Mood");
CREATE TABLE kinds.own (id int PRIMARY KEY, touched int DEFAULT 0, m kinds."Mood", ml kinds."Mood"[], p kinds.positive, pl kinds.positive[], c kinds.code, cl kinds.codes, i kinds.inner_part, il kinds.inner_part[],
  w kinds.whole, wl kinds.whole[], cp kinds.checked_part, fr kinds.float_range, frl kinds.float_range[], fm kinds.float_ranges, mr kinds.mood_range);
INSERT INTO kinds.own VALUES
  (1, 0, 'sad', '{sad,ok,"it''s \"fine\"","a,b",NULL,""}', 1, '{1,NULL,3}', 'abc', '{a,b}', '(1,"x,(y)\"z",ok)', ARRAY['(1,,)'::kinds.inner_part, NULL, '(,"a""b\\c",)'],
   '("(1,""q r"",sad)","{""(1,2,)""}",5,1.5)', ARRAY[ROW(ROW(1, E'a"b\\c\n', 'ok')::kinds.inner_part, ARRAY[ROW(1, '{}', NULL)::kinds.inner_part], 1, 1)::kinds.whole], '(1,x,)',
   '[0.1,0.2)', '{"[1,2)","(,)",empty}', '{[0.1,0.2),[0.5,)}', '[sad,"a,b"]'),
  (2, 0, '', '{}', NULL, '{}', '', '{}', '(,,)', '{}', '(,,,)', '{}', NULL, 'empty', '{}', '{}', 'empty'),
  (3, 0, NULL, NULL, NULL, NULL, 'x', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);

CREATE EXTENSION IF NOT EXISTS citext; CREATE EXTENSION hstore; CREATE EXTENSION ltree;
CREATE TABLE added (id int PRIMARY KEY, touched int DEFAULT 0, c citext UNIQUE, cl citext[], h hstore, hl hstore[], l ltree, ll ltree[], lq lquery, lt ltxtquery);
INSERT INTO added VALUES (1, 0, 'MiXeD', '{A,b}', 'a=>1, "b c"=>NULL, d=>"\"x\""', ARRAY['a=>1'::hstore], 'Top.Science.Astronomy', '{a.b,c}', '*.Astro*@.*', 'Europe & Russia*@'),
  (2, 0, '', '{}', '', '{}', '', '{}', '*', 'a'), (3, 0, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
-- Keys of many types, and one whose order depends on the locale.
CREATE TABLE key_date (k date PRIMARY KEY, v int); INSERT INTO key_date VALUES ('infinity', 1), ('4713-01-01 BC', 2), ('2024-01-01', 3);
CREATE TABLE key_numeric (k numeric PRIMARY KEY, v int); INSERT INTO key_numeric VALUES ('NaN', 1), (1.10, 2), ('-Infinity', 3), (1e100, 4);
CREATE TABLE key_float (k float8 PRIMARY KEY, v int); INSERT INTO key_float VALUES ('NaN', 1), ('-0', 2), (0.1, 3), (5e-324, 4);
CREATE TABLE key_bytea (k bytea PRIMARY KEY, v int); INSERT INTO key_bytea VALUES ('', 1), ('\x00', 2), ('\x5c', 3);
CREATE TABLE key_char (k char(5) PRIMARY KEY, v int); INSERT INTO key_char VALUES ('a', 1), ('', 2), ('b c', 3);
CREATE TABLE key_enum (k kinds."Mood", n int4range, v int, PRIMARY KEY (k, n)); INSERT INTO key_enum VALUES ('ok', 'empty', 1), ('', '[1,3)', 2);
CREATE TABLE key_bool (k bool, i inet, v int, PRIMARY KEY (i, k)); INSERT INTO key_bool VALUES (true, '::1', 1), (false, '10.0.0.1/8', 2);
CREATE TABLE key_jsonb (k jsonb, t text[], v int, PRIMARY KEY (k, t)); INSERT INTO key_jsonb VALUES ('{"a": 1.0}', '{a,NULL}', 1), ('null', '{}', 2);
CREATE TABLE key_time (k timestamptz, i interval, v int, PRIMARY KEY (k, i)); INSERT INTO key_time VALUES ('infinity', '1 mon', 1), ('2024-01-01 00:00:00.000001+00', '-1 day', 2);
CREATE TABLE key_citext (k citext PRIMARY KEY, v int); INSERT INTO key_citext VALUES ('Ab', 1), ('cD', 2);
CREATE TABLE key_part (k kinds.inner_part PRIMARY KEY, v int); INSERT INTO key_part VALUES ('(1,a,ok)', 1), ('(2,"b ""c",sad)', 2);
