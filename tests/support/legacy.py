"""The legacy app under gunicorn, on a SQLite file of its own."""
import os
import pathlib
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.request

from support.guard import guard

APP = pathlib.Path(__file__).resolve().parents[1] / "legacy_app"
if str(APP) not in sys.path:
    sys.path.insert(0, str(APP))
START_TIMEOUT = 30   # seconds; a busy machine takes long to load Flask in each worker


class LegacyApp:
    """with LegacyApp() as app: ... app.url, app.path. stop() and start() again keep the file and the port."""
    address = "127.0.0.1"   # that it listens on

    def __init__(self, families=0, workers=2, dir=None):
        self.own_dir = dir is None
        self.dir = pathlib.Path(dir or tempfile.mkdtemp(prefix="tidegate-app-"))
        self.path, self.families, self.workers = self.dir / "app.db", families, workers
        self.ledger, self.log_path = self.dir / "ledger.jsonl", self.dir / "app.log"
        self.port, self.process, self._handles = 0, None, []

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *_):
        self.stop()
        if self.own_dir:
            shutil.rmtree(self.dir, ignore_errors=True)
        for handle in self._handles:
            guard.forget(handle)
        self._handles = []

    @property
    def url(self):
        return f"http://{self.address}:{self.port}"

    @property
    def env(self):
        return {**os.environ, "DATABASE_URL": f"sqlite:///{self.path.absolute()}", "BCRYPT_ROUNDS": "4", "PYTHONWARNINGS": "ignore"}

    def start(self):
        if self.own_dir and not self._handles:
            self._handles.append(guard.run_later("rm", "-rf", self.dir))
        self.init()
        # The socket is bound here and handed over, so that nobody can take the port in between.
        with socket.socket() as listener, open(self.log_path, "a") as log:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((self.address, self.port))
            listener.listen(64)
            self.port = listener.getsockname()[1]
            self.process = subprocess.Popen(
                ["/usr/bin/python3", "-m", "gunicorn", "--workers", str(self.workers), "--worker-class", "gthread", "--threads", "4",
                 "--keep-alive", "75", "--graceful-timeout", "10", "--bind", f"fd://{listener.fileno()}", "app:app"],
                cwd=APP, env=self.env, pass_fds=[listener.fileno()], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True)
        self._handles.append(guard.kill_later(self.process.pid))
        self._wait()
        return self

    def init(self):
        subprocess.run(["/usr/bin/python3", "app.py", "init", str(self.families)], cwd=APP, env=self.env, check=True)

    def stop(self):
        """Lets requests finish, then ends all workers."""
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.kill()
        self.process = None

    def unfence(self):
        """Takes a cutover's fence away, so that the file can be used for another."""
        connection = sqlite3.connect(self.path, timeout=30, isolation_level=None)
        connection.execute("BEGIN IMMEDIATE")
        for name, in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'trigger' AND name LIKE '\\_tidegate%' ESCAPE '\\'").fetchall():
            connection.execute(f'DROP TRIGGER "{name}"')
        connection.execute("DROP TABLE IF EXISTS _tidegate_fence")
        connection.execute("COMMIT")
        connection.close()

    def forget_way_back(self):
        """Takes out what the way back of an earlier pipeline keeps in the file."""
        connection = sqlite3.connect(self.path, timeout=30, isolation_level=None)
        connection.executescript("DROP TABLE IF EXISTS _tidegate_position; DROP TABLE IF EXISTS _tidegate_rejects; DROP TABLE IF EXISTS _tidegate_keys")
        connection.close()

    def kill(self):
        """SIGKILL to the master and all workers, in the middle of whatever they do."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.process = None

    @property
    def log(self):
        return self.log_path.read_text(errors="replace")

    def _wait(self):
        deadline = time.monotonic() + START_TIMEOUT
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                with urllib.request.urlopen(self.url + "/healthz", timeout=5) as answer:
                    if answer.status == 200:
                        return
            except OSError:
                time.sleep(0.05)
        raise RuntimeError("the legacy app did not start:\n" + self.log[-2000:])

    def load(self, **options):
        """A started Load on this app, appending to self.ledger; call stop() on it for the summary."""
        from load import Load
        return Load(self.url, self.ledger, **options).start()

    def verdict(self, database, complete=False):
        """The ledger's Verdict on a database (ledger.TargetRows or ledger.SqliteRows)."""
        import ledger
        return ledger.check(self.ledger, database, complete)
