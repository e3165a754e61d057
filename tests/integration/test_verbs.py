#!/usr/bin/python3
"""The verbs of a running pipeline, as an operator types them."""
import contextlib
import getpass
import json
import os
import pathlib
import pty
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support.guard import guard                      # noqa: E402
from support.target import Target                    # noqa: E402
from support.terminal import read_until              # noqa: E402
from support.tidegate import BIN, Tidegate, built    # noqa: E402

FAILED, REFUSED, USAGE, TIMED_OUT = 1, 2, 4, 5
HIDDEN = "Marguerite"    # a row's value: in no output but that of events --values
SCHEMA = f"""
CREATE TABLE person (id INTEGER PRIMARY KEY, name VARCHAR(40), born DATE);
CREATE TABLE visit (id INTEGER PRIMARY KEY, person_id INTEGER REFERENCES person(id), at DATETIME);
INSERT INTO person VALUES (1, '{HIDDEN}', '1990-01-01'), (2, 'Ben', '0000-00-00');
INSERT INTO visit VALUES (1, 1, '2024-05-01 10:00:00');
"""
STATUS_FIELDS = {"pipeline", "live", "phase", "step", "lag", "tables", "stages", "started_at", "ended_at", "totals", "errors",
                 "quarantined", "position", "rollback", "next_steps"}


