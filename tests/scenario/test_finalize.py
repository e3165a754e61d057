#!/usr/bin/python3
"""The end of a migration: what finalize leaves in both databases and in the state directory, through kill -9 at every step."""
import json
import pathlib
import re
import sqlite3
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from stage import ROOT, SEED, WAIT, Stage, query                                                # noqa: E402
from support.cutover import configure, name_of, verified, with_way_back                          # noqa: E402
from support.tidegate import BIN                                                                 # noqa: E402
import subprocess                                                                                # noqa: E402


def failpoints():
    names = set()
    for path in [ROOT / "replicator/cutover/finalize.cpp", ROOT / "replicator/cutover/sqlite_legacy.cpp", ROOT / "apply/postgres/target_cleaning.cpp"]:
        names.update(re.findall(r'\bfailpoint\("([^"]+)"\)', path.read_text()))
    return sorted(names) + ["back-after-slot-dropped", "back-before-removed"]


class Finalize(unittest.TestCase):
    def setUp(self):
        print("seed", SEED, flush=True)
        self.stage = Stage(families=30)
        self.addCleanup(self.stage.close)

    def legacy(self, text):
        connection = sqlite3.connect(self.stage.app.path, timeout=30)
        try:
            return connection.execute(text).fetchall()
        finally:
            connection.close()

    def reversed(self):
        """After a cutover, with the old app stopped."""
        self.assertEqual(self.legacy("PRAGMA journal_mode"), [("delete",)])
        pipeline = configure(self.stage.pipeline()).start()
        pipeline.wait_phase("streaming", timeout=WAIT)
        verified(pipeline)
        with_way_back(pipeline)
        pipeline.wait_status(lambda status: status["rollback"]["ready"], WAIT, "the way back")
        self.stage.app.stop()
        return pipeline

    def finalize(self, pipeline, *words, failpoint=None):
        program = BIN / ("tidegate-fault" if failpoint else "tidegate")
        return subprocess.run([program, "finalize", *words, *pipeline.flags[1:], "--source", pipeline.source, "--state", str(pipeline.state)],
                              env=pipeline.env(failpoint), cwd=pipeline.base, capture_output=True, text=True, timeout=120, check=False)

    def tables(self, url):
        return query(url, """SELECT c.relname, count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                             WHERE n.nspname = 'public' AND c.relkind = 'r' GROUP BY 1 ORDER BY 1""")

    def assert_clean(self, pipeline):
        self.assertEqual(self.legacy("PRAGMA journal_mode"), [("delete",)])
        self.assertEqual(self.legacy("SELECT count(*) FROM sqlite_schema WHERE name LIKE '%tidegate%'"), [(0,)])
        self.assert_target_clean(pipeline)

    def assert_target_clean(self, pipeline):
        url = pipeline.target_url
        self.assertEqual(query(url, "SELECT count(*) FROM pg_namespace WHERE nspname = 'tidegate'"), [(0,)])
        self.assertEqual(query(url, "SELECT count(*) FROM pg_trigger WHERE tgname LIKE '%%tidegate%%'", ()), [(0,)])
        self.assertEqual(query(url, "SELECT count(*) FROM pg_attribute WHERE attname LIKE '%%tidegate%%' AND NOT attisdropped", ()), [(0,)])
        self.assertEqual(query(url, "SELECT count(*) FROM pg_publication"), [(0,)])
        self.assertEqual(query(url, "SELECT count(*) FROM pg_replication_slots"), [(0,)])
        left = {path.name for path in pathlib.Path(pipeline.state).iterdir()}
        self.assertFalse(left & {"state.db", "state.db-wal", "back.db", "back.db-wal", "keys.db", "spool", "back-spool"}, left)
        account = json.loads((pathlib.Path(pipeline.state) / "migration_checkpoints.json").read_text())
        self.assertIn(("public.user", "completed"), {(row["table_name"], row["status"]) for row in account["migration_checkpoints"]})

    def test_through_kills_at_every_step(self):
        pipeline = self.reversed()
        self.assertEqual(pipeline.verb("backup", "create", "--source", pipeline.source).code, 0)
        rows, tables = query(pipeline.target_url, 'SELECT count(*) FROM "user"'), self.tables(pipeline.target_url)
        name = name_of(pipeline)
        self.assertEqual(self.finalize(pipeline, "--dry-run").returncode, 0)
        self.assertEqual(self.finalize(pipeline).returncode, 2)
        self.assertEqual(self.finalize(pipeline, "--confirm", "other").returncode, 2)
        for failpoint in ["finalize-exported", "finalize-begun", *[one for one in failpoints() if one not in ("finalize-exported", "finalize-begun")]]:
            with self.subTest(failpoint=failpoint):
                done = self.finalize(pipeline, "--confirm", name, failpoint=failpoint)
                self.assertIn(done.returncode, (-9, 0), done.stdout + done.stderr)
                self.reached = getattr(self, "reached", set()) | ({failpoint} if done.returncode == -9 else set())
        done = self.finalize(pipeline, "--confirm", name)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertGreater(len(self.reached), 5, self.reached)
        self.assertIn("1 backup with row data stays in ", done.stdout)
        self.assertEqual(len(list((pathlib.Path(pipeline.state) / "backups").glob("*/manifest.json"))), 1)
        self.assert_clean(pipeline)
        self.assertEqual((query(pipeline.target_url, 'SELECT count(*) FROM "user"'), self.tables(pipeline.target_url)), (rows, tables))
        self.assertEqual(json.loads(pipeline.verb("status", "--json").out)["phase"], "finalized")
        pipeline.start()
        self.assertEqual(pipeline.wait(), 2)
        self.assertIn("finalized", pipeline.log)

    def test_the_legacy_file_is_gone(self):
        pipeline = self.reversed()
        name = name_of(pipeline)
        done = self.finalize(pipeline, "--legacy-gone", "--confirm", name)
        self.assertEqual((done.returncode, "is there" in done.stderr), (2, True), done)
        self.assertEqual(pipeline.status()["phase"], "reversed", "nothing was begun")
        pipeline.stop()
        for suffix in ("", "-wal", "-shm"):
            pathlib.Path(str(self.stage.app.path) + suffix).unlink(missing_ok=True)
        pipeline.start()
        self.assertNotEqual(pipeline.wait(), 0, "no daemon starts")
        done = self.finalize(pipeline, "--dry-run")
        self.assertEqual((done.returncode, "--legacy-gone" in done.stdout), (2, True), done)
        self.assertEqual(self.finalize(pipeline, "--legacy-gone", "--dry-run").returncode, 0)
        self.assertEqual(self.finalize(pipeline, "--legacy-gone").returncode, 2, "it must be confirmed")
        for failpoint in [one for one in failpoints() if one not in ("back-before-removed", "finalize-before-legacy-commit", "finalize-legacy-clean")]:
            done = self.finalize(pipeline, "--legacy-gone", "--confirm", name, failpoint=failpoint)
            self.assertIn(done.returncode, (-9, 0), done.stdout + done.stderr)
        done = self.finalize(pipeline, "--legacy-gone", "--confirm", name)
        self.assertEqual((done.returncode, "is not cleaned" in done.stdout), (0, True), done)
        self.assert_target_clean(pipeline)
        self.assertFalse(pathlib.Path(self.stage.app.path).exists(), "no file was made in its place")
        self.assertEqual(json.loads(pipeline.verb("status", "--json").out)["phase"], "finalized")

    def test_gone_before_a_cutover(self):
        pipeline = configure(self.stage.pipeline()).start()
        pipeline.wait_phase("streaming", timeout=WAIT)
        pipeline.stop()
        self.stage.app.stop()
        for suffix in ("", "-wal", "-shm"):
            pathlib.Path(str(self.stage.app.path) + suffix).unlink(missing_ok=True)
        done = self.finalize(pipeline, "--legacy-gone", "--dry-run")
        self.assertEqual((done.returncode, "follows a cutover" in done.stdout), (2, True), done)

    def test_what_blocks(self):
        pipeline = configure(self.stage.pipeline()).start()
        pipeline.wait_phase("streaming", timeout=WAIT)
        done = self.finalize(pipeline, "--dry-run")
        self.assertEqual(done.returncode, 2)
        self.assertIn("follows a cutover", done.stdout)
        self.assertEqual(self.finalize(pipeline, "--confirm", name_of(pipeline)).returncode, 2)
        self.assertEqual(pipeline.status()["phase"], "streaming")
        verified(pipeline)
        with_way_back(pipeline)
        other = sqlite3.connect(self.stage.app.path)
        self.addCleanup(other.close)
        other.execute("SELECT count(*) FROM user").fetchall()
        self.assertIn("source-open-by", self.finalize(pipeline, "--dry-run").stdout)


if __name__ == "__main__":
    unittest.main()
