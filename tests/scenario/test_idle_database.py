#!/usr/bin/python3
"""A Postgres source in which nothing happens, on a server where much does: the heartbeat moves the slot on, the server lets its log go,
and the target hears nothing of it."""
import pathlib
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from proxy import wait_until                               # noqa: E402
from support.pgsource import Database, Pair, differences   # noqa: E402
from support.tidegate import Tidegate, built               # noqa: E402

PATIENCE = 90   # seconds: several heartbeats, and the server's own note of which transactions run
SLOT = "SELECT confirmed_flush_lsn >= %s::pg_lsn, restart_lsn >= %s::pg_lsn FROM pg_replication_slots WHERE NOT temporary AND slot_name ~ '^tidegate'"


@unittest.skipUnless(built(), "the binaries are not built")
class IdleDatabase(unittest.TestCase):
    def setUp(self):
        self.pair = Pair(fsync="off", wal_keep_size="0", min_wal_size="32MB", max_wal_size="64MB")
        self.addCleanup(self.pair.close)
        self.source, self.target = self.pair.databases()
        self.busy = Database(self.pair.source, "busy")
        self.source.execute("CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t SELECT n, 'v' FROM generate_series(1, 100) n")
        self.tide = Tidegate(self.source.url, self.target.url, flags=[])
        self.addCleanup(self.tide.__exit__)
        self.tide.start().wait_phase("streaming")
        self.tide.sync()

    def write_elsewhere(self, megabytes):
        """Into the other database's tables and past them; says where the log ends then."""
        connection = self.busy.connect()
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("CREATE TABLE IF NOT EXISTS much (id int, v text)")
            for _ in range(megabytes):
                cursor.execute("INSERT INTO much SELECT n, repeat('x', 100) FROM generate_series(1, 1000) n")
                cursor.execute("SELECT pg_logical_emit_message(false, 'filler', repeat('x', 900000))")
            cursor.execute("SELECT pg_current_wal_lsn(), pg_walfile_name(pg_current_wal_lsn())")
            end = cursor.fetchone()
        connection.close()
        return end

    def log_files(self):
        return {path.name for path in (self.pair.source.dir / "data" / "pg_wal").iterdir()}

    def writes(self):
        """All that was ever written into a table of the target, and which transactions made the rows that are there."""
        counts = """SELECT relid::regclass::text, n_tup_ins + n_tup_upd + n_tup_del FROM pg_stat_user_tables WHERE schemaname IN ('public', 'tidegate')
                    ORDER BY 1"""
        made = "SELECT xmin::text FROM public.t UNION ALL SELECT xmin::text FROM tidegate.pipelines"
        return self.target.execute(counts), sorted(self.target.execute(made))

    def heartbeats(self):
        messages = self.source.execute("""SELECT data FROM pg_logical_slot_peek_binary_changes('witness', NULL, NULL, 'proto_version', '1',
                                          'publication_names', %s, 'messages', 'true')""", (f"tidegate_{self.source.name}",))
        return [bytes(data) for data, in messages if b"tidegate\0" in bytes(data) and bytes(data).endswith(b" ")]

    def test_the_slot_moves_on_and_the_target_is_left_alone(self):
        self.source.execute("SELECT pg_create_logical_replication_slot('witness', 'pgoutput')")
        wait_until(self.heartbeats, "a heartbeat in the source's log", PATIENCE)
        self.source.execute("SELECT pg_drop_replication_slot('witness')")
        before, position = self.writes(), self.tide.status()["position"]
        _, file = self.write_elsewhere(1)
        self.assertIn(file, self.log_files())
        end, _ = self.write_elsewhere(100)

        def moved():
            time.sleep(0.5)
            self.pair.source.admin("CHECKPOINT")
            return self.source.execute(SLOT, (end, end)) == [(True, True)] and file not in self.log_files()
        wait_until(moved, "the slot passes what was written, and the log is let go", PATIENCE)
        self.tide.wait_status(lambda status: status["slot"]["lag_bytes"] < 32 << 20, what="the slot's lag as it is now")
        self.assertEqual((self.writes(), self.tide.status()["position"]), (before, position))
        self.source.execute("UPDATE t SET v = 'awake'")
        self.tide.sync()
        self.assertEqual(differences(self.source, self.target), [])


if __name__ == "__main__":
    unittest.main()
