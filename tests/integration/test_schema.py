#!/usr/bin/python3
"""schema make, list, apply, diff: the target's DDL as migrations that the real Supabase CLI takes as well."""
import json
import pathlib
import re
import shutil
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support.grounds import TwoServers              # noqa: E402
from support.pgsource import differences            # noqa: E402
from support.supabase_cli import SupabaseCli        # noqa: E402
from support.tidegate import BIN, Tidegate, built   # noqa: E402

REFUSED, DIFFERENCES, USAGE = 2, 3, 4
DUMP = "/usr/lib/postgresql/15/bin/pg_dump"
FILE_SCHEMA = """
CREATE TABLE person (id INTEGER PRIMARY KEY, name VARCHAR(40) NOT NULL, tag TEXT UNIQUE, born DATE DEFAULT '2000-01-01');
CREATE TABLE visit (id INTEGER PRIMARY KEY, person_id INTEGER REFERENCES person(id), at DATETIME, CHECK (id > 0));
CREATE INDEX visit_at ON visit (at);
INSERT INTO person (id, name) VALUES (1, 'Ann'); INSERT INTO visit VALUES (1, 1, '2024-01-01 10:00:00');
"""
FILE_CHANGE = """
ALTER TABLE person ADD COLUMN score INTEGER NOT NULL DEFAULT 5;
CREATE TABLE "odd note" (id INTEGER PRIMARY KEY, person_id INTEGER REFERENCES person(id), body TEXT DEFAULT 'it''s; --x');
CREATE INDEX person_score ON person (score);
"""
SERVER_SCHEMA = """
CREATE SCHEMA shop;
CREATE TYPE public.mood AS ENUM ('glad', 'sad');
CREATE FUNCTION public.is_fit(a integer) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN a > 0; -- ; not an end
END $$;
CREATE TABLE public.customer (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, email text NOT NULL UNIQUE, mood public.mood,
  age integer CHECK (public.is_fit(age)));
CREATE TABLE shop.orders (id serial PRIMARY KEY, customer_id bigint NOT NULL REFERENCES public.customer, note text);
COMMENT ON TABLE shop.orders IS 'what was sold; and when';
INSERT INTO public.customer (email, mood) VALUES ('a@example.org', 'glad');
"""
SERVER_CHANGE = """
ALTER TYPE public.mood ADD VALUE 'so so' AFTER 'glad';
ALTER TABLE public.customer ADD COLUMN tags text[] DEFAULT '{}';
CREATE TABLE public.later (id integer PRIMARY KEY, customer_id bigint REFERENCES public.customer, mood public.mood);
CREATE INDEX orders_note ON shop.orders (note);
"""
BY_HAND = """-- policies of our own
CREATE POLICY mine ON public.person FOR SELECT USING (true);
CREATE FUNCTION public.touch() RETURNS trigger LANGUAGE plpgsql AS $body$ BEGIN NEW.name := NEW.name || ';'; RETURN NEW; END $body$;
-- and that is all
"""


