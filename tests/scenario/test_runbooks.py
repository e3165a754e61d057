#!/usr/bin/python3
"""Every page of runbooks/: a pipeline is put into the state that the page is about, and the page's commands are run as they stand
there, in a shell in the pipeline's folder. A page without a test here, or an alert without a page, fails."""
import contextlib
import os
import pathlib
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import unittest

import psycopg2

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support.guard import guard                      # noqa: E402
from support.pgsource import Pair                    # noqa: E402
from support.target import Target                    # noqa: E402
from support.tidegate import BIN, ROOT, built        # noqa: E402

PAGES = ROOT / "runbooks"
ALERTS = ROOT / "deploy" / "prometheus" / "alerts.yml"
SECTIONS = ["Symptom", "Metric", "Check", "Action", "Verification", "How long"]
WAIT = 60
SECRET = "Marguerite"


def sections_of(page):
    """{title: text} of a page's second-level headings."""
    parts = re.split(r"^## (.+)$", page.read_text(), flags=re.M)
    return dict(zip(parts[1::2], parts[2::2]))


def commands(page, section):
    return re.findall(r"^```sh\n(.*?)^```$", sections_of(PAGES / f"{page}.md")[section], flags=re.M | re.S)


def pages():
    return sorted(path.stem for path in PAGES.glob("*.md") if path.stem != "README")


class Pages(unittest.TestCase):
    def test_each_page_has_every_section(self):
        for page in pages():
            with self.subTest(page):
                self.assertEqual(list(sections_of(PAGES / f"{page}.md")), SECTIONS)
                self.assertTrue(commands(page, "Check") and commands(page, "Verification"), "commands to run")

    def test_each_page_is_tried_here(self):
        tried = {name.removeprefix("test_").partition("_while_")[0].replace("_", "-") for group in (Sqlite, Postgres) for name in dir(group) if name.startswith("test_")}
        self.assertEqual(sorted(tried), pages())

    def test_each_page_is_in_the_index_and_the_program(self):
        index = (PAGES / "README.md").read_text()
        for page in pages():
            self.assertIn(f"]({page}.md)", index)
            done = subprocess.run([BIN / "tidegate", "explain", page], capture_output=True, text=True, check=False)
            self.assertEqual((done.returncode, done.stdout.strip()), (0, (PAGES / f"{page}.md").read_text().strip()))

    def test_alerts_name_pages_and_pages_name_alerts(self):
        text = ALERTS.read_text()
        alerts = re.findall(r"- alert: (\w+)", text)
        named = re.findall(r"runbook_url: runbooks/([\w-]+)\.md", text)
        self.assertEqual(len(alerts), len(named), "each alert names its page")
        for alert, page in zip(alerts, named):
            self.assertIn(f"`{alert}`", sections_of(PAGES / f"{page}.md")["Metric"])
        for page in pages():
            for alert in re.findall(r"Alert: `(\w+)`", sections_of(PAGES / f"{page}.md")["Metric"]):
                self.assertIn(alert, alerts)

    def test_prometheus_reads_the_alerts(self):
        if not shutil.which("promtool"):
            self.skipTest("promtool (package prometheus) is not installed")
        done = subprocess.run(["promtool", "check", "rules", ALERTS], capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_metrics_on_the_pages_are_real(self):
        source = (ROOT / "replicator" / "control" / "metrics.cpp").read_text()
        for text in [ALERTS.read_text(), *(sections_of(PAGES / f"{page}.md")["Metric"] for page in pages())]:
            for metric in re.findall(r"tidegate_(\w+)", text):
                self.assertIn(f'"{metric}"', source)


class Folder:
    """The folder of one pipeline, and a shell in it."""

    def __init__(self, test, source_url, target_url):
        self.test = test
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="tidegate-runbook-"))
        test.addCleanup(guard.forget, guard.run_later("rm", "-rf", self.dir))
        test.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)
        test.addCleanup(self.kill)
        (self.dir / "tidegate.toml").write_text('[pipeline]\nname = "shop"\n[target]\nurl = "${TIDEGATE_TARGET_URL}"\n')
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith(("TIDEGATE_", "PG"))}
        self.environment.update(TIDEGATE_SOURCE_URL=str(source_url), TIDEGATE_TARGET_URL=target_url, TIDEGATE_ALLOW_WAL="1",
                                PATH=f"{BIN}:{os.environ['PATH']}", HOME=str(self.dir))

    def configure_cutover(self, more="", backup='backup_max_age = "0s"'):
        with (self.dir / "tidegate.toml").open("a") as file:
            file.write(f'[source]\nwriters = "waits"\n[cutover]\nmax_hold = "2s"\nmax_lag = "5s"\ncalm = "300ms"\n{backup}\n{more}')

    def shell(self, script, code=0):
        with tempfile.TemporaryFile("w+") as output:   # no pipe: a daemon in the background would keep it open
            done = subprocess.run(["bash", "-eu", "-c", script], cwd=self.dir, env=self.environment, timeout=300, check=False,
                                  stdin=subprocess.DEVNULL, stdout=output, stderr=output)
            output.seek(0)
            said = output.read()
        self.test.assertEqual(done.returncode, code, f"{script}\n{said}\n{self.log()}")
        self.test.assertNotIn(SECRET, said)
        return said

    def log(self):
        return "".join(path.read_text(errors="replace")[-2000:] for path in self.dir.glob("*.log"))

    def runs(self):
        """How many daemons have begun."""
        return (self.dir / "tidegate.log").read_text().count("pipeline shop runs")

    def run(self):
        self.shell("tidegate run --yes --log-file tidegate.log > /dev/null 2>&1 &")
        self.until(lambda: '"phase":"streaming"' in self.status(), "streaming")

    def status(self):
        done = subprocess.run([BIN / "tidegate", "status", "--json"], cwd=self.dir, env=self.environment, capture_output=True, text=True, check=False)
        return done.stdout

    def until(self, true, what):
        deadline = time.monotonic() + WAIT
        while not true():
            self.test.assertLess(time.monotonic(), deadline, f"not {what}: {self.status()}\n{self.log()}")
            time.sleep(0.1)

    def kill(self):
        """kill -9 for the daemon, whichever shell started it."""
        for process in pathlib.Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if (process / "exe").resolve() == (BIN / "tidegate").resolve() and (process / "cwd").resolve() == self.dir:
                    os.kill(int(process.name), signal.SIGKILL)

    def page(self, name, *sections):
        """Runs these sections' commands; returns what they print."""
        said = ""
        for section in sections or ("Check", "Action", "Verification"):
            if section == "Verification":   # whoever types is slower than a start; after some pages no daemon runs
                latest = time.monotonic() + 5
                while '"code":"not-running"' in self.status() and time.monotonic() < latest:
                    time.sleep(0.1)
            said += "".join(self.shell(script) for script in commands(name, section))
        return said


