#!/usr/bin/python3
"""Cutovers of the legacy app's SQLite file: the dry run, the rehearsal, the real one, each under load. TIDEGATE_SEED repeats a run."""
import contextlib
import json
import os
import pathlib
import re
import signal
import sqlite3
import subprocess
import sys
import threading
import time
import unittest
import urllib.parse

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from stage import SEED, WAIT, Stage, judge, query                                                                  # noqa: E402
from proxy import wait_until                                                                                         # noqa: E402
from support.cutover import configure, cutover, doctor, fence_of, forward, legacy_takes_writes, name_of, rollback, target_takes_writes, verified   # noqa: E402
from support.compare import Comparison                                                                               # noqa: E402
from support.tidegate import BIN, Tidegate                                                                                     # noqa: E402
import ledger                                                                                                        # noqa: E402
import psycopg2                                                                                                      # noqa: E402

stage = None
REHEARSALS = 5


def setUpModule():
    global stage
    print("seed", SEED, flush=True)
    stage = Stage().seed()


def tearDownModule():
    stage.close()


def school_names(path):
    connection = sqlite3.connect(path, timeout=30)
    try:
        return {name for name, in connection.execute("SELECT DISTINCT name FROM school")}
    finally:
        connection.close()


class Cutovers(unittest.TestCase):
    def setUp(self):
        stage.app.unfence()

    def tearDown(self):
        for pipeline in stage.pipelines:
            pipeline.kill()

    def load(self):
        load = stage.load()
        self.addCleanup(load.stopping.set)
        return load

    def streaming(self, **options):
        pipeline = configure(stage.pipeline(), **options).start()
        pipeline.wait_phase("streaming", timeout=WAIT)
        verified(pipeline)
        return pipeline

    def user_of_the_file(self):
        """A program that keeps the file open; the app opens it for each request."""
        connection = sqlite3.connect(stage.app.path)
        connection.execute("SELECT count(*) FROM school")
        self.addCleanup(connection.close)

    def codes(self, pipeline, *flags, code, verb="cutover"):
        return {finding["code"]: finding["level"] for finding in cutover(pipeline, "--dry-run", *flags, code=code, verb=verb)["findings"]}


