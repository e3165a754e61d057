#!/usr/bin/python3
"""A Postgres source: tidegate against its peers, same run, same machine. See README.md."""
import argparse
import contextlib
import os
import pathlib
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import psycopg2  # noqa: E402
from support.pg_cluster import PgCluster  # noqa: E402
from support.pgsource import Database, Pair, drop_slot  # noqa: E402
from support.tidegate import Tidegate  # noqa: E402

SIZES = {"snapshot_rows": ("TIDEGATE_BENCH_ROWS", 1_000_000), "transactions": ("TIDEGATE_BENCH_TRANSACTIONS", 10_000),
         "updated_rows": ("TIDEGATE_BENCH_UPDATED", 200_000), "seconds": ("TIDEGATE_BENCH_SECONDS", 10)}
FULL = {"transactions": 50_000, "updated_rows": 1_000_000}
RATE = 200                 # transactions per second of the latency bench
PATIENCE = 900             # seconds
ACCOUNTS = """CREATE TABLE pgbench_accounts (aid int PRIMARY KEY, bid int, abalance int, filler char(84));
  INSERT INTO pgbench_accounts SELECT n, n % 10 + 1, 0, '' FROM generate_series(1, {rows}) n"""
ORDINARY = ("-c", "synchronous_commit=off")   # for the making of a backlog, which is not measured


class Peer:
    """The built-in subscription. Until PostgreSQL 16 only a superuser may make one, so it has a plain server of its own."""

    def __init__(self):
        self.cluster = PgCluster(fsync="on", shared_buffers="64MB", max_wal_size="1GB", logical_decoding_work_mem="64MB",
                                 wal_retrieve_retry_interval="100ms")   # or it begins up to 5 s after it may

    def __enter__(self):
        self.cluster.__enter__()
        return self

    def __exit__(self, *_):
        self.cluster.stop()

    def url(self, name):
        return self.cluster.admin_url.replace("/legacy", "/" + name)

    def execute(self, name, text):
        connection = psycopg2.connect(self.url(name))
        connection.autocommit = True
        with contextlib.closing(connection), connection.cursor() as cursor:
            cursor.execute(text)
            return cursor.fetchall() if cursor.description else []

    def subscribe(self, source):
        """Tables as in the source, filled by the subscription itself."""
        self.execute("postgres", f"CREATE DATABASE {source.name}")
        schema = source.run("pg_dump", "--schema-only", "--no-owner", "--no-publications", "--no-privileges").stdout
        subprocess.run(["psql", "-X", "-q", "-d", self.url(source.name)], input=schema, text=True, check=True, capture_output=True)
        source.execute("CREATE PUBLICATION peer FOR ALL TABLES" if superuser(source) else publication_of(source))
        self.execute(source.name, f"CREATE SUBSCRIPTION peer_{source.name} CONNECTION '{source.url}' PUBLICATION peer")
        wait(lambda: not self.execute(source.name, "SELECT 1 FROM pg_subscription_rel WHERE srsubstate <> 'r'"))

    def enable(self, source, how):
        self.execute(source.name, f"ALTER SUBSCRIPTION peer_{source.name} {how}")

    def unsubscribe(self, source):
        self.execute(source.name, f"DROP SUBSCRIPTION IF EXISTS peer_{source.name}")


def superuser(source):
    return source.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user")[0][0]


