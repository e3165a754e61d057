#!/usr/bin/python3
"""The processes that hold a live SQLite file: whatever becomes of the daemon, the holder or the watchdog, the application's writers go
on in time, and no fence stays that was not committed."""
import os
import pathlib
import shutil
import signal
import sqlite3
import struct
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support.tidegate import BIN                     # noqa: E402

MAX_HOLD = 1500   # milliseconds
SLACK = 5         # seconds; the machine may be busy


class HoldProcess:
    """What the daemon is to it: commands, answers, and a pipe that says that the daemon lives."""

    def __init__(self, path, hook=None, failpoint=None, max_hold=MAX_HOLD):
        read, self.life = os.pipe()
        env = {"PATH": os.environ["PATH"], **({"TIDEGATE_FAILPOINT": failpoint} if failpoint else {})}
        program = BIN / ("tidegate-fault" if failpoint else "tidegate")
        command = ["sh", "-c", f'exec "$0" "$@" 3<&{read}', program, "hold-process", "sqlite", str(max_hold),
                   *([hook, hook + ".log"] if hook else [])]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, pass_fds=[read], env=env, text=True, bufsize=1,
                                        start_new_session=True)
        os.close(read)
        self.holder = int(self.ask(f"open {len(path)}", path).split()[1])

    def line(self):
        return self.process.stdout.readline().strip()

    def ask(self, command, data=""):
        self.process.stdin.write(command + "\n" + data)
        self.process.stdin.flush()
        return self.line()

    def lock(self):
        return self.ask("lock 0 500")

    def fence(self, sql="CREATE TABLE fence(a);\n"):
        return self.ask(f"sql {len(sql)}", sql)

    def die(self):
        """What the kernel does when the daemon is killed."""
        os.close(self.life)
        self.life = None
        self.process.stdin.close()

    def end(self):
        if self.life is not None:
            os.close(self.life)
        for pid in (self.holder, self.process.pid):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.process.wait(10)
        self.process.stdout.close()
        try:
            self.process.stdin.close()
        except BrokenPipeError:
            pass


