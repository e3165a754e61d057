#!/usr/bin/python3
"""The worked example of a Postgres source: schools with their admins, teachers, parents and students become one table of users with integer ids, unique
e-mails and telephone numbers, roles, and links without orphans. People are changed, soft-deleted and brought back all the while, tidegate is
killed again and again; the judge computes each row anew, in Python, and knows people by their names alone.

TIDEGATE_SEED repeats a run."""
import collections
import json
import pathlib
import random
import re
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from stage import SEED, WAIT                         # noqa: E402
import test_mapping_postgres                         # noqa: E402
from support.pgsource import open_pair               # noqa: E402
from support.tidegate import Tidegate, built         # noqa: E402

EXAMPLE = pathlib.Path(__file__).resolve().parent / "schools_to_v2"
KILLS = 4
KINDS = {"teacher": ("t", 40), "parent": ("p", 60), "student": ("k", 120)}


class Load(test_mapping_postgres.Load):
    """One client that changes people until it is stopped."""

    def write(self, cursor):
        cursor.execute(*self.statement())

    def one(self, kind):
        letter, most = KINDS[kind]
        return f"{letter}{self.rng.randrange(1, most + 1)}"

    def statement(self):
        rng, kind = self.rng, self.rng.choice(list(KINDS))
        link, mine, theirs = rng.choice([("teacher_class", self.one("teacher"), f"c{rng.randrange(1, 13)}"), ("student_parent", self.one("student"), self.one("parent"))])
        mail = rng.choice([None, f" Person{rng.randrange(60)}@x.org", f"person{rng.randrange(60)}@X.ORG"])
        phone = rng.choice([None, f"030 12345{rng.randrange(100, 140)}", f"+49 (30) 12345-{rng.randrange(100, 140)}"])
        self.number += 1
        return rng.choice([
            (f"UPDATE {kind} SET email = %s WHERE id = %s", (mail, self.one(kind))),
            (f"UPDATE {kind} SET phone = %s, address = %s WHERE id = %s", (phone, f"{self.number} Road", self.one(kind))),
            (f"UPDATE {kind} SET deleted_at = CASE WHEN deleted_at IS NULL THEN now() END WHERE id = %s", (self.one(kind),)),
            ("UPDATE school SET admin_email = %s, admin_phone = %s WHERE id = %s", (mail, phone, f"s{rng.randrange(1, 5)}")),
            ("UPDATE student SET class_id = %s WHERE id = %s", (f"c{rng.randrange(1, 13)}", self.one("student"))),
            (f"INSERT INTO {link} VALUES (%s, %s) ON CONFLICT DO NOTHING", (mine, theirs)),
            (f"DELETE FROM {link} WHERE {link.split('_')[0]}_id = %s", (mine,)),
            ("INSERT INTO parent (id, name, email, phone) VALUES (%s, %s, %s, %s)", (f"p{self.number}", f"Pat P{self.number}", mail, phone)),
        ])


def number_of(phone):
    """E.164 of a German number as the legacy app has them."""
    if phone is None:
        return None
    digits = re.sub(r"[^\d]", "", phone)
    return "+" + (digits if phone.strip().startswith("+") else digits[2:] if digits.startswith("00") else "49" + digits[1:])


def account(kind, key, name, mail, phone, address):
    plain = mail.strip().lower() if mail else None
    return tuple(name.split(" ", 1)), (plain, number_of(phone), address, kind, key)


