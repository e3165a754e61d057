#!/usr/bin/python3
"""Drives the legacy app over HTTP and keeps a ledger of every acknowledged write.

Each thread owns the rows that it made, so no two requests race for one key. A request that failed is never repeated:
what it may have touched gets a `doubt` line, and the thread leaves those rows alone from then on."""
import argparse
import collections
import json
import random
import signal
import sys
import threading
import time

from actor import Actor


class Ledger:
    """Lines of JSON, one per written row. All the lines of one request go out together and are flushed."""

    def __init__(self, path):
        self.file, self.lock = open(path, "a", encoding="utf-8"), threading.Lock()

    def write(self, entries):
        text = "".join(json.dumps(entry, ensure_ascii=False) + "\n" for entry in entries)
        with self.lock:
            self.file.write(text)
            self.file.flush()

    def close(self):
        self.file.close()


class Tally:
    """What happened, for the summary."""

    def __init__(self):
        self.lock, self.writes, self.failed = threading.Lock(), collections.Counter(), collections.Counter()
        self.errors, self.latency, self.conflicts = [], [], 0
        self.failed_at = []   # time.monotonic()

    def acknowledged(self, entries, seconds):
        with self.lock:
            self.latency.append(seconds)
            self.writes.update(f"{entry['table']} {entry['op']}" for entry in entries)

    def failure(self, status, method, path, answer):
        with self.lock:
            self.failed[str(status)] += 1
            self.failed_at.append(time.monotonic())
            if len(self.errors) < 20:
                self.errors.append(f"{status} {method} {path}: {answer.get('error')}")

    def conflict(self):
        with self.lock:
            self.conflicts += 1

    def summary(self):
        times = sorted(self.latency) or [0.0]
        quantile = {name: round(times[min(len(times) - 1, int(len(times) * q))] * 1000, 2)
                    for name, q in (("p50", 0.5), ("p99", 0.99), ("max", 1.0))}
        return {"requests": len(self.latency), "rows_written": sum(self.writes.values()), "conflicts": self.conflicts,
                "failed": dict(self.failed), "errors": self.errors, "latency_ms": quantile,
                "writes": dict(sorted(self.writes.items()))}


class Load:
    """start() begins the load in threads of this process; stop() ends it and returns the summary. `reads`: the share of requests that
    only look."""

    def __init__(self, url, ledger, rate=50, seed=None, threads=4, reads=0.0):
        self.url, self.seed = url, random.SystemRandom().randrange(10**9) if seed is None else seed
        self.interval, self.reads = threads / rate if rate else 0, reads
        self.ledger, self.tally, self.stopping = Ledger(ledger), Tally(), threading.Event()
        self.actors = [Actor(self, number) for number in range(threads)]
        self.begun = None

    def start(self):
        self.begun = time.monotonic()
        for actor in self.actors:
            actor.start()
        return self

    def stop(self):
        self.stopping.set()
        for actor in self.actors:
            actor.join()
        self.ledger.close()
        return {"seed": self.seed, "seconds": round(time.monotonic() - self.begun, 2), **self.tally.summary()}


def main():
    parser = argparse.ArgumentParser(description="Drives the legacy app and keeps a ledger of acknowledged writes.")
    parser.add_argument("--url", required=True, help="where the app listens, http://127.0.0.1:PORT")
    parser.add_argument("--ledger", required=True, help="file that the acknowledged writes are appended to")
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--rate", type=float, default=50, help="requests a second over all threads; 0: as fast as it goes")
    parser.add_argument("--seed", type=int)
    parser.add_argument("--threads", type=int, default=4)
    flags = parser.parse_args()
    load = Load(flags.url, flags.ledger, flags.rate, flags.seed, flags.threads)
    for sign in (signal.SIGINT, signal.SIGTERM):
        signal.signal(sign, lambda *_: load.stopping.set())
    print(f"seed {load.seed}", file=sys.stderr, flush=True)
    load.start()
    load.stopping.wait(flags.seconds)
    summary = load.stop()
    print(json.dumps(summary, indent=1))
    return 1 if summary["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
