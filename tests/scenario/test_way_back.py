#!/usr/bin/python3
"""The way back by itself: a legacy app's rows go forward, tidegate stops, a new app writes to the target, and every one of its
transactions comes back into the legacy file once, in the forms that the legacy app knows, through kill -9 at every step."""
import json
import pathlib
import re
import signal
import sqlite3
import subprocess
import sys
import time
import unittest

import psycopg2

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from stage import SEED, WAIT, Stage, failpoints   # noqa: E402
from proxy import wait_until                      # noqa: E402
from support import catalog, tidegate             # noqa: E402
from support.compare import Comparison            # noqa: E402
from support.cutover import configure, cutover, legacy_takes_writes, name_of, verified   # noqa: E402
from support.legacy import APP                    # noqa: E402
from support.target import PAST_THE_FENCE, run_once   # noqa: E402

TOOL = tidegate.BIN / "tests" / "tidegate-way-back-tool"
ELSEWHERE = re.compile(r"^(?!apply/sqlite/|replicator/cutover/(reverse|sqlite)|replicator/journal/|capture/postgres/capture\.cpp)")
NOT_THERE = {"stream-before-open-commit", "stream-after-open-commit"}   # the way back takes a transaction into its journal whole
AT_THE_END = ["back-after-slot-dropped", "back-before-removed"]
LONG_TRANSACTION = 25_000   # rows: more than one part of a transaction in the journal


