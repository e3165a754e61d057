#!/usr/bin/python3
"""A way back of mapped tables that was lost is built anew while the target is written to: rows that several tables share, rows that were born there and others that went,
rows that the maps leave out or that never fitted, beside tables without a map; through kill -9 at its steps (all of them with TIDEGATE_LONG=1). TIDEGATE_SEED repeats a run."""
import contextlib
import pathlib
import sys
import threading
import unittest
import uuid

import psycopg2

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import test_mapped_cutover as example                                                  # noqa: E402
import test_shared_cutover as shared                                                   # noqa: E402
from proxy import wait_until                                                           # noqa: E402
from stage import ROOT, WAIT                                                           # noqa: E402
from support.cutover import forward, rollback, verified, with_way_back                 # noqa: E402
from support.tidegate import built                                                     # noqa: E402
from test_way_back_rebuilt import BOTH, failpoints, lose_the_slot, rebuild, rebuild_through_kills    # noqa: E402

MAPPED = [*BOTH, ROOT / "replicator/cutover/mapped_rebuild.cpp"]
MANY = 4500      # rows: several batches of the way back
PUPILS = """
[[map]]
from = "pupil"
where = "gone_at is null"
[[map.to]]
table = "public.pupils"
columns = { id = "uuid('pupil', id)", name = "name", age = "age", gone_at = "gone_at" }
"""
LEGACY = """
CREATE TABLE pupil (id {serial}, name text NOT NULL, age text, gone_at text, secret text DEFAULT 'none');
CREATE TABLE remark (id integer PRIMARY KEY, word text UNIQUE);
INSERT INTO pupil (id, name, age, gone_at, secret) VALUES (1, 'stays', '7', NULL, 's1'), (2, 'left out', '8', '2020-01-01', 's2'), (3, 'leaves', '9', NULL, 's3'),
  (4, 'goes', '10', NULL, 's4'), (5, 'never fitted', 'old', NULL, 's5');
INSERT INTO pupil (id, name) WITH RECURSIVE n(i) AS (SELECT 6 UNION ALL SELECT i + 1 FROM n WHERE i < {many}) SELECT i, 'many ' || i FROM n;
CREATE TABLE aside (remark_id integer REFERENCES remark (id) ON DELETE CASCADE);
INSERT INTO remark VALUES (1, 'one'), (2, 'two'), (3, 'three'), (9, 'old');
INSERT INTO aside VALUES (1), (2);
"""
TARGET = """
CREATE TABLE public.pupils (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), name text NOT NULL, age text CHECK (age <> 'old'), gone_at text);
CREATE TABLE public.remark (id integer PRIMARY KEY, word text UNIQUE CHECK (word <> 'old'));
"""

setUpModule = shared.setUpModule


