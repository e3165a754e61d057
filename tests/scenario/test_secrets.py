#!/usr/bin/python3
"""Passwords and row values stay where they belong: a full run with every verb, and a search through all that came out of it."""
import contextlib
import json
import os
import pathlib
import sqlite3
import subprocess
import sys
import tarfile
import threading
import time
import unittest
import urllib.parse

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support.grounds import TwoServers              # noqa: E402
from support.target import PAST_THE_FENCE           # noqa: E402
from support.tidegate import BIN, Tidegate, built   # noqa: E402

PLANTED = "pl4nted"          # part of every value that must not come out; keys are numbers
SECRET = "cr3dentials-s3cret-of-thirty-two-bytes"
LOOK_AGAIN = 0.005           # seconds between two looks at the process list
NOT_RUN = {"try", "cutover", "abort", "rollback", "finalize"}   # has a target of its own; are tried with a file below

FILE = f"""
PRAGMA journal_mode = WAL;
CREATE TABLE person (id INTEGER PRIMARY KEY, name TEXT NOT NULL, born DATE, data JSON, code VARCHAR(20), made DATETIME, n INTEGER, raw BLOB);
CREATE TABLE visit (id INTEGER PRIMARY KEY, person_id INTEGER REFERENCES person(id), note TEXT);
CREATE TABLE loose (a TEXT, b TEXT);
INSERT INTO person VALUES (1, '{PLANTED}-name', '{PLANTED}-date', '{{"{PLANTED}', '{PLANTED}', '{PLANTED}-time', '{PLANTED}-n', CAST('{PLANTED}' AS BLOB));
INSERT INTO person VALUES (2, '{PLANTED}-two', NULL, NULL, '{PLANTED}', NULL, NULL, NULL), (3, '{PLANTED}-3', NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO visit VALUES (1, 3, '{PLANTED}-note'), (2, 99, '{PLANTED}-orphan');
INSERT INTO loose VALUES ('{PLANTED}-a', '{PLANTED}-b'), ('{PLANTED}-a', '{PLANTED}-b');
"""
SERVER = f"""
CREATE TABLE person (id bigint PRIMARY KEY, name text NOT NULL, code text, n integer, data jsonb);
CREATE TABLE visit (id bigint PRIMARY KEY, person_id bigint REFERENCES person, note text);
INSERT INTO person VALUES (1, '{PLANTED}-name', '{PLANTED}', 1, '{{"{PLANTED}": 1}}'), (2, '{PLANTED}-two', '{PLANTED}', 2, NULL), (3, '{PLANTED}-3', NULL, 3, NULL);
INSERT INTO visit VALUES (1, 3, '{PLANTED}-note');
"""
# What the target refuses with a message that quotes the row.
STRICTER = """
CREATE UNIQUE INDEX person_code ON public.person (code);
ALTER TABLE public.person ADD CONSTRAINT no_end CHECK (name NOT LIKE '%-end');
"""
CHANGES = [f"INSERT INTO person (id, name, code) VALUES (10, '{PLANTED}-ten', '{PLANTED}')", f"INSERT INTO person (id, name) VALUES (11, '{PLANTED}-end')",
           f"UPDATE visit SET note = '{PLANTED}-changed' WHERE id = 1", "UPDATE person SET n = n WHERE id = 3"]


class ProcessTitles:
    """Looks at every process's command line again and again, for words that must not be in one."""

    def __init__(self, words):
        self.words, self.found, self.looks, self._over = words, set(), 0, threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        self._thread.join()

    def _look(self):
        while not self._over.is_set():
            self.looks += 1
            for folder in os.listdir("/proc"):
                if not folder.isdigit() or int(folder) == os.getpid():
                    continue
                with contextlib.suppress(OSError):
                    title = pathlib.Path("/proc", folder, "cmdline").read_bytes().decode(errors="replace")
                    self.found |= {word for word in self.words if word in title}
            time.sleep(LOOK_AGAIN)


