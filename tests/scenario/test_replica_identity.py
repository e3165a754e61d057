#!/usr/bin/python3
"""REPLICA IDENTITY is changed while a Postgres source is streamed: seen by the catalogue's watch, by the stream alone, or by nobody since
it was changed back. Either the rows are right, or the table is stopped with what to do; never wrong rows.

TIDEGATE_SEED repeats the random walk, TIDEGATE_LONG=1 makes it long."""
import itertools
import os
import pathlib
import random
import sys
import unittest

import psycopg2

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support.pgsource import Pair, differences        # noqa: E402
from support.tidegate import Tidegate, built          # noqa: E402

SEED = int(os.environ.get("TIDEGATE_SEED") or random.SystemRandom().randrange(10**9))
STEPS = 150 if os.environ.get("TIDEGATE_LONG") == "1" else 25
SCHEMA = """
CREATE TABLE keyed (id int PRIMARY KEY, code int NOT NULL, other int NOT NULL, body text, v int);
CREATE UNIQUE INDEX keyed_code ON keyed (code);
CREATE UNIQUE INDEX keyed_both ON keyed (other, code);
ALTER TABLE keyed ALTER body SET STORAGE EXTERNAL;
INSERT INTO keyed SELECT n, n + 1000, n % 5, repeat(md5(n::text), 100), 0 FROM generate_series(1, 200) n;
CREATE TABLE keyless (code int NOT NULL, other int NOT NULL, body text, v int);
CREATE UNIQUE INDEX keyless_code ON keyless (code);
CREATE UNIQUE INDEX keyless_both ON keyless (other, code);
ALTER TABLE keyless ALTER body SET STORAGE EXTERNAL;
ALTER TABLE keyless REPLICA IDENTITY FULL;
INSERT INTO keyless SELECT code, other, body, v FROM keyed;
CREATE TABLE beside (id int PRIMARY KEY);
"""
SEEN, UNSEEN = '[source]\nschema_poll = "300ms"\n', '[source]\nschema_poll = "1h"\n'
FIRST = {"keyed": "DEFAULT", "keyless": "FULL"}
IDENTITIES = {"keyed": ["DEFAULT", "FULL", "USING INDEX keyed_code", "USING INDEX keyed_both", "NOTHING"],
              "keyless": ["FULL", "USING INDEX keyless_code", "USING INDEX keyless_both", "NOTHING"]}
SERIAL = itertools.count(5000)
pair = None


def setUpModule():
    global pair
    print(f"TIDEGATE_SEED={SEED}", flush=True)
    pair = Pair(fsync="off")
    unittest.addModuleCleanup(pair.close)


def becomes(table, identity):
    return f"ALTER TABLE {table} REPLICA IDENTITY {identity}"


def writes(table, base):
    """Of every kind, on rows that no other `base` touches: values alone, each of the keys, a key that changes hands, deletes."""
    key = "id" if table == "keyed" else "code"
    start = base * 10 + (0 if table == "keyed" else 1000)
    serial = next(SERIAL)
    new = f"{serial}, " if table == "keyed" else ""
    return [f"UPDATE {table} SET v = v + 1 WHERE {key} = {start + 1}",
            f"UPDATE {table} SET code = code + 100000 WHERE {key} = {start + 2}",
            f"UPDATE {table} SET {key} = {key} + 200000 WHERE {key} = {start + 3}",
            f"UPDATE {table} SET {key} = {key} + 300000, code = code + 300000, other = 9 WHERE {key} = {start + 4}"
            if table == "keyed" else f"UPDATE {table} SET code = code + 300000, other = 9 WHERE code = {start + 4}",
            f"DELETE FROM {table} WHERE {key} = {start + 5}",
            f"INSERT INTO {table} VALUES ({new}{serial + 50000}, 1, 'new', 0)",
            f"UPDATE {table} SET body = body || 'x' WHERE {key} = {start + 6}"]