class Story(shared.Story):
    test_there_and_back_and_there = None     # told elsewhere
    files = []

    def setUp(self):
        super().setUp()
        self.many_statements(LEGACY.format(serial=self.serial, many=MANY))
        self.target.execute(TARGET)
        self.configure(PUPILS)

    def configure(self, pupils):
        (self.tide.base / "tidegate.toml").write_text(shared.MAPPING + "[tables]\nexclude = [\"aside\", \"public.aside\"]\n" + pupils)

    def cut_over(self, way=with_way_back):
        self.tide.start()
        self.streaming()
        self.assertEqual(self.tide.verb("quarantine", "accept", "--all", "--reason", "a test").code, 0)
        verified(self.tide)
        way(self.tide)

    def born_before(self):
        """And brought back, by the way back that is lost afterwards."""
        born = self.account("born")
        self.query("INSERT INTO public.teachers VALUES (%s, '2026-01-02', 12.30)", self.user("Tess", "teacher", email="tess@new"))
        self.query("UPDATE public.pupils SET gone_at = '2026-01-01' WHERE name = 'leaves'")
        wait_until(lambda: self.legacy("SELECT 1 FROM account WHERE login = 'born'") and self.legacy("SELECT 1 FROM teacher WHERE name = 'Tess'")
                   and self.legacy("SELECT 1 FROM pupil WHERE gone_at = '2026-01-01'"), "the way back", WAIT)
        (number,), = self.legacy("SELECT id FROM account WHERE login = 'born'")
        return born, number

    def born_meanwhile(self, born):
        later = self.account("later", born)
        pia, kim = self.user("Pia", "parent", email="pia@new"), self.user("Kim", "student")
        self.query("INSERT INTO public.students VALUES (%s, false)", kim)
        self.query("INSERT INTO public.student_parents VALUES (%s, %s)", kim, pia)
        self.query("INSERT INTO public.teachers VALUES (%s, '2026-05-06', 7.50)", self.user("Uri", "teacher", email="ben@x"))
        self.query("INSERT INTO public.members (kind, name) VALUES ('guest', 'Noa'), ('club_member', 'Oli')")
        self.query("INSERT INTO public.paints (shade) VALUES ('warm amber'), ('cool mint')")
        self.query(f"INSERT INTO public.pupils (name) SELECT 'new ' || n FROM generate_series(1, {MANY}) n")
        return later

    def changed_meanwhile(self, later):
        self.query("UPDATE public.users SET name = 'Benny', email = 'benny@x' WHERE name = 'Ben'")
        self.query("UPDATE public.users SET phone = '+33' WHERE name = 'Cem'")
        self.query("UPDATE public.users SET email = CASE name WHEN 'Ada' THEN 'cem@x' ELSE 'ada@x' END WHERE name IN ('Ada', 'Cem')")
        self.query("UPDATE public.accounts SET login = 'x' WHERE login = 'one'; UPDATE public.accounts SET login = 'one' WHERE login = 'two';"
                   " UPDATE public.accounts SET login = 'two' WHERE login = 'x'")
        self.query("UPDATE public.accounts SET balance = 99.99, referred_by = %s WHERE login = 'three'", later)
        self.query("UPDATE public.student_parents SET parent_id = %s WHERE student_id = %s", self.id_of("Pia"), self.id_of("Gil"))
        self.query("UPDATE public.paints SET shade = 'warm sky' WHERE shade = 'sky'")
        self.query("UPDATE public.pupils SET name = 'left' WHERE name = 'leaves'")

    def gone_meanwhile(self):
        self.query("UPDATE public.remark SET word = 'deux' WHERE id = 2; DELETE FROM public.remark WHERE id = 3; INSERT INTO public.remark VALUES (4, 'two')")
        self.query("DELETE FROM public.users WHERE name IN ('Tess', 'Hal', 'Dan')")
        self.query("DELETE FROM public.members WHERE name = 'Kai'; DELETE FROM public.paints WHERE shade = 'rust'")
        self.query("DELETE FROM public.pupils WHERE name = 'goes' OR name LIKE 'many %%'")

    def write_meanwhile(self):
        """Until the returned event is set: what comes while the way back is built is in neither the old slot nor the snapshot."""
        over = threading.Event()

        def write():
            with contextlib.closing(psycopg2.connect(self.target.url)) as connection:
                connection.autocommit = True
                for number in range(10**6):
                    if over.wait(0.02):
                        return
                    connection.cursor().execute("INSERT INTO public.accounts (login) VALUES ('meanwhile ' || %s); UPDATE public.paints SET shade = 'warm ' || %s"
                                                " WHERE shade LIKE 'warm _%%' AND id = (SELECT min(id) FROM public.paints WHERE shade LIKE 'warm _%%')", (number, number))
        thread = threading.Thread(target=write, daemon=True)
        thread.start()
        self.addCleanup(over.set)
        self.addCleanup(thread.join, 30)
        return over

    def judge_the_rest(self):
        kept = self.legacy("SELECT id, secret FROM pupil WHERE secret != 'none' ORDER BY id")
        self.assertEqual(kept, [(1, "s1"), (2, "s2"), (3, "s3"), (5, "s5")], "what no map reads stays, and so does who was left out, or never fitted")
        mine = self.legacy("SELECT name, age, gone_at FROM pupil WHERE id NOT IN (2, 5)")
        self.assertEqual(shared.in_order(mine), shared.in_order(self.query("SELECT name, age, gone_at FROM public.pupils")))
        self.assertEqual(self.legacy("SELECT * FROM remark ORDER BY id"), [*self.query("SELECT * FROM public.remark ORDER BY id"), (9, "old")])
        self.assertEqual(self.legacy("SELECT * FROM aside ORDER BY 1"), [(1,), (2,)], "rows that are not replicated keep their parents")

    def goes_back(self):
        """What is written now."""
        name = str(uuid.uuid4())
        self.account(name)
        with contextlib.suppress(AssertionError):
            wait_until(lambda: self.legacy(f"SELECT 1 FROM account WHERE login = '{name}'"), "the account", 5)
            return True
        return False

    # --- the stories ---

    def test_through_kills(self):
        self.cut_over()
        self.reversed()
        born, number = self.born_before()
        lose_the_slot(self.tide)
        later = self.born_meanwhile(born)
        self.changed_meanwhile(later)
        self.gone_meanwhile()
        stray = self.user("Stray")
        over = self.write_meanwhile()
        rebuild_through_kills(self, self.tide, failpoints(self.files), lambda status: status["rollback"]["rejects"] == 1 and self.goes_back())
        over.set()
        wait_until(self.goes_back, "the way back", WAIT)
        self.assertEqual(self.rejects(), ["owner_unknown"])
        self.query("INSERT INTO public.user_roles VALUES (%s, 'parent')", stray)
        self.query("UPDATE public.pupils SET gone_at = NULL WHERE name = 'left'")
        wait_until(lambda: not self.rejects() and self.legacy("SELECT 1 FROM pupil WHERE name = 'left' AND gone_at IS NULL"), "no rejects", WAIT)
        self.assertEqual(rollback(self.tide)["outcome"], "done")
        self.judge()
        self.judge_the_rest()
        self.judge_the_legacy(number)
        self.goes_on(born)

    def judge_the_legacy(self, number):
        self.assertEqual(self.legacy("SELECT id FROM account WHERE login = 'born'"), [(number,)], "it keeps the id that it was given")
        self.assertEqual(self.legacy("SELECT id, note FROM teacher WHERE name = 'Benny'"), [(2, "n2")])
        self.assertEqual(self.legacy("SELECT phone, page FROM phonebook ORDER BY teacher_id"), [("+1", 7), ("+33", 8)], "a contributor's row is changed where it is")
        self.assertEqual(self.legacy("SELECT count(*) FROM teacher WHERE name = 'Tess'"), [(0,)])
        (pia,), = self.legacy("SELECT id FROM parent WHERE name = 'Pia'")
        self.assertEqual(self.legacy("SELECT name FROM student WHERE parent_id = %s ORDER BY name".replace("%s", self.mark), pia), [("Gil",), ("Kim",)])

    def goes_on(self, born):
        """Forward again: rows that were born on the target are the same ones."""
        self.streaming()
        self.legacy("UPDATE account SET login = 'born again' WHERE login = 'born'")
        self.legacy("UPDATE pupil SET name = 'older' WHERE name = 'new 77'")
        self.tide.sync(timeout=WAIT)
        self.assertEqual(self.query("SELECT id::text FROM public.accounts WHERE login = 'born again'"), [(born,)])
        self.assertEqual(self.query("SELECT count(*) FROM public.pupils WHERE name IN ('older', 'new 77')"), [(1,)])
        self.judge()
        self.knows_whose_all_are()

    def test_a_cutover_without_a_way_back_gets_one(self):
        self.cut_over(way=forward)
        self.changed_meanwhile(self.born_meanwhile(self.account("born")))
        self.gone_meanwhile()
        for _ in range(2):    # the second time there is one that works
            self.assertIn("the way back runs again", rebuild(self.tide))
        self.assertEqual(rollback(self.tide)["outcome"], "done")
        self.judge()
        self.judge_the_rest()

    def test_a_table_without_a_way_back_is_named(self):
        self.configure(PUPILS.replace(' name = "name",', ""))
        self.target.execute("ALTER TABLE public.pupils ALTER name SET DEFAULT ''")
        self.cut_over(way=forward)
        before = self.legacy("SELECT * FROM pupil ORDER BY id")
        self.query("DELETE FROM public.pupils")
        said = rebuild(self.tide, code=2)
        self.assertIn("pupil: column name is NOT NULL without a default", said)
        self.assertEqual(self.legacy("SELECT * FROM pupil ORDER BY id"), before)


