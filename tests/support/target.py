"""A throw-away Supabase-like target for tests: deploy/supabase-local as a context manager."""
import contextlib
import os
import pathlib
import signal
import subprocess
import tempfile

import psycopg2

from support.guard import guard

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOOL = ROOT / "deploy" / "supabase-local" / "supabase-local"


# For a test that writes to a target before its cutover, whose tables only sessions in replica mode may change.
PAST_THE_FENCE = "SET LOCAL session_replication_role = replica; "


def run_once(connection, text, parameters=None):
    """In a transaction of its own, on a connection that is closed afterwards; the last statement's rows, if it has some."""
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(text, parameters)
            return cursor.fetchall() if cursor.description else []
    finally:
        connection.close()


class Target:
    """with Target() as target: ... target.url, target.connect(). Each has a folder and a port of its own. `pg_bin`: of another server."""

    def __init__(self, pg_bin=None):
        self._tool_env = {**os.environ, **({"TIDEGATE_PG_BIN": str(pg_bin)} if pg_bin else {})}
        self.dir = self._url = self._handle = None

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    def start(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="tidegate-target-"))
        self._handle = guard.run_later(TOOL, "stop", "--dir", self.dir)
        try:
            self._tool("start", "--dir", self.dir, "--quiet")
            self._url = self._tool("url", "--dir", self.dir).strip()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self):
        """Stops and removes; harmless when there is nothing to stop."""
        if self.dir and self.dir.exists():
            subprocess.run([TOOL, "stop", "--dir", self.dir], env=self._tool_env, capture_output=True, check=False)
        guard.forget(self._handle)
        self.dir = self._handle = None

    def restart(self, immediate=False):
        """Same port, same data. immediate: as after a crash of the server. Also brings a killed server back."""
        self._tool("restart", "--dir", self.dir, *(["--immediate"] if immediate else []))

    def configure(self, **settings):
        """Settings of the server beyond what deploy/supabase-local sets; restarts it."""
        (self.dir / "data" / "extra.conf").write_text("".join(f"{name} = '{value}'\n" for name, value in settings.items()))
        self.restart()

    def kill(self):
        """SIGKILL to the server; its sessions die as soon as they notice."""
        os.kill(int((self.dir / "data" / "postmaster.pid").read_text().split()[0]), signal.SIGKILL)

    def signal(self, sign):
        """To the server and each of its processes; SIGSTOP freezes all of it, with its connections open."""
        server = (self.dir / "data" / "postmaster.pid").read_text().split()[0]
        children = pathlib.Path(f"/proc/{server}/task/{server}/children").read_text().split()
        for pid in [server, *children]:   # it first: then it starts no others
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), sign)

    def admin(self, *statements, database="postgres"):
        """As the superuser, who comes in by the socket alone: for what a platform does, never for what tidegate does."""
        for statement in statements:
            subprocess.run(["psql", "-X", "-q", "-h", self.dir / "socket", "-p", (self.dir / "port").read_text().strip(), "-U", "supabase_admin",
                            "-d", database, "-v", "ON_ERROR_STOP=1", "-c", statement], check=True, capture_output=True, text=True)

    @property
    def url(self):
        return self._url

    @property
    def log(self):
        return (self.dir / "log" / "postgres.log").read_text(errors="replace")

    def connect(self, name="tidegate-test", **options):
        """As the role postgres, with the certificate checked in full. Never a superuser."""
        return psycopg2.connect(self.url, application_name=name, **options)

    def query(self, text, parameters=None):
        """Rows of one statement in a transaction of its own."""
        return run_once(self.connect(), text, parameters)

    def empty(self):
        """An empty target again: without the tables of others and without tidegate's own."""
        connection = self.connect()
        with connection, connection.cursor() as cursor:
            cursor.execute("SELECT format('DROP TABLE %I.%I CASCADE', schemaname, tablename) FROM pg_tables WHERE schemaname = 'public'")
            for (statement,) in cursor.fetchall():
                cursor.execute(statement)
            cursor.execute("DROP SCHEMA IF EXISTS tidegate CASCADE")
        connection.close()

    def env(self, **more):
        """The environment for a child that is to find this target; the password is nowhere else."""
        return {**os.environ, "TIDEGATE_TARGET_URL": self.url, **more}

    def _tool(self, *arguments):
        done = subprocess.run([TOOL, *arguments], env=self._tool_env, capture_output=True, text=True, timeout=90, check=False)
        if done.returncode:
            raise RuntimeError(f"supabase-local {arguments[0]}: {done.stderr.strip()}")
        return done.stdout
