"""A throw-away PostgreSQL server without any of Supabase's ways: a plain source that decodes logically."""
import os
import pathlib
import pwd
import shutil
import socket
import subprocess
import tempfile

from support.guard import guard

SETTINGS = {"wal_level": "logical", "fsync": "off", "max_prepared_transactions": "10", "max_replication_slots": "40", "max_wal_senders": "40",
            "logical_decoding_work_mem": "64kB", "unix_socket_directories": "''", "listen_addresses": "127.0.0.1", "shared_buffers": "32MB"}


def binaries():
    """The newest server that Debian has installed."""
    return max(pathlib.Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))


class PgCluster:
    """with PgCluster() as cluster: cluster.url (role `app`, not a superuser, owner of database `legacy`), cluster.admin_url.
    `server`: the folder with another server than Debian's."""

    def __init__(self, server=None, **settings):
        self.settings, self.dir, self._handles, self._server = {**SETTINGS, **settings}, None, [], server or binaries()

    def __enter__(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="tidegate-source-"))
        try:
            return self.start()
        except BaseException:
            self.stop()
            raise

    def __exit__(self, *_):
        self.stop()

    def start(self):
        if os.geteuid() == 0:
            user = pwd.getpwnam("postgres")
            os.chown(self.dir, user.pw_uid, user.pw_gid)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self._run("initdb", "--pgdata", self.data, "--username", "admin", "--auth", "trust", "--encoding", "UTF8", "--no-sync")
        self._handles = [guard.run_later("rm", "-rf", self.dir)]   # after the stop: the latest runs first
        self._handles.append(guard.run_later(*self._as_server(), self._server / "pg_ctl", "stop", "--mode", "immediate", "--pgdata", self.data))
        options = " ".join(f"-c {name}={value}" for name, value in {**self.settings, "port": self.port}.items())
        self._run("pg_ctl", "start", "--wait", "--pgdata", self.data, "--log", self.dir / "log", "--options", options)
        for text in ("CREATE ROLE app LOGIN REPLICATION", "CREATE DATABASE legacy OWNER app"):
            self._run("psql", "-X", "-q", "-d", self.admin_url.replace("/legacy", "/postgres"), "-c", text)
        return self

    def stop(self):
        if self._handles:
            self._run("pg_ctl", "stop", "--mode", "immediate", "--pgdata", self.data, check=False)
        if self.dir:
            shutil.rmtree(self.dir, ignore_errors=True)
            self.dir = None
        while self._handles:
            guard.forget(self._handles.pop())

    @property
    def data(self):
        return self.dir / "data"

    @property
    def url(self):
        return f"postgresql://app@127.0.0.1:{self.port}/legacy"

    @property
    def admin_url(self):
        return f"postgresql://admin@127.0.0.1:{self.port}/legacy"

    @staticmethod
    def _as_server():
        return ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []

    def _run(self, tool, *arguments, check=True):
        folder = binaries() if tool == "psql" else self._server
        done = subprocess.run([*self._as_server(), str(folder / tool), *map(str, arguments)], cwd="/", stdin=subprocess.DEVNULL,
                              stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, timeout=90, check=False)
        if check and done.returncode:
            raise RuntimeError(f"{tool}: {done.stderr.strip()}")
