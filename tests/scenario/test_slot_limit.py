#!/usr/bin/python3
"""A source that gives a slot up (max_slot_wal_keep_size), or somebody who drops it: it is seen coming, it is said, and the way out that is
named works."""
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from proxy import wait_until                          # noqa: E402
from support.pgsource import Pair, differences        # noqa: E402
from support.tidegate import Tidegate, built          # noqa: E402

LIMIT = 64   # MB
MEGABYTE = "SELECT pg_logical_emit_message(false, 'filler', repeat('x', 1000000))"


@unittest.skipUnless(built(), "the binaries are not built")
class SlotLimit(unittest.TestCase):
    def setUp(self):
        self.pair = Pair(max_slot_wal_keep_size=f"{LIMIT}MB", fsync="off")
        self.addCleanup(self.pair.close)
        self.source, self.target = self.pair.databases()
        self.source.execute("CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t SELECT n, 'v' FROM generate_series(1, 100) n")
        self.tide = Tidegate(self.source.url, self.target.url, flags=[])
        self.addCleanup(self.tide.__exit__)
        self.tide.start().wait_phase("streaming")

    def fill(self, megabytes):
        connection = self.source.connect()
        connection.autocommit = True
        with connection.cursor() as cursor:
            for _ in range(megabytes):
                cursor.execute(MEGABYTE)
        connection.close()

    def slot(self):
        return self.source.execute("SELECT slot_name, wal_status FROM pg_replication_slots WHERE NOT temporary")[0]

    def test_it_is_seen_coming_and_the_way_out_works(self):
        status = self.tide.wait_status(lambda status: status["slot"], what="the slot")
        self.assertEqual((status["slot"]["wal_status"], status["errors"]), ("reserved", []))
        holder = self.source.connect()   # an open transaction holds the slot back, though all is taken
        holder.cursor().execute("INSERT INTO t VALUES (1000, 'open')")
        self.fill(LIMIT * 3 // 4)
        status = self.tide.wait_status(lambda status: any(error["code"] == "slot-at-risk" for error in status["errors"]), what="the warning")
        self.assertLess(status["slot"]["left_bytes"], LIMIT << 19)
        self.assertGreater(status["slot"]["left_seconds"], 0)
        self.assertIn("left", self.tide.verb("status").out)
        self.tide.kill()
        holder.close()
        self.fill(LIMIT * 2)
        self.source.execute("UPDATE t SET v = 'lost from the log'")
        self.pair.source.admin("SELECT pg_switch_wal()", "CHECKPOINT")
        wait_until(lambda: self.slot()[1] == "lost", "the slot is lost")
        self.start_again(self.refusal("given up the replication slot " + self.slot()[0]))

    def test_without_a_limit_the_room_of_the_disk_is_counted(self):
        self.tide.stop()
        self.pair.source.configure(max_slot_wal_keep_size="-1")
        (self.tide.base / "tidegate.toml").write_text(f'[source]\naccept_unbounded_wal = true\nwal_room = "{LIMIT}MiB"\n')
        self.tide.start().wait_phase("streaming")
        holder = self.source.connect()
        holder.cursor().execute("INSERT INTO t VALUES (1000, 'open')")
        self.fill(LIMIT * 3 // 4)
        status = self.tide.wait_status(lambda status: any(error["code"] == "slot-at-risk" for error in status["errors"]), what="the warning")
        self.assertIn("wal_room", next(error["message"] for error in status["errors"] if error["code"] == "slot-at-risk"))
        self.assertTrue(0 < status["slot"]["left_bytes"] < LIMIT << 19, status["slot"])
        self.assertGreater(status["slot"]["left_seconds"], 0)
        holder.close()

    def test_one_that_was_dropped_is_not_made_again(self):
        """It would begin behind what the old one had not given yet."""
        self.tide.stop()
        self.source.execute("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots")
        self.source.execute("UPDATE t SET v = 'in no slot'")
        said = self.refusal("has no replication slot")
        self.assertEqual(self.source.execute("SELECT slot_name FROM pg_replication_slots"), [])
        self.start_again(said)

    def refusal(self, words):
        """The last line of a run that must be refused."""
        self.tide.start()
        self.assertEqual(self.tide.wait(), 2, self.tide.log)
        last = self.tide.log.strip().splitlines()[-1]
        self.assertIn(words, last)
        return last

    def start_again(self, said):
        """What the last line names."""
        name = self.source.name
        for command in (["reset", "source"], ["reset", "--target"]):
            self.assertIn("tidegate " + " ".join(command), said)
            done = self.tide.verb(*command, "--confirm", name)
            self.assertEqual(done.code, 0, done)
        self.assertEqual(self.source.execute("SELECT slot_name FROM pg_replication_slots"), [])
        self.tide.state = self.tide.base / "new state"
        self.tide.start().wait_phase("streaming")
        self.source.execute("UPDATE t SET v = 'new' WHERE id < 10")
        self.tide.sync()
        self.assertEqual(differences(self.source, self.target), [])


if __name__ == "__main__":
    unittest.main()
