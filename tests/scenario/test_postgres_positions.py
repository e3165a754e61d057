#!/usr/bin/python3
"""Time that goes backwards, with a Postgres source: what can be healed is healed, everything else is refused with exit code 2 and a
sentence that says what to do, and nothing is written meanwhile."""
import pathlib
import shutil
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from proxy import wait_until                               # noqa: E402
from stage import server_do                                # noqa: E402
from support.pgsource import Database, Pair, differences   # noqa: E402
from support.tidegate import Tidegate, built               # noqa: E402

REFUSED = 2
SHOP = "CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t SELECT n, 'v' FROM generate_series(1, 1000) n"
WRITE = "UPDATE t SET v = v || 'x' WHERE id % 7 = 0; INSERT INTO t SELECT max(id) + 1, 'new' FROM t; DELETE FROM t WHERE id = (SELECT min(id) FROM t)"


def copy(source, to):
    subprocess.run(["cp", "-a", source, to], check=True)


@unittest.skipUnless(built(), "the binaries are not built")
class Positions(unittest.TestCase):
    def setUp(self):
        self.pair = Pair()
        self.addCleanup(self.pair.close)
        self.source, self.target = self.pair.databases()
        self.source.execute(SHOP)
        self.tide = Tidegate(self.source.url, self.target.url, flags=[])
        self.addCleanup(self.tide.__exit__)
        (self.tide.base / "tidegate.toml").write_text('[pipeline]\nname = "shop"\n')
        self.tide.start().wait_phase("streaming")
        self.write()

    def write(self):
        self.source.execute(WRITE)
        self.tide.sync()
        self.assertEqual(differences(self.source, self.target), [])

    def on_target(self):
        return self.target.execute("SELECT sequence FROM tidegate.pipelines"), self.target.execute("SELECT count(*), md5(string_agg(t::text, ',' ORDER BY id)) FROM t")

    def assert_refused(self, *words):
        """Also the second time; the target stays as it is."""
        before = self.on_target()
        for _ in range(2):
            if not self.tide.running:
                self.tide.start()
            self.assertEqual(self.tide.wait(), REFUSED, self.tide.log[-2000:])
            last = self.tide.log.strip().splitlines()[-1]
            for word in words:
                self.assertIn(word, last)
        self.assertEqual(self.on_target(), before)

    def test_a_source_that_was_promoted(self):
        """Its log goes on under another timeline, where positions are used again."""
        server_do(self.pair.source, "stop", "-m", "fast")
        signal = self.pair.source.dir / "data" / "standby.signal"
        signal.touch()
        shutil.chown(signal, "postgres", "postgres")
        self.pair.source.restart()
        server_do(self.pair.source, "promote")
        wait_until(lambda: self.source.execute("SELECT NOT pg_is_in_recovery()") == [(True,)], "the promotion")
        self.source.execute(WRITE)
        self.assert_refused("timeline", "reset --target")

    def test_another_cluster_under_the_sources_name(self):
        """With a table and a slot of the same names: neither is ours."""
        self.tide.stop()
        other = Database(self.pair.target, "other")
        other.execute(SHOP)
        other.execute("SELECT pg_create_logical_replication_slot('tidegate_shop', 'pgoutput')")
        self.tide.source = other.url
        self.assert_refused("another cluster", "reset --target")
        self.tide.source = self.source.url
        self.tide.start().wait_phase("streaming")
        self.write()

    def test_a_target_that_was_restored_within_retention_heals(self):
        data, kept = self.pair.target.dir / "data", self.pair.target.dir / "kept"
        self.tide.stop()
        server_do(self.pair.target, "stop", "-m", "fast")
        copy(data, kept)
        self.pair.target.restart()
        self.tide.start().wait_phase("streaming")
        self.write()
        self.write()
        newest = self.on_target()[0]
        self.tide.stop()
        server_do(self.pair.target, "stop", "-m", "fast")
        shutil.rmtree(data)
        kept.rename(data)
        self.pair.target.restart()
        self.assertLess(self.on_target()[0], newest)
        self.tide.start().wait_phase("streaming")
        self.write()
        self.assertGreater(self.on_target()[0], newest)

    def test_an_older_state_directory(self):
        older, newer = self.tide.base / "older", self.tide.base / "newer"
        self.tide.stop()
        copy(self.tide.state, older)
        self.tide.start().wait_phase("streaming")
        self.write()
        self.tide.stop()
        self.tide.state.rename(newer)
        older.rename(self.tide.state)
        self.assert_refused("slot", "consumed up to")
        shutil.rmtree(self.tide.state)
        newer.rename(self.tide.state)
        self.tide.start().wait_phase("streaming")
        self.write()

    def test_a_slot_that_somebody_made_anew(self):
        """It begins behind what the old one had not given yet."""
        self.tide.stop()
        self.source.execute(WRITE)
        self.source.execute("SELECT pg_drop_replication_slot('tidegate_shop')")
        self.source.execute("SELECT pg_create_logical_replication_slot('tidegate_shop', 'pgoutput')")
        self.assert_refused("slot", "consumed up to", "reset")


if __name__ == "__main__":
    unittest.main()