class DryRun(Cutovers):
    def test_what_blocks_and_what_does_not(self):
        pipeline = self.streaming()
        self.assertNotIn("block", self.codes(pipeline, code=0).values())
        self.assertNotIn("block", self.codes(pipeline, "--no-way-back", code=0).values())
        self.assertIn("max-hold-too-long", self.codes(pipeline, "--no-way-back", "--max-hold", "4s", code=2))
        pipeline.verb("pause")
        self.assertIn("cutover-paused", self.codes(pipeline, "--no-way-back", code=2))
        pipeline.verb("resume")
        pipeline.verb("throttle", "100000")
        self.assertIn("cutover-throttled", self.codes(pipeline, "--no-way-back", code=2))
        pipeline.verb("throttle", "off")
        self.assertIn("cutover-lag", self.codes(pipeline, "--no-way-back", "--max-lag", "1ms", code=2))
        self.user_of_the_file()
        text = pipeline.verb("cutover", "--dry-run", "--no-way-back")
        self.assertIn(f"pid {os.getpid()}", text.out)
        self.assertIn("nothing blocks a cutover", text.out)
        self.assertEqual(fence_of(stage.app.path), (0, None))

    def test_what_stands_in_the_folder_of_hooks(self):
        pipeline = self.streaming(hooks={"on-hold": "#!/bin/sh\nexit 0\n"})
        folder = pathlib.Path(pipeline.base) / "hooks"
        (folder / "on_switch.sh").write_text("#!/bin/sh\n")
        (folder / "haproxy.conf").write_text("x\n")
        found = {one["code"]: one for one in cutover(pipeline, "--dry-run", "--no-way-back")["findings"]}
        self.assertEqual((found["hook-never-run"]["level"], found["hook-no-switch"]["level"]), ("warn", "warn"))
        self.assertIn("on_switch.sh", found["hook-never-run"]["message"])
        self.assertTrue(found["hooks"]["message"].endswith(": on-hold"), found["hooks"])
        (folder / "verify-switch").symlink_to("/nonexistent/haproxy")
        self.assertEqual(self.codes(pipeline, "--no-way-back", code=2)["hook-not-executable"], "block")
        self.assertEqual(forward(pipeline, code=2)["outcome"], "refused")
        self.assertTrue(legacy_takes_writes(stage.app.path))

    def test_a_row_in_the_quarantine_blocks_until_it_is_accepted(self):
        pipeline = self.streaming()
        stage.write("INSERT INTO school(code, name) VALUES ('q-1', CAST(x'61ff62' AS TEXT))")
        pipeline.sync()
        self.assertIn("quarantine-not-empty", self.codes(pipeline, "--no-way-back", code=2))
        self.assertEqual(forward(pipeline, code=2)["outcome"], "refused")
        self.assertTrue(legacy_takes_writes(stage.app.path))
        pipeline.verb("quarantine", "accept", "--all", "--reason", "a test")
        self.assertIn("quarantine-accepted", self.codes(pipeline, "--no-way-back", code=0))
        stage.write("DELETE FROM school WHERE code = 'q-1'")

    def test_transactions_that_read_first_want_a_hook_or_consent(self):
        pipeline = stage.pipeline()
        configure(pipeline)
        file = pathlib.Path(pipeline.base) / "tidegate.toml"
        file.write_text(file.read_text().replace('"waits"', '"upgrades"'))
        pipeline.start().wait_phase("streaming", timeout=WAIT)
        verified(pipeline)
        self.assertEqual(self.codes(pipeline, "--no-way-back", code=2)["hold-fails-writers"], "block")
        found = self.codes(pipeline, "--no-way-back", "--accept-failed-writes", code=2)
        self.assertEqual((found["hold-fails-writers"], found["rehearsal-wanted"]), ("warn", "block"))
        self.see_what_a_hold_costs(pipeline)
        found = {finding["code"]: finding for finding in cutover(pipeline, "--dry-run", "--no-way-back", "--accept-failed-writes")["findings"]}
        self.assertIn("transactions a second were committed before it", found["hold-fails-writers"]["message"])
        pipeline.restart().wait_phase("streaming", timeout=WAIT)
        self.assertEqual(forward(pipeline, "--accept-failed-writes")["outcome"], "done", "what was rehearsed is remembered")

    def see_what_a_hold_costs(self, pipeline):
        """A rehearsal beside a program that writes, and one that has read and not written yet."""
        program = ("import sqlite3, sys, time; c = sqlite3.connect(sys.argv[1], isolation_level=None); c.execute('BEGIN');"
                   "c.execute('SELECT count(*) FROM school').fetchone(); print('reads', flush=True); time.sleep(1000)")
        reader = subprocess.Popen(["/usr/bin/python3", "-c", program, stage.app.path], stdout=subprocess.PIPE, text=True)
        self.addCleanup(reader.communicate)
        self.addCleanup(reader.kill)
        self.assertEqual(reader.stdout.readline(), "reads\n")
        load = self.load()
        wait_until(lambda: pipeline.status()["totals"]["transactions"] > 5, "the load")
        ended = cutover(pipeline, "--rehearse", "--no-way-back", "--accept-failed-writes")
        load.stop()
        writers = ended["writers"]
        self.assertEqual(ended["outcome"], "rehearsed")
        self.assertIn(f"python3 (pid {reader.pid})", writers["in_transaction"])
        self.assertNotIn("tidegate", " ".join(writers["in_transaction"]))
        self.assertGreater(writers["commits_per_second"], 0)
        self.assertIsNotNone(writers["commits_afterwards"])
        self.assertLess(writers["held_from"], writers["held_until"])
        print(f"rehearsal with failed writes accepted: {writers}", flush=True)

    def test_a_file_without_wal_blocks(self):
        path = pathlib.Path(stage.app.dir) / "without-wal.db"
        connection = sqlite3.connect(path)
        connection.executescript("CREATE TABLE person(id INTEGER PRIMARY KEY, name TEXT); INSERT INTO person(name) VALUES ('x')")
        connection.close()
        pipeline = configure(Tidegate(path, stage.new_database()))
        pipeline.flags.remove("--allow-wal")
        self.addCleanup(pipeline.__exit__)
        pipeline.start().wait_phase("streaming", timeout=WAIT)
        verified(pipeline)
        self.assertEqual(self.codes(pipeline, "--no-way-back", code=2)["cutover-needs-wal"], "block")
        self.assertEqual(forward(pipeline, code=2)["outcome"], "refused")

    def test_a_verify_under_way_blocks(self):
        pipeline = self.streaming()
        verify = subprocess.Popen([BIN / "tidegate", "verify", "--rate", "20", "--state", pipeline.state], env=pipeline.env(), cwd=pipeline.base,
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(verify.wait, 60)
        pipeline.wait_status(lambda status: status["verify"], WAIT, "the verify")
        self.assertEqual(self.codes(pipeline, "--no-way-back", code=2)["verify-running"], "block")
        self.assertEqual(pipeline.verb("verify", "stop").code, 0)
        verified(pipeline)
        self.assertNotIn("verify-running", self.codes(pipeline, "--no-way-back", code=0))

    def test_bad_hooks_block(self):
        pipeline = self.streaming(hooks={"check": "#!/bin/sh\necho cannot reach the proxy; exit 1\n", "on-switch": "#!/bin/sh\n"})
        self.assertIn("hook-check-failed", self.codes(pipeline, "--no-way-back", code=2))
        (pathlib.Path(pipeline.base) / "hooks/on-switch").chmod(0o600)
        self.assertIn("hook-not-executable", self.codes(pipeline, "--no-way-back", code=2))


class Rehearsal(Cutovers):
    def test_under_load_nobody_notices(self):
        pipeline, load, holds = self.streaming(), self.load(), []
        time.sleep(1)
        for _ in range(REHEARSALS):
            ended = cutover(pipeline, "--rehearse", "--no-way-back")
            self.assertEqual(ended["outcome"], "rehearsed")
            self.assertEqual([step["step"] for step in ended["steps"]], ["guard", "prepare", "hold", "drain", "prove", "reverse"])
            holds.append(ended["hold_ms"])
            self.assertEqual(fence_of(stage.app.path), (0, None))
            self.assertFalse(target_takes_writes(pipeline.target_url))
        status = pipeline.status()
        self.assertEqual((status["live"], status["phase"]), ("source", "streaming"))
        summary = judge(self, stage, pipeline, load)
        print("rehearsals: writers held for", " ".join(f"{ms:.0f}" for ms in holds), "ms; requests", summary["latency_ms"], flush=True)

    def test_a_writer_that_holds_the_lock_makes_it_give_up(self):
        seen = pathlib.Path(stage.app.dir) / "seen"
        self.addCleanup(seen.unlink)
        hook = f"#!/bin/sh\necho $TIDEGATE_EVENT $TIDEGATE_AGAIN >> {seen}\n"
        pipeline = self.streaming(hooks={name: hook for name in ("before-fence", "on-abort")})
        other = sqlite3.connect(stage.app.path, isolation_level=None)
        self.addCleanup(other.close)
        other.execute("BEGIN IMMEDIATE")
        ended = cutover(pipeline, "--rehearse", "--no-way-back", "--max-hold", "400ms", "--attempts", "2", code=1)
        other.execute("ROLLBACK")
        self.assertEqual((ended["outcome"], ended["attempt"]), ("aborted", 2))
        self.assertIn("write lock", ended["reason"])
        self.assertEqual(seen.read_text().splitlines(), ["before-fence no", "on-abort yes", "before-fence no", "on-abort no"])
        self.assertEqual(cutover(pipeline, "--rehearse", "--no-way-back")["outcome"], "rehearsed")

    def test_hooks_are_told_that_it_was_let_go(self):
        seen = pathlib.Path(stage.app.dir) / "seen"
        self.addCleanup(seen.unlink)
        hook = f"#!/bin/sh\necho $TIDEGATE_EVENT $TIDEGATE_STEP >> {seen}\n"
        events = ("on-ready", "before-fence", "on-hold", "on-drained", "on-fenced", "on-switch", "on-abort", "on-failure", "on-status")
        pipeline = self.streaming(hooks={name: hook for name in events})
        cutover(pipeline, "--rehearse", "--no-way-back")
        self.assertEqual(seen.read_text().splitlines(), [
            "on-status guard", "on-ready guard", "on-status prepare", "before-fence prepare", "on-hold prepare", "on-drained drain", "on-abort reverse",
            "on-status rehearsed"])
        seen.write_text("")
        (pathlib.Path(pipeline.base) / "hooks" / "on-drained").write_text("#!/bin/sh\nexec sleep 60\n")
        ended = cutover(pipeline, "--rehearse", "--no-way-back", "--max-hold", "700ms", "--attempts", "1", code=1)
        self.assertEqual(ended["outcome"], "aborted")
        self.assertLess(ended["hold_ms"], 5000, "a hook that hangs within the hold ends with it")
        self.assertEqual(seen.read_text().splitlines()[-3:], ["on-abort drain", "on-failure aborted", "on-status aborted"])
        self.assertTrue(legacy_takes_writes(stage.app.path))

    def read_terminal(self, terminal, seen):
        with contextlib.suppress(OSError):    # nobody writes to it any more
            while part := os.read(terminal, 65536):
                seen.append(part)

    def test_status_watch_shows_each_step_with_its_time(self):
        pipeline = self.streaming(hooks={"on-hold": "#!/bin/sh\nsleep 1\n"})
        terminal, theirs = os.openpty()
        self.addCleanup(os.close, terminal)
        with subprocess.Popen([BIN / "tidegate", "status", "--watch", "--state", pipeline.state], env={**pipeline.env(), "TERM": "dumb"},
                              stdin=subprocess.DEVNULL, stdout=theirs) as watching:
            os.close(theirs)
            seen = []
            reading = threading.Thread(target=self.read_terminal, args=(terminal, seen), daemon=True)
            reading.start()
            cutover(pipeline, "--rehearse", "--no-way-back")
            time.sleep(1.5)
            watching.terminate()
        reading.join(10)
        pictures = [re.sub(r"(\x1b\[K|\s)+", " ", picture) for picture in b"".join(seen).decode(errors="replace").split("\x1b[H")]
        self.assertTrue([picture for picture in pictures if re.search(r"live the source rehearse under way: prepare .*steps guard [\d.]+ m?s, "
                                                                      r"prepare [\d.]+ m?s \.\.\. next tidegate status --watch tidegate abort", picture)], pictures[-3:])
        every = ", ".join(rf"{step} [\d.]+ m?s" for step in ("guard", "prepare", "hold", "drain", "prove", "reverse"))
        self.assertRegex(pictures[-1], rf"live the source .*rehearsed .*steps {every} ")

    def test_abort(self):
        pipeline = self.streaming(hooks={"on-hold": "#!/bin/sh\nsleep 3\n"})
        running = threading.Thread(target=lambda: self.ended.append(cutover(pipeline, "--confirm", name_of(pipeline), "--no-way-back", code=1)))
        self.ended = []
        running.start()
        wait_until(lambda: pipeline.status()["step"] == "prepare", "the preparation")
        done = pipeline.verb("abort", "--reason", "not today")
        self.assertEqual(done.code, 0, done.err)
        self.assertIn("the source is live", done.out)
        running.join(60)
        self.assertEqual(self.ended[0]["outcome"], "aborted")
        self.assertTrue(legacy_takes_writes(stage.app.path))
        self.assertEqual(pipeline.verb("abort").code, 2)


class TheCutover(Cutovers):
    def judge_moved(self, pipeline):
        """Whatever the app wrote is on the target, and the two sides are as they have to be."""
        self.assertFalse(legacy_takes_writes(stage.app.path))
        self.assertTrue(target_takes_writes(pipeline.target_url))
        connection = psycopg2.connect(pipeline.target_url)
        try:
            self.assertEqual(Comparison(stage.app.path, connection).run(), [])
        finally:
            connection.close()

    def test_it_wants_the_name_and_a_verify(self):
        pipeline = configure(stage.pipeline()).start()
        pipeline.wait_phase("streaming", timeout=WAIT)
        self.assertIn("verify-not-fresh", self.codes(pipeline, "--no-way-back", code=2))
        self.assertEqual(forward(pipeline, code=2)["outcome"], "refused")
        self.assertEqual(pipeline.verb("cutover", "--no-way-back").code, 2)
        self.assertEqual(pipeline.verb("cutover", "--no-way-back", "--confirm", "other").code, 2)

    def test_under_load(self):
        pipeline, load = self.streaming(), self.load()
        self.assertFalse(target_takes_writes(pipeline.target_url))
        time.sleep(1)
        ended = forward(pipeline)
        summary = load.stop()
        self.assertEqual(ended["outcome"], "done")
        self.assertEqual([step["step"] for step in ended["steps"]],
                         ["guard", "prepare", "hold", "drain", "prove", "reverse", "intent", "open", "switching"])
        print(f"cutover: writers held for {ended['hold_ms']:.0f} ms;", {step["step"]: round(step["ms"]) for step in ended["steps"]}, flush=True)
        self.judge_moved(pipeline)
        # Without a proxy the old app goes on asking: all that it was refused says why, and nothing it was told is missing.
        for error in summary["errors"]:
            self.assertIn("tidegate", error)
        verdict = stage.app.verdict(ledger.TargetRows(psycopg2.connect(pipeline.target_url)))
        self.assertTrue(verdict.clean, str(verdict))
        status = pipeline.status()
        self.assertEqual((status["live"], status["phase"]), ("target", "reversed"))
        self.assertEqual(fence_of(stage.app.path)[1], ended["run"])
        self.user_of_the_file()
        wait_until(lambda: any(f"pid {os.getpid()}" in user for user in pipeline.status()["cutover"]["source_open_by"]), "who has not moved")
        self.verbs_are_refused(pipeline)
        self.survives_restarts(pipeline)

    def verbs_are_refused(self, pipeline):
        for verb in (["sync"], ["pause"], ["resume"], ["throttle", "10"], ["quarantine", "accept", "--all", "--reason", "x"],
                     ["quarantine", "retry", "--all"], ["verify"], ["repair"], ["resync", "school"], ["reset", "--target", "--confirm", name_of(pipeline), "--source", stage.app.path],
                     ["cutover", "--rehearse", "--no-way-back"], ["cutover", "--confirm", name_of(pipeline), "--no-way-back"], ["abort"]):
            self.assertEqual(pipeline.verb(*verb).code, 2, verb)

    def survives_restarts(self, pipeline):
        query(pipeline.target_url, "INSERT INTO school(code, name) VALUES ('born-there', 'on the target')")
        query(pipeline.target_url, "INSERT INTO audit_log(at, action, token) VALUES (now(), 'new', 'a-new-row')")
        for restart in (pipeline.restart, lambda: (pipeline.stop(), pipeline.start())):
            restart()
            pipeline.wait_phase("reversed", timeout=WAIT)
            self.assertEqual(pipeline.status()["live"], "target")
            time.sleep(0.5)
            self.assertEqual(pipeline.kill(), -9)
            left = {file.name: file.read_bytes() for file in pipeline.state.glob("control.db*") if file.suffix != ".db-shm"}
            self.assertEqual(pipeline.verb("status").out, "the target is live\n")
            self.doctor_knows_the_fence(pipeline)
            self.assertEqual({file.name: file.read_bytes() for file in pipeline.state.glob("control.db*") if file.suffix != ".db-shm"}, left)
            pipeline.start().wait_phase("reversed", timeout=WAIT)
        self.assertEqual(query(pipeline.target_url, "SELECT count(*) FROM school WHERE code = 'born-there'"), [(1,)])
        self.assertFalse(legacy_takes_writes(stage.app.path))
        self.assertTrue(target_takes_writes(pipeline.target_url))

    def doctor_knows_the_fence(self, pipeline):
        code, found = doctor(pipeline, "--source", stage.app.path)
        self.assertEqual((code, found["target-live"]["level"]), (0, "note"))
        self.assertNotIn("_tidegate_fence", " ".join(finding["message"] for finding in found.values()))
        code, found = doctor(pipeline, "--source", stage.app.path, "--state", pipeline.base / "another", state=False)
        self.assertEqual((code, found["half-done"]["level"]), (2, "blocks"))
        self.assertIn("replicator-lost", found["half-done"]["mend"])

    def test_ids_go_on_where_the_source_stood(self):
        pipeline = self.streaming()
        stage.write("INSERT INTO attachment(id, project_id, filename, content, size) SELECT 900000, id, 'f', x'00', 1 FROM project LIMIT 1",
                    "DELETE FROM attachment WHERE id = 900000")
        forward(pipeline)
        query(pipeline.target_url, "INSERT INTO school(code, name) VALUES ('next', 'next')")
        highest = sqlite3.connect(stage.app.path).execute("SELECT max(id) FROM school").fetchone()[0]
        self.assertEqual(query(pipeline.target_url, "SELECT id FROM school WHERE code = 'next'"), [(highest + 1,)])
        given = query(pipeline.target_url, "SELECT nextval(pg_get_serial_sequence('attachment', 'id'))")
        self.assertEqual(given, [(900001,)], "AUTOINCREMENT never gives an id twice")

    def test_a_hook_that_fails_or_hangs_after_the_return(self):
        for name, script in (("fails", "#!/bin/sh\nexit 7\n"), ("hangs", "#!/bin/sh\ntrap '' TERM\nsleep 100\n")):
            with self.subTest(hook=name):
                stage.app.unfence()
                pipeline = self.streaming(hooks={"on-switch": script}, hook_more='[hooks.timeouts]\non-switch = "1s"\n')
                ended = forward(pipeline, code=1)
                self.assertEqual(ended["outcome"], "done")
                self.assertIn("on-switch", ended["reason"])
                self.judge_moved(pipeline)
                status = pipeline.status()
                self.assertIn("hook-failed", [error["code"] for error in status["errors"]])
                self.assertEqual(status["next_steps"][0], "tidegate cutover --continue")
                self.is_not_forgotten(pipeline)
                (pathlib.Path(pipeline.base) / "hooks/on-switch").write_text("#!/bin/sh\nexit 0\n")
                again = pipeline.verb("cutover", "--continue", "--json")
                self.assertEqual(again.code, 0, again.err)
                self.assertNotIn("hook-failed", [error["code"] for error in pipeline.status()["errors"]])
                pipeline.kill()

    def is_not_forgotten(self, pipeline):
        """The switch that failed: by a restart and by a rollback that is refused."""
        pipeline.restart()
        pipeline.wait_phase("reversed", timeout=WAIT)
        self.assertEqual(rollback(pipeline, code=2)["outcome"], "refused")
        status = pipeline.status()
        self.assertIn("hook-failed", [error["code"] for error in status["errors"]])
        self.assertEqual(status["next_steps"][0], "tidegate cutover --continue")

    def test_killed_while_the_hooks_are_run_again(self):
        """After a rollback that was refused: the next start goes on with the switch by itself."""
        pipeline = self.streaming(hooks={"on-switch": "#!/bin/sh\nexit 7\n"})
        forward(pipeline, code=1)
        self.is_not_forgotten(pipeline)
        pipeline.restart(failpoint="switch-taken-up")
        pipeline.wait_phase("reversed", timeout=WAIT)
        (pathlib.Path(pipeline.base) / "hooks/on-switch").write_text("#!/bin/sh\nexit 0\n")
        pipeline.verb("cutover", "--continue")
        pipeline.process.wait(30)
        pipeline.restart()
        status = pipeline.wait_status(lambda status: status["cutover"] and status["cutover"]["outcome"] == "done", WAIT, "the switch")
        self.assertEqual((status["phase"], status["live"], status["cutover"]["mode"], status["cutover"]["reason"]), ("reversed", "target", "cutover", ""))
        self.assertNotIn("--continue", " ".join(status["next_steps"]))
        self.judge_moved(pipeline)

    def test_a_hook_that_fails_before_the_return(self):
        for event in ("before-fence", "on-hold", "on-ready"):
            with self.subTest(event=event):
                seen = pathlib.Path(stage.app.dir) / "aborted"
                pipeline = self.streaming(hooks={event: "#!/bin/sh\nexit 1\n", "on-abort": f"#!/bin/sh\ntouch {seen}\n"})
                self.assertEqual(forward(pipeline, code=1)["outcome"], "aborted")
                self.assertTrue(legacy_takes_writes(stage.app.path))
                self.assertFalse(target_takes_writes(pipeline.target_url))
                self.assertIn("hook-trouble", [error["code"] for error in pipeline.status()["errors"]])
                self.assertNotIn("--continue", " ".join(pipeline.status()["next_steps"]))
                self.assertEqual(seen.exists(), event != "on-ready")
                seen.unlink(missing_ok=True)
                pipeline.kill()

    def test_a_hook_that_is_tried_again_before_the_return(self):
        """before-fence with the policy retry: good the third time, or never."""
        tried = pathlib.Path(stage.app.dir) / "tried"
        again = '[hooks.policies]\nbefore-fence = "retry"\n'
        for name, script, outcome in (("good", f'#!/bin/sh\necho x >> {tried}; [ "$(wc -l < {tried})" -ge 3 ]\n', "rehearsed"),
                                      ("never", f"#!/bin/sh\necho x >> {tried}; exit 9\n", "aborted")):
            with self.subTest(hook=name):
                stage.app.unfence()
                load = self.load()
                pipeline = self.streaming(hooks={"before-fence": script}, hook_more=again)
                ended = cutover(pipeline, "--rehearse", "--no-way-back", code=None)
                self.assertEqual(ended["outcome"], outcome, ended)
                self.assertEqual(tried.read_text(), "x\n" * 3)
                self.assertEqual(self.audited(pipeline, "hook before-fence"), 3, "each try is in the audit")
                self.given_up_unharmed(pipeline, load)
                tried.unlink()
                pipeline.kill()

    def test_a_hook_that_hangs_before_the_return(self):
        """before-fence is ended at its limit with what it has started, and with it the run; or it is passed over, where its policy says so."""
        left = pathlib.Path(stage.app.dir) / "left"
        script = f"#!/bin/sh\ntrap '' TERM\nsleep 1000 & echo $! > {left}\nwait; sleep 1000\n"
        for policy, outcome in (("fail", "aborted"), ("warn", "rehearsed")):
            with self.subTest(policy=policy):
                stage.app.unfence()
                load = self.load()
                pipeline = self.streaming(hooks={"before-fence": script},
                                          hook_more=f'[hooks.timeouts]\nbefore-fence = "1s"\n[hooks.policies]\nbefore-fence = "{policy}"\n')
                ended = cutover(pipeline, "--rehearse", "--no-way-back", code=None)
                self.assertEqual(ended["outcome"], outcome, ended)
                if policy == "fail":
                    self.assertIn("hook before-fence was ended after its time limit", ended["reason"])
                    self.assertEqual([step["step"] for step in ended["steps"]], ["guard", "prepare"], "nothing was held, and it is not tried again")
                wait_until(lambda: not pathlib.Path(f"/proc/{left.read_text().strip()}").exists(), "what the hook has started is ended")
                self.given_up_unharmed(pipeline, load)
                pipeline.kill()

    def audited(self, pipeline, action):
        return sum(json.loads(line)["action"] == action for line in pipeline.verb("audit", "--json").out.splitlines())

    def given_up_unharmed(self, pipeline, load):
        """The application's writes go on, none has failed, and they stream."""
        self.assertTrue(legacy_takes_writes(stage.app.path))
        self.assertFalse(target_takes_writes(pipeline.target_url))
        summary = load.stop()
        self.assertEqual(summary["failed"], {}, summary["errors"])
        pipeline.sync(timeout=WAIT)
        self.assertEqual(pipeline.status()["phase"], "streaming")
        connection = psycopg2.connect(pipeline.target_url)
        self.addCleanup(connection.close)
        self.assertEqual(Comparison(stage.app.path, connection).run(), [])

    def test_the_target_is_away_between_fence_and_open(self):
        pipeline = configure(stage.pipeline()).start(failpoint="cutover-before-open=stop")
        pipeline.wait_phase("streaming", timeout=WAIT)
        verified(pipeline)
        running = subprocess.Popen([*self.verb_words(pipeline)], env=pipeline.env(), cwd=pipeline.base, stdout=subprocess.PIPE, text=True)
        wait_until(lambda: fence_of(stage.app.path)[1], "the fence")
        wait_until(lambda: pathlib.Path(f"/proc/{pipeline.process.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T", "the stop")
        stage.target.kill()
        os.kill(pipeline.process.pid, signal.SIGCONT)
        time.sleep(3)
        self.assertFalse(legacy_takes_writes(stage.app.path))
        stage.target.restart()
        out, _ = running.communicate(timeout=120)
        self.assertEqual(json.loads(out)["outcome"], "done")
        self.judge_moved(pipeline)

    def verb_words(self, pipeline):
        return [BIN / "tidegate", "cutover", "--json", "--confirm", name_of(pipeline), "--no-way-back", "--state", str(pipeline.state)]

    def test_a_role_without_replica_mode(self):
        """No fence keeps others from the target before the cutover, which is said; none could be made for a rollback, which is refused."""
        stage.forget_cutovers()
        url = stage.new_database()
        stage.target.admin("CREATE ROLE plain LOGIN REPLICATION PASSWORD 'plain'", f"ALTER DATABASE {urllib.parse.urlsplit(url).path[1:]} OWNER TO plain")
        pipeline = configure(stage.pipeline(url=re.sub("//[^@]*@", "//plain:plain@", url))).start()
        pipeline.wait_phase("streaming", timeout=WAIT)
        verified(pipeline)
        self.assertEqual(self.codes(pipeline, code=0)["target-not-fenced"], "warn")
        load = stage.load()
        self.addCleanup(load.stopping.set)
        time.sleep(1)
        self.assertEqual(cutover(pipeline, "--confirm", name_of(pipeline))["outcome"], "done")
        load.stop()
        self.judge_moved(pipeline)
        query(pipeline.target_url, "INSERT INTO school(code, name) VALUES ('plain', 'seen there')")
        pipeline.wait_status(lambda status: status["rollback"]["ready"], WAIT, "the way back")
        wait_until(lambda: "seen there" in school_names(stage.app.path), "the way back")
        blocked = self.codes(pipeline, code=2, verb="rollback")
        self.assertEqual(blocked["target-not-fenced"], "block")

    def test_a_fence_that_nobody_intended_stops_the_daemon(self):
        pipeline = self.streaming()
        pipeline.stop()
        stage.write("CREATE TABLE _tidegate_fence(run TEXT NOT NULL, live TEXT NOT NULL, at TEXT NOT NULL)",
                    "INSERT INTO _tidegate_fence VALUES ('strange', 'target', 'now')")
        pipeline.start()
        self.assertEqual(pipeline.wait(), 2)
        self.assertIn("strange", pipeline.log)
        self.assertIn("half-done", pipeline.verb("status").out + pipeline.log)

    def test_a_table_made_after_the_fence_is_reported(self):
        pipeline = self.streaming()
        forward(pipeline)
        stage.write("CREATE TABLE IF NOT EXISTS made_later(id INTEGER PRIMARY KEY)")
        wait_until(lambda: "fence-broken" in [error["code"] for error in pipeline.status()["errors"]], "the report")
        stage.write("DROP TABLE made_later")


if __name__ == "__main__":
    unittest.main()