class Sqlite(unittest.TestCase):
    def setUp(self):
        self.target = self.enterContext(Target())
        base = pathlib.Path(tempfile.mkdtemp(prefix="tidegate-runbook-app-"))
        self.addCleanup(shutil.rmtree, base, ignore_errors=True)
        self.source = base / "app.db"
        self.write("PRAGMA journal_mode = WAL", "CREATE TABLE person (id INTEGER PRIMARY KEY, name TEXT, born DATE)",
                   f"INSERT INTO person VALUES (1, '{SECRET}', '1990-01-01')")
        self.folder = Folder(self, self.source, self.target.url)

    def write(self, *statements):
        with contextlib.closing(sqlite3.connect(self.source, timeout=10)) as connection, connection:
            for statement in statements:
                connection.execute(statement)

    def names(self):
        return [name for name, in self.target.query("SELECT name FROM public.person ORDER BY id")]

    def test_capture_stopped(self):
        self.folder.run()
        self.folder.kill()
        self.write("INSERT INTO person VALUES (2, 'Ben', NULL)")
        self.folder.page("capture-stopped")
        self.assertEqual(self.names(), [SECRET, "Ben"])

    def test_lag_grows(self):
        self.folder.run()
        self.folder.shell("tidegate pause --reason 'somebody forgot'; tidegate throttle 1")
        self.write("INSERT INTO person WITH RECURSIVE c(n) AS (SELECT 2 UNION ALL SELECT n + 1 FROM c WHERE n < 200) SELECT n, 'x', NULL FROM c")
        self.assertIn("somebody forgot", self.folder.page("lag-grows", "Check"))
        self.assertEqual(len(self.names()), 1)
        self.folder.page("lag-grows", "Action", "Verification")
        self.assertEqual(len(self.names()), 200)

    def test_target_unreachable(self):
        self.folder.run()
        self.target.kill()
        self.write("INSERT INTO person VALUES (2, 'Ben', NULL)")
        self.folder.until(lambda: '"code":"target"' in self.folder.status(), "an error of the target")
        self.assertIn("does not answer", self.folder.page("target-unreachable", "Check"))
        self.target.restart()
        self.folder.page("target-unreachable", "Verification")
        self.assertEqual(self.names(), [SECRET, "Ben"])

    def test_credentials_rotated(self):
        self.folder.run()
        old = re.search(r"//([^:]+):([^@]+)@", self.target.url)
        self.target.admin("ALTER ROLE postgres PASSWORD 'rotated'")
        new_url = self.target.url.replace(f":{old.group(2)}@", ":rotated@")
        (self.folder.dir / ".env.new").write_text(f"TIDEGATE_TARGET_URL='{new_url}'\n")
        self.folder.page("credentials-rotated", "Check")
        self.folder.page("credentials-rotated", "Action")
        self.folder.environment["TIDEGATE_TARGET_URL"] = new_url
        self.write("INSERT INTO person VALUES (2, 'Ben', NULL)")
        self.folder.page("credentials-rotated", "Verification")

    def test_quarantine_not_empty(self):
        self.folder.run()
        self.write("INSERT INTO person VALUES (2, 'Ben', '0000-00-00')")
        self.folder.shell("tidegate sync --timeout 60")
        self.assertIn("zero_date", self.folder.page("quarantine-not-empty", "Check"))
        self.write("UPDATE person SET born = '1991-01-01' WHERE id = 2")
        out = self.folder.page("quarantine-not-empty", "Action", "Verification")
        self.assertIn("the quarantine is empty", out)

    @unittest.skipUnless(os.geteuid() == 0, "mounting a small disk needs root")
    def test_disk_full(self):
        place = self.folder.dir / ".tidegate"
        place.mkdir()
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", place], check=False).returncode:
            self.skipTest("this machine lets nobody mount")
        self.addCleanup(guard.forget, guard.run_later("umount", "-l", place))
        self.addCleanup(lambda: (self.folder.kill(), subprocess.run(["umount", "-l", place], check=False)))
        self.folder.run()
        stuff = place / "stuff"
        with contextlib.suppress(OSError):
            stuff.write_bytes(b"x" * (os.statvfs(place).f_bavail * os.statvfs(place).f_frsize - 200_000))
        self.write("INSERT INTO person WITH RECURSIVE c(n) AS (SELECT 2 UNION ALL SELECT n + 1 FROM c WHERE n < 1000) "
                   "SELECT n, hex(randomblob(2000)), NULL FROM c")
        self.folder.until(lambda: "disk is full" in self.folder.status(), "a full disk")
        self.assertIn("disk is full", self.folder.page("disk-full", "Check"))
        stuff.unlink()
        self.folder.page("disk-full", "Action", "Verification")
        self.assertEqual(len(self.names()), 1000)

    def test_source_restored_from_backup(self):
        self.folder.run()
        backup = self.source.with_suffix(".backup")
        with contextlib.closing(sqlite3.connect(self.source)) as live, contextlib.closing(sqlite3.connect(backup)) as copy:
            live.backup(copy)
        self.write("INSERT INTO person VALUES (2, 'Ben', NULL)", "UPDATE person SET born = NULL WHERE id = 1")
        self.folder.shell("tidegate sync --timeout 60")
        for old in self.source.parent.glob("app.db-*"):
            old.unlink()
        backup.rename(self.source)
        self.folder.until(lambda: not self.folder.status() or '"phase":"failed"' in self.folder.status(), "the daemon's end")
        self.folder.page("source-restored-from-backup")
        self.assertEqual(self.target.query("SELECT name, born::text FROM public.person"), [(SECRET, "1990-01-01")])
        self.assertTrue((self.folder.dir / "target-before.dump").stat().st_size > 0)

    def test_target_failed_over(self):
        self.folder.run()
        self.folder.shell("tidegate stop")
        data, kept = self.target.dir / "data", self.target.dir / "kept"
        self.target.kill()
        subprocess.run(["cp", "-a", data, kept], check=True)
        self.target.restart()
        self.folder.run()
        self.write("INSERT INTO person VALUES (2, 'Ben', NULL)")
        self.folder.shell("tidegate sync --timeout 60; tidegate stop")
        self.target.kill()
        shutil.rmtree(data)
        kept.rename(data)
        self.target.restart()
        self.assertEqual(self.names(), [SECRET])
        self.folder.page("target-failed-over")
        self.assertEqual(self.names(), [SECRET, "Ben"])

    def test_replicator_lost(self):
        self.folder.run()
        self.folder.kill()
        shutil.rmtree(self.folder.dir / ".tidegate")
        self.write("DELETE FROM person", "INSERT INTO person VALUES (2, 'Ben', NULL)")
        self.folder.page("replicator-lost")
        self.assertEqual(self.names(), ["Ben"])

    def test_replicator_lost_while_the_target_is_live(self):
        self.cut_over()
        self.way_back_runs()
        self.folder.kill()
        shutil.rmtree(self.folder.dir / ".tidegate")
        self.assertIn("the target is the live side", self.folder.shell("tidegate doctor", code=2))
        self.assertIn("target|", self.folder.page("replicator-lost", "Check"))
        slot, empty, _ = commands("replicator-lost", "Action")
        self.folder.shell("sleep 1;" + slot)    # the server needs a moment to see that nobody reads it
        self.assertIn("the target is live: nothing is dropped", self.folder.shell(empty, code=3))
        self.assertEqual((self.names(), self.takes_writes()), ([SECRET], (False, True)))
        self.assertEqual(self.target.query("SELECT slot_name FROM pg_replication_slots"), [])

    def test_before_you_start(self):
        self.folder.configure_cutover()
        self.folder.page("before-you-start", "Check", "Action")
        for script in commands("before-you-start", "Verification"):
            self.folder.shell(script)
        self.assertFalse((self.folder.dir / ".tidegate").exists())

    def test_schema_changed(self):
        self.folder.run()
        self.write("ALTER TABLE person RENAME TO human")
        self.folder.until(lambda: "person of the source was dropped or renamed" in self.folder.status(), "a stopped capture")
        self.assertIn("human", self.folder.page("schema-changed", "Check"))
        self.folder.page("schema-changed", "Action")
        self.folder.until(lambda: '"phase":"streaming"' in self.folder.status(), "streaming")
        self.folder.page("schema-changed", "Verification")
        self.assertEqual(self.target.query("SELECT name FROM public.human"), [(SECRET,)])

    def test_verify_differs(self):
        self.folder.run()
        self.target.query("SET session_replication_role = replica; UPDATE public.person SET name = 'Ann'")
        self.folder.shell("tidegate verify", code=3)
        self.assertIn("person", self.folder.page("verify-differs", "Check"))
        self.folder.page("verify-differs", "Action", "Verification")
        self.assertEqual(self.names(), [SECRET])

    def takes_writes(self):
        """(the source, the target), each tried and taken back."""
        takes = []
        with contextlib.closing(sqlite3.connect(self.source, timeout=10)) as connection:
            try:
                connection.execute("INSERT INTO person VALUES (99, 'probe', NULL)")
                takes.append(True)
            except sqlite3.IntegrityError:
                takes.append(False)
            connection.rollback()
        try:
            self.target.query("INSERT INTO public.person VALUES (99, 'probe', NULL); DELETE FROM public.person WHERE id = 99")
            return (*takes, True)
        except psycopg2.errors.ReadOnlySqlTransaction:
            return (*takes, False)

    def cut_over(self, *flags):
        self.folder.configure_cutover()
        self.folder.run()
        self.folder.shell(f"tidegate verify; tidegate cutover --confirm shop {' '.join(flags)}")

    def way_back_runs(self):
        self.folder.until(lambda: '"rollback":{"ready":true' in self.folder.status(), "the way back")

    def test_cutover(self):
        self.folder.configure_cutover(backup="")
        self.folder.run()
        said = self.folder.page("cutover", "Check")
        self.assertIn("nothing has changed", said)
        self.assertEqual(self.takes_writes(), (True, False))
        self.assertIn("the target is live", self.folder.page("cutover", "Action"))
        self.way_back_runs()
        self.folder.page("cutover", "Verification")
        self.assertEqual(self.takes_writes(), (False, True))

    def test_abort(self):
        hooks = self.folder.dir / "hooks"
        hooks.mkdir()
        (hooks / "on-hold").write_text("#!/bin/sh\nsleep 5\n")
        (hooks / "on-hold").chmod(0o755)
        self.folder.configure_cutover('[hooks]\ndir = "hooks"\n')
        self.folder.run()
        self.folder.shell("tidegate verify; tidegate cutover --confirm shop > cutover.log 2>&1 &")
        self.folder.until(lambda: '"phase":"cutover","step":"prepare"' in self.folder.status(), "the preparation")
        said = self.folder.page("abort")
        self.assertIn("the source is live", said)
        self.assertEqual(self.takes_writes(), (True, False))

    def test_capture_stopped_while_the_target_is_live(self):
        self.cut_over()
        self.folder.kill()
        self.target.query("INSERT INTO public.person VALUES (2, 'Ben', NULL)")
        self.assertIn("in the legacy database", self.folder.page("capture-stopped"))
        self.assertEqual(self.legacy_names(), [SECRET, "Ben"])
        self.target.kill()
        self.target.restart()
        self.target.query("INSERT INTO public.person VALUES (3, 'Cay', NULL)")
        self.assertIn("in the legacy database", self.folder.page("target-unreachable", "Verification"))
        self.assertEqual(self.legacy_names(), [SECRET, "Ben", "Cay"])

    def legacy_names(self):
        with contextlib.closing(sqlite3.connect(self.source)) as connection:
            return [name for name, in connection.execute("SELECT name FROM person ORDER BY id")]

    def test_rollback(self):
        self.cut_over()
        self.target.query("INSERT INTO public.person VALUES (2, 'Ben', NULL)")
        self.way_back_runs()
        self.assertIn("nothing blocks a rollback", self.folder.page("rollback", "Check"))
        self.folder.page("rollback", "Action", "Verification")
        self.assertEqual(self.takes_writes(), (True, False))
        with contextlib.closing(sqlite3.connect(self.source)) as connection:
            self.assertEqual(connection.execute("SELECT name FROM person").fetchall(), [(SECRET,), ("Ben",)])

    def test_finalize(self):
        self.cut_over()
        self.way_back_runs()
        self.folder.page("finalize", "Check")
        self.folder.shell(commands("finalize", "Action")[0])
        self.assertIn("finalized", self.folder.shell(commands("finalize", "Verification")[0]))
        self.assertEqual(self.takes_writes(), (True, True))

    def test_finalize_while_the_old_database_is_gone(self):
        self.cut_over()
        self.way_back_runs()
        self.folder.shell("tidegate stop")
        for file in self.source.parent.glob("app.db*"):
            file.unlink()
        self.folder.shell("tidegate finalize --confirm shop", code=2)
        self.assertIn("is not cleaned", self.folder.shell(commands("finalize", "Action")[1]))
        self.assertIn("finalized", self.folder.shell(commands("finalize", "Verification")[0]))
        self.assertEqual(self.target.query("SELECT count(*) FROM pg_replication_slots"), [(0,)])

    def test_half_done(self):
        self.folder.run()
        self.folder.shell("tidegate stop")
        self.write("CREATE TABLE _tidegate_fence(run TEXT NOT NULL, live TEXT NOT NULL, at TEXT NOT NULL)",
                   "INSERT INTO _tidegate_fence VALUES ('20260101T000000-aaaa', 'target', '2026-01-01')",
                   "CREATE TRIGGER _tidegate_fence_INSERT_person BEFORE INSERT ON person BEGIN SELECT RAISE(ABORT, 'tidegate'); END")
        self.assertIn("half-done", self.folder.shell("tidegate run --yes 2>&1 || true"))
        self.assertIn("20260101T000000-aaaa", self.folder.page("half-done", "Check"))
        self.folder.page("half-done", "Action")
        self.folder.until(lambda: '"phase":"streaming"' in self.folder.status(), "streaming")
        self.folder.page("half-done", "Verification")
        self.write("INSERT INTO person VALUES (2, 'Ben', NULL)")
        self.folder.shell("tidegate sync --timeout 60")
        self.assertEqual(self.names(), [SECRET, "Ben"])

    def test_target_gone(self):
        """What came back is there, the application writes, and another target can be filled."""
        self.cut_over()
        self.way_back_runs()
        self.target.query("INSERT INTO public.person VALUES (3, 'Cay', NULL)")
        self.folder.until(lambda: self.rows_here() == 2, "the way back")
        with Target() as another:
            self.target.kill()
            self.assertIn("the target does not answer", self.folder.page("target-gone", "Check"))
            self.folder.page("target-gone", "Action")
            self.assertEqual(self.folder.page("target-gone", "Verification").split(), ["0", "ok"])
            self.write("INSERT INTO person VALUES (4, 'Dan', NULL)")
            self.folder.environment["TIDEGATE_TARGET_URL"] = another.url
            self.folder.run()
            self.folder.shell("tidegate sync --timeout 60; tidegate verify")
            self.assertEqual(another.query("SELECT name FROM public.person ORDER BY id"), [(SECRET,), ("Cay",), ("Dan",)])
            self.folder.kill()

    def rows_here(self):
        with contextlib.closing(sqlite3.connect(self.source, timeout=10)) as connection:
            return connection.execute("SELECT count(*) FROM person").fetchone()[0]

    def test_way_back_lost(self):
        self.cut_over()
        self.way_back_runs()
        self.folder.kill()
        self.target.query("SELECT pg_sleep(1)")
        for _ in range(20):
            with contextlib.suppress(psycopg2.Error):
                self.target.query("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots")
                break
            time.sleep(0.5)
        self.folder.shell("tidegate run --yes --log-file tidegate.log > /dev/null 2>&1 &")
        self.folder.until(lambda: '"phase":"reversed"' in self.folder.status() and "way-back-failed" in self.folder.status(), "the report")
        self.assertIn("no rollback now", self.folder.page("way-back-lost", "Check"))
        self.target.query("INSERT INTO public.person VALUES (3, 'Cay', NULL); DELETE FROM public.person WHERE id = 1")
        restart, resync = commands("way-back-lost", "Action")
        runs = self.folder.runs()
        self.folder.shell(restart)
        self.folder.until(lambda: self.folder.runs() > runs and "way-back-failed" in self.folder.status(), "the same report: a restart does not help here")
        self.assertIn("the way back runs again", self.folder.shell(resync))
        self.assertIn("nothing blocks a rollback", self.folder.page("way-back-lost", "Verification"))
        self.assertEqual(self.takes_writes(), (False, True))
        self.folder.shell("tidegate rollback --confirm shop")
        with contextlib.closing(sqlite3.connect(self.source)) as legacy:
            self.assertEqual(legacy.execute("SELECT name FROM person ORDER BY id").fetchall(), [(name,) for name in self.names()])


class Postgres(unittest.TestCase):
    def test_slot_at_risk(self):
        pair = Pair()
        self.addCleanup(pair.close)
        source, target = pair.databases()
        source.execute("CREATE TABLE person (id int PRIMARY KEY, name text)")
        folder = Folder(self, source.url, target.url)
        folder.run()
        folder.kill()
        source.execute("INSERT INTO person VALUES (1, 'Ben')")
        folder.page("slot-at-risk")
        self.assertEqual(target.execute("SELECT name FROM person"), [("Ben",)])


if __name__ == "__main__":
    print("pages:", ", ".join(pages()))
    sys.exit(unittest.main() if built() else 77)
