"""A pipeline that is about to be cut over, and what must be true of both databases at any time."""
import json
import os
import pathlib
import signal
import sqlite3
import time

import psycopg2

from support.compare import Comparison

CONFIG = """
[source]
writers = "waits"
[cutover]
max_hold = "2s"
max_lag = "5s"
calm = "300ms"
backup_max_age = "0s"
"""


def configure(pipeline, hooks=None, hook_more="", consent="--allow-wal"):
    """Gives the pipeline a configuration file, and hooks by name (scripts). `consent`: what a first run must be allowed."""
    folder = pathlib.Path(pipeline.base)
    text = CONFIG
    if hooks:
        (folder / "hooks").mkdir(exist_ok=True)
        for name, script in hooks.items():
            file = folder / "hooks" / name
            file.write_text(script)
            file.chmod(0o755)
        text += '[hooks]\ndir = "hooks"\ntimeout = "10s"\n' + hook_more
    (folder / "tidegate.toml").write_text(text)
    pipeline.flags = [consent, "--config", str(folder / "tidegate.toml")]
    return pipeline


def cutover(pipeline, *flags, code=0, timeout=120, verb="cutover"):
    """The verb's outcome: `status --json`'s object cutover."""
    done = pipeline.verb(verb, "--json", *flags, timeout=timeout)
    assert code is None or done.code == code, f"{verb} {flags} ended with {done.code}: {done.out}{done.err}\n{pipeline.log[-3000:]}"
    return json.loads(done.out) if done.out.strip() else json.loads(done.err)


def has_died(pipeline, out):
    """Whether the daemon went with a verb whose output this is: without an outcome it did, and its end may still be under way."""
    if '"outcome"' not in out:
        pipeline.process.wait(30)
    return pipeline.process.poll() is not None


def process_state(pid):
    """The kernel's letter: R, S, T (stopped), Z, …"""
    return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def end_where_it_stopped(pipeline):
    """SIGTERM of a daemon that a failpoint has stopped: it comes when the daemon goes on."""
    deadline = time.monotonic() + 60
    while process_state(pipeline.process.pid) != "T":
        assert time.monotonic() < deadline, "the daemon did not come to its failpoint"
        time.sleep(0.02)
    for sign in (signal.SIGTERM, signal.SIGCONT):
        os.kill(pipeline.process.pid, sign)


def verified(pipeline):
    done = pipeline.verb("verify")
    assert done.code == 0, done.out + done.err


def forward(pipeline, *flags, **options):
    return cutover(pipeline, "--confirm", name_of(pipeline), "--no-way-back", *flags, **options)


def with_way_back(pipeline, **options):
    return cutover(pipeline, "--confirm", name_of(pipeline), **options)


def rollback(pipeline, *flags, **options):
    return cutover(pipeline, "--confirm", name_of(pipeline), *flags, verb="rollback", **options)


def name_of(pipeline):
    return pipeline.status()["pipeline"]


def doctor(pipeline, *flags, state=True):
    """(exit code, {code: finding}) of doctor."""
    done = pipeline.verb("doctor", "--json", *pipeline.flags, *flags, state=state)
    assert done.code in (0, 2), done.out + done.err
    return done.code, {finding["code"]: finding for finding in json.loads(done.out)["findings"]}


def legacy_takes_writes(path):
    """Tried in a transaction that is rolled back."""
    connection = sqlite3.connect(path, timeout=10, isolation_level=None)
    try:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("UPDATE alembic_version SET version_num = version_num")
        connection.execute("INSERT INTO school(code, name) VALUES ('probe', 'probe')")
        return True
    except sqlite3.IntegrityError as refused:
        assert "tidegate" in str(refused), refused
        return False
    finally:
        connection.close()


def target_takes_writes(url):
    connection = psycopg2.connect(url, application_name="tidegate-test")
    try:
        with connection.cursor() as cursor:
            cursor.execute("INSERT INTO school(code, name) VALUES ('probe', 'probe')")
        return True
    except psycopg2.errors.ReadOnlySqlTransaction:
        return False
    finally:
        connection.rollback()
        connection.close()


def wait_alike(path, url, within=60):
    """Until every row of the file is on the target and no other: what streams takes a moment."""
    deadline = time.monotonic() + within
    connection = psycopg2.connect(url, application_name="tidegate-test")
    try:
        while found := Comparison(path, connection).run():
            connection.rollback()   # the next look sees more
            assert time.monotonic() < deadline, found[:5]
            time.sleep(0.3)
    finally:
        connection.close()


def fence_of(path):
    """What of the fence stands in the file: (triggers, run)."""
    connection = sqlite3.connect(path, timeout=10)
    try:
        triggers, = connection.execute("SELECT count(*) FROM sqlite_schema WHERE type = 'trigger' AND name LIKE '\\_tidegate%' ESCAPE '\\'").fetchone()
        there, = connection.execute("SELECT count(*) FROM sqlite_schema WHERE name = '_tidegate_fence'").fetchone()
        run = connection.execute("SELECT run FROM _tidegate_fence WHERE live = 'target'").fetchone() if there else None
        return triggers, run[0] if run else None
    finally:
        connection.close()