def expected(source):
    """What the target must hold, with people and classes by their names; and the links that must wait, by source key."""
    read = lambda text: source.execute(f"SELECT {text}")    # noqa: E731
    people = dict(account("admin", *row) for row in read("id, admin_name, admin_email, admin_phone, NULL FROM school"))
    names = {}
    for kind in KINDS:
        for row in read(f"id, name, email, phone, address FROM {kind} WHERE deleted_at IS NULL"):
            people.update([account(kind, *row)])
            names[row[0]] = tuple(row[1].split(" ", 1))
    classes = dict(read("id, name FROM class"))
    links = {"teacher_classes": [(names.get(one), classes[at]) for one, at in read("teacher_id, class_id FROM teacher_class")],
             "student_parents": [(names.get(one), names.get(other)) for one, other in read("student_id, parent_id FROM student_parent")]}
    waiting = [json.dumps(list(row), separators=(",", ":")) for table in ("teacher_id, class_id FROM teacher_class", "student_id, parent_id FROM student_parent") for row in read(table)
               if not all(key in names or key in classes for key in row)]
    return people, {
        "schools": read("name, address, split_part(admin_name, ' ', 2) FROM school"),
        "classes": read("c.name, s.name FROM class c JOIN school s ON s.id = c.school_id"),
        "teachers": read("split_part(t.name, ' ', 2), s.name FROM teacher t LEFT JOIN school s ON s.id = t.school_id WHERE deleted_at IS NULL"),
        "parents": read("split_part(name, ' ', 2) FROM parent WHERE deleted_at IS NULL"),
        "students": read("split_part(k.name, ' ', 2), c.name, born FROM student k LEFT JOIN class c ON c.id = k.class_id WHERE deleted_at IS NULL"),
        **{table: [(one[1], other if isinstance(other, str) else other[1]) for one, other in rows if one and other] for table, rows in links.items()},
        "user_roles": [(name[1], kind) for name, (*_, kind, _) in people.items()],
    }, waiting


HOLDS = {
    "schools": "s.name, s.address, u.last_name FROM schools s JOIN users u ON u.id = s.admin_id",
    "classes": "c.name, s.name FROM classes c JOIN schools s ON s.id = c.school_id",
    "teachers": "u.last_name, s.name FROM teachers t JOIN users u ON u.id = t.user_id LEFT JOIN schools s ON s.id = t.school_id",
    "parents": "u.last_name FROM parents p JOIN users u ON u.id = p.user_id",
    "students": "u.last_name, c.name, k.born FROM students k JOIN users u ON u.id = k.user_id LEFT JOIN classes c ON c.id = k.class_id",
    "teacher_classes": "u.last_name, c.name FROM teacher_classes l JOIN users u ON u.id = l.teacher_id JOIN classes c ON c.id = l.class_id",
    "student_parents": "k.last_name, p.last_name FROM student_parents l JOIN users k ON k.id = l.student_id JOIN users p ON p.id = l.parent_id",
    "user_roles": "u.last_name, r.role FROM user_roles r JOIN users u ON u.id = r.user_id",
}
REFERENCES = """
SELECT conrelid::regclass::text, confrelid::regclass::text, (SELECT attname FROM pg_attribute WHERE attrelid = conrelid AND attnum = conkey[1]),
  (SELECT attname FROM pg_attribute WHERE attrelid = confrelid AND attnum = confkey[1])
FROM pg_constraint WHERE contype = 'f' AND connamespace = 'public'::regnamespace"""


def some(counter):
    return sorted(repr(row)[:100] for row in counter)[:5]


