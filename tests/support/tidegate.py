"""tidegate as its users run it: a command and its exit code, or a daemon that can be killed."""
import atexit
import dataclasses
import json
import os
import pathlib
import re
import shutil
import socket
import signal
import subprocess
import tempfile
import time

from support.guard import guard

ROOT = pathlib.Path(__file__).resolve().parents[2]
# What is run here is not to be listed among the pipelines of whoever runs it.
os.environ["XDG_STATE_HOME"] = tempfile.mkdtemp(prefix="tidegate-home-")
atexit.register(shutil.rmtree, os.environ["XDG_STATE_HOME"], ignore_errors=True)
BIN = pathlib.Path(os.environ.get("TIDEGATE_BIN_DIR") or ROOT / "build" / "release")
POLL = 0.1            # seconds between two looks at the status
VERB_TIMEOUT = 120    # seconds; no verb of a test takes longer


def built():
    """For skipping tests of a tree that has no binaries yet."""
    return (BIN / "tidegate").exists() and (BIN / "tidegate-fault").exists()


@dataclasses.dataclass(frozen=True)
class Done:
    code: int
    out: str
    err: str


class Tidegate:
    """One pipeline: a source file, a target URL (passed by environment only) and a state directory of its own."""

    def __init__(self, source, target_url, state=None, flags=("--allow-wal",), within=(), env=None):
        self.base = pathlib.Path(tempfile.mkdtemp(prefix="tidegate-run-"))
        self.state = pathlib.Path(state) if state else self.base / "state"
        self.source, self.target_url, self.flags = source, target_url, list(flags)
        self.within = list(within)   # a command that the daemon is started by, e.g. in a network of its own
        self.more_env = dict(env or {})   # for the daemon and all verbs
        self.log_path, self.process = self.base / "daemon.log", None
        self._dir_handle = guard.run_later("rm", "-rf", self.base)
        self._handle = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()
        shutil.rmtree(self.base, ignore_errors=True)
        guard.forget(self._dir_handle)

    @property
    def source_is_server(self):
        """Its URL holds a password, so it goes by the environment."""
        return str(self.source).startswith("postgresql://")

    @property
    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def env(self, failpoint=None):
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("TIDEGATE_", "SUPABASE_", "PG"))}
        if self.source_is_server:
            clean["TIDEGATE_SOURCE_URL"] = str(self.source)
        return {**clean, **self.more_env, "TIDEGATE_TARGET_URL": self.target_url, **({"TIDEGATE_FAILPOINT": failpoint} if failpoint else {})}

    def verb(self, *arguments, timeout=VERB_TIMEOUT, stdin=None, state=True):
        """Runs `tidegate ARGUMENTS --state DIR` to its end; never raises for its exit code."""
        command = [BIN / "tidegate", *map(str, arguments), *(["--state", str(self.state)] if state else [])]
        done = subprocess.run(command, env=self.env(), cwd=self.base, input=stdin if stdin is not None else "",
                              capture_output=True, text=True, timeout=timeout, check=False)
        return Done(done.returncode, done.stdout, done.stderr)

    def start(self, failpoint=None, flags=()):
        """The daemon in the background; with a failpoint (NAME[:COUNT][=ACTION]) it is the program that has them."""
        source = [] if self.source_is_server else ["--source", str(self.source)]
        command = [*self.within, BIN / ("tidegate-fault" if failpoint else "tidegate"), "run", *source,
                   "--state", str(self.state), "--yes", *self.flags, *flags]
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(command, env=self.env(failpoint), cwd=self.base, stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log, start_new_session=True)
        self._handle = guard.kill_later(self.process.pid)
        return self

    @property
    def running(self):
        return self.process is not None and self.process.poll() is None

    def peak_memory(self):
        """The daemon's so far, in MiB."""
        status = pathlib.Path("/proc", str(self.process.pid), "status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+)", status).group(1)) / 1024

    def kill(self):
        """kill -9. Returns the exit code, or None if it was not running."""
        if self.process is None:
            return None
        if self.running:
            self.process.send_signal(signal.SIGKILL)
        return self.wait()

    def stop(self):
        """`tidegate stop`, and waits for the daemon's own end."""
        done = self.verb("stop")
        self.wait(timeout=30)
        return done

    def wait(self, timeout=60):
        """Waits for the daemon's end, as after a failpoint; returns its exit code (-9 for a kill)."""
        code = self.process.wait(timeout)
        guard.forget(self._handle)
        self.process = self._handle = None
        return code

    def restart(self, **options):
        self.kill()
        return self.start(**options)

    def status(self):
        """`status --json`, or None while there is no daemon to answer."""
        done = self.verb("status", "--json", timeout=30)
        try:
            return json.loads(done.out) if done.code == 0 else None
        except ValueError:
            raise AssertionError(f"status --json is not JSON: {done.out[:500]}") from None

    def get(self, path):
        """What the daemon's API answers, with its head."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(self.state / "api.sock"))
            connection.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
            return b"".join(iter(lambda: connection.recv(65536), b"")).decode()

    def wait_phase(self, *phases, timeout=60):
        """Returns the status once it is in one of the phases. Fails at once if the daemon ends."""
        return self.wait_status(lambda status: status["phase"] in phases, timeout, f"phase {' or '.join(phases)}")

    def wait_status(self, wanted, timeout=60, what="the wanted status"):
        deadline, status = time.monotonic() + timeout, None
        while time.monotonic() < deadline:
            status = self.status()
            if status and wanted(status):
                return status
            if not self.running:
                raise AssertionError(f"the daemon ended before {what}:\n{self.log[-3000:]}")
            time.sleep(POLL)
        raise AssertionError(f"no {what} within {timeout} s; last: {status}\n{self.log[-3000:]}")

    def sync(self, timeout=60):
        """Waits until all that was committed before is in the target."""
        done = self.verb("sync", "--timeout", timeout, timeout=timeout + 30)
        assert done.code == 0, f"sync ended with {done.code}: {done.err}\n{self.log[-3000:]}"