class Verbs(unittest.TestCase):
    """One pipeline for all tests; each leaves it streaming."""

    @classmethod
    def setUpClass(cls):
        cls.target = cls.enterClassContext(Target())
        cls.dir = pathlib.Path(tempfile.mkdtemp(prefix="tidegate-verbs-"))
        cls.addClassCleanup(shutil.rmtree, cls.dir, ignore_errors=True)
        cls.source = cls.dir / "app.db"
        cls.write(SCHEMA)
        cls.tide = cls.enterClassContext(Tidegate(cls.source, cls.target.url))
        cls.tide.start().wait_phase("streaming")

    def tearDown(self):
        self.tide.verb("resume")
        self.tide.verb("throttle", "off")

    @classmethod
    def write(cls, script):
        with contextlib.closing(sqlite3.connect(cls.source, timeout=10)) as connection:
            connection.executescript(script)

    def names(self):
        return [name for name, in self.target.query("SELECT name FROM public.person ORDER BY id")]

    def said(self, *arguments, code=0):
        done = self.tide.verb(*arguments)
        self.assertEqual(done.code, code, done)
        self.assertNotIn(HIDDEN, done.out + done.err)
        return done

    def as_json(self, *arguments, code=0):
        return json.loads(self.said(*arguments, "--json", code=code).out)

    def audit(self):
        with contextlib.closing(sqlite3.connect(f"file:{self.tide.state}/control.db?mode=ro", uri=True)) as connection:
            return connection.execute("SELECT action, by, reason FROM audit ORDER BY id").fetchall()

    def test_status(self):
        self.tide.sync()
        status = self.as_json("status")
        self.assertLessEqual(STATUS_FIELDS, status.keys())
        self.assertEqual(set(status["lag"]), {"seconds", "bytes", "transactions"})
        self.assertEqual(set(status["stages"]), {"schema", "data", "verification"})
        self.assertEqual((status["phase"], status["live"], status["quarantined"]), ("streaming", "source", 1))
        person = next(table for table in status["tables"] if table["source"] == "person")
        self.assertEqual({name: person[name] for name in ("target", "state", "rows_quarantined")},
                         {"target": "public.person", "state": "streaming", "rows_quarantined": 1})
        self.assertIn("streaming", self.said("status").out)
        self.assertNotIn(self.target.url.split(":")[2].split("@")[0], json.dumps(status))

    def test_pause_and_resume(self):
        self.said("pause", "--reason", "the target is being looked at")
        self.write("INSERT INTO person VALUES (100, 'Paula', NULL)")
        done = self.said("sync", "--timeout", "1", code=TIMED_OUT)
        self.assertIn("tidegate status", done.err)
        status = self.as_json("status")
        self.assertEqual((status["phase"], status["next_steps"]), ("paused", ["tidegate resume"]))
        self.assertEqual(status["lag"]["transactions"], 1)
        self.assertNotIn("Paula", self.names())
        self.said("pause")
        self.said("resume")
        self.tide.sync()
        self.assertIn("Paula", self.names())
        action, by, reason = next(line for line in self.audit() if line[0] == "pause" and line[2] != "for the audit")
        self.assertEqual(reason, "the target is being looked at")
        self.assertEqual(by, f"{getpass.getuser()}@{os.uname().nodename}")

    def test_audit(self):
        self.said("pause", "--reason", "for the audit")
        self.said("resume")
        lines = [json.loads(line) for line in self.said("audit", "--json").out.splitlines()]
        self.assertEqual([line["id"] for line in lines], list(range(1, len(lines) + 1)))
        self.assertEqual(lines[0]["action"], "run")
        paused = next(line for line in lines if line["reason"] == "for the audit")
        self.assertEqual((paused["action"], paused["before"], paused["after"]), ("pause", "streaming", "paused"))
        last = max(line["id"] for line in lines)
        self.wait_for_witness(last)

    def wait_for_witness(self, last):
        deadline = time.monotonic() + 20
        while f"the target knows entry {last}" not in self.said("audit").out:
            self.assertLess(time.monotonic(), deadline, "the target keeps the newest hash")
            time.sleep(0.2)

    def broken_audit(self, sql):
        """What `audit` says of a copy of the state directory in which `sql` was run."""
        with tempfile.TemporaryDirectory(prefix="tidegate-audit-") as folder:
            state = pathlib.Path(folder) / "state"
            shutil.copytree(self.tide.state, state, ignore=shutil.ignore_patterns("*.sock*", "*.lock"))
            with contextlib.closing(sqlite3.connect(state / "control.db")) as connection:
                connection.executescript(sql)
            done = self.tide.verb("audit", "--state", state, state=False)
            self.assertEqual(done.code, FAILED, done)
            return done.err

    def test_a_changed_audit_is_found(self):
        for _ in range(2):
            self.said("resume", "--reason", "twice")
        last = len(self.audit())
        self.wait_for_witness(last)
        self.assertIn("broken at entry 2", self.broken_audit("UPDATE audit SET reason = 'another' WHERE id = 2"))
        self.assertIn("broken at entry 3", self.broken_audit("DELETE FROM audit WHERE id = 2"))
        self.assertIn(f"the target knows of entry {last}", self.broken_audit(f"DELETE FROM audit WHERE id = {last}"))
        again = "INSERT INTO audit SELECT id, at, action, by, 'x', detail, before, after, hash FROM gone"
        self.assertIn("broken at entry", self.broken_audit(
            f"CREATE TABLE gone AS SELECT * FROM audit WHERE id = {last}; DELETE FROM audit WHERE id = {last}; {again}"))

    def test_throttle(self):
        self.assertEqual(self.as_json("throttle", "50"), {"rows_per_second": 50})
        self.assertEqual(self.tide.status()["throttle"], {"rows_per_second": 50})
        rows = ",".join(f"({id}, 'T{id}', NULL)" for id in range(1000, 1100))
        self.write(f"INSERT INTO person VALUES {rows}")
        self.tide.sync()
        begun = time.monotonic()
        self.write("INSERT INTO person VALUES (1200, 'after', NULL)")
        self.tide.sync()
        self.assertGreater(time.monotonic() - begun, 0.5)    # a hundred rows at fifty a second come first
        self.assertEqual(self.as_json("throttle", "off"), {"rows_per_second": None})
        for wrong in ("0", "-1", "fast"):
            self.said("throttle", wrong, code=USAGE)

    def test_events(self):
        self.write("INSERT INTO person VALUES (300, 'Eve', NULL); UPDATE person SET name = 'Eva' WHERE id = 300; "
                   f"UPDATE person SET name = '{HIDDEN}' WHERE id = 300")
        self.tide.sync()
        events = [json.loads(line) for line in self.said("events").out.splitlines()]
        mine = [event for event in events if event.get("key") == [300]]
        self.assertTrue(mine and all(event["table"] == "person" and "row" not in event for event in mine), mine)
        before = len(self.audit())
        shown = self.tide.verb("events", "--values", "--reason", "a test")
        self.assertIn(HIDDEN, shown.out)
        self.assertEqual(self.audit()[before:], [("events --values", f"{getpass.getuser()}@{os.uname().nodename}", "a test")])

    def test_events_follow(self):
        command = [BIN / "tidegate", "events", "--follow", "--state", self.tide.state]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=self.tide.env()) as follower:
            handle = guard.kill_later(follower.pid)
            self.write("INSERT INTO person VALUES (400, 'Fay', NULL)")
            timer = threading.Timer(20, follower.kill)
            timer.start()
            found = any(json.loads(line).get("key") == [400] for line in follower.stdout)
            timer.cancel()
            follower.kill()
            guard.forget(handle)
        self.assertTrue(found)

    def test_quarantine(self):
        entries = self.as_json("quarantine", "list")["entries"]
        self.assertEqual([(entry["table"], entry["column"], entry["reason"]) for entry in entries], [("person", "born", "zero_date")])
        entry = self.as_json("quarantine", "show", entries[0]["id"])
        self.assertEqual((entry["key"], entry["holds"]), ("[2]", "nothing"))
        self.said("quarantine", "show", "999999", code=USAGE)
        self.said("quarantine", "accept", entries[0]["id"], code=USAGE)
        self.write("UPDATE person SET born = '1990-02-02' WHERE id = 2")
        self.tide.sync()
        self.assertEqual(self.as_json("quarantine", "list")["entries"], [])
        self.assertIn("Ben", self.names())
        self.write("INSERT INTO person VALUES (500, 'Quinn', '0000-00-00')")
        self.tide.sync()
        id = self.as_json("quarantine", "list")["entries"][0]["id"]
        self.assertEqual(self.as_json("quarantine", "retry", "--all"), {"retried": 1, "applied": 0, "remaining": 1, "unreadable": []})
        self.said("quarantine", "accept", id, "--reason", "test data")
        self.write("DELETE FROM person WHERE id = 500; UPDATE person SET born = '0000-00-00' WHERE id = 2")
        self.tide.sync()

    def test_list(self):
        with tempfile.TemporaryDirectory() as home:
            state = pathlib.Path(home) / "st"
            run = [BIN / "tidegate", "run", "--source", self.source, "--state", state, "--yes"]
            env = {**self.tide.env(), "HOME": home}
            env.pop("XDG_STATE_HOME", None)
            listed = lambda: json.loads(subprocess.run([BIN / "tidegate", "list", "--json"], env=env, check=True,
                                                       capture_output=True).stdout)["pipelines"]
            self.assertEqual(listed(), [])
            refused = subprocess.run(run, env=env, check=False, capture_output=True, stdin=subprocess.DEVNULL)
            self.assertEqual(refused.returncode, REFUSED, refused.stderr)    # the target has this pipeline's name already
            self.assertEqual(listed(), [])

    def test_a_pipeline_whose_state_directory_is_gone_is_told_once(self):
        with tempfile.TemporaryDirectory() as home, tempfile.TemporaryDirectory() as there:
            registry = pathlib.Path(home) / "tidegate" / "pipelines"
            registry.mkdir(parents=True)
            (registry / "old-1").write_text(f"old\n{home}/nowhere\n")
            (registry / "kept-1").write_text(f"kept\n{there}\n")
            env = {**self.tide.env(), "XDG_STATE_HOME": home}
            said = [subprocess.run([BIN / "tidegate", "list"], env=env, check=True, capture_output=True, text=True) for _ in range(2)]
            self.assertRegex(said[0].stdout, r"old +gone ")
            self.assertIn("1 state directory is not there any more", said[0].stderr)
            self.assertEqual([line.split()[:2] for line in said[1].stdout.splitlines()], [["kept", "stopped"]])
            self.assertEqual(said[1].stderr, "")

    def test_run_is_refused_beside_a_running_one(self):
        done = self.said("run", "--source", self.source, "--yes", code=REFUSED)
        self.assertIn("another tidegate", done.err)

    def test_watch_without_a_terminal(self):
        command = [BIN / "tidegate", "status", "--watch", "--state", self.tide.state]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=self.tide.env()) as watcher:
            line = watcher.stdout.readline()
            watcher.kill()
        self.assertIn("streaming", line)
        self.assertNotIn("\x1b", line)

    def test_verbs_that_are_later_or_unknown(self):
        self.said("rollback", code=REFUSED)
        self.assertIn("did you mean 'status'", self.said("statsu", code=USAGE).err)


