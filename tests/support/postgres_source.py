"""A throw-away PostgreSQL 15 as a source: wal_level = logical, and a role that owns the tables and may replicate, but is no superuser."""
import os
import pathlib
import secrets
import shutil
import socket
import subprocess
import tempfile

import psycopg2

from support.guard import guard
from support.target import run_once

BIN = pathlib.Path(os.environ.get("TIDEGATE_PG_BIN", "/usr/lib/postgresql/15/bin"))
SETTINGS = """
listen_addresses = '127.0.0.1'
wal_level = logical
max_replication_slots = 10
max_wal_senders = 10
max_wal_size = 2GB
max_slot_wal_keep_size = 4GB
"""


def as_server(*command):
    """PostgreSQL refuses root."""
    prefix = ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups", "--"] if os.getuid() == 0 else []
    subprocess.run([*prefix, *map(str, command)], check=True, capture_output=True, cwd="/", timeout=90)


class PostgresSource:
    """with PostgresSource() as source: ... source.url, source.connect(), source.admin()."""

    def __init__(self, settings="", initdb=("--locale=C.UTF-8", "-E", "UTF8")):
        self.dir = self.port = self._handle = None
        self._settings, self._initdb, self._password = SETTINGS + settings, initdb, secrets.token_hex(16)

    def __enter__(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="tidegate-source-"))
        if os.getuid() == 0:
            shutil.chown(self.dir, "postgres", "postgres")
        self._handle = guard.run_later(*self._stop_command())
        try:
            self._make()
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_):
        self.stop()

    def _stop_command(self):
        prefix = ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups", "--"] if os.getuid() == 0 else []
        return [*prefix, BIN / "pg_ctl", "stop", "-D", self.dir / "data", "-m", "immediate", "-w", "-t", "30", "-s"]

    def _make(self):
        secret = self.dir / "password"
        secret.write_text(self._password)
        if os.getuid() == 0:
            shutil.chown(secret, "postgres", "postgres")
        as_server(BIN / "initdb", "-D", self.dir / "data", "-U", "admin", "-A", "scram-sha-256", "--pwfile", secret, "--no-sync",
                  "--no-instructions", *self._initdb)
        secret.unlink()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        with open(self.dir / "data" / "postgresql.conf", "a") as conf:
            conf.write(f"{self._settings}\nport = {self.port}\nunix_socket_directories = '{self.dir}'\n")

    def _start(self):
        as_server(BIN / "pg_ctl", "start", "-D", self.dir / "data", "-l", self.dir / "log", "-w", "-t", "60", "-s")
        connection = self.admin(dbname="postgres")
        connection.autocommit = True
        cursor = connection.cursor()
        cursor.execute("CREATE ROLE app LOGIN REPLICATION PASSWORD %s", (self._password,))
        cursor.execute("CREATE DATABASE app OWNER app")
        connection.close()

    def stop(self):
        """Stops and removes; harmless when there is nothing to stop."""
        if self.dir and self.dir.exists():
            subprocess.run(self._stop_command(), capture_output=True, check=False, cwd="/")
            shutil.rmtree(self.dir, ignore_errors=True)
        guard.forget(self._handle)
        self.dir = self._handle = None

    @property
    def url(self):
        return f"postgresql://app:{self._password}@127.0.0.1:{self.port}/app"

    def connect(self, **options):
        return psycopg2.connect(self.url, **options)

    def admin(self, dbname="app"):
        return psycopg2.connect(host="127.0.0.1", port=self.port, user="admin", password=self._password, dbname=dbname)

    def run(self, text, parameters=None):
        """Rows of one statement in a transaction of its own."""
        return run_once(self.connect(), text, parameters)