@unittest.skipUnless(built(), "the binaries are not built")
class IdentityCase(unittest.TestCase):
    def begin(self, config, schema=SCHEMA):
        self.doCleanups()
        self.source, self.target = pair.databases()
        self.addCleanup(self.source.drop)
        self.source.execute(schema)
        self.tide = Tidegate(self.source.url, self.target.url, flags=[])
        self.addCleanup(self.tide.__exit__)
        self.configure(config)
        self.tide.start().wait_phase("streaming")

    def configure(self, config):
        (self.tide.base / "tidegate.toml").write_text(config)

    def change(self, *statements):
        self.source.execute_each(*statements)

    def refused(self, statement):
        """By the source's own server: nothing tells the row, and nobody who follows could."""
        with self.assertRaises(psycopg2.errors.ObjectNotInPrerequisiteState):
            self.change(statement)

    def wait_all_stream(self):
        self.tide.wait_status(lambda status: all(each["state"] == "streaming" for each in status["tables"]), what="all tables stream")

    def assert_in_step(self, said=""):
        self.tide.sync()
        self.wait_all_stream()
        self.tide.sync()
        self.assertEqual(differences(self.source, self.target), [], f"{said}\n{self.tide.log[-3000:]}")
        self.assertEqual(self.tide.status()["quarantined"], 0, self.tide.log[-3000:])


class Identity(IdentityCase):
    def test_each_one_and_back_while_the_catalogue_is_watched(self):
        self.begin(SEEN)
        for table, identities in IDENTITIES.items():
            for base, identity in enumerate([*[each for each in identities if each != "NOTHING"][1:], FIRST[table]]):
                with self.subTest(table=table, identity=identity):
                    before = self.tide.log.count("resync ended")
                    self.change(becomes(table, identity), *writes(table, base), "INSERT INTO beside SELECT count(*) FROM beside")
                    self.tide.wait_status(lambda status, seen=before: self.tide.log.count("resync ended") > seen, what="it is copied again")
                    self.assert_in_step(identity)
                    self.change(*writes(table, base + 8))
                    self.assert_in_step(identity)

    def test_none_at_all_stops_the_table_and_says_what_to_run(self):
        self.begin(SEEN)
        for table, first in FIRST.items():
            with self.subTest(table=table):
                self.change(becomes(table, "NOTHING"), f"INSERT INTO {table} (SELECT * FROM {table} WHERE false)")
                self.refused(f"UPDATE {table} SET v = v + 1 WHERE code = 1001")
                stopped = self.tide.wait_status(lambda status: any(error["code"] == "table-not-carried" for error in status["errors"]), what="the report")
                said = {error["code"]: error["message"] for error in stopped["errors"]}
                self.assertIn("replica identity", said["schema-changed"])
                self.assertIn("REPLICA IDENTITY", said["table-not-carried"])
                self.change("INSERT INTO beside SELECT count(*) FROM beside")
                self.tide.sync()
                self.assertEqual(self.target.execute("SELECT count(*) FROM beside"), self.source.execute("SELECT count(*) FROM beside"))
                self.change(becomes(table, first), *writes(table, 1))
                self.assertEqual(self.tide.verb("resync", table).code, 0)
                self.assert_in_step()

    def test_changed_and_changed_back_while_nobody_looked(self):
        """Only the stream shows it. The tables had no event before, or some under their first identity."""
        others = {table: [each for each in identities if each not in (FIRST[table], "NOTHING")] for table, identities in IDENTITIES.items()}
        for known, identities in itertools.product((False, True), itertools.zip_longest(*others.values(), fillvalue="NOTHING")):
            with self.subTest(identities=identities, known=known):
                self.begin(UNSEEN)
                if known:
                    self.change(*writes("keyed", 0), *writes("keyless", 0))
                    self.tide.sync()
                self.tide.stop()
                for table, identity in zip(FIRST, identities):
                    under = [] if identity == "NOTHING" else writes(table, 1)
                    self.change(becomes(table, identity), *under, becomes(table, FIRST[table]), *writes(table, 8))
                self.tide.start().wait_phase("streaming")
                self.assert_in_step(identities)
                self.change(*writes("keyed", 12), *writes("keyless", 12))
                self.assert_in_step(identities)

    def test_within_a_transaction(self):
        """The table had no event before, or one under its first identity; the transaction is small, or streamed before it ends."""
        self.begin(UNSEEN)
        self.change("BEGIN; " + "; ".join([becomes("keyed", "FULL"), *writes("keyed", 1), becomes("keyed", "USING INDEX keyed_both"), *writes("keyed", 2),
                                           becomes("keyed", "NOTHING"), becomes("keyed", "DEFAULT"), *writes("keyed", 3)]) + "; COMMIT")
        self.assert_in_step()
        many = "INSERT INTO keyless SELECT n, 0, md5(n::text), 0 FROM generate_series(1000000, 1003000) n"
        self.change("BEGIN; " + "; ".join([*writes("keyless", 1), many, becomes("keyless", "USING INDEX keyless_code"), *writes("keyless", 2),
                                           "UPDATE keyless SET v = 7 WHERE code > 1000000", becomes("keyless", "FULL"), *writes("keyless", 3)]) + "; COMMIT")
        self.assert_in_step()


