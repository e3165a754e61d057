#!/usr/bin/python3
"""From the legacy model to another one while the app writes: integer ids become UUIDs, one table becomes several, rows that a
filter leaves out come and go, and a crash at any step changes nothing. The judge computes every row anew, in Python."""
import contextlib
import datetime
import json
import pathlib
import re
import sqlite3
import subprocess
import sys
import unittest
import uuid

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from stage import SEED, WAIT, Stage, query           # noqa: E402
from support.tidegate import BIN, built              # noqa: E402

ROOT = uuid.UUID("3f0f2f1e-6a0b-4c8e-9a57-0d6c1b8a4e52")   # of all pipelines; apply/mapping/uuid.cpp
PIPELINE = "codopia"
REFUSED, DIFFERENT = 2, 3

MIGRATIONS = """
CREATE TYPE public.tier AS ENUM ('magic_workshop', 'innovation_lab', 'professional_studio');
CREATE TYPE public.app_role AS ENUM ('parent', 'teacher', 'admin');
CREATE TABLE public.profiles (id uuid PRIMARY KEY, email text NOT NULL, role public.app_role NOT NULL, active boolean NOT NULL,
  referred_by uuid REFERENCES public.profiles, created_at timestamptz NOT NULL, note text NOT NULL DEFAULT 'kept');
CREATE TABLE public.children (id uuid PRIMARY KEY, parent_id uuid NOT NULL REFERENCES public.profiles, name text NOT NULL,
  age smallint NOT NULL, tier public.tier NOT NULL, birthday date);
CREATE TABLE public.young (child_id uuid PRIMARY KEY, legacy_id bigint NOT NULL, origin text NOT NULL);
"""
CONFIG = """
[pipeline]
name = "codopia"
[target]
schema = "existing"
[tables]
include = ["user", "child_profile"]

[[map]]
from = "user"
[[map.to]]
table = "public.profiles"
types = { role = "public.app_role" }
columns = { id = "uuid('user', id)", email = "lower(email)", role = "role", active = "is_active", referred_by = "uuid('user', referred_by)", created_at = "created_at" }

[[map]]
from = "child_profile"
[[map.to]]
table = "public.children"
types = { tier = "public.tier" }
columns = { id = "uuid('child', id)", parent_id = "uuid('user', parent_id)", name = "name", age = "age", birthday = "birthday", tier = "case when age < 8 then 'magic_workshop' when age < 13 then 'innovation_lab' else 'professional_studio' end" }
[[map.to]]
table = "public.young"
where = "age < 8"
key = ["child_id"]
columns = { child_id = "uuid('child', id)", legacy_id = "id", origin = "'legacy'" }
"""


def uuid_of(*name):
    if None in name:
        return None
    space = uuid.uuid5(ROOT, PIPELINE)
    return str(uuid.uuid5(space, json.dumps(name, separators=(",", ":"), ensure_ascii=False)))


def tier(age):
    return "magic_workshop" if age < 8 else "innovation_lab" if age < 13 else "professional_studio"


def utc(text):
    return datetime.datetime.fromisoformat(text).replace(tzinfo=datetime.timezone.utc)


def expected(path):
    """What each target table must hold, from the app's file."""
    with contextlib.closing(sqlite3.connect(path, timeout=30)) as file:
        users = file.execute("SELECT id, email, role, is_active, referred_by, created_at FROM user").fetchall()
        children = file.execute("SELECT id, parent_id, name, age, birthday FROM child_profile").fetchall()
    return {
        "profiles": sorted((uuid_of("user", i), email.lower(), role, bool(active), uuid_of("user", by), utc(at), "kept")
                           for i, email, role, active, by, at in users),
        "children": sorted((uuid_of("child", i), uuid_of("user", parent), name, age, tier(age), born)
                           for i, parent, name, age, born in children),
        "young": sorted((uuid_of("child", i), i, "legacy") for i, _, _, age, _ in children if age < 8),
    }


