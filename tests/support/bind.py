"""BIND with one zone that takes updates, and a stub resolver that forgets an answer when its TTL is over."""
import pathlib
import shutil
import subprocess
import tempfile
import threading
import time

from support.guard import guard
from support.haproxy import free_port

NAME = "app.example.test"


def new_key():
    return subprocess.check_output(["/usr/sbin/tsig-keygen", "-a", "hmac-sha256", "tidegate"])


class Bind:
    """Serves NAME as `address` for `ttl` seconds, and as `address6` where one is given."""

    def __init__(self, address, ttl, address6=None):
        self.dir, self.port = pathlib.Path(tempfile.mkdtemp(prefix="tidegate-bind-")), free_port()
        self.process = self._handle = None
        (self.dir / "key").write_bytes(new_key())
        (self.dir / "zone").write_text("$TTL 60\n@ IN SOA ns.example.test. admin.example.test. 1 60 60 60 60\n@ IN NS ns.example.test.\n"
                                       f"ns IN A 127.0.0.1\napp {ttl} IN A {address}\n" + (f"app {ttl} IN AAAA {address6}\n" if address6 else ""))
        (self.dir / "named.conf").write_text(f"""
            include "{self.dir}/key";
            options {{ directory "{self.dir}"; listen-on port {self.port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }}; recursion no;
                       pid-file "{self.dir}/pid"; session-keyfile "{self.dir}/session"; dnssec-validation no; }};
            controls {{ }};
            zone "example.test" {{ type primary; file "{self.dir}/zone"; allow-update {{ key "tidegate"; }}; }};""")

    def hook_settings(self, old, new, ttl, low_ttl):
        return (f"SERVER=127.0.0.1 PORT={self.port}\nZONE=example.test NAME={NAME}\nOLD={old} NEW={new}\n"
                f"TTL={ttl} LOW_TTL={low_ttl}\nKEY={self.dir}/key\nMOST_WAIT=10\n")

    def start(self, within=30):
        self.process = subprocess.Popen(["/usr/sbin/named", "-g", "-c", str(self.dir / "named.conf")], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        self._handle = guard.kill_later(self.process.pid)
        deadline = time.monotonic() + within
        while not self.answer():
            if time.monotonic() > deadline or self.process.poll() is not None:
                raise RuntimeError("BIND did not start")
            time.sleep(0.05)
        return self

    def answer(self, kind="A"):
        """(address, TTL) of NAME, or None."""
        done = subprocess.run(["dig", "+noall", "+answer", "+time=1", "+tries=1", "@127.0.0.1", "-p", str(self.port), NAME, kind],
                              capture_output=True, text=True, check=False)
        words = done.stdout.split()
        return (words[4], int(words[1])) if len(words) == 5 else None

    def stop(self):
        guard.end(self.process, self._handle)
        shutil.rmtree(self.dir, ignore_errors=True)


class Resolver:
    """What stands between a client and the zone's server. For any thread."""

    def __init__(self, bind):
        self.bind, self.lock, self.known, self.until = bind, threading.Lock(), None, 0.0

    def address(self):
        with self.lock:
            if time.monotonic() >= self.until:
                asked = time.monotonic()
                if answer := self.bind.answer():
                    self.known, self.until = answer[0], asked + answer[1]
            return self.known