def publication_of(source):
    tables = [name for name, in source.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")]
    return "CREATE PUBLICATION peer FOR TABLE " + ", ".join(tables)


def timed(work):
    begin = time.monotonic()
    work()
    return time.monotonic() - begin


def wait(until, pause=0.02):
    end = time.monotonic() + PATIENCE
    while not until():
        if time.monotonic() > end:
            raise TimeoutError("the bench waits no longer")
        time.sleep(pause)


def peak_memory(process):
    """In MiB, as the kernel has seen it."""
    lines = pathlib.Path(f"/proc/{process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


class Table:
    """What is printed: one line per measurement, with its ratio to tidegate's."""

    def __init__(self):
        self.lines = []

    def add(self, bench, ours, memory, peers, unit="s"):
        self.lines.append((bench, "tidegate", f"{ours:.2f} {unit}", "", f"{memory:.0f} MiB"))
        for name, figure in peers.items():
            self.lines.append(("", name, f"{figure:.2f} {unit}", f"{figure / ours:.2f}", ""))

    def print(self):
        lines = [("bench", "who", "figure", "figure / tidegate's", "peak memory"), *self.lines]
        widths = [max(len(line[i]) for line in lines) for i in range(5)]
        for line in lines:
            print("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip())


class Bench:
    def __init__(self, pair, peer, sizes, table):
        self.pair, self.peer, self.sizes, self.table = pair, peer, sizes, table

    @contextlib.contextmanager
    def databases(self):
        source, target = self.pair.databases("bench")
        try:
            yield source, target
        finally:
            self.peer_ends(source)
            source.drop()
            target.drop()

    def peer_ends(self, source):
        if self.peer.execute("postgres", f"SELECT 1 FROM pg_database WHERE datname = '{source.name}'"):
            self.peer.unsubscribe(source)
            self.peer.execute("postgres", f"DROP DATABASE {source.name} WITH (FORCE)")

    # --- the first copy ---

    def snapshot(self):
        rows = self.sizes["snapshot_rows"]
        with self.databases() as (source, target):
            source.execute(ACCOUNTS.format(rows=rows))
            peers = {"pgcopydb clone": timed(lambda: pgcopydb(source, target)), "psql COPY | psql COPY, then the key": self.bare(source, target)}
            recreate(target)
            with Tidegate(source.url, target.url, flags=[]) as tide:
                ours = timed(lambda: (tide.start(), wait(lambda: phase(tide) == "streaming", 0.05)))
                self.table.add(f"snapshot of {rows:,} rows", ours, peak_memory(tide.process), peers)
                tide.stop()

    @staticmethod
    def bare(source, target):
        recreate(target)
        target.execute("CREATE TABLE pgbench_accounts (aid int NOT NULL, bid int, abalance int, filler char(84))")
        return timed(lambda: (copy(source, target), target.execute("ALTER TABLE pgbench_accounts ADD PRIMARY KEY (aid)")))

    # --- a backlog that was collected while nobody read ---

    def catch_up(self):
        count = self.sizes["transactions"]
        self.backlog(f"catch-up, {count:,} pgbench transactions", make_pgbench,
                     lambda source: pgbench(source, count))

    def long_update(self):
        rows = self.sizes["updated_rows"]
        for more, config in (("", ""), (", kept by the source's server (spool_limit = 1)", '[source]\nspool_limit = 1\n')):
            self.backlog(f"catch-up, one UPDATE of {rows:,} rows{more}", lambda source: source.execute(ACCOUNTS.format(rows=rows)),
                         lambda source: source.execute("UPDATE pgbench_accounts SET abalance = abalance + 1"), config)

    def backlog(self, name, make, change, config=""):
        with self.databases() as (source, target), Tidegate(source.url, target.url, flags=[]) as tide:
            (tide.base / "tidegate.toml").write_text(config)
            make(source)
            source.execute("CREATE TABLE mark (id int PRIMARY KEY)")
            tide.start().wait_phase("streaming", timeout=PATIENCE)
            tide.stop()
            self.peer.subscribe(source)
            self.peer.enable(source, "DISABLE")
            source.execute("SELECT pg_create_logical_replication_slot('decode', 'pgoutput')")
            change(source)
            source.execute("INSERT INTO mark VALUES (1)")
            end, = source.execute("SELECT pg_current_wal_lsn()::text")[0]
            peers = {"built-in subscription": self.builtin(source), "pg_recvlogical, decoding alone": decode(source, end)}
            ours = timed(lambda: (tide.start(), wait(lambda: tide.verb("sync", "--timeout", PATIENCE, timeout=PATIENCE).code == 0)))
            self.table.add(name, ours, peak_memory(tide.process), peers)
            tide.stop()

    def builtin(self, source):
        def catch_up():
            self.peer.enable(source, "ENABLE")
            wait(lambda: self.peer.execute(source.name, "SELECT 1 FROM mark"))
        duration = timed(catch_up)
        self.peer.unsubscribe(source)
        return duration

    # --- what one transaction costs in memory ---

    def memory(self):
        """2 million rows, and 200 MB in fewer of them, committed while the stream runs."""
        inserts = {"one INSERT of 2,000,000 rows": "SELECT n, 'row ' || n FROM generate_series(1, 2000000) n",
                   "one INSERT of 20,000 rows of 10 kB": "SELECT n, repeat(md5(n::text), 320) FROM generate_series(1, 20000) n"}
        for name, rows in inserts.items():
            with self.databases() as (source, target), Tidegate(source.url, target.url, flags=[]) as tide:
                source.execute("CREATE TABLE many (id int PRIMARY KEY, note text); ALTER TABLE many ALTER note SET STORAGE EXTERNAL")
                tide.start().wait_phase("streaming", timeout=PATIENCE)
                source.execute("INSERT INTO many " + rows)
                ours = timed(lambda: tide.sync(timeout=PATIENCE))
                self.table.add(name, ours, peak_memory(tide.process), {})
                tide.stop()

    # --- from commit to visible ---

    def latency(self):
        with self.databases() as (source, target), Tidegate(source.url, target.url, flags=[]) as tide:
            source.execute("CREATE TABLE tick (id int PRIMARY KEY, note text)")
            self.peer.subscribe(source)
            theirs = latencies(source, self.peer.url(source.name), self.sizes["seconds"])
            self.peer.unsubscribe(source)
            source.execute("TRUNCATE tick")
            tide.start().wait_phase("streaming")
            tide.sync()
            ours = latencies(source, target.url, self.sizes["seconds"])
            memory = peak_memory(tide.process)
            tide.stop()
        for percent in (50, 99):
            self.table.add(f"commit to visible at {RATE}/s, p{percent}", percentile(ours, percent), memory,
                           {"built-in subscription": percentile(theirs, percent)}, "ms")


def percentile(seen, percent):
    return sorted(seen)[len(seen) * percent // 100] * 1000


def phase(tide):
    return (tide.status() or {"phase": None})["phase"]


def recreate(target):
    target.drop()
    target.__init__(target.server, target.name)


def pgcopydb(source, target):
    with tempfile.TemporaryDirectory(prefix="tidegate-bench-") as folder:
        environment = {**os.environ, "PGCOPYDB_SOURCE_PGURI": source.url, "PGCOPYDB_TARGET_PGURI": target.url}
        done = subprocess.run(["pgcopydb", "clone", "--no-owner", "--no-acl", "--skip-extensions", "--dir", folder + "/work"], env=environment,
                              capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError("pgcopydb: " + done.stderr[-1000:])


def copy(source, target):
    out = subprocess.Popen(["psql", "-X", "-q", "-c", "COPY pgbench_accounts TO STDOUT (FORMAT binary)"], env=source.env(), stdout=subprocess.PIPE)
    subprocess.run(["psql", "-X", "-q", "-c", "COPY pgbench_accounts FROM STDIN (FORMAT binary)"], env=target.env(), stdin=out.stdout, check=True)
    out.stdout.close()
    if out.wait():
        raise RuntimeError("COPY TO failed")


def make_pgbench(source):
    """With a key for the one table that has none: it is not the bench's subject."""
    source.run("pgbench", "-i", "-q", "-n", "-s", "2")
    source.execute("ALTER TABLE pgbench_history ADD id bigserial PRIMARY KEY")


def pgbench(source, count):
    environment = {**source.env(), "PGOPTIONS": " ".join(ORDINARY)}
    subprocess.run(["pgbench", "-n", "-c", "2", "-t", str(count // 2)], env=environment, check=True, capture_output=True)


def decode(source, end):
    command = ["pg_recvlogical", "--slot", "decode", "--start", "--no-loop", "--endpos", end, "--file", "/dev/null",
               "-o", "proto_version=1", "-o", "publication_names=peer"]
    duration = timed(lambda: source.run(*command, "--dbname", source.name))
    with contextlib.closing(source.connect()) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        drop_slot(cursor, "decode")
    return duration


def latencies(source, url, seconds):
    """Seconds from each commit's return to the newest row being seen, by a reader that does nothing but look."""
    count, committed, seen, ready = int(RATE * seconds), {}, {}, threading.Event()
    watcher = threading.Thread(target=watch, args=(url, count, seen, ready))
    watcher.start()
    ready.wait()
    with contextlib.closing(source.connect()) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        begin = time.monotonic()
        for number in range(1, count + 1):
            cursor.execute("INSERT INTO tick VALUES (%s, 'tick')", (number,))
            committed[number] = time.monotonic()
            time.sleep(max(0, begin + number / RATE - time.monotonic()))
    watcher.join(timeout=60)
    if len(seen) < count:
        raise TimeoutError(f"{count - len(seen)} rows were not seen")
    return [max(0, seen[number] - committed[number]) for number in committed]


def watch(url, count, seen, ready):
    with contextlib.closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        last, end = 0, time.monotonic() + PATIENCE
        while last < count and time.monotonic() < end:
            cursor.execute("SELECT coalesce(max(id), 0) FROM tick")
            newest, now = cursor.fetchone()[0], time.monotonic()
            seen.update((number, now) for number in range(last + 1, newest + 1))
            last = newest
            ready.set()
            time.sleep(0.0002)   # or it takes a whole core from those that are measured


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("benches", nargs="*", help="snapshot, catch_up, long_update, memory, latency; default: all")
    parser.add_argument("--full", action="store_true", help="50,000 transactions, a million updated rows")
    for name, (variable, default) in SIZES.items():
        parser.add_argument("--" + name.replace("_", "-"), type=int, default=os.environ.get(variable), help=f"default: {variable} or {default}")
    return parser.parse_args()


def main():
    wanted, table = arguments(), Table()
    usual = {name: default for name, (_, default) in SIZES.items()} | (FULL if wanted.full else {})
    sizes = {name: getattr(wanted, name) or default for name, default in usual.items()}
    with contextlib.closing(Pair()) as pair, Peer() as peer:
        bench = Bench(pair, peer, sizes, table)
        try:
            for name in wanted.benches or ("snapshot", "catch_up", "long_update", "memory", "latency"):
                getattr(bench, name)()
        finally:
            table.print()


if __name__ == "__main__":
    main()
