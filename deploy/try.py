"""The story that try.sh tells, once everything is built."""
import argparse
import contextlib
import json
import os
import pathlib
import select
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import termios
import time
import tty

import psycopg2

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests" / "legacy_app")]
sys.dont_write_bytecode = True
import ledger                                    # noqa: E402
from support import catalog                      # noqa: E402
from support.compare import Comparison           # noqa: E402
from support.guard import guard                  # noqa: E402
from support.legacy import LegacyApp             # noqa: E402
from support.target import Target                # noqa: E402
from support.tidegate import BIN, Tidegate       # noqa: E402

COPY_TIMEOUT = 3600   # seconds for the first copy of a large file
SYNC_TIMEOUT = 60     # seconds


class Trouble(Exception):
    """Ends the story; the text says why."""


def tell(text):
    print(f"\n== {text}", flush=True)


def replicate(tide):
    tell("tidegate run")
    print(f"   tidegate run --source {tide.source} --yes {' '.join(tide.flags)}      (the target's URL is in TIDEGATE_TARGET_URL)")
    tide.start()
    begun, shown = time.monotonic(), None
    while True:
        status = tide.status()
        if not tide.running:
            raise Trouble("tidegate ended:\n" + tide.log[-3000:])
        if status and progress(status) != shown:
            shown = progress(status)
            print(f"   {time.monotonic() - begun:6.1f} s  {shown}", flush=True)
        if status and status["phase"] == "streaming":
            return
        if status and status["phase"] == "failed" or time.monotonic() - begun > COPY_TIMEOUT:
            raise Trouble("tidegate does not get to streaming:\n" + tide.log[-3000:])
        time.sleep(0.2)


def progress(status):
    tables = status.get("tables", [])
    copied, total = (sum(table.get(name) or 0 for table in tables) for name in ("rows_copied", "rows_total"))
    return f"{status['phase']}: {copied} of {total} rows in {len(tables)} tables"


def catch_up(tide):
    begun = time.monotonic()
    done = tide.verb("sync", "--timeout", SYNC_TIMEOUT, timeout=SYNC_TIMEOUT + 30)
    if done.code:
        raise Trouble(f"tidegate sync ended with {done.code}: {done.err.strip()}\n{tide.log[-3000:]}")
    print(f"   in step after {time.monotonic() - begun:.2f} s")


def show_counts(path, target, status):
    """Returns whether each table has as many rows as it should: the source's, less those in the quarantine."""
    rejected = {table["source"]: table.get("rows_quarantined") or 0 for table in (status or {}).get("tables", [])}
    source, right = catalog.open_sqlite(path), True
    print(f"   {'table':<28}{'source':>10}{'target':>10}{'quarantined':>13}")
    with contextlib.closing(source), contextlib.closing(target.connect()) as connection, connection.cursor() as cursor:
        for table in catalog.sqlite_tables(source):
            mine = source.execute(f"SELECT count(*) FROM {catalog.quoted(table)}").fetchone()[0]
            theirs = catalog.count(cursor, "public", table)
            out = rejected.get(table, 0)
            print(f"   {table:<28}{mine:>10}{'none' if theirs is None else theirs:>10}{out:>13}")
            right = right and theirs is not None and mine - out <= theirs <= mine
    return right


def compare(path, target):
    with contextlib.closing(target.connect()) as connection:
        comparison = Comparison(path, connection)
        found = comparison.run()
    print(f"   {comparison.rows} rows read from both ends, value by value: {len(found) or 'no'} differences"
          f" ({comparison.excepted} rows are in the quarantine)")
    for difference in found[:20]:
        print(f"   {difference}")
    return not found


def end(tide):
    done = tide.verb("stop")
    if done.code:
        raise Trouble(f"tidegate stop ended with {done.code}: {done.err.strip()}")
    tide.wait()


def try_app(flags):
    """The sample app, written to all the while; at the end every acknowledged write is looked for in the target."""
    tell("The legacy app: Flask under gunicorn, on a SQLite file in its default mode, and a throw-away target")
    with Target() as target, LegacyApp(families=flags.families) as app, Tidegate(app.path, target.url) as tide:
        tide.flags += ["--config", str(hasty(tide.base))]
        print(f"   app {app.url}, {app.path}\n   target {shown_url(target)}")
        load = app.load(rate=flags.rate, seed=flags.seed)
        print(f"   load: {flags.rate:g} requests a second, seed {load.seed}")
        replicate(tide)
        tell(f"The app is written to for {flags.seconds:g} s more, while tidegate follows")
        time.sleep(flags.seconds)
        summary = load.stop()
        print(f"   {summary['requests']} requests acknowledged, {summary['rows_written']} rows written, failed: {summary['failed'] or 'none'}")
        catch_up(tide)
        tell("What is where")
        right = show_counts(app.path, target, tide.status())
        right = compare(app.path, target) and right
        with contextlib.closing(target.connect()) as connection:
            verdict = app.verdict(ledger.TargetRows(connection))
        print(f"   {verdict}")
        if (tide.status() or {}).get("quarantined"):
            print(tide.verb("quarantine", "list").out)
        else:
            right = there_and_back(tide, app, target) and right
        look_around(target, flags)
        end(tide)
    return right and verdict.clean and not summary["failed"]