class WayBack:
    """The tool in the background."""

    def __init__(self, source, pipeline, state, url):
        self.source, self.pipeline, self.state, self.url, self.process = source, pipeline, state, url, None

    def start(self, failpoint=None, mode=""):
        env = {"TIDEGATE_TARGET_URL": self.url, "PATH": "/usr/bin:/bin", **({"TIDEGATE_FAILPOINT": failpoint} if failpoint else {}),
               "TIDEGATE_WAY_BACK": mode}
        self.log = open(self.state / "tool.log", "ab")
        self.process = subprocess.Popen([TOOL, self.source, self.pipeline, self.state], env=env, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=self.log, text=True)
        return self

    def lines(self):
        """What it says until it runs, or ends."""
        said = []
        for line in self.process.stdout:
            if line.strip() == "running":
                break
            said.append(line.strip())
        return said

    def ask(self, word):
        self.process.stdin.write(word + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def end(self, kill=False):
        if self.process is None:
            return None
        if kill:
            self.process.kill()
        self.process.stdin.close()
        code = self.process.wait(60)
        self.process.stdout.close()
        self.log.close()
        self.process = None
        return code


class WayBackTest(unittest.TestCase):
    def setUp(self):
        print("seed", SEED, flush=True)
        self.stage = Stage(families=30)
        self.addCleanup(self.stage.close)
        self.forward = self.stage.pipeline().start()
        self.forward.wait_phase("streaming", timeout=WAIT)
        self.url, self.path = self.forward.target_url, self.stage.app.path
        self.back = WayBack(self.path, self.query("SELECT pipeline FROM tidegate.pipelines")[0][0], self.forward.base, self.url)
        self.addCleanup(lambda: self.back.end(kill=True))

    def query(self, text, parameters=None):
        return run_once(psycopg2.connect(self.url, application_name="new app"), text, parameters)

    def switch(self):
        """Forward goes on while the way back is made, and then stops for good; nothing of it may come back."""
        self.back.start(mode="prepare")
        self.assertEqual((self.back.lines(), self.back.end()), ([], 0))
        load = self.stage.app.load(rate=60, threads=3)
        time.sleep(2)
        summary = load.stop()
        self.assertEqual(summary["failed"], {})
        self.forward.sync(timeout=WAIT)
        self.forward.stop()
        self.stage.app.stop()
        self.open_target()

    def open_target(self):
        """As the cutover does it: the target takes writes."""
        self.query("""DO $$ DECLARE fence record; BEGIN
                        FOR fence IN SELECT tgname, tgrelid::regclass AS owner FROM pg_trigger WHERE tgfoid = to_regproc('tidegate.refuse_write') LOOP
                          EXECUTE format('DROP TRIGGER %I ON %s', fence.tgname, fence.owner);
                        END LOOP; END $$""")

    def journalled(self):
        connection = sqlite3.connect(f"file:{self.back.state / 'back.db'}?mode=ro", uri=True, timeout=30)
        try:
            return connection.execute("SELECT count(*) FROM journal").fetchone()[0]
        finally:
            connection.close()

    def assert_same(self):
        connection = psycopg2.connect(self.url)
        try:
            found = Comparison(self.path, connection)
            self.assertEqual((found.run(), found.excepted), ([], 0))
        finally:
            connection.close()

    def legacy(self, text):
        connection = sqlite3.connect(self.path, timeout=30)
        try:
            return connection.execute(text).fetchall()
        finally:
            connection.close()

    def as_the_app_reads(self):
        done = subprocess.run(["/usr/bin/python3", APP / "read_all.py"], cwd=APP, env=self.stage.app.env, capture_output=True, text=True,
                              check=True, timeout=60)
        return json.loads(done.stdout)


class Rows(WayBackTest):
    def test_what_the_new_app_writes_is_what_the_old_one_reads(self):
        self.switch()
        self.assertEqual(self.back.start().lines(), [])
        self.assertEqual(self.back.ask("sync"), "synced")
        self.assertEqual(self.journalled(), 0, "nothing that went forward comes back")
        before = self.legacy("SELECT id, email, username, created_at FROM user ORDER BY id LIMIT 5")
        self.write_as_a_new_app()
        self.assertEqual(self.back.ask("sync"), "synced")
        self.assertEqual(self.back.ask("rejects"), "0")
        self.assert_same()
        self.check_forms(before)
        read = self.as_the_app_reads()
        self.assertEqual(sum(map(len, read.values())), sum(self.query(f'SELECT count(*) FROM "{table}"')[0][0] for table in read))
        born = next(row for row in read["user"] if row["email"] == "born@new.test")
        self.assertEqual((born["is_active"], born["last_login"]), (False, "2026-03-01T10:20:30.123456"))
        self.assertEqual([row["data"] for row in read["project"] if row["title"] == "born"], [{"a": [1, "ü"], "deep": {"b": None}}])

    def write_as_a_new_app(self):
        self.query("""INSERT INTO "user" (email, username, password_hash, role, is_active, created_at, last_login)
                      VALUES ('born@new.test', 'Born', '$2b$', 'parent', false, '2026-03-01 10:20:30+00', '2026-03-01 11:20:30.123456+01')""")
        self.query("""INSERT INTO child_profile (parent_id, name, age, tier, birthday, bedtime)
                      SELECT id, 'Kind', 7, 'magic_workshop', '2019-02-03', '19:30' FROM "user" WHERE email = 'born@new.test'""")
        self.query("""INSERT INTO project (child_id, title, data, is_public, created_at)
                      SELECT max(id), 'born', '{"deep": {"b": null}, "a": [1, "ü"]}', true, now() FROM child_profile""")
        self.query("""INSERT INTO progress (child_id, lesson_id, score, time_spent, completed, updated_at)
                      SELECT max(id), 1, 7.50, 1e-7, true, now() FROM child_profile""")
        self.query("""INSERT INTO attachment (project_id, filename, content, size)
                      SELECT max(id), 'b.bin', '\\x00ff10'::bytea, 9007199254740993 FROM project""")
        self.query("INSERT INTO audit_log (at, action, token) SELECT now(), 'same', 'twice' FROM generate_series(1, 2)")
        self.query("UPDATE audit_log SET detail = 'seen' WHERE action = 'same'")
        self.query("""UPDATE "user" SET role = 'teacher' WHERE id = (SELECT min(id) FROM "user")""")
        self.query("""WITH two AS (SELECT min(id) AS a, min(id) + 1 AS b FROM "user")
                      UPDATE "user" SET email = 'x' || email FROM two WHERE id IN (a, b)""")
        self.exchange_usernames()
        self.query("UPDATE alembic_version SET version_num = '0002'")
        self.query("""DELETE FROM progress WHERE id = (SELECT min(id) FROM progress)""")
        self.query("UPDATE project SET data = data || '{\"more\": 1.5}' WHERE id = (SELECT min(id) FROM project)")

    def exchange_usernames(self):
        ids = [row[0] for row in self.query('SELECT id FROM "user" ORDER BY id LIMIT 3')]
        self.query("""CREATE TEMP TABLE was AS SELECT id, username FROM "user" WHERE id = ANY (%(ids)s);
                      UPDATE "user" SET username = 'parked ' || id WHERE id = ANY (%(ids)s);
                      UPDATE "user" u SET username = was.username FROM was WHERE was.id = (%(ids)s)[1 + array_position(%(ids)s, u.id) %% 3]""",
                   {"ids": ids})

    def check_forms(self, before):
        form = self.legacy("""SELECT typeof(is_active), is_active, typeof(created_at), created_at, last_login FROM user
                              WHERE email = 'born@new.test'""")
        self.assertEqual(form, [("integer", 0, "text", "2026-03-01 10:20:30.000000", "2026-03-01 10:20:30.123456")])
        self.assertEqual(self.legacy("SELECT birthday, bedtime FROM child_profile WHERE name = 'Kind' AND birthday = '2019-02-03'"),
                         [("2019-02-03", "19:30:00.000000")])
        self.assertEqual(self.legacy("SELECT typeof(score), score, typeof(time_spent) FROM progress ORDER BY id DESC LIMIT 1"),
                         [("real", 7.5, "real")])
        self.assertEqual(self.legacy("SELECT typeof(content), size FROM attachment ORDER BY id DESC LIMIT 1"), [("blob", 9007199254740993)])
        self.assertEqual(self.legacy("SELECT count(*), count(DISTINCT rowid) FROM audit_log WHERE detail = 'seen'"), [(2, 2)])
        after = {row[0]: row for row in self.legacy("SELECT id, email, username, created_at FROM user")}
        for row in before:
            self.assertEqual(after[row[0]][3], row[3], "a value that nobody changed keeps its bytes")

    def dump(self, *without):
        """Every value of every table as SQLite holds it, but for these columns."""
        connection = sqlite3.connect(self.path, timeout=30)
        connection.text_factory = bytes
        try:
            tables = {}
            for table in catalog.sqlite_tables(connection):
                columns = [name for name, _ in catalog.sqlite_columns(connection, table)[0] if f"{table}.{name}" not in without]
                values = ", ".join(f"quote({catalog.quoted(name)})" for name in columns)
                tables[table] = sorted(connection.execute(f"SELECT {values} FROM {catalog.quoted(table)}").fetchall())
            return tables
        finally:
            connection.close()

    def test_no_byte_changes_of_what_means_the_same(self):
        self.switch()
        self.back.start().lines()
        before = self.dump()
        self.assertGreater(sum(map(len, before.values())), 100)
        for table in before:
            column, = self.query("""SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped
                                    ORDER BY attnum DESC LIMIT 1""", (f'"{table}"',))[0]
            self.query(f'UPDATE "{table}" SET "{column}" = "{column}"')
        self.assertEqual(self.back.ask("sync"), "synced")
        self.assertEqual(self.dump(), before)

    def test_rows_that_are_born_again_have_the_same_bytes(self):
        """All but JSON, of which the target keeps no spelling."""
        self.switch()
        self.back.start().lines()
        before = self.dump("project.data")
        for table in before:
            self.query(f"""SET session_replication_role = replica; CREATE TABLE public."kept {table}" AS SELECT * FROM "{table}";
                           DELETE FROM "{table}" """)
        self.assertEqual((self.back.ask("sync"), sum(map(len, self.dump().values()))), ("synced", 0))
        for table in before:
            self.query(f"""SET session_replication_role = replica; INSERT INTO "{table}" SELECT * FROM public."kept {table}" """)
        self.assertEqual((self.back.ask("sync"), self.back.ask("rejects")), ("synced", "0"))
        self.assertEqual(self.dump("project.data"), before)
        self.assert_same()

    def test_what_does_not_fit_is_counted_until_it_does(self):
        self.switch()
        self.back.start().lines()
        self.query("""UPDATE "user" SET created_at = 'infinity' WHERE id = (SELECT min(id) FROM "user")""")
        self.assertEqual((self.back.ask("sync"), self.back.ask("rejects")), ("synced", "1"))
        self.assertEqual([row[:2] for row in self.legacy("SELECT column_name, reason FROM _tidegate_rejects")], [("created_at", "out_of_range")])
        self.query("""UPDATE "user" SET created_at = '2026-01-01' WHERE id = (SELECT min(id) FROM "user")""")
        self.assertEqual((self.back.ask("sync"), self.back.ask("rejects")), ("synced", "0"))
        self.assert_same()

    def test_a_foreign_writer_is_reported(self):
        self.back.start(mode="prepare")
        self.assertEqual(self.back.lines(), [])
        self.back.end()
        (self.back.state / "start").unlink()
        self.open_target()
        self.query("""UPDATE "user" SET role = role""")
        self.assertIn("foreign-writer: somebody else than tidegate has written to the target: public.user",
                      self.back.start(mode="prepare").lines())


class AfterACutover(unittest.TestCase):
    """By the verbs: the target is live, and what is written to it is in the legacy file soon, also after kill -9."""

    def setUp(self):
        self.stage = Stage(families=30)
        self.addCleanup(self.stage.close)
        self.pipeline = configure(self.stage.pipeline()).start()
        self.pipeline.wait_phase("streaming", timeout=WAIT)
        verified(self.pipeline)

    def write(self, token):
        run_once(psycopg2.connect(self.pipeline.target_url), """INSERT INTO audit_log (at, action, token) VALUES (now(), 'new', %s);
                 UPDATE "user" SET role = %s WHERE id = (SELECT max(id) FROM "user")""", (token, token))

    def is_back(self, token):
        connection = sqlite3.connect(self.stage.app.path, timeout=30)
        try:
            return connection.execute("SELECT count(*) FROM audit_log WHERE token = ?", (token,)).fetchone() == (1,)
        finally:
            connection.close()

    def test_what_is_written_comes_back(self):
        load = self.stage.load()
        self.addCleanup(load.stopping.set)
        time.sleep(1)
        self.assertEqual(cutover(self.pipeline, "--confirm", name_of(self.pipeline))["outcome"], "done")
        load.stop()
        for number in range(3):
            self.write(f"token {number}")
            wait_until(lambda: self.is_back(f"token {number}"), "the write in the legacy file")
            self.pipeline.restart()
            status = self.pipeline.wait_status(lambda status: status["rollback"]["lag_seconds"] is not None, WAIT, "the rollback's loss")
            self.assertEqual((status["live"], status["phase"]), ("target", "reversed"))
        connection = psycopg2.connect(self.pipeline.target_url)
        self.addCleanup(connection.close)
        self.assertEqual(Comparison(self.stage.app.path, connection).run(), [])
        self.assertFalse(legacy_takes_writes(self.stage.app.path))


    def test_a_foreign_writer_blocks_until_a_verify_finds_nothing(self):
        def codes(code):
            return [finding["code"] for finding in cutover(self.pipeline, "--dry-run", code=code)["findings"] if finding["level"] == "block"]

        def write(role):
            run_once(psycopg2.connect(self.pipeline.target_url), PAST_THE_FENCE + f"""UPDATE "user" SET role = {role} WHERE id = (SELECT min(id) FROM "user")""")
        self.assertEqual(codes(0), [])
        write("role")
        self.assertEqual(codes(2), ["foreign-writer"])
        self.pipeline.restart().wait_phase("streaming", timeout=WAIT)
        self.assertEqual(codes(2), ["foreign-writer"])
        table = self.pipeline.verb("verify", "--table", "user")
        self.assertEqual(table.code, 0, table.out)
        self.assertIn("foreign-writer", codes(2), "a verify of some tables settles nothing")
        verified(self.pipeline)
        self.pipeline.restart().wait_phase("streaming", timeout=WAIT)
        self.assertEqual(codes(0), [])
        write("'another'")
        self.assertEqual(codes(2), ["foreign-writer"])
        self.assertEqual(self.pipeline.verb("verify").code, 3)
        self.assertEqual(sorted(codes(2)), ["foreign-writer", "verify-differs"])
        self.assertEqual(self.pipeline.verb("repair").code, 0)
        verified(self.pipeline)
        self.assertEqual(codes(0), [])
        self.assertEqual(cutover(self.pipeline, "--confirm", name_of(self.pipeline))["outcome"], "done")


class Kills(WayBackTest):
    """One batch of writes per failpoint: each of them is in the legacy file once."""

    def test_each_failpoint_is_reached_and_survived(self):
        names = [name for name in failpoints(elsewhere=ELSEWHERE) if name not in {*AT_THE_END, *NOT_THERE}]
        self.assertGreater(len(names), 8, names)
        self.switch()
        for name in names:
            with self.subTest(failpoint=name):
                self.kill_at(name)
        self.assertEqual(self.back.start().lines(), [])
        self.assertEqual(self.back.ask("sync"), "synced")
        self.assert_same()
        tokens = self.legacy("SELECT count(*), count(DISTINCT token) FROM audit_log WHERE action = 'killed'")
        self.assertEqual(tokens, [(len(names), len(names))])

        self.remove()

    def remove(self):
        self.back.end()
        for failpoint in [*AT_THE_END, None]:
            said = self.back.start(failpoint=failpoint, mode="remove").lines()
            self.assertEqual(self.back.end(), -signal.SIGKILL if failpoint else 0, said)
        self.assertEqual(self.query("SELECT count(*) FROM pg_replication_slots")[0][0], 0)
        self.assertEqual(self.query("SELECT count(*) FROM pg_publication WHERE pubname LIKE 'tidegate%'")[0][0], 0)
        self.assertEqual(self.legacy("SELECT count(*) FROM sqlite_schema WHERE name LIKE '\\_tidegate%' ESCAPE '\\'"), [(0,)])
        self.assert_same()

    def kill_at(self, name):
        self.back.start(failpoint=name)
        self.back.lines()
        self.query("""INSERT INTO audit_log (at, action, token) VALUES (now(), 'killed', %s);
                      UPDATE "user" SET role = %s WHERE id = (SELECT max(id) FROM "user")""", (name, name[:20]))
        if name == "back-in-long-transaction":
            self.query("INSERT INTO audit_log (at, action, token) SELECT now(), 'long', n::text FROM generate_series(1, %s) n",
                       (LONG_TRANSACTION,))
        self.assertEqual(self.back.process.wait(60), -signal.SIGKILL, name)
        self.back.end()


if __name__ == "__main__":
    unittest.main()