@unittest.skipUnless(built(), "the binaries are not built")
class Schema(TwoServers):
    def from_file(self, script=FILE_SCHEMA):
        self.write(script)
        return self.pipeline(self.file, ["--source", self.file])

    def from_server(self):
        self.source.execute(SERVER_SCHEMA)
        return self.pipeline(self.source.url, [])

    def pipeline(self, source, words):
        self.tide, self.words = Tidegate(source, self.target.url), words
        self.addCleanup(self.tide.__exit__)
        self.folder = self.tide.base / "supabase" / "migrations"
        return self.tide

    def said(self, *arguments, code=0):
        done = self.tide.verb("schema", *arguments, *self.words)
        self.assertEqual(done.code, code, done)
        return done

    def make(self, name):
        """The files that it wrote."""
        return [pathlib.Path(path) for path in json.loads(self.said("make", name, "--json").out)["files"]]

    def dump(self, database):
        """The schema as the server describes it, without what has an order of its own."""
        text = database.run(DUMP, "--schema-only", "--no-owner", "-N", "tidegate", "-N", "supabase_migrations").stdout
        return [line for line in text.splitlines() if line and not line.startswith(("--", "\\"))]

    def changes_are_only_the_difference(self, change, says, says_not):
        """make, apply, change, make, apply: the same as made at once; and back again."""
        self.assertEqual(len(self.make("begin")), 1)
        self.said("apply", "--yes")
        before = self.dump(self.target)
        self.assertEqual(self.make("nothing"), [])
        change()
        self.assertIn("make NAME", self.said("diff", code=DIFFERENCES).out)
        files = self.make("more")
        text = "".join(path.read_text() for path in files)
        for words in says:
            self.assertIn(words, text)
        for words in says_not:
            self.assertNotIn(words, text)
        self.said("apply", "--yes")
        self.assertIn("no difference", self.said("diff").out)
        after = sorted(self.dump(self.target))
        shutil.rmtree(self.folder)
        fresh = self.pair.databases()[1]
        self.tide.target_url = fresh.url
        self.make("at_once")
        self.said("apply", "--yes")
        self.assertEqual(sorted(self.dump(fresh)), after)
        return before, files, text

    def test_of_a_file(self):
        self.from_file()
        before, files, text = self.changes_are_only_the_difference(
            lambda: self.write(FILE_CHANGE),
            ['ADD COLUMN IF NOT EXISTS "score"', 'CREATE TABLE "public"."odd note"', 'CREATE INDEX CONCURRENTLY "person_score"'],
            ['CREATE TABLE "public"."person"', '"visit"'])
        self.take_back(text, before)

    def take_back(self, text, before):
        """The newest file first, each in its own order."""
        for each in reversed(re.split(r"^-- tidegate", text, flags=re.M)):
            for line in re.findall(r"^--   (.*;)$", each, re.M):
                self.target.execute(line)
        self.assertEqual(self.dump(self.target), before)

    def test_of_a_server(self):
        self.from_server()
        before, files, text = self.changes_are_only_the_difference(
            lambda: self.source.execute(SERVER_CHANGE),
            ["ADD VALUE IF NOT EXISTS 'so so' AFTER 'glad'", "ADD COLUMN IF NOT EXISTS tags text[]", "CREATE TABLE public.later",
             "CREATE INDEX CONCURRENTLY orders_note"],
            ["CREATE TABLE public.customer", "CREATE TABLE shop.orders", "CREATE FUNCTION"])
        self.assertEqual(len(files), 3, files)
        self.take_back(text, self.with_label(before))

    @staticmethod
    def with_label(lines):
        """An enum's label stays."""
        place = lines.index("    'glad',")
        return lines[:place + 1] + ["    'so so',"] + lines[place + 1:]

    def test_the_supabase_cli_takes_the_files(self):
        self.from_file()
        supabase = SupabaseCli(self.tide.base, self.target.url)
        first, = self.make("begin")
        supabase.push()
        self.assertIn("nothing to apply", self.said("apply").out)
        self.write(FILE_CHANGE)
        second, third = self.make("more")
        self.said("apply", "--yes")
        versions = [path.name[:14] for path in (first, second, third)]
        self.assertEqual(supabase.listed(), [(version, version) for version in versions])
        self.assertIn("up to date", supabase.push())
        listed = json.loads(self.said("list", "--json").out)
        self.assertEqual([(one["version"], one["here"], one["target"]) for one in listed], [(version, True, True) for version in versions])

    def test_the_history_is_the_cli_s_own(self):
        """The same file, by both: the same row."""
        self.from_file()
        self.make("begin")
        (self.folder / "29990101000000_by_hand.sql").write_text(BY_HAND)
        self.said("apply", "--yes")
        other = self.pair.databases()[1]
        SupabaseCli(self.tide.base, other.url).push()
        rows = "SELECT version, name, statements FROM supabase_migrations.schema_migrations ORDER BY 1"
        self.assertEqual(self.target.execute(rows), other.execute(rows))
        shape = "SELECT attname, format_type(atttypid, atttypmod), attnotnull FROM pg_attribute WHERE attnum > 0 AND attrelid = 'supabase_migrations.schema_migrations'::regclass"
        self.assertEqual(self.target.execute(shape), other.execute(shape))
        self.assertEqual(sorted(self.dump(self.target)), sorted(self.dump(other)))

    def test_run_fills_what_the_files_made(self):
        for begin, same in ((self.from_file, self.same_file), (self.from_server, self.same_server)):
            with self.subTest(begin.__name__):
                self.source, self.target = self.pair.databases()
                begin()
                self.make("begin")
                self.said("apply", "--yes")
                (self.tide.base / "tidegate.toml").write_text('[target]\nschema = "existing"\n')
                self.tide.start().wait_phase("streaming")
                self.tide.sync()
                same()
                self.assertEqual(self.said("diff").code, 0)
                self.tide.stop()

    def same_file(self):
        self.assertEqual(self.target.execute("SELECT id, name, born::text FROM public.person"), [(1, "Ann", "2000-01-01")])

    def same_server(self):
        self.assertEqual(differences(self.source, self.target), [])

    def test_a_crash_leaves_whole_files(self):
        self.from_file()
        self.make("begin")
        apply = [BIN / "tidegate-fault", "schema", "apply", "--yes", "--state", self.tide.state, *self.words]
        for point, applied in (("schema-apply-before-commit", 0), ("schema-apply-after-commit", 1)):
            done = subprocess.run(apply, env=self.tide.env(point), cwd=self.tide.base, capture_output=True, check=False)
            self.assertEqual(done.returncode, -9, done)
            history = self.target.execute("SELECT count(*) FROM supabase_migrations.schema_migrations")
            tables = self.target.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
            self.assertEqual((history, tables), ([(applied,)], [(2 * applied,)]), point)
        self.write(FILE_CHANGE)
        self.make("more")
        done = subprocess.run(apply, env=self.tide.env("schema-apply-before-history"), cwd=self.tide.base, capture_output=True, check=False)
        self.assertEqual(done.returncode, -9, done)
        self.said("apply", "--yes")    # the index is there, its row is not
        self.assertEqual(self.target.execute("SELECT count(*) FROM supabase_migrations.schema_migrations"), [(3,)])
        self.assertEqual(self.target.execute("SELECT indisvalid FROM pg_index WHERE indexrelid = 'public.person_score'::regclass"), [(True,)])
        self.assertIn("no difference", self.said("diff").out)

    def test_make_that_is_killed_is_done_again(self):
        self.from_file()
        self.make("begin")
        self.write(FILE_CHANGE)
        make = [BIN / "tidegate-fault", "schema", "make", "more", *self.words]
        done = subprocess.run(make, env=self.tide.env("schema-file-written"), cwd=self.tide.base, capture_output=True, check=False)
        self.assertEqual(done.returncode, -9, done)
        self.assertEqual(len(self.make("rest")), 1)
        self.said("apply", "--yes")
        self.assertIn("no difference", self.said("diff").out)

    def test_what_cannot_be_done_is_refused(self):
        self.from_file()
        begun, = self.make("begin")
        self.assertIn("--yes", self.said("apply", code=USAGE).err)
        self.said("make", "Not a name", code=USAGE)
        broken = self.folder / "29990101000000_broken.sql"
        broken.write_text("CREATE TABLE public.half (id int); CREATE TABLE public.half (id int);")
        self.assertIn("statement 2 of 2", self.said("apply", "--yes", code=1).err)
        self.assertEqual(self.target.execute("SELECT to_regclass('public.half'), to_regclass('public.person') IS NOT NULL"), [(None, True)])
        broken.write_text("SELECT 'open")
        self.assertIn("broken.sql", self.said("apply", "--yes", code=REFUSED).err)
        broken.unlink()
        (self.folder / "20000101000000_old.sql").write_text("SELECT 1;")
        self.assertIn("older", self.said("apply", "--yes", code=REFUSED).err)
        (self.folder / "20000101000000_old.sql").unlink()
        begun.unlink()
        self.assertIn("not here", self.said("apply", "--yes", code=REFUSED).err)

    def test_a_mapping_is_drafted_and_filled(self):
        """Enum, keys, types of passed columns; and tidegate fills what it drafted."""
        self.from_file("""CREATE TABLE person (id INTEGER PRIMARY KEY, name VARCHAR(40) NOT NULL, role TEXT CHECK (role IN ('pupil', 'teacher')), born DATE);
            CREATE TABLE note (id INTEGER PRIMARY KEY, person_id INTEGER REFERENCES person(id), body TEXT);
            INSERT INTO person VALUES (1, 'Ann', 'pupil', '2015-02-03'), (2, 'Ben', 'teacher', NULL); INSERT INTO note VALUES (7, 1, 'x');""")
        (self.tide.base / "tidegate.toml").write_text("""
[target]
schema = "existing"
[[map]]
from = "person"
[[map.to]]
table = "public.people"
types = { role = "public.role", size = "public.size" }
columns = { id = "uuid('person', id)", legacy_id = "id", name = "name", role = "role", born = "born", shout = "upper(name)", initial = "substr(name, 1, 1) || '.'", size = "case when length(name) > 9 then 'long' else 'short' end" }
[[map]]
from = "note"
[[map.to]]
table = "public.notes"
columns = { id = "uuid('note', id)", person_id = "uuid('person', person_id)", body = "body" }
""")
        begun, = self.make("begin")
        text = begun.read_text()
        self.assertIn("CREATE TYPE \"public\".\"role\" AS ENUM ('pupil', 'teacher')", text)
        self.assertIn("-- text, since nothing says what this gives: substr(name, 1, 1) || '.'", text)
        self.said("apply", "--yes")
        self.assertIn("no difference", self.said("diff").out)
        self.assertEqual(self.make("nothing"), [])
        plan = json.loads(self.tide.verb("plan", "--json", *self.words).out)
        self.assertEqual(plan["estimate"]["sampled_rows"], 3)
        self.assertGreater(plan["estimate"]["copy_seconds"], 0)
        types = "SELECT attname, format_type(atttypid, atttypmod), attnotnull FROM pg_attribute WHERE attrelid = 'public.people'::regclass AND attnum > 0 ORDER BY attnum"
        self.assertEqual(self.target.execute(types), [("id", "uuid", True), ("legacy_id", "bigint", False), ("name", "character varying(40)", True),
                                                      ("role", "role", False), ("born", "date", False), ("shout", "text", False),
                                                      ("initial", "text", False), ("size", "size", False)])
        self.tide.start().wait_phase("streaming")
        self.tide.sync()
        self.assertEqual(self.target.execute("SELECT legacy_id, name, role::text, born::text, shout, initial, size::text FROM public.people ORDER BY 1"),
                         [(1, "Ann", "pupil", "2015-02-03", "ANN", "A.", "short"), (2, "Ben", "teacher", None, "BEN", "B.", "short")])
        self.assertEqual(self.target.execute("SELECT relrowsecurity FROM pg_class WHERE oid = 'public.people'::regclass"), [(True,)])
        # The note knows its person, by the foreign key that the source has.
        self.assertEqual(self.target.execute("SELECT conname, confrelid::regclass::text, convalidated FROM pg_constraint WHERE contype = 'f' AND conrelid = 'public.notes'::regclass"),
                         [("notes_person_id_fkey", "people", True)])
        self.assertEqual(self.target.execute("SELECT p.name, n.body FROM public.notes n JOIN public.people p ON p.id = n.person_id"), [("Ann", "x")])

    def test_a_wider_type_is_written(self):
        self.from_file("CREATE TABLE person (id INTEGER PRIMARY KEY, name VARCHAR(40))")
        self.make("begin")
        self.said("apply", "--yes")
        before = self.dump(self.target)
        self.write("INSERT INTO person VALUES (1, hex(zeroblob(50)))")   # does not fit varchar(40) any more
        found = json.loads(self.said("diff", "--json", code=DIFFERENCES).out)
        self.assertEqual([(one["code"], one["column"]) for one in found["target"]], [("target-other-type", "name")])
        wider, = self.make("wider")
        self.said("apply", "--yes")
        self.assertIn("no difference", self.said("diff").out)
        self.assertEqual(self.make("nothing"), [])
        self.take_back(wider.read_text(), before)

    def test_a_type_that_rows_may_not_fit_stands_in_a_comment(self):
        self.from_file("CREATE TABLE person (id INTEGER PRIMARY KEY, age TEXT)")
        self.make("begin")
        self.said("apply", "--yes")
        self.target.execute("INSERT INTO public.person VALUES (1, '7'), (2, 'old')")
        self.write("DROP TABLE person; CREATE TABLE person (id INTEGER PRIMARY KEY, age INTEGER)")
        narrow, = self.make("narrow")
        text = narrow.read_text()
        self.assertEqual([one["code"] for one in json.loads(self.said("diff", "--json", code=DIFFERENCES).out)["changed"]], ["migrations-differ"])
        self.said("apply", "--yes")
        self.assertEqual(self.target.execute("SELECT age FROM public.person ORDER BY id"), [("7",), ("old",)])
        self.assertEqual(self.make("nothing"), [], "it is told, and not written twice")
        count, change, back = re.findall(r"^--   (.*;)$", text, re.M)
        with self.assertRaises(Exception, msg="the comment's own check sees the row that does not fit"):
            self.target.execute(count)
        self.target.execute("UPDATE public.person SET age = '8' WHERE id = 2")
        self.assertEqual(self.target.execute(count), [(0,)])
        (self.folder / "29990101000000_by_hand.sql").write_text(change)
        self.said("apply", "--yes")
        self.assertIn("no difference", self.said("diff").out)
        self.target.execute(back)
        self.assertEqual(self.target.execute("SELECT age FROM public.person ORDER BY id"), [("7",), ("8",)])


if __name__ == "__main__":
    unittest.main()