def there_and_back(tide, app, target):
    """verify, cutover, a row on the target, rollback; returns whether that row is in both databases at the end."""
    tell("tidegate verify: every row of both ends, at one position")
    show(tide, "verify")
    name = tide.status()["pipeline"]
    tell("tidegate cutover: the target takes the writes, and what it gets comes back into the app's file")
    show(tide, "cutover", "--confirm", name)
    target.query("INSERT INTO public.school(code, name) VALUES ('born-there', 'written while the target was live')")
    tide.wait_status(lambda status: status["rollback"]["ready"], SYNC_TIMEOUT, "the way back")
    tell("tidegate rollback: the app's file takes the writes again, and the target follows it")
    show(tide, "rollback", "--confirm", name)
    catch_up(tide)
    with contextlib.closing(sqlite3.connect(app.path, timeout=30)) as legacy:
        there = legacy.execute("SELECT name FROM school WHERE code = 'born-there'").fetchone()
    print(f"   the row that was born on the target, in the app's file: {there[0] if there else 'missing'}")
    return compare(app.path, target) and there is not None


def show(tide, *words):
    done = tide.verb(*words, timeout=COPY_TIMEOUT)
    print("".join(f"   {line}\n" for line in done.out.splitlines()), end="", flush=True)
    if done.code:
        raise Trouble(f"tidegate {words[0]} ended with {done.code}: {done.err.strip()}\n{tide.log[-2000:]}")


def hasty(folder):
    """Settings for a story: a cutover otherwise watches the lag for a minute beforehand, and wants a backup of the target."""
    file = folder / "tidegate.toml"
    file.write_text('[source]\nwriters = "waits"\n[cutover]\ncalm = "2s"\nmax_hold = "2s"\nbackup_max_age = "0s"\n')
    return file


def try_file(flags):
    source = pathlib.Path(flags.database).resolve()
    check_file(source)
    with contextlib.ExitStack() as stack:
        path = source if flags.live else copied(source, stack)
        tell("A throw-away target")
        target = stack.enter_context(Target())
        print(f"   {shown_url(target)}")
        tide = stack.enter_context(Tidegate(path, target.url))
        replicate(tide)
        catch_up(tide)
        tell("What is where")
        right = show_counts(path, target, tide.status())
        right = compare(path, target) and right
        look_around(target, flags)
        end(tide)
    return right


def try_config(flags):
    """The real settings and mapping, on a copy of the source and a target that its own migrations made."""
    config = pathlib.Path(flags.config).resolve()
    settings = settings_of(config, flags)
    named = flags.database or settings["source.url"]
    if not named:
        raise Trouble(f"{config} names no source; set url under [source], or name the SQLite file after try")
    source = pathlib.Path(named).resolve()
    check_source(settings, source)
    with contextlib.ExitStack() as stack:
        path = copied(source, stack)
        tell("A throw-away target")
        target = stack.enter_context(Target())
        print(f"   {shown_url(target)}")
        migrate(target, config.parent / "supabase" / "migrations")
        tide = stack.enter_context(rehearsal(path, target, config, settings, flags))
        replicate(tide)
        catch_up(tide)
        tell("What is where")
        right = show_tables(tide, target)
        look_around(target, flags)
        end(tide)
    return right


def settings_of(config, flags):
    """What is in force, by name, as `config show` has it."""
    command = [BIN / "tidegate", "config", "show", "--json", "--config", config, *env_file(flags)]
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60, check=False)
    if done.returncode:
        raise Trouble(f"{config} cannot be used: {done.stderr.strip()}")
    return {line["name"]: line["value"].strip('"') for line in json.loads(done.stdout)["settings"]}


def env_file(flags):
    return ["--env-file", pathlib.Path(flags.env_file).resolve()] if flags.env_file else []


def check_source(settings, source):
    if settings["source.url"].startswith("postgresql:"):
        raise Trouble("the source is a Postgres server, and a rehearsal copies SQLite files only; take a copy of the server yourself, "
                      "and run tidegate from it into a target made by deploy/supabase-local")
    check_file(source)


def migrate(target, folder):
    """What made the real project's tables makes these."""
    for migration in sorted(folder.glob("*.sql")):
        try:
            target.query(migration.read_text())
        except psycopg2.Error as failure:
            raise Trouble(f"migration {migration.name}: {str(failure).strip()}") from None
        print(f"   migration {migration.name}")