class Holds(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="tidegate-hold-")
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.path = os.path.join(self.folder, "app.db")
        self.app = sqlite3.connect(self.path, timeout=30, isolation_level=None)
        self.app.execute("PRAGMA journal_mode = WAL")
        self.app.execute("CREATE TABLE item(id INTEGER PRIMARY KEY)")
        self.addCleanup(self.app.close)

    def hold(self, **options):
        made = HoldProcess(self.path, **options)
        self.addCleanup(made.end)
        return made

    def seconds_to_write(self):
        begun = time.monotonic()
        self.app.execute("INSERT INTO item DEFAULT VALUES")
        return time.monotonic() - begun

    def fences(self):
        return self.app.execute("SELECT count(*) FROM sqlite_schema WHERE name = 'fence'").fetchone()[0]

    def test_writers_wait_and_readers_do_not(self):
        hold = self.hold()
        self.assertEqual(hold.lock(), "locked")
        self.assertEqual(self.app.execute("SELECT count(*) FROM item").fetchone()[0], 0)
        impatient = sqlite3.connect(self.path, timeout=0.05)
        with self.assertRaisesRegex(sqlite3.OperationalError, "locked"):
            impatient.execute("INSERT INTO item DEFAULT VALUES")
        impatient.close()
        self.assertEqual(hold.ask("release"), "released")
        self.assertLess(self.seconds_to_write(), SLACK)

    def test_a_fence_that_was_let_go_was_never_there(self):
        hold = self.hold()
        hold.lock()
        self.assertEqual(hold.fence(), "ok")
        hold.ask("release")
        self.assertEqual(self.fences(), 0)

    def test_a_commit_lasts(self):
        hold = self.hold()
        hold.lock()
        hold.fence()
        self.assertEqual(hold.ask("commit"), "committed")
        self.assertEqual(self.fences(), 1)

    def test_a_busy_source_is_told(self):
        other = sqlite3.connect(self.path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        self.assertEqual(self.hold().lock(), "busy")
        other.close()

    def test_the_daemon_dies(self):
        hold = self.hold(hook=self.hook())
        hold.lock()
        hold.fence()
        hold.die()
        self.assertLess(self.seconds_to_write(), MAX_HOLD / 1000)
        self.assertEqual(self.fences(), 0)
        hold.process.wait(SLACK)
        self.assertTrue(os.path.exists(os.path.join(self.folder, "let-go")), "what waited outside was let go")

    def test_the_daemon_dies_and_the_holder_is_stopped(self):
        hold = self.hold()
        hold.lock()
        os.kill(hold.holder, signal.SIGSTOP)
        hold.die()
        self.assertLess(self.seconds_to_write(), MAX_HOLD / 1000)

    def test_a_stopped_daemon_or_holder_ends_at_max_hold(self):
        hold = self.hold(hook=self.hook())
        begun = time.monotonic()
        hold.lock()
        os.kill(hold.holder, signal.SIGSTOP)
        self.seconds_to_write()
        self.assertGreater(time.monotonic() - begun, MAX_HOLD / 1000 * 0.9)
        self.assertLess(time.monotonic() - begun, MAX_HOLD / 1000 + SLACK)
        hold.process.wait(SLACK)
        self.assertTrue(os.path.exists(os.path.join(self.folder, "let-go")), "a daemon that is stopped cannot let go of what waits outside")

    def test_what_waits_outside_is_let_go_though_the_lock_is_never_requested(self):
        for ending in ("the daemon dies", "the daemon is stopped"):
            with self.subTest(ending):
                hold = self.hold(hook=self.hook())
                pausing = subprocess.Popen(["sh", "-c", f"sleep 60; touch {self.folder}/paused-again"], start_new_session=True)
                os.write(hold.life, struct.pack("ii", pausing.pid, MAX_HOLD if ending == "the daemon is stopped" else 60_000))
                begun = time.monotonic()
                if ending == "the daemon dies":
                    hold.die()
                self.assertEqual(pausing.wait(SLACK), -signal.SIGKILL, "the hook that pauses is ended first")
                hold.process.wait(SLACK)
                self.assertTrue(os.path.exists(os.path.join(self.folder, "let-go")))
                if ending == "the daemon is stopped":
                    self.assertGreater(time.monotonic() - begun, MAX_HOLD / 1000 * 0.9)
                os.remove(os.path.join(self.folder, "let-go"))

    def test_max_hold_counts_from_the_first_request(self):
        hold = self.hold(max_hold=800)
        other = sqlite3.connect(self.path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        self.assertEqual(hold.lock(), "busy")
        other.close()
        time.sleep(0.6)
        self.assertEqual(hold.line(), "", "the holder was killed")

    def test_the_watchdog_dies(self):
        hold = self.hold()
        hold.lock()
        hold.process.kill()
        self.assertLess(self.seconds_to_write(), MAX_HOLD / 1000 + SLACK)

    def test_killed_around_the_commit(self):
        """Before it there is no fence, after it there is one, and nobody waits for either."""
        for failpoint, fences in (("cutover-before-fence-commit", 0), ("cutover-after-fence-commit", 1)):
            with self.subTest(failpoint=failpoint):
                hold = self.hold(failpoint=failpoint)
                hold.lock()
                hold.fence()
                self.assertEqual(hold.ask("commit"), "", "the holder is gone without an answer")
                self.assertLess(self.seconds_to_write(), SLACK)
                self.assertEqual(self.fences(), fences)

    def hook(self):
        path = os.path.join(self.folder, "on-abort")
        pathlib.Path(path).write_text(f"#!/bin/bash\nset -e\necho letting go\necho now >&2\ntouch {self.folder}/let-go\n")
        os.chmod(path, 0o755)
        return path


if __name__ == "__main__":
    unittest.main()