class SchoolsToV2(unittest.TestCase):
    def setUp(self):
        print("seed", SEED, flush=True)
        self.rng = random.Random(SEED)
        self.source, self.target = PAIR.databases("schools")
        self.source.execute((EXAMPLE / "v1.sql").read_text())
        for migration in sorted((EXAMPLE / "supabase" / "migrations").glob("*.sql")):
            self.target.execute(migration.read_text())
        self.tide = self.enterContext(Tidegate(self.source.url, self.target.url, flags=[]))
        for name in ("tidegate.toml", "seed.sql"):
            (self.tide.base / name).write_text((EXAMPLE / name).read_text())

    def judge(self):
        self.tide.wait_phase("streaming", timeout=WAIT)
        self.tide.sync(timeout=WAIT)
        people, tables, waiting = expected(self.source)
        held = "SELECT source_key FROM tidegate.quarantine"
        self.tide.wait_status(lambda _: sorted(key for key, in self.target.execute(held)) == sorted(waiting), WAIT,
                              "links to people who are deleted wait, and nobody else")
        self.assertEqual(self.target.execute("SELECT DISTINCT sqlstate FROM tidegate.quarantine"), [("23503",)])
        for table, wanted in tables.items():
            holds, wants = collections.Counter(map(tuple, self.target.execute(f"SELECT {HOLDS[table]}"))), collections.Counter(map(tuple, wanted))
            self.assertEqual((some(wants - holds), some(holds - wants)), ([], []), table)
            self.assertEqual(self.target.execute(f"SELECT count(*) FROM {table}"), [(len(wanted),)], f"{table}: a link to nobody")
        self.judge_people(people)
        for child, parent, column, key in self.target.execute(REFERENCES):
            alone = f"SELECT count(*) FROM {child} c WHERE {column} IS NOT NULL AND NOT EXISTS (SELECT FROM {parent} p WHERE p.{key} = c.{column})"
            self.assertEqual(self.target.execute(alone), [(0,)], (child, parent))
        self.assertEqual(self.target.execute("SELECT count(*) FROM roles"), [(4,)])
        proven = self.tide.verb("verify", "--json")
        self.assertEqual((proven.code, json.loads(proven.out)["differences"], json.loads(proven.out)["remarks"]), (0, [], []), proven.err)

    def judge_people(self, people):
        """One e-mail for each, and one telephone number for who has one: his own, or his own with a number where others have it too."""
        users = {(first, last): row for first, last, *row in self.target.execute("SELECT first_name, last_name, email, phone, address FROM users")}
        self.assertEqual(set(users), set(people))
        plain, phones = collections.Counter(), collections.Counter()
        for name, (mail, phone, address, kind, key) in people.items():
            has_mail, has_phone, lives = users[name]
            without = re.sub(r"\+\d+@", "@", has_mail)
            if mail is None:
                self.assertRegex(has_mail, r"@school\.invalid$", name)
            else:
                self.assertEqual(without, mail, name)
                plain[(mail, has_mail == mail)] += 1
            self.assertEqual((has_phone or "")[:len(phone or "")] or None, phone, (name, kind, key))
            phones[(phone, has_phone == phone)] += phone is not None
            self.assertEqual(lives, address, name)
        # Of those who share an address exactly one may have it as it is.
        self.assertLessEqual(max(count for (_, own), count in plain.items() if own), 1)
        self.assertLessEqual(max(count for (_, own), count in phones.items() if own), 1)
        self.assertGreater(sum(count for (_, own), count in plain.items() if not own), 20, "the three kinds of account have people in common")

    def test_under_load_and_kills(self):
        load = Load(self.source, SEED)
        try:
            for failpoint in ("seed-after-commit", "keys-after-flush:2", "chunk-before-commit:4", "apply-before-commit:2", "apply-after-commit:2"):
                self.tide.start(failpoint=failpoint)
                self.assertEqual(self.tide.wait(timeout=WAIT), -9, failpoint)
            for _ in range(KILLS):
                self.tide.start()
                time.sleep(0.5 + self.rng.random())
                self.tide.kill()
            self.tide.start().wait_phase("streaming", timeout=WAIT)
        finally:
            load.stop()
        self.assertGreater(load.number, 1050, "the load wrote all the while")
        self.judge()
        self.source.execute("UPDATE teacher SET deleted_at = NULL; UPDATE parent SET deleted_at = NULL; UPDATE student SET deleted_at = NULL")
        self.tide.sync(timeout=WAIT)
        self.tide.wait_status(lambda status: status["quarantined"] == 0, WAIT, "all links are there, since everybody is back")


def setUpModule():
    global PAIR
    PAIR = open_pair()


if __name__ == "__main__":
    sys.exit(unittest.main() if built() else 77)