class Alone(unittest.TestCase):
    """Each with a pipeline of its own."""

    @classmethod
    def setUpClass(cls):
        cls.target = cls.enterClassContext(Target())

    def setUp(self):
        self.target.query("SET client_min_messages = warning; DROP SCHEMA IF EXISTS tidegate CASCADE; "
                          "DROP TABLE IF EXISTS public.person, public.visit CASCADE")
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="tidegate-alone-"))
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)
        self.source = self.dir / "app.db"
        with contextlib.closing(sqlite3.connect(self.source)) as connection:
            connection.executescript(SCHEMA)
        self.tide = Tidegate(self.source, self.target.url)
        self.addCleanup(self.tide.__exit__)

    def nothing_in_target(self):
        return self.target.query("SELECT to_regnamespace('tidegate'), to_regclass('public.person')") == [(None, None)]

    def test_plan_writes_nothing_anywhere(self):
        before = self.source.read_bytes()
        done = self.tide.verb("plan", "--source", self.source)
        self.assertEqual(done.code, 0, done)
        self.assertIn('CREATE TABLE "public"."person"', done.out)
        plan = json.loads(self.tide.verb("plan", "--source", self.source, "--json").out)
        self.assertEqual(plan["estimate"]["sampled_rows"], sum(table["rows"] for table in plan["tables"]))   # all of so few
        self.assertGreater(plan["estimate"]["copy_seconds"], 0)
        self.assertRegex(done.out, r"about [0-9.]+ (B|KiB)\ncopying them takes about 1s \([0-9,]+ rows/s, tried with")
        self.assertEqual([(table["source"], table["rows"]) for table in plan["tables"]], [("person", 2), ("visit", 1)])
        self.assertEqual(self.source.read_bytes(), before)
        self.assertEqual(os.listdir(self.dir), ["app.db"])
        self.assertFalse(self.tide.state.exists())
        self.assertTrue(self.nothing_in_target())

    def test_doctor(self):
        done = self.tide.verb("doctor", "--source", self.source)
        self.assertEqual(done.code, 0, done)
        for code in ("not-wal", "state-disk", "source-file", "misfit-zero-date"):
            self.assertIn(f"[{code}]", done.out)
        self.target.query("CREATE TABLE public.person (id bigint PRIMARY KEY); INSERT INTO public.person VALUES (1)")
        done = self.tide.verb("doctor", "--source", self.source)
        self.assertEqual(done.code, REFUSED, done)
        self.assertIn("[table-exists]", done.out)
        found = json.loads(self.tide.verb("doctor", "--source", self.source, "--json").out)
        self.assertEqual(found["blocks"], 1)
        self.assertFalse(self.tide.state.exists())
        self.assertEqual(self.target.query("SELECT to_regnamespace('tidegate')"), [(None,)])

    def test_config_show_masks(self):
        (self.tide.base / "tidegate.toml").write_text('[target]\nurl = "postgresql://postgres:top%2Fsecret@db.example:5432/postgres"\n')
        env = {name: value for name, value in self.tide.env().items() if name != "TIDEGATE_TARGET_URL"}
        for more in ([], ["--json"]):
            done = subprocess.run([BIN / "tidegate", "config", "show", *more], cwd=self.tide.base, env=env, capture_output=True,
                                  text=True, check=True)
            self.assertIn("db.example", done.stdout)
            self.assertNotIn("secret", done.stdout + done.stderr)

    def test_status_after_the_end(self):
        self.tide.start().wait_phase("streaming")
        self.tide.stop()
        done = self.tide.verb("status", "--json")
        self.assertEqual(done.code, FAILED)
        self.assertEqual(json.loads(done.err)["error"]["code"], "not-running")
        status = json.loads(done.out)
        self.assertTrue(status["ended_at"])
        self.assertEqual(status["next_steps"], ["tidegate run"])
        self.assertEqual(self.tide.verb("stop").code, 0)    # nothing to stop is no failure

    def test_sync_waits_for_a_daemon_that_is_starting(self):
        self.tide.start().wait_phase("streaming")
        socket = next(self.tide.state.glob("*.sock*"))
        aside = socket.with_name("aside")
        socket.rename(aside)     # the lock is held, and nobody answers yet
        soon = threading.Timer(1.5, aside.rename, (socket,))
        soon.start()
        self.addCleanup(soon.join)
        begun = time.monotonic()
        self.assertEqual(self.tide.verb("sync", "--timeout", "20s").code, 0)
        self.assertGreater(time.monotonic() - begun, 1)
        socket.rename(aside)
        done = self.tide.verb("sync", "--timeout", "300ms", "--json")
        self.assertEqual(json.loads(done.err)["error"]["code"], "not-answering")
        aside.rename(socket)

    def test_an_app_whose_writers_wait_loses_no_write(self):
        (self.tide.base / "tidegate.toml").write_text('[source]\nwriters = "waits"\n')
        self.assertIn("waits", self.tide.verb("config", "show", state=False).out)
        failed, written, over = [], [], threading.Event()

        def write_all_the_while():
            with contextlib.closing(sqlite3.connect(self.source, timeout=5, isolation_level=None)) as connection:
                while not over.is_set():
                    try:
                        connection.execute("BEGIN IMMEDIATE")
                        connection.execute("INSERT INTO person(id, name) VALUES (?, hex(randomblob(2000)))", (1000 + len(written),))
                        connection.execute("COMMIT")
                        written.append(1)
                    except sqlite3.Error as error:
                        failed.append(str(error))
                        return

        writer = threading.Thread(target=write_all_the_while)
        self.tide.start().wait_phase("streaming")
        writer.start()
        self.addCleanup(writer.join)
        self.addCleanup(over.set)
        time.sleep(4)
        over.set()
        writer.join()
        self.assertEqual(failed, [])
        self.tide.sync()
        self.assertEqual(self.target.query("SELECT count(*) FROM public.person WHERE id >= 1000"), [(len(written),)])
        self.assertGreater(len(written), 100)

    def test_stop_during_the_first_read(self):
        with contextlib.closing(sqlite3.connect(self.source, timeout=10)) as connection, connection:
            connection.execute("CREATE TABLE big AS WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 2000000) "
                               "SELECT n, 'word ' || n AS word FROM c")
        self.tide.start().wait_status(lambda status: "reading the source" in status["step"], what="the first read")
        self.assertEqual(self.tide.verb("stop").code, 0)
        self.assertEqual(self.tide.wait(30), 0, self.tide.log)
        self.assertIn("nothing was written to the target", self.tide.log)
        self.assertTrue(self.nothing_in_target())
        self.assertFalse(self.tide.state.exists())

    def test_a_failure_is_kept_for_status(self):
        self.tide.start().wait_phase("streaming")
        self.target.query("UPDATE tidegate.pipelines SET epoch = epoch + 1")    # as another daemon would
        with contextlib.closing(sqlite3.connect(self.source, timeout=10)) as connection, connection:
            connection.execute("INSERT INTO person VALUES (3, 'Cy', NULL)")
        self.assertEqual(self.tide.wait(timeout=60), FAILED, self.tide.log[-2000:])
        self.assertIn("another tidegate has taken over", self.tide.log)
        self.assertEqual(len([line for line in self.tide.log.splitlines() if line.startswith("tidegate: ")]), 1)
        status = json.loads(self.tide.verb("status", "--json").out)
        self.assertEqual((status["phase"], status["errors"][-1]["code"]), ("failed", "TG001"))

    def on_terminal(self, *more):
        """tidegate run in a terminal of its own; returns (process, the terminal's end)."""
        ours, theirs = pty.openpty()
        process = subprocess.Popen([BIN / "tidegate", "run", "--source", self.source, "--state", self.tide.state, "--allow-wal", *more],
                                   env={**self.tide.env(), "TERM": "xterm"}, cwd=self.dir, stdin=theirs, stdout=theirs, stderr=theirs,
                                   start_new_session=True)
        os.close(theirs)
        self.addCleanup(os.close, ours)
        handle = guard.kill_later(process.pid)
        self.addCleanup(guard.forget, handle)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process, ours

    def test_in_a_terminal_it_asks_and_then_shows(self):
        process, terminal = self.on_terminal()
        read_until(self, terminal, "Go on? [y/N]")
        status = json.loads(self.tide.verb("status", "--json").out)
        self.assertEqual((status["phase"], status["step"]), ("new", "waiting for the plan to be approved"))
        self.assertTrue(self.nothing_in_target())
        os.write(terminal, b"y\n")
        read_until(self, terminal, "streaming")
        process.send_signal(signal.SIGINT)
        read_until(self, terminal, "ending")
        self.assertEqual(process.wait(30), 0)
        self.assertIn("pipeline", (self.tide.state / "daemon.log").read_text())

    def test_no_is_no(self):
        process, terminal = self.on_terminal()
        read_until(self, terminal, "Go on? [y/N]")
        os.write(terminal, b"n\n")
        read_until(self, terminal, "nothing was written to the target")
        self.assertEqual(process.wait(30), REFUSED)
        self.assertTrue(self.nothing_in_target())
        self.assertFalse(self.tide.state.exists())

    def test_stop_while_it_asks(self):
        process, terminal = self.on_terminal()
        read_until(self, terminal, "Go on? [y/N]")
        self.assertEqual(self.tide.verb("stop").code, 0)
        read_until(self, terminal, "nothing was written to the target")
        self.assertEqual(process.wait(30), 0, "who asked for an end got it")
        self.assertTrue(self.nothing_in_target())


if __name__ == "__main__":
    sys.exit(unittest.main() if built() else 77)
