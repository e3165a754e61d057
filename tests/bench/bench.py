#!/usr/bin/python3
"""Ratios of tidegate against its peers, same run, same machine. See README.md."""
import http.client
import json
import os
import pathlib
import random
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import psycopg2  # noqa: E402
from support.target import Target  # noqa: E402
from support.tidegate import Tidegate  # noqa: E402

ROWS = int(os.environ.get("TIDEGATE_BENCH_ROWS", "1000000"))
SCHEMA = """CREATE TABLE person (id INTEGER PRIMARY KEY, name VARCHAR(80) NOT NULL, email TEXT UNIQUE,
  score NUMERIC(10,2), created_at DATETIME, active BOOLEAN, note TEXT)"""


def make_database(path, rows):
    source = random.Random(1)
    connection = sqlite3.connect(path)
    connection.execute(SCHEMA)
    connection.executemany("INSERT INTO person VALUES (?,?,?,?,?,?,?)", (
        (i, f"Person {i}", f"p{i}@example.org", round(source.random() * 1000, 2),
         f"2024-01-{i % 28 + 1:02} 10:11:{i % 60:02}.123456", i % 2, "x" * (i % 60)) for i in range(rows)))
    connection.commit()
    connection.close()


def timed(work):
    begin = time.monotonic()
    work()
    return time.monotonic() - begin


