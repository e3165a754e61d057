#!/usr/bin/python3
"""PostgreSQL 17 at either end: snapshot, changes, a restart; as a source with prepared transactions, logical messages and origins, and
under all tests of the stream."""
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from integration import test_stream                        # noqa: E402
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
        cls.pair = Pair(**{end: new for end in cls.ends}, max_prepared_transactions=10)
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
        self.source.execute_each(*statements)

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
        self.configure(f'pg_bin = "{dump.folder}"')

    def configure(self, line):
        """Of the source."""
        config = self.tide.base / "tidegate.toml"
        config.write_text((config.read_text() if config.exists() else "[source]\n") + line + "\n")
        self.flags = ["--config", str(config)]

    def from_elsewhere(self, *statements):
        """A transaction that another replicator writes."""
        names = ("create(text)", "drop(text)", "session_setup(text)", "session_reset()", "xact_setup(pg_lsn, timestamptz)")
        self.pair.source.admin(*[f"GRANT EXECUTE ON FUNCTION pg_replication_origin_{name} TO postgres" for name in names], database=self.source.name)
        self.change("SELECT pg_replication_origin_create('elsewhere')", "SELECT pg_replication_origin_session_setup('elsewhere');"
                    " BEGIN; SELECT pg_replication_origin_xact_setup('0/123', now()); " + "; ".join(statements) + "; COMMIT",
                    "SELECT pg_replication_origin_session_reset()", "SELECT pg_replication_origin_drop('elsewhere')")

    def prepare_and_end(self, name):
        """Prepared transactions, small and streamed; the daemon dies between PREPARE and its end."""
        first, second, third = (f"{name} {number}" for number in range(3))
        self.change(f"BEGIN; UPDATE customer SET score = score + 1 WHERE id < 50; PREPARE TRANSACTION '{first}'",
                    f"BEGIN; {LONG}; SAVEPOINT s; {LONG}; ROLLBACK TO s; UPDATE pair SET v = '{name}'; PREPARE TRANSACTION '{second}'",
                    f"BEGIN; DELETE FROM orders; PREPARE TRANSACTION '{third}'", "INSERT INTO log VALUES (now(), 'between')")
        self.tide.sync()
        self.tide.restart(flags=self.flags).wait_phase("streaming")
        self.change(f"COMMIT PREPARED '{second}'", f"ROLLBACK PREPARED '{third}'", f"COMMIT PREPARED '{first}'")
        self.assert_equal()

    def test_prepared_transactions_messages_and_origins(self):
        self.tide.start(flags=self.flags).wait_phase("streaming")
        self.prepare_and_end("once")
        self.change("BEGIN; SELECT pg_logical_emit_message(true, 'other', 'first'); UPDATE pair SET v = 'm' WHERE a = 1;"
                    f" SELECT pg_logical_emit_message(true, 'tidegate', 'x'); {LONG}; SELECT pg_logical_emit_message(true, 'other', repeat('long', 100000)); COMMIT",
                    "SELECT pg_logical_emit_message(false, 'tidegate', 'y')", "BEGIN; SELECT pg_logical_emit_message(true, 'other', 'z'); ROLLBACK")
        self.assert_equal()
        self.from_elsewhere("UPDATE pair SET v = 'o' WHERE a = 2", LONG, "DELETE FROM log WHERE line = 'between'")
        self.assert_equal()

    def test_a_slot_of_others_that_sends_transactions_when_they_are_prepared(self):
        slot = "given_" + self.source.name
        self.source.execute("SELECT pg_create_logical_replication_slot(%s, 'pgoutput', false, true)", (slot,))
        self.configure(f'slot = "{slot}"')
        self.tide.start(flags=self.flags).wait_phase("streaming")
        self.prepare_and_end("at once")
        self.change(SUBTRANSACTION)
        self.assert_equal()


@unittest.skipUnless(built(), "the binaries are not built")
class Stream(unittest.TestCase):
    def test_all_tests_of_the_stream_pass_on_it(self):
        done = test_stream.run(server=postgres17.binaries(), capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stdout[-4000:])


if __name__ == "__main__":
    unittest.main()