PARTS = """
CREATE TABLE parts (day int, id int, code int NOT NULL, v int, PRIMARY KEY (day, id)) PARTITION BY LIST (day);
CREATE TABLE parts1 PARTITION OF parts FOR VALUES IN (1);
CREATE TABLE parts2 PARTITION OF parts FOR VALUES IN (2);
CREATE UNIQUE INDEX parts1_code ON parts1 (code);
INSERT INTO parts SELECT n % 2 + 1, n, n + 1000, 0 FROM generate_series(1, 100) n;
"""


class OnePartition(IdentityCase):
    """Its identity is not that of its root, by which the stream describes its rows."""

    def test_is_seen_by_its_rows_though_it_was_changed_back(self):
        kinds = {"values": "UPDATE parts SET v = v + 1 WHERE id IN (3, 4)", "deletes": "DELETE FROM parts WHERE id IN (5, 6)",
                 "its own key": "UPDATE parts SET code = code + 5000 WHERE id IN (7, 8)",
                 "the root's key": "UPDATE parts SET id = id + 5000 WHERE id IN (13, 14)",
                 "both keys": "UPDATE parts SET code = code + 5000, id = id + 5000 WHERE id IN (9, 10)"}
        for name, statement in kinds.items():
            with self.subTest(kind=name):
                self.begin(UNSEEN, SCHEMA + PARTS)
                self.tide.stop()
                self.change(becomes("parts1", "USING INDEX parts1_code"), statement, becomes("parts1", "DEFAULT"))
                self.tide.start().wait_phase("streaming")
                self.assert_in_step(name)


class RandomWalk(IdentityCase):
    def restart(self):
        """Also where a table has no identity at all, which stops that table alone."""
        self.configure(SEEN)
        self.tide.restart().wait_phase("streaming")

    def test_ends_with_the_sources_rows(self):
        """Any order of changes, writes, kills and looks; the source's server refuses some writes."""
        chance = random.Random(SEED)
        self.begin(chance.choice([SEEN, UNSEEN]))
        done = []
        for step in range(STEPS):
            table = chance.choice(list(IDENTITIES))
            if chance.random() < 0.5:
                done.append(becomes(table, chance.choice(IDENTITIES[table])))
                self.change(done[-1])
            for statement in chance.sample(writes(table, step % 19), 4):
                done.append(statement)
                try:
                    self.change(statement)
                except psycopg2.errors.ObjectNotInPrerequisiteState:
                    done.append("-- refused")
            if chance.random() < 0.1:
                done.append("-- kill")
                self.restart()
        self.change(*[becomes(table, first) for table, first in FIRST.items()])
        self.configure(SEEN)
        self.tide.restart().wait_phase("streaming")
        self.assert_in_step(f"TIDEGATE_SEED={SEED}\n" + "\n".join(done))


if __name__ == "__main__":
    unittest.main()
