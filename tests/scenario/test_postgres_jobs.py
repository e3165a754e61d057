#!/usr/bin/python3
"""`--jobs`: the chunks of one table of a Postgres source are read by several sessions, all of them within the round's one snapshot."""
import collections
import os
import pathlib
import re
import signal
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from proxy import wait_until                          # noqa: E402
from stage import process_state                       # noqa: E402
from support.pgsource import Pair, differences        # noqa: E402
from support.tidegate import Tidegate, built          # noqa: E402

TABLE = """CREATE TABLE big (id int PRIMARY KEY, v text);
           INSERT INTO big SELECT n, 'row ' || n FROM generate_series(1, 900000) n; ANALYZE big"""
COPIED = "SELECT count(sequence), count(*), coalesce(sum(rows), 0) FROM tidegate.chunks WHERE source_table = 'public.big'"
# The source's log, a line for each statement: session, what it calls itself, statement.
LINE = re.compile(r"^<(\d+)\|tidegate snapshot [^|]*\|> LOG:  (?:statement|execute [^:]*): (.*)$", re.MULTILINE)


@unittest.skipUnless(built(), "the binaries are not built")
class Jobs(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.pair = Pair(fsync="off")
        cls.addClassCleanup(cls.pair.close)
        cls.pair.source.configure(fsync="off", log_statement="all", log_line_prefix="<%p|%a|> ")

    def setUp(self):
        self.source, self.target = self.pair.databases()
        self.addCleanup(self.source.drop)
        self.source.execute(TABLE)
        self.log_began = len(self.pair.source.log)
        self.tide = Tidegate(self.source.url, self.target.url, flags=[])
        self.addCleanup(self.tide.__exit__)

    def statements(self, begin):
        """By session, those that begin so."""
        found = collections.defaultdict(list)
        for session, statement in LINE.findall(self.pair.source.log[self.log_began:]):
            if statement.startswith(begin):
                found[session].append(statement)
        return found

    def assert_copied(self):
        self.tide.sync()
        copied, planned, rows = self.target.execute(COPIED)[0]
        self.assertEqual((copied, rows), (planned, 900_000))
        self.assertGreater(planned, 5)
        self.assertEqual(differences(self.source, self.target), [])
        return planned

    def copied_by(self, jobs):
        self.tide.start(flags=["--jobs", str(jobs)]).wait_phase("streaming")
        planned = self.assert_copied()
        copies = self.statements("COPY")
        self.assertEqual(sum(map(len, copies.values())), planned, "each chunk is read once")
        imported = self.statements("SET TRANSACTION SNAPSHOT")
        self.assertLessEqual(set(copies), set(imported))
        self.assertEqual(len({statement for session in imported.values() for statement in session}), 1)
        return [len(each) for each in copies.values()]

    def test_several_sessions_read_chunks_of_one_snapshot(self):
        shares = self.copied_by(3)
        self.assertEqual(len(shares), 3, shares)

    def test_one_job_is_one_session(self):
        self.assertEqual(len(self.copied_by(1)), 1)

    def test_a_snapshot_that_is_gone_begins_another_round(self):
        """Between its export and the first reader, the session that keeps it is ended."""
        self.tide.start(failpoint="round-begun=stop")
        pid = self.tide.process.pid
        wait_until(lambda: process_state(pid) == "T", "the first round")
        ended = self.source.execute("SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE temporary AND database = current_database()")
        self.assertEqual(ended, [(True,)])
        wait_until(lambda: self.source.execute("SELECT FROM pg_replication_slots WHERE temporary AND database = current_database()") == [], "its end")
        os.kill(pid, signal.SIGCONT)
        self.tide.wait_phase("streaming")
        self.assertEqual(self.tide.process.pid, pid)
        imported = self.statements("SET TRANSACTION SNAPSHOT")
        self.assertEqual(len({statement for session in imported.values() for statement in session}), 2)
        self.assert_copied()

    def test_a_chunk_that_waits_holds_up_no_other(self):
        """One session of two waits for a lock on the target; the other one copies all that is left."""
        self.tide.start(failpoint="chunk-after-commit", flags=["--jobs", "1"])
        self.assertEqual(self.tide.wait(), -signal.SIGKILL)
        copied, planned, _ = self.target.execute(COPIED)[0]
        self.assertEqual(copied, 1)
        holder = self.target.connect()
        holder.cursor().execute("SELECT FROM tidegate.chunks WHERE source_table = 'public.big' AND sequence IS NULL ORDER BY number LIMIT 1 FOR UPDATE")
        self.tide.start(flags=["--jobs", "2"])
        wait_until(lambda: self.target.execute(COPIED)[0][0] == planned - 1, "all but one", 60)
        self.assertEqual(self.tide.status()["phase"], "snapshot")
        holder.close()
        self.tide.wait_phase("streaming")
        self.assert_copied()


if __name__ == "__main__":
    unittest.main()
