#!/usr/bin/python3
"""PostgreSQL 17 at either end: snapshot, changes, a restart."""
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from scenario.test_postgres import CHANGES, SHOP           # noqa: E402
from support import postgres17                             # noqa: E402
from support.pgsource import Database, Pair, differences   # noqa: E402
from support.tidegate import Tidegate, built               # noqa: E402

LONG = "INSERT INTO log SELECT now(), repeat(md5(n::text), 30) FROM generate_series(1, 5000) n"   # is streamed before its commit

# The subtransaction is streamed, and given up before the rest.
SUBTRANSACTION = f"BEGIN; INSERT INTO pair VALUES (50, gen_random_uuid(), 'kept'); SAVEPOINT s; {LONG}; ROLLBACK TO s; UPDATE pair SET v = 'u'; COMMIT"


class Both:
    """What must hold whichever end is the new one."""
    ends, flags = {}, []

    @classmethod
    def setUpClass(cls):
        new = postgres17.binaries()
        cls.pair = Pair(**{end: new for end in cls.ends})
        cls.addClassCleanup(cls.pair.close)

    def setUp(self):
        self.source, self.target = self.pair.databases()
        self.addCleanup(self.source.drop)
        self.source.execute(SHOP)
        self.source.execute(f"ALTER DATABASE {self.source.name} SET logical_decoding_work_mem = '64kB'")
        self.tide = Tidegate(self.source.url, self.target.url, flags=[])
        self.addCleanup(self.tide.__exit__)

    def assert_equal(self):
        self.tide.sync()
        self.assertEqual(differences(self.source, self.target), [], self.tide.log[-2000:])
        self.assertEqual(self.tide.status()["quarantined"], 0, self.tide.log[-2000:])

    def change(self, *statements):
        connection = self.source.connect()
        connection.autocommit = True
        with connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
        connection.close()

    def test_snapshot_changes_and_a_restart(self):
        self.assertEqual([self.version(end) for end in (self.source, self.target)], self.versions)
        self.tide.start(flags=self.flags).wait_phase("streaming")
        self.assert_equal()
        self.change(*CHANGES)
        self.assert_equal()
        self.tide.kill()
        self.change(LONG, "UPDATE customer SET score = score + 1", "BEGIN; " + LONG + "; ROLLBACK", SUBTRANSACTION)
        self.tide.start(flags=self.flags).wait_phase("streaming")
        self.assert_equal()
        self.assertEqual(self.source.execute("SELECT count(*) FROM log WHERE length(line) > 900"), [(5000,)])
        self.assertGreater(self.source.execute("SELECT sum(stream_txns) FROM pg_stat_replication_slots")[0][0], 0, "nothing was streamed")

    @staticmethod
    def version(database):
        return int(database.execute("SHOW server_version_num")[0][0]) // 10000


@unittest.skipUnless(built(), "the binaries are not built")
class AsTarget(Both, unittest.TestCase):
    ends, versions = ["target_bin"], [15, 17]


@unittest.skipUnless(built(), "the binaries are not built")
class AsSource(Both, unittest.TestCase):
    ends, versions = ["source_bin"], [17, 15]

    def setUp(self):
        super().setUp()
        if postgres17.real_pg_dump():
            return
        print("no pg_dump of version 17 here: the schema is read from a twin on PostgreSQL 15", file=sys.stderr)
        twin = Database(self.pair.target, "twin")
        self.addCleanup(twin.drop)
        twin.execute(SHOP)
        dump = postgres17.TwinDump(twin)
        self.addCleanup(dump.close)
        config = self.tide.base / "tidegate.toml"
        config.write_text(f'[source]\npg_bin = "{dump.folder}"\n')
        self.flags = ["--config", str(config)]


if __name__ == "__main__":
    unittest.main()