def actual(url):
    return {
        "profiles": sorted(query(url, "SELECT id::text, email, role::text, active, referred_by::text, created_at, note FROM public.profiles")),
        "children": sorted(query(url, "SELECT id::text, parent_id::text, name, age, tier::text, birthday::text FROM public.children")),
        "young": sorted(query(url, "SELECT child_id::text, legacy_id, origin FROM public.young")),
    }


class Mapping(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        print("seed", SEED)
        cls.stage = Stage(families=60)
        cls.addClassCleanup(cls.stage.close)

    def pipeline(self, config=CONFIG, migrations=MIGRATIONS):
        url = self.stage.new_database()
        query(url, migrations)
        pipeline = self.stage.pipeline(url)
        (pipeline.base / "tidegate.toml").write_text(config)
        return pipeline

    def judge(self, pipeline):
        pipeline.wait_phase("streaming", timeout=WAIT)
        pipeline.sync(timeout=WAIT)
        expects, holds = expected(self.stage.app.path), actual(pipeline.target_url)
        self.assertGreater(min(len(rows) for rows in expects.values()), 4)
        for table, rows in expects.items():
            self.assertEqual(holds[table], rows, table)
        self.assertEqual(query(pipeline.target_url, "SELECT source_table, source_key, column_name, reason FROM tidegate.quarantine"), [])

    def test_rows_change_shape_under_load_and_kills(self):
        pipeline = self.pipeline()
        load = self.stage.load()
        try:
            for failpoint in ("schema-after-commit", "load-before-commit", "load-after-commit:2", "apply-before-commit:3",
                              "apply-after-commit:2"):
                pipeline.start(failpoint=failpoint)
                self.assertEqual(pipeline.wait(timeout=WAIT), -9, failpoint)
            pipeline.start().wait_phase("streaming", timeout=WAIT)
            pipeline.kill()
            pipeline.start()
        finally:
            summary = load.stop()
        self.assertEqual(summary["failed"], {})
        self.judge(pipeline)
        tables = {(each["source"], each["target"]) for each in pipeline.status()["tables"]}
        self.assertEqual(tables, {("user", "public.profiles"), ("child_profile", "public.children"), ("child_profile", "public.young")})

    def test_a_row_enters_and_leaves_with_its_filter(self):
        pipeline = self.pipeline()
        pipeline.start().wait_phase("streaming", timeout=WAIT)
        self.stage.write("UPDATE child_profile SET age = 7 WHERE id % 3 = 0", "UPDATE child_profile SET age = 9 WHERE id % 3 = 1")
        self.judge(pipeline)
        self.stage.write("UPDATE child_profile SET age = 17 - age WHERE id % 3 < 2", "DELETE FROM child_profile WHERE id % 7 = 0")
        self.judge(pipeline)

    def test_a_second_run_gives_the_same_rows(self):
        rows = []
        for _ in range(2):
            pipeline = self.pipeline()
            pipeline.start()
            self.judge(pipeline)
            pipeline.stop()
            rows.append(actual(pipeline.target_url))
        self.assertEqual(*rows)

    def test_what_an_expression_or_the_target_refuses_is_held_by_source_key(self):
        pipeline = self.pipeline(CONFIG.replace("lower(email)", "case when email like 'bad%' then json(email) else lower(email) end")
                                 .replace("name = \"name\"", "name = \"nullif(name, 'nobody')\""))
        self.stage.write("UPDATE user SET email = 'bad1@x.org' WHERE id = 1")
        pipeline.start().wait_phase("streaming", timeout=WAIT)
        self.stage.write("UPDATE user SET email = 'bad2@x.org' WHERE id = 2", "UPDATE user SET role = 'king' WHERE id = 3")
        pipeline.sync(timeout=WAIT)
        held = "SELECT source_table, source_key, column_name, reason FROM tidegate.quarantine WHERE source_table LIKE 'user%' ORDER BY source_key"
        self.assertEqual(query(pipeline.target_url, held),
                         [("user -> public.profiles", "[1]", "email", "expression_failed"),
                          ("user -> public.profiles", "[2]", "email", "expression_failed"),
                          ("user -> public.profiles", "[3]", "", "rejected")])
        status = {each["target"]: each["rows_quarantined"] for each in pipeline.status()["tables"]}
        self.assertEqual(status["public.profiles"], 3)
        self.assertGreater(status["public.children"], 0)   # of the first, who never came
        self.stage.write("UPDATE user SET email = 'good1@x.org' WHERE id = 1", "UPDATE user SET email = 'good2@x.org' WHERE id = 2",
                         "UPDATE user SET role = 'parent' WHERE id = 3")
        pipeline.wait_status(lambda status: status["quarantined"] == 0, WAIT, "an empty quarantine")
        self.judge(pipeline)

    def test_a_child_without_its_parent_is_held_until_the_parent_comes(self):
        self.stage.write("UPDATE user SET role = 'admin' WHERE id % 5 = 0")
        pipeline = self.pipeline(CONFIG.replace('from = "user"', 'from = "user"\nwhere = "role <> \'admin\'"').replace(
            "referred_by = \"uuid('user', referred_by)\"", "referred_by = \"nullif(1, 1)\""))
        pipeline.start().wait_phase("streaming", timeout=WAIT)
        pipeline.sync(timeout=WAIT)
        with contextlib.closing(sqlite3.connect(self.stage.app.path, timeout=30)) as file:
            orphans = sorted(f"[{i}]" for i, in file.execute(
                "SELECT c.id FROM child_profile c JOIN user u ON u.id = c.parent_id WHERE u.role = 'admin'"))
        self.assertGreater(len(orphans), 5)
        held = "SELECT source_key FROM tidegate.quarantine WHERE sqlstate = '23503' AND constraint_name = 'children_parent_id_fkey'"
        self.assertEqual(sorted(key for key, in query(pipeline.target_url, held)), orphans)
        self.assertEqual(query(pipeline.target_url, "SELECT count(*) FROM public.children c WHERE NOT EXISTS "
                                                    "(SELECT FROM public.profiles p WHERE p.id = c.parent_id)"), [(0,)])
        self.stage.write("UPDATE user SET role = 'teacher' WHERE role = 'admin'", "UPDATE user SET referred_by = NULL")
        pipeline.wait_status(lambda status: status["quarantined"] == 0, WAIT, "the children")
        self.judge(pipeline)
        self.parents_go_and_come_back(pipeline, held)

    def parents_go_and_come_back(self, pipeline, held):
        """Their children's rows do not change in the source: no event tells of them. A crash in between changes nothing."""
        gone = "role = 'teacher' AND id % 5 = 0"
        with contextlib.closing(sqlite3.connect(self.stage.app.path, timeout=30)) as file:
            alone = sorted(f"[{i}]" for i, in file.execute(f"SELECT c.id FROM child_profile c JOIN user u ON u.id = c.parent_id WHERE u.{gone.replace('AND id', 'AND u.id')}"))
        self.assertGreater(len(alone), 5)
        pipeline.stop()
        self.stage.write(f"UPDATE user SET role = 'admin' WHERE {gone}")
        pipeline.start(failpoint="apply-after-commit")
        self.assertEqual(pipeline.wait(timeout=WAIT), -9)
        self.assertEqual({key.startswith('{"target":') for key, in query(pipeline.target_url, held)}, {True}, "taken out with their parents")
        self.assertEqual(query(pipeline.target_url, "SELECT count(*) FROM public.children c WHERE NOT EXISTS "
                                                    "(SELECT FROM public.profiles p WHERE p.id = c.parent_id)"), [(0,)])
        pipeline.start().wait_phase("streaming", timeout=WAIT)
        pipeline.wait_status(lambda _: sorted(key for key, in query(pipeline.target_url, held)) == alone, WAIT, "they are held by their source keys")
        self.stage.write("UPDATE user SET role = 'teacher' WHERE role = 'admin'")
        pipeline.wait_status(lambda status: status["quarantined"] == 0, WAIT, "the children are back")
        self.judge(pipeline)

    def test_reset_takes_out_what_the_pipeline_put_there_and_nothing_else(self):
        pipeline = self.pipeline(migrations=MIGRATIONS + "CREATE TABLE public.others (id int PRIMARY KEY); INSERT INTO public.others VALUES (1);")
        pipeline.start()
        self.judge(pipeline)
        first = actual(pipeline.target_url)
        words = ["reset", "--source", str(self.stage.app.path), "--target"]
        for wrong in ([], ["--confirm", "another"]):
            self.assertEqual(pipeline.verb(*words, *wrong).code, REFUSED)
        killed = subprocess.run([BIN / "tidegate-fault", *words, "--confirm", PIPELINE, "--state", str(pipeline.state)],
                                env=pipeline.env("reset-before-commit"), cwd=pipeline.base, check=False, capture_output=True)
        self.assertEqual(killed.returncode, -9)
        self.judge(pipeline)
        done = pipeline.verb(*words, "--confirm", PIPELINE)
        self.assertEqual(done.code, 0, done)
        self.assertEqual(actual(pipeline.target_url), {"profiles": [], "children": [], "young": []})
        self.assertEqual(query(pipeline.target_url, "SELECT (SELECT count(*) FROM tidegate.pipelines), (SELECT count(*) FROM public.others)"), [(0, 1)])
        self.stage.write("UPDATE user SET last_login = created_at WHERE id = 4")
        self.assertNotEqual(pipeline.wait(timeout=WAIT), 0)      # the daemon finds that it was taken over
        again = self.stage.pipeline(pipeline.target_url)
        (again.base / "tidegate.toml").write_text(CONFIG)
        again.start()
        self.judge(again)
        self.assertEqual(actual(again.target_url), first)

    def refused(self, config, code, *says, migrations=MIGRATIONS):
        pipeline = self.pipeline(config, migrations)
        for flags in ((), ("--json",)):
            done = pipeline.verb("run", "--source", self.stage.app.path, "--yes", "--allow-wal", *flags)
            self.assertEqual(done.code, REFUSED, done)
        self.assertIn(f'"code":"{code}"', done.err)
        for words in says:
            self.assertRegex(done.err, words)
        self.assertEqual(query(pipeline.target_url, "SELECT to_regnamespace('tidegate')"), [(None,)])

    def test_a_broken_mapping_is_refused_with_its_place(self):
        line = 1 + CONFIG[:CONFIG.index("lower(email)")].count("\n")
        column = CONFIG.splitlines()[line - 1].index("lower(email)") + 1
        here = re.escape(f"tidegate.toml:{line}:")
        self.refused(CONFIG.replace("lower(email)", "lower(emial)"), "map-expression", f"{here}{column + 6}: no such column: emial")
        self.refused(CONFIG.replace("lower(email)", "lowr(email)"), "map-expression", f"{here}\\d+: no such function: lowr")
        self.refused(CONFIG.replace("lower(email)", "datetime('now')"), "map-not-repeatable", here)
        self.refused(CONFIG.replace("lower(email)", "datetime(email, 'localtime')"), "map-not-repeatable", here, "time zone")
        self.refused(CONFIG.replace("email = \"lower", "mail = \"lower"), "table-does-not-fit", f"{here}{column - 2}: .*it has no column mail")
        self.refused(CONFIG.replace("public.app_role", "public.tier"), "map-type", f"tidegate.toml:{line - 1}:\\d+: column role .* is (public\\.)?app_role, not public.tier")
        self.refused(CONFIG.replace('created_at = "created_at"', "created_at = \"'day ' || id\""), "map-type", f"{here}\\d+: none of \\d+ values .* column created_at .* timestamp")
        self.refused(CONFIG.replace('age = "age"', 'age = "name"'), "map-type", r"tidegate.toml:\d+:\d+: none of \d+ values .* column age .* smallint")
        self.refused(CONFIG + CONFIG[CONFIG.index('[[map]]\nfrom = "user"'):CONFIG.index('[[map]]\nfrom = "child')].replace('from = "user"', 'from = "child_profile"').replace(
            "lower(email)", "name").replace('"role"', "\"'parent'\"").replace("is_active", "1").replace("uuid('user', referred_by)", "null").replace("created_at = \"created_at\"", "created_at = \"birthday\""),
            "map-two-owners", r"tidegate.toml:\d+:\d+: user is owner of rows of public.profiles, and so is this map")
        self.refused(CONFIG.replace('table = "public.young"', 'table = "public.yung"'), "table-missing", "tidegate.toml:\\d+:\\d+: table public.yung")
        shared = f"tidegate.toml:\\d+:9: two rows of child_profile could get one key of public.children"
        for key in ("uuid('child', lower(name))", "uuid('child', name)", "uuid('child', id / 2)", "uuid('child', 'x')"):
            self.refused(CONFIG.replace("id = \"uuid('child', id)\", parent", f'id = "{key}", parent'), "map-key", shared)
        self.refused(CONFIG.replace('from = "user"', 'from = "users"'), "map-no-such-table", "tidegate.toml:\\d+:8: the source has no table users")

    def test_plan_shows_the_mapping_with_the_shape_of_three_rows(self):
        pipeline = self.pipeline()
        done = pipeline.verb("plan", "--source", self.stage.app.path)
        self.assertEqual(done.code, 0, done)
        for line in (r"user -> public\.profiles\n", r"id \(key\) = uuid\('user', id\)   \[text, text, text\]", r"email = lower\(email\)   \[text, text, text\]",
                     r"referred_by = uuid\('user', referred_by\)   \[(null|text), (null|text), (null|text)\]", r"age = age   \[integer, integer, integer\]",
                     r"child_profile -> public\.young where age < 8",
                     r"no map reads .*password_hash.* of table user: .*not carried over  \[map-column-not-read\]",
                     r"no map fills note of \"?public\"?\.\"?profiles\"?: it keeps its default  \[map-column-not-filled\]"):
            self.assertRegex(done.out, line)
        told = json.loads(pipeline.verb("plan", "--json", "--source", self.stage.app.path).out)["mapping"]
        young, = (one for one in told if one["target"] == "public.young")
        self.assertEqual((young["source"], young["where"]), ("child_profile", "age < 8"))
        self.assertLessEqual({"column": "origin", "expression": "'legacy'"}.items(), young["columns"][2].items())
        with contextlib.closing(sqlite3.connect(self.stage.app.path, timeout=30)) as file:
            for mail, name in file.execute("SELECT u.email, c.name FROM user u, child_profile c WHERE u.id < 4 AND c.id < 4"):
                self.assertNotIn(mail, done.out)
                self.assertNotIn(name, done.out)
        self.assertEqual(query(pipeline.target_url, "SELECT to_regnamespace('tidegate')"), [(None,)])

    def test_the_checks_of_mapped_tables(self):
        rules = [f'[[check]]\ntable = "{table}"\nmust = "{must}"\n' for table, must in
                 (("public.young", "legacy_id < 0"), ("children", "age >= 0"), ("child_profile", "age >= 0"))]
        pipeline = self.pipeline(CONFIG + "".join(rules) + '[[rule]]\ntable = "user"\ncolumn = "email"\non = "empty"\ndo = "null"\n')
        planned = pipeline.verb("plan", "--source", self.stage.app.path)
        self.assertRegex(planned.out, r"the \[\[check\]\] of table child_profile is asked of no row.*\[check-without-table\]")
        self.assertRegex(planned.out, r"column email of table user is applied to no value: a \[\[map\]\] takes the table  \[rule-without-table\]")
        pipeline.start().wait_phase("streaming", timeout=WAIT)
        done = pipeline.verb("verify", "--json", timeout=WAIT)
        self.assertEqual(done.code, DIFFERENT, done)
        self.assertEqual([(one["code"], one["table"]) for one in json.loads(done.out)["remarks"]], [("verify-rule-broken", "public.young")])

    def test_another_mapping_needs_a_new_beginning(self):
        pipeline = self.pipeline()
        pipeline.start().wait_phase("streaming", timeout=WAIT)
        pipeline.stop()
        (pipeline.base / "tidegate.toml").write_text(CONFIG.replace("lower(email)", "email"))
        done = pipeline.verb("run", "--source", self.stage.app.path, "--yes")
        self.assertEqual(done.code, REFUSED, done)
        self.assertIn("the mapping is not the one", done.err)


if __name__ == "__main__":
    sys.exit(unittest.main() if built() else 77)
