"""PgBouncer in front of two databases, on a port of its own, and the settings with which deploy/hooks/pgbouncer moves it."""
import os
import pathlib
import shutil
import subprocess
import tempfile

from support.guard import guard
from support.haproxy import free_port

PASSWORD = "secret"   # of the pooler's own roles
SETTINGS = """%include {dir}/databases.ini
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
auth_type = plain
auth_file = {dir}/users.txt
admin_users = pooler
pool_mode = transaction
unix_socket_dir =
server_tls_sslmode = prefer
"""


def as_postgres(command):
    """PgBouncer refuses root."""
    return ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups", "--", *command] if os.geteuid() == 0 else command


class PgBouncer:
    """`old`, `new`: what pgbouncer.ini says of the database `app` before and after a cutover, without the database's own users."""

    def __init__(self, old, new):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="tidegate-pgbouncer-"))
        self.dir.chmod(0o755)
        self.port, self.process, self._handle = free_port(), None, None
        self.write("databases.old", f"[databases]\napp = {old}\n")
        self.write("databases.new", f"[databases]\napp = {new}\n")
        shutil.copy(self.dir / "databases.old", self.dir / "databases.ini")
        self.write("users.txt", f'"pooler" "{PASSWORD}"\n"anyone" "{PASSWORD}"\n')
        self.write("pgbouncer.ini", SETTINGS.format(dir=self.dir, port=self.port))
        self.write("pgpass", f"127.0.0.1:*:*:*:{PASSWORD}\n").chmod(0o600)

    def write(self, name, text):
        (self.dir / name).write_text(text)
        return self.dir / name

    @property
    def hook_settings(self):
        return (f"ADMIN='host=127.0.0.1 port={self.port} user=pooler dbname=pgbouncer'\nPGPASSFILE={self.dir}/pgpass\nDATABASE=app\n"
                f"DATABASES_FILE={self.dir}/databases.ini\nOLD_FILE={self.dir}/databases.old NEW_FILE={self.dir}/databases.new\n")

    def start(self):
        with open(self.dir / "log", "wb") as log:
            self.process = subprocess.Popen(as_postgres(["/usr/sbin/pgbouncer", str(self.dir / "pgbouncer.ini")]), stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log, start_new_session=True)
        self._handle = guard.kill_later(self.process.pid)
        return self

    def stop(self):
        guard.end(self.process, self._handle)
        shutil.rmtree(self.dir, ignore_errors=True)

    def env(self, user="anyone", database="app"):
        """For psql and pgbench; sessions through the pooler."""
        return {"PATH": "/usr/lib/postgresql/15/bin:/usr/bin:/bin", "PGHOST": "127.0.0.1", "PGPORT": str(self.port), "PGUSER": user,
                "PGDATABASE": database, "PGPASSFILE": str(self.dir / "pgpass"), "PGSSLMODE": "disable"}

    def ask(self, text, **who):
        """Rows as psql prints them; empty where it failed."""
        done = subprocess.run(["psql", "-X", "-At", "-c", text], env=self.env(**who), capture_output=True, text=True, timeout=30, check=False)
        return done.stdout.strip()

    def database(self):
        """Where sessions come to now."""
        return self.ask("SELECT current_database()")

    def is_paused(self):
        rows = [row.split("|") for row in self.ask("SHOW DATABASES", user="pooler", database="pgbouncer").splitlines()]
        return any(row[0] == "app" and row[-2] == "1" for row in rows)
