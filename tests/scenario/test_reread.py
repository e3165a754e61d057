#!/usr/bin/python3
"""A row of a Postgres source that is not on the target, and of which the stream sends only a part, is read again at the source; it is
written once the stream has come to where it was read, and no earlier (correctness 4). Rows without a key cannot be read again."""
import os
import pathlib
import signal
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from stage import WAIT                           # noqa: E402
from support.pgsource import Pair, differences   # noqa: E402
from support.tidegate import Tidegate, built     # noqa: E402

SCHEMA = """
CREATE TABLE notes (id int PRIMARY KEY, body text, n int);
ALTER TABLE notes ALTER body SET STORAGE EXTERNAL;
INSERT INTO notes SELECT n, repeat(md5(n::text), 200), 0 FROM generate_series(1, 20) n;
CREATE TABLE mark (id int PRIMARY KEY);
CREATE TABLE loose (a int, b text);
ALTER TABLE loose REPLICA IDENTITY FULL;
INSERT INTO loose VALUES (1, 'one'), (2, 'two');
"""
LONG_ENOUGH = 3   # seconds in which a daemon that does not wait would have written


@unittest.skipUnless(built(), "the binaries are not built")
class Reread(unittest.TestCase):
    def setUp(self):
        self.pair = Pair()
        self.addCleanup(self.pair.close)
        self.source, self.target = self.pair.databases()
        self.source.execute(SCHEMA)
        self.tide = Tidegate(self.source.url, self.target.url, flags=[])
        self.addCleanup(self.tide.__exit__)
        self.tide.start().wait_phase("streaming", timeout=WAIT)

    def hold_stream(self):
        """The source's server sends nothing more until it is let go."""
        (pid,), = self.source.execute("SELECT active_pid FROM pg_replication_slots WHERE database = current_database() AND NOT temporary")
        os.kill(pid, signal.SIGSTOP)
        self.addCleanup(self.let_go, pid)
        return pid

    def let_go(self, pid):
        try:
            os.kill(pid, signal.SIGCONT)
        except ProcessLookupError:
            pass

    def quarantined(self, number):
        self.tide.wait_status(lambda status: status["quarantined"] == number, what=f"{number} rows in quarantine")

    def test_a_row_that_is_read_again_is_not_from_the_future(self):
        self.target.execute("SET session_replication_role = replica; DELETE FROM notes WHERE id = 7")
        self.assertEqual(self.tide.verb("pause").code, 0)
        self.source.execute("UPDATE notes SET n = 1 WHERE id = 7")   # the body is not sent
        self.tide.wait_status(lambda status: (status["lag"]["transactions"] or 0) >= 1, what="the change is in the journal")
        walsender = self.hold_stream()
        self.source.execute("UPDATE notes SET body = 'of the future' WHERE id = 7; INSERT INTO mark VALUES (1)")
        self.assertEqual(self.tide.verb("resume").code, 0)
        self.quarantined(1)
        until = time.monotonic() + LONG_ENOUGH
        while time.monotonic() < until:
            self.assertEqual(self.target.execute("SELECT count(*) FROM notes WHERE id = 7"), [(0,)])
            self.assertEqual(self.target.execute("SELECT count(*) FROM mark"), [(0,)])
            time.sleep(0.05)
        self.let_go(walsender)
        self.quarantined(0)
        self.tide.sync(timeout=WAIT)
        self.assertEqual(differences(self.source, self.target), [])

    def test_rows_without_a_key_are_for_resync(self):
        self.target.execute("SET session_replication_role = replica; UPDATE loose SET b = 'damaged' WHERE a = 1")
        self.source.execute("UPDATE loose SET b = 'uno' WHERE a = 1")
        self.tide.sync(timeout=WAIT)
        self.quarantined(1)
        done = self.tide.verb("quarantine", "retry", "--all")
        self.assertEqual(done.code, 2, done.out + done.err)
        self.assertIn("tidegate resync public.loose", done.err)
        done = self.tide.verb("resync", "loose")
        self.assertEqual(done.code, 0, done.err)
        self.quarantined(0)
        self.tide.sync(timeout=WAIT)
        self.assertEqual(differences(self.source, self.target), [])

    def test_a_pipeline_that_is_given_up_leaves_nothing_at_the_source(self):
        made = "SELECT (SELECT count(*) FROM pg_publication), (SELECT count(*) FROM pg_replication_slots WHERE database = current_database())"
        self.assertEqual(self.source.execute(made), [(1, 1)])
        name = self.tide.status()["pipeline"]
        self.assertEqual(self.tide.verb("reset", "source", "--confirm", name).code, 2)   # it runs
        self.tide.stop()
        self.assertEqual(self.tide.verb("reset", "source").code, 2)
        done = self.tide.verb("reset", "source", "--confirm", name)
        self.assertEqual(done.code, 0, done.err)
        self.assertEqual(self.source.execute(made), [(0, 0)])
        self.assertEqual(self.tide.verb("reset", "source", "--confirm", name).code, 0)   # once more does no harm


if __name__ == "__main__":
    unittest.main()
