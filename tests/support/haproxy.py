"""HAProxy in front of two apps, on ports and a socket of its own."""
import pathlib
import shutil
import socket
import subprocess
import tempfile
import time

from support.guard import guard

CONFIG = """
global
    stats socket {socket} mode 600 level admin
    maxconn 1000
defaults
    mode http
    timeout client 60s
    timeout server 60s
    timeout connect 100ms
    timeout queue 30s
frontend front
    bind 127.0.0.1:{port}
    default_backend app
backend app
    option redispatch 1
    retries 200
    retry-on conn-failure
    server legacy {legacy}
    server new {new} disabled
    server wait 127.0.0.1:1 disabled
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class HaProxy:
    def __init__(self, legacy, new):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="tidegate-haproxy-"))
        self.port, self.socket = free_port(), self.dir / "admin.sock"
        text = CONFIG.format(socket=self.socket, port=self.port, legacy=legacy, new=new)
        (self.dir / "haproxy.cfg").write_text(text)
        self.process = self._handle = None

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    @property
    def hook_settings(self):
        return f"SOCKET={self.socket}\nBACKEND=app\nOLD=legacy\nNEW=new\nWAIT=wait\n"

    def start(self):
        with open(self.dir / "log", "wb") as log:
            self.process = subprocess.Popen(["/usr/sbin/haproxy", "-db", "-f", self.dir / "haproxy.cfg"], stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log, start_new_session=True)
        self._handle = guard.kill_later(self.process.pid)
        deadline = time.monotonic() + 20
        while not self.socket.exists():
            if time.monotonic() > deadline or self.process.poll() is not None:
                raise RuntimeError("haproxy did not start: " + (self.dir / "log").read_text())
            time.sleep(0.05)
        return self

    def stop(self):
        guard.end(self.process, self._handle)
        shutil.rmtree(self.dir, ignore_errors=True)