def rehearsal(path, target, config, settings, flags):
    """The target's URL comes by the environment, which beats the file, so the real one is never met. Nor is the real log."""
    environment = {name: value for name, value in os.environ.items()
                   if not name.startswith("PG") and name not in ("TIDEGATE_SOURCE_URL", "TIDEGATE_STATE", "TIDEGATE_CONFIG")}
    tide = Tidegate(path, target.url, env=environment)
    tide.flags += ["--config", str(config), *map(str, env_file(flags))]
    if settings["log.file"]:
        tide.flags += ["--log-file", str(tide.base / "run.log")]
    return tide


def show_tables(tide, target):
    """Returns whether every row went somewhere: none is in the quarantine."""
    status = tide.status()
    print(f"   {'from':<28}{'to':<32}{'copied':>10}{'on target':>11}{'quarantined':>13}")
    for table in status["tables"]:
        schema, _, name = table["target"].rpartition(".")
        with contextlib.closing(target.connect()) as connection, connection.cursor() as cursor:
            there = catalog.count(cursor, schema or "public", name)
        print(f"   {table['source']:<28}{table['target']:<32}{table.get('rows_copied') or 0:>10}{'none' if there is None else there:>11}"
              f"{table.get('rows_quarantined') or 0:>13}")
    if status["quarantined"]:
        print(tide.verb("quarantine", "list").out)
    if target.query("SELECT EXISTS (SELECT FROM auth.users)")[0][0]:
        tell("tidegate login-check --sample 100")
        print(tide.verb("login-check", "--sample", 100).out)
    return not status["quarantined"]


def check_file(path):
    if not path.is_file():
        raise Trouble(f"there is no file {path}; check the path")
    with path.open("rb") as file:
        if file.read(16) not in (b"SQLite format 3\0", b""):
            raise Trouble(f"{path} is not a SQLite database; check the path, and decrypt it first if it is encrypted")


def copied(source, stack):
    """A consistent copy, by SQLite's own backup, that goes when the story ends."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="tidegate-copy-"))
    handle = guard.run_later("rm", "-rf", folder)
    stack.callback(guard.forget, handle)
    stack.callback(shutil.rmtree, folder, ignore_errors=True)
    path = folder / source.name
    tell(f"A copy of {source} ({source.stat().st_size / 1e6:.1f} MB); the file itself stays as it is")
    with contextlib.closing(sqlite3.connect(f"file:{source}?mode=ro", uri=True)) as old, contextlib.closing(sqlite3.connect(path)) as new:
        old.backup(new)
    return path


def shown_url(target):
    scheme, rest = target.url.split("://", 1)
    return f"{scheme}://postgres@{rest.split('@', 1)[1]}"


def look_around(target, flags):
    """Leaves the target up until a key is pressed, where there is somebody to press one."""
    if not sys.stdin.isatty() or flags.no_wait:
        return
    print(f"\n   Look around:  PGPASSFILE={target.dir}/pgpass psql '{shown_url(target)}'")
    print("   Press any key to stop and remove everything.", flush=True)
    before = termios.tcgetattr(sys.stdin)
    try:
        tty.setcbreak(sys.stdin)
        select.select([sys.stdin], [], [])
        os.read(sys.stdin.fileno(), 100)
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)


def parsed():
    parser = argparse.ArgumentParser(prog="deploy/try.sh", description="Replicates into a throw-away local target, and shows it.")
    parser.add_argument("database", nargs="?", metavar="PATH.db", help="a SQLite file; without it, a sample app under load")
    parser.add_argument("--config", metavar="FILE", help="rehearse this configuration: a copy of its source, and a target made by the "
                        "migrations in supabase/migrations beside it")
    parser.add_argument("--env-file", metavar="FILE", help="with --config: adds to the environment")
    parser.add_argument("--live", action="store_true", help="work on the file itself (switched to WAL mode), not on a copy")
    parser.add_argument("--no-wait", action="store_true", help="do not wait for a key at the end")
    parser.add_argument("--seconds", type=float, default=10, help="of load after the first copy (sample app)")
    parser.add_argument("--rate", type=float, default=50, help="requests a second (sample app)")
    parser.add_argument("--families", type=int, default=2000, help="rows that are there at first (sample app)")
    parser.add_argument("--seed", type=int, help="of the load (sample app)")
    flags = parser.parse_args()
    if flags.live and not flags.database:
        parser.error("--live needs PATH.db")
    if flags.config and flags.live:
        parser.error("--config rehearses on a copy, and cannot go with --live")
    return flags


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    signal.signal(signal.SIGHUP, lambda *_: sys.exit(129))
    flags = parsed()
    try:
        right = try_config(flags) if flags.config else try_file(flags) if flags.database else try_app(flags)
    except Trouble as trouble:
        print(f"try.sh: {trouble}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped.", file=sys.stderr)
        return 130
    tell("All is stopped and removed. " + ("Everything arrived." if right else "NOT everything is as it should be: see above."))
    return 0 if right else 3


if __name__ == "__main__":
    sys.exit(main())
