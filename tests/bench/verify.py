#!/usr/bin/python3
"""tidegate verify against the snapshot of the same rows, and against one checksum query on both ends at once. See README.md."""
import argparse
import pathlib
import sys
import tempfile
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from bench import make_database, peak_memory, timed   # noqa: E402
from postgres import ACCOUNTS, Pair                   # noqa: E402
from support.target import Target                     # noqa: E402
from support.tidegate import Tidegate                 # noqa: E402

CHECKSUM = "SELECT count(*), sum(hashtextextended(t::text, 0)) FROM pgbench_accounts t"
TRIES = 3   # the best of them counts, on either side


def verified(tide):
    def work():
        done = tide.verb("verify", "--json", timeout=3600)
        assert done.code == 0, done.err + done.out[:1000]
    return min(timed(work) for _ in range(TRIES))


def bench_sqlite(rows, folder):
    path = folder / "verify.db"
    make_database(path, rows)
    with Target() as target, Tidegate(path, target.url) as tide:
        snapshot = timed(lambda: (tide.start(), tide.wait_phase("streaming", timeout=3600)))
        verify = verified(tide)
        memory = peak_memory(tide.process.pid)
    print(f"SQLite, {rows:,} rows: snapshot {rows / snapshot:,.0f} rows/s, verify {rows / verify:,.0f} rows/s"
          f" ({snapshot / verify:.2f} times as fast), peak memory {memory:.0f} MiB")


def on_both(source, target):
    threads = [threading.Thread(target=one.execute, args=(CHECKSUM,)) for one in (source, target)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def bench_postgres(rows, _):
    pair = Pair()
    try:
        source, target = pair.databases()
        source.execute(ACCOUNTS.format(rows=rows))
        source.run("psql", "-qc", "VACUUM ANALYZE pgbench_accounts")
        with Tidegate(source.url, target.url, flags=()) as tide:
            tide.start()
            tide.wait_phase("streaming", timeout=3600)
            target.run("psql", "-qc", "VACUUM pgbench_accounts")
            query = min(timed(lambda: on_both(source, target)) for _ in range(TRIES))
            verify = verified(tide)
            memory = peak_memory(tide.process.pid)
        print(f"Postgres, {rows:,} rows on both ends: one checksum query on both at once {query:.2f} s, verify {verify:.2f} s"
              f" ({verify / query:.2f} times; budget 1.3), peak memory {memory:.0f} MiB")
    finally:
        pair.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("benches", nargs="*", metavar="sqlite|postgres")
    parser.add_argument("--full", action="store_true", help="5 million rows instead of 1 million")
    options = parser.parse_args()
    for name in options.benches or ["sqlite", "postgres"]:
        with tempfile.TemporaryDirectory(prefix="tidegate-bench-") as folder:
            {"sqlite": bench_sqlite, "postgres": bench_postgres}[name](5_000_000 if options.full else 1_000_000, pathlib.Path(folder))


if __name__ == "__main__":
    main()