def peak_memory(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024
    return 0.0


def pgloader(path, url):
    # Debian's pgloader cannot check a certificate by sslrootcert; the server takes plain connections on loopback too.
    plain = url.split("?")[0] + "?sslmode=disable"
    # pgloader is asked as its manual shows it; the URL holds the throw-away server's password.
    load = pathlib.Path(path).with_suffix(".load")
    load.write_text(f"LOAD DATABASE FROM sqlite://{path} INTO {plain};\n")
    load.chmod(0o600)
    subprocess.run(["pgloader", str(load)], check=True, capture_output=True)


def bare_copy(path, url):
    """The rows of the file, already in COPY's text form, then the key and the index: what no tool can beat."""
    lines = pathlib.Path(path).with_suffix(".copy")
    with psycopg2.connect(url) as target, target.cursor() as cursor, open(lines, encoding="utf-8") as data:
        cursor.execute("CREATE TABLE bare (id bigint, name varchar(80) NOT NULL, email text, score numeric(10,2),"
                       " created_at timestamptz, active boolean, note text)")
        cursor.copy_expert("COPY bare FROM STDIN", data)
        cursor.execute("ALTER TABLE bare ADD PRIMARY KEY (id); CREATE UNIQUE INDEX ON bare (email); ANALYZE bare")


def write_copy_file(path):
    connection = sqlite3.connect(path)
    with open(pathlib.Path(path).with_suffix(".copy"), "w", encoding="utf-8") as out:
        for row in connection.execute("SELECT * FROM person"):
            out.write("\t".join(map(str, row)) + "\n")
    connection.close()


class DaemonsSocket(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=10)
        self._path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def wait_streaming(tide, timeout=600):
    """Asks the daemon itself: a command that is started ten times a second takes a fifth of a core from what is measured."""
    end = time.monotonic() + timeout
    while time.monotonic() < end and tide.running:
        try:
            asked = DaemonsSocket(tide.state / "api.sock")
            asked.request("GET", "/v1/status")
            if json.loads(asked.getresponse().read())["phase"] == "streaming":
                return
        except OSError:
            pass    # it does not listen yet
        finally:
            asked.close()
        time.sleep(0.02)
    raise AssertionError("not streaming:\n" + tide.log[-3000:])


def bench_snapshot(folder):
    path = folder / "snapshot.db"
    make_database(path, ROWS)
    write_copy_file(path)
    with Target() as target:
        bare = timed(lambda: bare_copy(path, target.url))
    with Target() as target, Tidegate(path, target.url) as tide:
        ours = timed(lambda: (tide.start(), wait_streaming(tide)))
        memory = peak_memory(tide.process.pid)
        tide.stop()
    print(f"snapshot of {ROWS:,} rows: bare COPY {bare:.1f} s, tidegate {ours:.1f} s ({ours / bare:.2f} x bare COPY),"
          f" peak memory {memory:.0f} MiB")
    if shutil.which("pgloader"):
        with Target() as target:
            peer = timed(lambda: pgloader(path, target.url))
        print(f"  pgloader {peer:.1f} s: tidegate is {peer / ours:.1f} times as fast")


def write_for(path, seconds, rate):
    """One writer that commits one update after the other; returns commits per second and the slowest commit."""
    connection = sqlite3.connect(path, isolation_level=None)
    commits, slowest, begin = 0, 0.0, time.monotonic()
    while (now := time.monotonic()) - begin < seconds:
        connection.execute("UPDATE person SET score = score + 1 WHERE id = ?", (commits * 7919 % ROWS,))
        slowest = max(slowest, time.monotonic() - now)
        commits += 1
        if rate and (ahead := begin + commits / rate - time.monotonic()) > 0:
            time.sleep(ahead)
    connection.close()
    return commits / (time.monotonic() - begin), slowest


def bench_writes(folder):
    """Flat out, the WAL beside tidegate grows to its bound before it is written over again; a growing file costs each fsync more, so what
    comes after that is told apart."""
    path = folder / "writes.db"
    make_database(path, ROWS)
    sqlite3.connect(path).execute("PRAGMA journal_mode = WAL").close()
    for rate, until_grown in ((0, 20), (200, 0)):
        alone, slow_alone = write_for(path, 8, rate)
        with Target() as target, Tidegate(path, target.url) as tide:
            tide.start()
            wait_streaming(tide)
            tide.sync()
            beside, slow_beside = write_for(path, 8, rate)
            write_for(path, until_grown, rate)
            later, slow_later = write_for(path, 8, rate)
            tide.sync()
            tide.stop()
        name = f"{rate}/s" if rate else "flat out"
        print(f"application's commits, {name}: {alone:,.0f}/s alone, {beside:,.0f}/s beside tidegate ({beside / alone:.3f}), later {later:,.0f}/s ({later / alone:.3f});"
              f" slowest commit {slow_alone * 1000:.1f} ms alone, {slow_beside * 1000:.1f} and {slow_later * 1000:.1f} ms beside")


def bench_latency(folder):
    path = folder / "latency.db"
    make_database(path, ROWS)
    with Target() as target, Tidegate(path, target.url) as tide:
        tide.start()
        wait_streaming(tide)
        tide.sync()
        seen = latencies(path, target.url, rate=200, commits=2000)
        tide.stop()
    seen.sort()
    print(f"commit to visible at 200/s, table of {ROWS:,} rows: p50 {seen[len(seen) // 2] * 1000:.1f} ms,"
          f" p99 {seen[len(seen) * 99 // 100] * 1000:.1f} ms, slowest {seen[-1] * 1000:.1f} ms")


def wait_for_note(url, wanted, seconds=60):
    with psycopg2.connect(url) as target:
        target.autocommit = True
        cursor, end = target.cursor(), time.monotonic() + seconds
        while time.monotonic() < end:
            cursor.execute("SELECT note FROM person WHERE id = 1")
            if cursor.fetchone()[0] == wanted:
                return
            time.sleep(0.01)
    raise TimeoutError(f"{wanted} was not seen within {seconds} s")


def latencies(path, url, rate, commits):
    """A counter in one row of its own is written; a watcher notes when each value is seen."""
    committed, seen, stop = {}, [], threading.Event()

    def watch():
        with psycopg2.connect(url) as target:
            target.autocommit = True
            cursor, last = target.cursor(), 0
            while not stop.is_set():
                cursor.execute("SELECT note FROM person WHERE id = 1")
                value, now = int(cursor.fetchone()[0].removeprefix("n")), time.monotonic()
                for number in range(last + 1, value + 1):
                    seen.append(now - committed[number])
                last = max(last, value)
                if last >= commits:
                    return

    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("UPDATE person SET note = 'n0' WHERE id = 1")
    wait_for_note(url, "n0")
    watcher = threading.Thread(target=watch)
    watcher.start()
    begin = time.monotonic()
    for number in range(1, commits + 1):
        committed[number] = time.monotonic() + 60  # replaced by the commit's end below
        connection.execute("UPDATE person SET note = ? WHERE id = 1", (f"n{number}",))
        committed[number] = time.monotonic()
        if (ahead := begin + number / rate - time.monotonic()) > 0:
            time.sleep(ahead)
    watcher.join(timeout=60)
    stop.set()
    connection.close()
    return [latency for latency in seen if latency > -30]


def main():
    wanted = sys.argv[1:] or ["snapshot", "writes", "latency"]
    benches = {"snapshot": bench_snapshot, "writes": bench_writes, "latency": bench_latency}
    for name in wanted:
        with tempfile.TemporaryDirectory(prefix="tidegate-bench-") as folder:
            benches[name](pathlib.Path(folder))


if __name__ == "__main__":
    main()
