"""What the tests of the shipped hooks begin with: a folder with one hook in it, run as tidegate runs it."""
import http.server
import pathlib
import shutil
import subprocess
import tempfile
import threading
import time
import unittest
import urllib.request

from support.guard import guard

HOOKS = pathlib.Path(__file__).resolve().parents[2] / "deploy" / "hooks"
WAIT = 30


def wait_until(true, what):
    deadline = time.monotonic() + WAIT
    while not true():
        if time.monotonic() > deadline:
            raise AssertionError("no " + what)
        time.sleep(0.05)


class Named(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        time.sleep(self.server.delay)
        body = self.server.name.encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET

    def log_message(self, *_):
        pass


class HookTest(unittest.TestCase):
    def setUp(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="tidegate-hooks-"))
        self.dir.chmod(0o755)
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)

    def install(self, hook, settings):
        shutil.copy(HOOKS / hook, self.dir / hook)
        (self.dir / f"{hook}.conf").write_text(settings)
        self.hook = self.dir / hook

    def run_hook(self, event, code=0, direction="forward", **more):
        """With an environment like the one that tidegate gives."""
        env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "TIDEGATE_EVENT": event, "TIDEGATE_DIRECTION": direction, **more}
        done = subprocess.run([self.hook], env=env, capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(done.returncode, code, f"{event}: {done.stdout}{done.stderr}")
        return done.stdout

    def server(self, name, delay=0.0):
        made = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Named)
        made.name, made.delay, made.daemon_threads = name, delay, True
        threading.Thread(target=made.serve_forever, daemon=True).start()
        self.addCleanup(made.server_close)
        self.addCleanup(made.shutdown)
        return made.server_address[1]

    def start(self, command, **options):
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                   start_new_session=True, **options)
        handle = guard.kill_later(process.pid)

        def end():
            process.kill()
            process.wait(10)
            guard.forget(handle)
        self.addCleanup(end)
        return process

    def get(self, port, path=""):
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/{path}", timeout=20) as answer:
            return answer.read().decode()
