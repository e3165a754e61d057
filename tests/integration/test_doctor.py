#!/usr/bin/python3
"""doctor: what it says of the target's server, of this machine, and of what would act on the rows. Other findings have their tests beside
what they are about: test_newcomer, test_existing, test_credentials, postgres_source_test."""
import json
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.parse

import psycopg2

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support.grounds import OneServer             # noqa: E402
from support.guard import guard                   # noqa: E402
from support.pgsource import Database             # noqa: E402
from support.target import Target                 # noqa: E402
from support.tidegate import Tidegate, built      # noqa: E402

NEW = {"target-encoding", "clock-differs", "behind-pooler", "tls-not-verified", "no-backup-tool", "no-way-back-yet", "target-trigger-fires",
       "target-row-security", "time-zone", "max-hold-too-long", "hooks-missing", "hook-not-executable", "orphans", "target-unique-clash",
       "target-unique-not-asked", "table-too-big-for-hold", "misfit-not-a-number", "misfit-not-a-time", "check-broken", "check-not-understood",
       "check-without-table", "rule-without-table", "target-refuses-rows", "target-rows-not-tried"}
PGBOUNCER = "/usr/sbin/pgbouncer"


@unittest.skipUnless(built(), "the binaries are not built")
class Doctor(OneServer):
    def setUp(self):
        super().setUp()
        self.write("PRAGMA journal_mode = WAL; CREATE TABLE person (id INTEGER PRIMARY KEY, name TEXT)")

    def found(self, url=None, config="", **env):
        """{code: finding} of those that this file is about."""
        return {one["code"]: one for one in self.all_found(url, config, **env) if one["code"] in NEW}

    def all_found(self, url=None, config="", **env):
        tide = Tidegate(self.file, url or self.target.url, env={"TZ": "UTC", **env})
        self.addCleanup(tide.__exit__)
        (tide.base / "tidegate.toml").write_text(config)
        done = tide.verb("doctor", "--source", self.file, "--json")
        self.assertIn(done.code, (0, 2), done)
        return json.loads(done.out)["findings"]

    def test_nothing_of_a_sound_one(self):
        self.assertEqual(self.found(), {})

    def test_the_machine(self):
        self.assertIn("+1.0 hours" if time.localtime().tm_isdst == 0 else "hours", self.found(TZ="Etc/GMT-1")["time-zone"]["message"])
        self.assertEqual(set(self.found(config='[cutover]\nmax_hold = "3s"\n')), {"max-hold-too-long"})
        hooks = self.dir / "hooks"
        config = f'[hooks]\ndir = "{hooks}"\n'
        self.assertEqual(set(self.found(config=config)), {"hooks-missing"})
        hooks.mkdir()
        (hooks / "on-switch").write_text("#!/bin/sh\n")
        self.assertEqual(set(self.found(config=config)), {"hook-not-executable"})
        self.assertEqual(self.found(config=config)["hook-not-executable"]["level"], "warns")

    def test_without_pg_dump(self):
        self.assertEqual(set(self.found(config=f'[source]\npg_bin = "{self.dir}"\n')), {"no-backup-tool"})

    def test_what_acts_on_the_rows(self):
        self.target.execute("""CREATE TABLE public.person (id bigint PRIMARY KEY, name text);
            CREATE FUNCTION public.act() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
            CREATE TRIGGER quiet BEFORE INSERT ON public.person FOR EACH ROW EXECUTE FUNCTION public.act();
            CREATE TRIGGER loud BEFORE INSERT ON public.person FOR EACH ROW EXECUTE FUNCTION public.act();
            ALTER TABLE public.person ENABLE ALWAYS TRIGGER loud""")
        found = self.found(config='[target]\nschema = "existing"\n')
        self.assertEqual(set(found), {"target-trigger-fires"})
        self.assertIn("loud", found["target-trigger-fires"]["message"])
        self.target.execute("ALTER TABLE public.person DISABLE TRIGGER loud")
        self.assertEqual(self.found(config='[target]\nschema = "existing"\n'), {})

    def test_policies_that_hold_for_us(self):
        name = f"limited{self.made}"
        self.target.execute(f"""CREATE TABLE public.person (id bigint PRIMARY KEY, name text); ALTER TABLE public.person ENABLE ROW LEVEL SECURITY;
            CREATE ROLE {name} LOGIN PASSWORD 'limited'; GRANT ALL ON public.person TO {name}; GRANT ALL ON SCHEMA public TO {name};
            GRANT CREATE ON DATABASE {self.target.name} TO {name}""")
        parts = urllib.parse.urlsplit(self.target.url)
        url = parts._replace(netloc=f"{name}:limited@{parts.hostname}:{parts.port}").geturl()
        found = self.found(url, config='[target]\nschema = "existing"\n')
        self.assertEqual(found["target-row-security"]["level"], "blocks")
        self.assertIn("no-way-back-yet", found)   # it may not replicate either

    def test_rows_that_the_targets_own_rules_refuse(self):
        """What is one value to lower() and citext, parents by a foreign key that only the target has, texts that are no number there."""
        self.write("""ALTER TABLE person ADD COLUMN nick TEXT; ALTER TABLE person ADD COLUMN boss INTEGER; ALTER TABLE person ADD COLUMN age INTEGER;
            INSERT INTO person VALUES (1, 'Äda', 'a', NULL, '7'), (2, 'Ben', 'A', 1, '8'), (3, 'äda', 'b', 9, 'nine'), (4, NULL, NULL, 9, NULL),
                                      (5, 'BEN', 'c', 2, '10'), (6, 'äDA', 'd', NULL, '11')""")
        self.target.execute("""CREATE EXTENSION IF NOT EXISTS citext SCHEMA extensions;
            CREATE TABLE public.person (id bigint PRIMARY KEY, name text, nick extensions.citext UNIQUE, boss bigint REFERENCES public.person, age integer);
            CREATE UNIQUE INDEX one_name ON public.person (lower(name)) WHERE id < 6""")
        config = '[target]\nschema = "existing"\n'
        findings = self.all_found(config=config)
        by_citext, by_lower = sorted((one["message"] for one in findings if one["code"] == "target-unique-clash"), key=lambda text: "one_name" in text)
        self.assertIn("1 value comes more than once (the first: [1], [2])", by_citext)
        self.assertIn("one_name takes rows of table person for the same: 1 value comes more than once (the first: [2], [5])", by_lower,
                      "3 does not fit, and 6 is not in the index")
        said = {one["code"]: one["message"] for one in findings if one["code"] in NEW}
        self.assertEqual(set(said), {"target-unique-clash", "orphans", "misfit-not-a-number"})
        self.assertIn("2 rows (the first: [3], [4])", said["orphans"])
        self.assertIn("in 1 row: they go to the quarantine (the first: [3])", said["misfit-not-a-number"])
        for value in ("nine", "äda", "Ben"):
            self.assertNotIn(value, json.dumps(findings, ensure_ascii=False))

    def test_more_refusals_than_it_looks_into(self):
        """An index whose expression fails for half of the rows: each failure costs questions, and there is an end to them."""
        self.write("""ALTER TABLE person ADD COLUMN n INTEGER;
            WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 4000) INSERT INTO person SELECT n, 'x', CASE n % 2 WHEN 0 THEN 0 ELSE n END FROM c""")
        self.target.execute("CREATE TABLE public.person (id bigint PRIMARY KEY, name text, n bigint); CREATE UNIQUE INDEX one_share ON public.person ((1000000 / n))")
        found = self.found(config='[target]\nschema = "existing"\n')
        self.assertEqual(set(found), {"target-unique-not-asked"})
        self.assertRegex(found["target-unique-not-asked"]["message"], r"^whether [0-9,]+ rows of table person clash in the target's public\.one_share was not found out")

    def server_source(self):
        source = Database(self.server, f"source{self.made}")
        self.addCleanup(source.drop)
        return source

    def found_of_server(self, source, config, code):
        tide = Tidegate(source.url, self.target.url, flags=())
        self.addCleanup(tide.__exit__)
        (tide.base / "tidegate.toml").write_text(config)
        return [one["message"] for one in json.loads(tide.verb("doctor", "--json").out)["findings"] if one["code"] == code]

    def test_orphans_of_a_server(self):
        """Declared foreign keys, valid or not, and one that only the target has; twelve rows, so that ten are named."""
        source, tables = self.server_source(), """
            CREATE TABLE public.owner (id bigint PRIMARY KEY, code text UNIQUE);
            CREATE TABLE public.pet (id bigint PRIMARY KEY, owner_id bigint, code text, friend_id bigint);"""
        source.execute(tables + """
            INSERT INTO public.owner VALUES (1, 'a'); INSERT INTO public.pet SELECT n, 1, 'a', n - 1 FROM generate_series(1, 30) n;
            ALTER TABLE public.pet ADD FOREIGN KEY (owner_id) REFERENCES public.owner; ALTER TABLE public.pet ADD CONSTRAINT by_code FOREIGN KEY (code) REFERENCES public.owner (code);
            SET session_replication_role = replica; UPDATE public.pet SET owner_id = 7 WHERE id BETWEEN 5 AND 16; UPDATE public.pet SET code = NULL WHERE id = 3""")
        owner, = self.found_of_server(source, "", "orphans")
        self.assertIn('12 rows (the first: ["5"], ["6"], ["7"], ["8"], ["9"], ["10"], ["11"], ["12"], ["13"], ["14"]) of table public.pet refer by owner_id to rows of public.owner',
                      owner)
        self.target.execute(tables + "ALTER TABLE public.pet ADD FOREIGN KEY (friend_id) REFERENCES public.pet")
        messages = self.found_of_server(source, '[target]\nschema = "existing"\n', "orphans")
        self.assertEqual(len(messages), 2)
        self.assertIn('1 row (the first: ["1"]) of table public.pet refer by friend_id to rows of public.pet', messages[1])

    def test_the_way_back_into_a_server(self):
        source = self.server_source()
        source.execute("""CREATE TABLE public.note (id bigint PRIMARY KEY);
            CREATE FUNCTION public.act() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
            CREATE TRIGGER twice AFTER INSERT ON public.note FOR EACH ROW EXECUTE FUNCTION public.act();
            CREATE TRIGGER once AFTER INSERT ON public.note FOR EACH ROW EXECUTE FUNCTION public.act();
            ALTER TABLE public.note ENABLE ALWAYS TRIGGER twice""")
        trigger, = self.found_of_server(source, "", "legacy-trigger-always")
        self.assertIn("trigger public.note.twice of the source", trigger)
        self.assertEqual(self.found_of_server(source, "", "legacy-not-writable"), [])

    def test_rows_of_a_server(self):
        source = self.server_source()
        rows = "CREATE TABLE public.member (id bigint PRIMARY KEY, email text UNIQUE, note text)"
        source.execute(rows + "; INSERT INTO public.member VALUES (1, 'Ann', ''), (2, 'ann', ''), (3, 'ben', '')")
        self.target.execute(rows + "; CREATE UNIQUE INDEX by_email ON public.member (lower(email))")
        clash, = self.found_of_server(source, '[target]\nschema = "existing"\n', "target-unique-clash")
        self.assertIn('by_email takes rows of table public.member for the same: 1 value comes more than once (the first: ["1"], ["2"])', clash)

    def test_the_checks_of_the_file(self):
        """Before the tables are there, and in those that others made."""
        self.write("INSERT INTO person VALUES (1, 'Ann'), (2, 'Benjamin'), (3, NULL)")
        config = """
            [[check]]
            table = "person"
            must = "length(name) < 5"
            [[check]]
            table = "persons"
            must = "true"
            [[check]]
            table = "public.person"
            must = "nam <> ''"
            [[rule]]
            table = "persons"
            column = "name"
            on = "empty"
            do = "null"
            """
        for made in (False, True):
            with self.subTest(made):
                found = self.found(config=config + ('[target]\nschema = "existing"\n' if made else ""))
                self.assertEqual(set(found), {"check-broken", "check-without-table", "check-not-understood", "rule-without-table"})
                self.assertEqual(found["check-broken"]["message"], "the [[check]] of table person is broken by 1 row (the first: [2]): length(name) < 5")
                self.assertNotIn("Benjamin", json.dumps(found))
            self.target.execute("CREATE TABLE IF NOT EXISTS public.person (id bigint PRIMARY KEY, name text)")

    MAPPED = """
        [target]
        schema = "existing"
        [[map]]
        from = "pet"
        [[map.to]]
        table = "public.pets"
        columns = { id = "id", code = "code", weight = "weight", name = "name", tags = "tags", price = "price" }
        [[check]]
        table = "public.pets"
        must = "cardinality(tags) < 3"
        """
    PETS = """CREATE DOMAIN public.short AS text CHECK (length(VALUE) < 6);
        CREATE TABLE public.pets (id bigint PRIMARY KEY, code uuid, weight smallint CHECK (weight > 0), name public.short, tags text[], price numeric(6,2))"""

    def pets_refused(self, rows, key):
        return {f"{what} of public.pets refuses 1 row (the first: {key.format(number)})" for what, number in rows.items()}

    def test_what_only_the_server_can_say_of_mapped_rows(self):
        """Texts that are no uuid, numbers out of range, arrays, domains, CHECKs: of a file and of a server."""
        source, rows = self.server_source(), """(1, '7d444840-9dc0-11d1-b245-5ffdce74fad2', 1, 'Rex', '{a}', 1.5), (2, 'none', 1, 'Rex', '{a,b,c}', 1),
            (3, NULL, 70000, 'Rex', NULL, 1), (4, NULL, -1, 'Rex', NULL, 1), (5, NULL, 1, 'Rexford', NULL, 1), (6, NULL, 1, 'Rex', '{', 1),
            (7, NULL, 1, 'Rex', '{a,b,c}', 1)"""
        self.target.execute(self.PETS)
        source.execute("CREATE TABLE public.pet (id bigint PRIMARY KEY, code text, weight integer, name text, tags text, price numeric(8,2)); "
                       f"INSERT INTO public.pet VALUES {rows}")
        self.write(f"CREATE TABLE pet (id INTEGER PRIMARY KEY, code TEXT, weight INTEGER, name TEXT, tags TEXT, price NUMERIC); INSERT INTO pet VALUES {rows}")
        by_server = {"column code, which is uuid,": 2, "constraint pets_weight_check": 4, "constraint short_check": 5, "column tags, which is text[],": 6}
        config = '[tables]\nexclude = ["person"]\n' + self.MAPPED
        of_file = [(one["code"], one["message"]) for one in self.all_found(config=config)]
        self.assertEqual({message for code, message in of_file if code == "target-refuses-rows"}, self.pets_refused(by_server, "pet [{}]"))
        self.assertIn(("map-misfit", "column weight of public.pets does not fit (out_of_range) in 1 row (the first: pet [3])"), of_file)
        of_server = self.found_of_server(source, self.MAPPED, "target-refuses-rows")
        self.assertEqual(set(of_server), self.pets_refused({**by_server, "column weight, which is smallint,": 3}, 'public.pet ["{}"]'))
        for broken in (self.found_of_server(source, self.MAPPED, "check-broken"), [message for code, message in of_file if code == "check-broken"]):
            self.assertEqual(len(broken), 1)
            self.assertRegex(broken[0], r"is broken by 1 row \(the first: .*7")
        self.assertNotIn("Rexford", json.dumps([of_file, of_server]))

    def test_what_a_server_would_round_in_silence_is_refused(self):
        source = self.server_source()
        source.execute("CREATE TABLE public.pet (id bigint PRIMARY KEY, code uuid, weight smallint, name text, tags text[], price numeric(8,4))")
        self.target.execute(self.PETS)
        says = "column price of the target's public.pets is numeric(6,2), which rounds numbers; price of the source is numeric(8,4)"
        message, = self.found_of_server(source, self.MAPPED, "column-alters-values")
        self.assertRegex(message, rf"tidegate.toml:\d+:\d+: {re.escape(says)}")
        self.assertEqual(self.found_of_server(source, self.MAPPED.replace('price = "price"', 'price = "round(price, 2)"'), "column-alters-values"), [])
        tide = Tidegate(source.url, self.target.url, flags=())
        self.addCleanup(tide.__exit__)
        (tide.base / "tidegate.toml").write_text(self.MAPPED)
        done = tide.verb("run", "--yes")
        self.assertEqual(done.code, 2, done)
        self.assertIn(says, done.err)
        self.assertEqual(self.target.execute("SELECT to_regnamespace('tidegate')"), [(None,)])

    def test_the_first_ten_keys(self):
        self.write("CREATE TABLE day (id INTEGER PRIMARY KEY, at DATE); INSERT INTO day SELECT id, 'x' FROM (" +
                   " UNION ALL ".join(f"SELECT {n} AS id" for n in range(1, 13)) + ")")
        self.assertIn("in 12 rows: they go to the quarantine (the first: [1], [2], [3], [4], [5], [6], [7], [8], [9], [10])",
                      self.found()["misfit-not-a-time"]["message"])

    def test_a_table_that_is_too_big_for_the_hold(self):
        self.write("""CREATE TABLE visit (a TEXT, n INTEGER, body TEXT, PRIMARY KEY (a, n)) WITHOUT ROWID;
            WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 200000) INSERT INTO visit SELECT 'v' || n % 100, n, 'body ' || n FROM c""")
        # Far from either: another test may have the cores.
        self.assertEqual(self.found(config='[source]\nbusy_timeout = "60s"\n[cutover]\nmax_hold = "20s"\n'), {})
        self.assertIn("200,000 rows", self.found(config='[cutover]\nmax_hold = "50ms"\n')["table-too-big-for-hold"]["message"])

    def test_an_encoding_that_loses_texts(self):
        name = f"ascii{self.made}"
        connection = self.server.connect()
        connection.autocommit = True
        self.addCleanup(connection.close)
        with connection.cursor() as cursor:
            cursor.execute(f"CREATE DATABASE {name} ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0")
        url = urllib.parse.urlunsplit(urllib.parse.urlsplit(self.target.url)._replace(path="/" + name))
        self.assertEqual(self.found(url)["target-encoding"]["level"], "blocks")
        with connection.cursor() as cursor:
            cursor.execute(f"DROP DATABASE {name}")

    def test_a_server_without_logical_decoding(self):
        with Target() as server:
            server.configure(wal_level="replica", max_wal_senders="0")
            self.assertIn("wal", self.found(server.url)["no-way-back-yet"]["message"].lower())

    @unittest.skipUnless(pathlib.Path(PGBOUNCER).exists(), "pgbouncer is not installed")
    def test_a_pooler(self):
        for mode in ("session", "transaction"):
            with self.subTest(mode):
                self.assertEqual(set(self.found(self.pooled(mode))), {"behind-pooler"})

    def pooled(self, mode):
        """The target's URL through a PgBouncer of ours."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        parts = urllib.parse.urlsplit(self.target.url)
        folder = pathlib.Path(tempfile.mkdtemp(prefix="tidegate-pooler-"))
        self.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        (folder / "users.txt").write_text(f'"{parts.username}" "{parts.password}"\n')
        (folder / "pgbouncer.ini").write_text(
            f"[databases]\n{self.target.name} = host=127.0.0.1 port={parts.port} dbname={self.target.name} user={parts.username} password={parts.password}\n"
            f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nauth_type = plain\nauth_file = {folder}/users.txt\npool_mode = {mode}\n"
            "unix_socket_dir = \nserver_tls_sslmode = require\nignore_startup_parameters = extra_float_digits,options\n")
        for path in (folder, *folder.iterdir()):
            shutil.chown(path, "postgres", "postgres")
        process = subprocess.Popen(["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups", "--", PGBOUNCER, folder / "pgbouncer.ini"],
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        handle = guard.kill_later(process.pid)
        self.addCleanup(lambda: (process.kill(), process.wait(), guard.forget(handle)))
        url = f"postgresql://{parts.username}:{parts.password}@127.0.0.1:{port}/{self.target.name}?sslmode=disable"
        for attempt in range(100):
            try:
                psycopg2.connect(url).close()
                return url
            except psycopg2.OperationalError:
                if attempt == 99:
                    raise
                time.sleep(0.1)
        return url


if __name__ == "__main__":
    unittest.main()