class OfSqlite(Story, shared.OfSqlite):
    serial, mark = "integer PRIMARY KEY", "?"
    files = [*MAPPED, *(ROOT / "apply/sqlite").glob("*.cpp"), ROOT / "replicator/cutover/sqlite_rebuild.cpp"]

    def many_statements(self, text):
        with contextlib.closing(shared.sqlite3.connect(self.folder)) as file, file:
            file.executescript(text)


class OfPostgres(Story, shared.OfPostgres):
    serial, mark = "serial PRIMARY KEY", "%s"
    files = [*MAPPED, ROOT / "apply/postgres/legacy_side.cpp"]

    def many_statements(self, text):
        self.source.execute(text)
        self.source.execute("SELECT setval(pg_get_serial_sequence('pupil', 'id'), (SELECT max(id) FROM pupil))")

    def test_a_parent_that_goes_alone(self):
        """Its child is taken out and blocks a rollback; the way back goes on, and one that is built anew knows the child's name."""
        self.cut_over()
        self.reversed()
        self.query("DELETE FROM public.users WHERE name = 'Eve'")
        wait_until(self.rejects, "the reject", WAIT)
        wait_until(self.goes_back, "the way back", WAIT)
        self.assertIn("way-back-rejects", {finding["code"] for finding in rollback(self.tide, code=2)["findings"]})
        self.assertIn("the way back runs again", rebuild(self.tide))
        self.assertEqual(len(self.rejects()), 1)
        self.query("UPDATE public.student_parents SET parent_id = %s WHERE student_id = %s", self.id_of("Dan"), self.id_of("Ivo"))
        wait_until(lambda: not self.rejects(), "no rejects", WAIT)
        self.assertEqual(rollback(self.tide)["outcome"], "done")
        self.judge()

    def test_a_row_without_its_parent_is_named(self):
        """The target has no such foreign key, and the legacy database does."""
        self.cut_over(way=forward)
        ivo, eve = self.id_of("Ivo"), self.id_of("Eve")
        self.query("UPDATE public.student_parents SET parent_id = 999999 WHERE student_id = %s", ivo)
        self.assertIn("the way back runs again", rebuild(self.tide))
        wait_until(lambda: len(self.rejects()) == 1, "the reject", WAIT)
        self.assertEqual(rollback(self.tide, code=2)["findings"][0]["code"], "way-back-rejects")
        self.query("UPDATE public.student_parents SET parent_id = %s WHERE student_id = %s", eve, ivo)
        wait_until(lambda: not self.rejects(), "no rejects", WAIT)
        self.assertEqual(rollback(self.tide)["outcome"], "done")
        self.judge()