@unittest.skipUnless(built(), "the binaries are not built")
class Secrets(TwoServers):
    def setUp(self):
        super().setUp()
        self.said, self.verbs = [], set()   # (where, text); verbs that were run
        self.words = [PLANTED, PLANTED.encode().hex(), SECRET, *self.passwords()]

    def passwords(self):
        return {urllib.parse.unquote(urllib.parse.urlsplit(end.url).password) for end in (self.source, self.target)}

    def pipeline(self, source, more=""):
        self.tide = Tidegate(source, self.target.url, flags=["--allow-wal", "--no-backup"], env={"TIDEGATE_CREDENTIALS_SECRET": SECRET})
        self.addCleanup(self.tide.__exit__)
        (self.tide.base / "tidegate.toml").write_text('[target]\nschema = "existing"\n[cutover]\nmax_hold = "2s"\nmax_lag = "5s"\ncalm = "300ms"\n' + more)
        self.words_of_source = [] if self.tide.source_is_server else ["--source", source]

    def run_verb(self, *arguments, stdin=None, source=False):
        done = self.tide.verb(*arguments, *(self.words_of_source if source else []), "--log-level", "debug", stdin=stdin)
        self.verbs.add(arguments[0])
        self.said.append((" ".join(map(str, arguments)), done.out + done.err))
        return done

    def done(self, *arguments, **options):
        done = self.run_verb(*arguments, **options)
        self.assertEqual(done.code, 0, done)
        return done

    def before(self):
        for words in (["init"], ["config", "check"], ["config", "show"], ["config", "show", "--json"], ["doctor"], ["doctor", "--json"], ["plan"],
                      ["plan", "--json"], ["explain", "no-tls"], ["version"]):
            self.run_verb(*words, source=True)
        self.done("schema", "make", "begin", source=True)
        self.done("schema", "apply", "--yes")
        self.run_verb("schema", "diff", "--json", source=True)
        self.run_verb("schema", "list")
        self.target.execute(STRICTER)

    def while_it_runs(self):
        for words in (["status"], ["status", "--json"], ["list"], ["list", "--json"], ["pause", "--reason", "a look"], ["resume"], ["throttle", "5000"],
                      ["throttle", "off"], ["sync"], ["events"], ["quarantine", "list"], ["quarantine", "list", "--json"], ["quarantine", "retry", "--all"],
                      ["backup", "create"], ["backup", "list"], ["backup", "verify"], ["verify"], ["verify", "--json", "--html", "proof.html"],
                      ["verify", "status", "--json"], ["verify", "stop"], ["repair", "--dry-run"], ["repair"], ["resync", "person"], ["resync", "public.person"],
                      ["login-check", "nobody@example.org"], ["keys", "export"], ["audit"], ["audit", "--json"], ["report", "--html", "report.html"],
                      ["report", "--json"], ["support-bundle", "bundle.tar.gz"]):
            self.run_verb(*words, stdin="a password that is typed" if words[0] == "login-check" else None, source=words[0] in ("backup", "support-bundle"))
        held = json.loads(self.run_verb("quarantine", "list", "--json").out)
        entries = held["entries"] if isinstance(held, dict) else held
        self.assertGreater(len(entries), 0, "nothing that the target refuses: the test shows less than it says")
        self.run_verb("quarantine", "show", entries[0]["id"])
        self.run_verb("quarantine", "accept", entries[0]["id"], "--reason", "a test")
        self.said.append(("metrics", self.tide.get("/metrics")))

    def afterwards(self):
        backup = json.loads(self.run_verb("backup", "list", "--json").out)[0]["id"]
        self.done("stop")
        self.tide.wait()
        self.run_verb("backup", "restore", backup, source=True)
        self.target.execute("CREATE VIEW public.seen AS SELECT * FROM public.visit")
        self.run_verb("backup", "restore", backup, "--confirm", self.name(), source=True)   # fails: pg_restore has much to say
        self.run_verb("status")
        self.run_verb("reset", "--target", "--confirm", self.name(), source=True)

    def name(self):
        return json.loads(next(text for where, text in self.said if where == "status --json"))["pipeline"]

    def start(self):
        self.tide.start(flags=["--log-level", "debug"])
        self.verbs.add("run")
        self.tide.wait_phase("streaming")

    def collect(self):
        """All that can be read afterwards."""
        self.said.append(("the daemon's log", self.tide.log))
        for name in ("proof.html", "report.html", "tidegate.toml", ".env.example"):
            self.said.append((name, (self.tide.base / name).read_text() if (self.tide.base / name).exists() else ""))
        with tarfile.open(self.tide.base / "bundle.tar.gz") as bundle:
            members = [member for member in bundle.getmembers() if member.isfile()]
            self.assertGreaterEqual(len(members), 7)
            for member in members:
                self.said.append((f"bundle: {member.name}", bundle.extractfile(member).read().decode()))
        with contextlib.closing(sqlite3.connect(self.tide.state / "control.db")) as control:
            for table in ("audit", "facts"):
                with contextlib.suppress(sqlite3.OperationalError):
                    self.said.append((f"control.db: {table}", repr(control.execute(f"SELECT * FROM {table}").fetchall())))
        for row in self.pair.target.query("SELECT datname, application_name FROM pg_stat_activity"):
            self.said.append(("pg_stat_activity", repr(row)))

    def nothing_came_out(self, titles):
        self.collect()
        found = [(where, word, text[max(0, text.find(word) - 200):text.find(word) + 80]) for where, text in self.said for word in self.words if word in text]
        self.assertEqual(found, [])
        self.assertEqual(titles.found, set())
        self.assertGreater(titles.looks, 50)
        self.assertGreater(sum(len(text) for _, text in self.said), 20000, "too little was said to show anything")

    def every_verb(self):
        """Those that --help lists, so that a new one is not forgotten."""
        text = subprocess.run([BIN / "tidegate", "--help"], capture_output=True, text=True, check=True).stdout
        return {line.split()[0] for line in text[text.index("Begin:"):text.index("Example:")].splitlines() if line.startswith("  ")}

    def full_run(self, change):
        with ProcessTitles(self.words) as titles:
            self.before()
            self.start()
            change(CHANGES)
            self.tide.sync()
            self.target.execute(PAST_THE_FENCE + f"UPDATE public.visit SET note = '{PLANTED}-other' WHERE id = 1")
            self.while_it_runs()
            self.others()
            self.afterwards()
        self.nothing_came_out(titles)
        self.assertEqual(self.every_verb() - self.verbs - NOT_RUN, set())

    def others(self):
        self.run_verb("credentials", "export")

    def test_of_a_file(self):
        self.write(FILE)
        self.pipeline(self.file, '[source]\nwriters = "waits"\n[[check]]\ntable = "person"\nmust = "n > 5"\n')
        self.full_run(lambda statements: self.write(*statements))
        self.switched(self.file)

    def switched(self, path):
        """A cutover of another pipeline of the same file."""
        self.target = self.pair.databases()[1]
        self.pipeline(path, '[source]\nwriters = "waits"\n')
        (self.tide.base / "tidegate.toml").write_text('[source]\nwriters = "waits"\n[cutover]\nmax_hold = "2s"\nmax_lag = "5s"\ncalm = "300ms"\nbackup_max_age = "0s"\n[hooks]\ndir = "hooks"\n')
        self.hook_that_chatters()
        with ProcessTitles(self.words) as titles:
            self.start()
            self.tide.sync()
            self.run_verb("status", "--json")
            self.run_verb("quarantine", "accept", "--all", "--reason", "a test")
            self.run_verb("verify")
            for words in (["cutover", "--dry-run"], ["cutover", "--rehearse"], ["abort"], ["cutover", "--confirm", self.name(), "--json"]):
                self.run_verb(*words)
            self.assertEqual(self.tide.status()["live"], "target", self.said[-1])
            self.target.execute(f"INSERT INTO public.visit (id, note) VALUES (70, '{PLANTED}-back'); UPDATE public.person SET name = '{PLANTED}-b' WHERE id = 3")
            self.tide.wait_status(lambda status: status["rollback"]["ready"], 60, "the way back")
            for words in (["status"], ["rollback", "--dry-run"], ["rollback", "--confirm", self.name(), "--json"], ["status"], ["audit", "--json"],
                          ["report", "--html", "report.html"], ["support-bundle", "bundle.tar.gz"]):
                self.run_verb(*words)
            self.assertEqual(self.tide.status()["live"], "source", [text for where, text in self.said if where.startswith("rollback --confirm")])
        self.nothing_came_out(titles)

    def hook_that_chatters(self):
        (self.tide.base / "hooks").mkdir()
        hook = self.tide.base / "hooks" / "on-switch"
        hook.write_text(f"#!/bin/sh\necho 'postgresql://app:{SECRET}@h/db PGPASSWORD={SECRET}'; echo 'Authorization: Bearer {SECRET}'; echo moved it\n")
        hook.chmod(0o755)

    def test_of_a_server(self):
        self.source.execute(SERVER)
        self.pipeline(self.source.url)
        self.full_run(lambda statements: [self.source.execute(statement) for statement in statements])

    def test_no_core_dump_and_no_debugger(self):
        """A process that may not be dumped belongs to root in /proc."""
        fifo = self.dir / "env"
        os.mkfifo(fifo)
        self.dir.chmod(0o755)
        fifo.chmod(0o666)
        as_other = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", "--"] if os.getuid() == 0 else []
        writer = os.open(fifo, os.O_RDWR)   # it waits for what nobody writes
        process = subprocess.Popen([*as_other, BIN / "tidegate", "config", "show", "--env-file", fifo], stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL, cwd="/")
        try:
            deadline = time.monotonic() + 20
            while time.monotonic() < deadline and process.poll() is None and not self.cannot_be_dumped(process.pid):
                time.sleep(0.05)
            self.assertIsNone(process.poll(), "it has ended: nothing was seen")
            self.assertTrue(self.cannot_be_dumped(process.pid))
        finally:
            process.kill()
            process.wait(30)
            os.close(writer)

    @staticmethod
    def cannot_be_dumped(pid):
        """Of another user's process, once it is our program."""
        with contextlib.suppress(OSError):
            return b"tidegate" in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0] and os.stat(f"/proc/{pid}/environ").st_uid == 0
        return False


if __name__ == "__main__":
    unittest.main()