class TheWorkedExample(example.MappedCutover):
    """Users of Supabase Auth with profiles and children, whose rows go by cascades."""
    test_there_and_back_and_there = test_users_that_are_another_roles = None

    def lost_and_built(self, tide, work):
        lose_the_slot(tide)
        work()
        tide.start()
        tide.wait_phase("reversed", timeout=example.WAIT)
        self.assertIn("the way back runs again", rebuild(tide))

    def work(self, ann):
        first, second, third, last = (user for user, in self.legacy("SELECT id FROM user ORDER BY id LIMIT 3")
                                      + self.legacy("SELECT max(id) FROM user WHERE username != 'ann'"))
        of = lambda user: self.uuid_of("user", user)    # noqa: E731
        bob = self.sign_up("bob", ann)
        self.child_of(bob, "Bobby")
        self.child_of(of(first), "Firstborn")
        self.target.query("UPDATE public.profiles SET username = CASE id WHEN %s THEN (SELECT username FROM public.profiles WHERE id = %s)"
                          " ELSE (SELECT username FROM public.profiles WHERE id = %s) END WHERE id IN (%s, %s)",
                          (of(first), of(second), of(first), of(first), of(second)))
        self.target.query("UPDATE auth.users SET email = 'moved@new.test', last_sign_in_at = '2026-04-05 06:07:08' WHERE id = %s", (of(first),))
        self.target.query("UPDATE public.profiles SET email = 'moved@new.test', is_active = NOT is_active, referred_by = %s WHERE id = %s", (bob, of(first)))
        self.target.query("UPDATE public.profiles SET referred_by = NULL WHERE referred_by = %s", (of(last),))
        self.target.query("DELETE FROM auth.users WHERE id = %s", (of(last),))
        self.target.query("UPDATE auth.users SET encrypted_password = %s WHERE id = %s", (example.BCRYPT, of(third)))
        return first, second, third, last

    def test_lost_and_built_anew(self):
        self.target.admin("GRANT supabase_auth_admin TO postgres")
        tide = self.pipeline().start()
        self.streaming(tide)
        self.verified(tide)
        with_way_back(tide)
        self.reversed(tide)
        second = self.legacy("SELECT id FROM user ORDER BY id LIMIT 2")[1][0]
        ann = self.sign_up("ann", self.uuid_of("user", second))
        self.child_of(ann, "Annie")
        wait_until(lambda: self.legacy("SELECT 1 FROM project p JOIN child_profile c ON c.id = p.child_id WHERE c.name = 'Annie'"), "the way back", example.WAIT)
        before = {key: rest for key, *rest in self.legacy("SELECT id, email, username FROM user")}
        done = []
        self.lost_and_built(tide, lambda: done.append(self.work(ann)))
        self.assertEqual(rollback(tide)["outcome"], "done")
        self.judge_legacy(*done[0], before)
        self.learn_who_was_born()
        self.judge()
        self.streaming(tide)
        self.legacy("UPDATE user SET username = 'Ann the Second' WHERE username = 'ann'")
        tide.sync(timeout=example.WAIT)
        self.judge()
        self.mended(tide)


if __name__ == "__main__":
    sys.exit(unittest.main() if built() else 77)
