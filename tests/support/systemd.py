"""A systemd user manager of the test's own, where one can be started: in a control group below the test's, and, on a machine that
systemd did not boot, with a /run of its own."""
import os
import pathlib
import subprocess
import time

from support.guard import guard

SYSTEMD = "/lib/systemd/systemd"
CGROUPS = pathlib.Path("/sys/fs/cgroup")
BEGIN = 'for group in "$@"; do echo $$ > "$group/cgroup.procs"; done\n'
NOT_BOOTED = "mount -t tmpfs tmpfs /run && mkdir -p /run/systemd/system\n"


def own_groups(name):
    """Below the groups that the test is in: of systemd's own hierarchy, of the unified one, or of both."""
    for line in pathlib.Path("/proc/self/cgroup").read_text().splitlines():
        _, kind, path = line.split(":", 2)
        roots = {"name=systemd": ["systemd"], "": ["unified", "."]}.get(kind, [])
        mounted = [CGROUPS / root for root in roots if (CGROUPS / root / "cgroup.procs").exists()]
        yield from (root / path.lstrip("/") / name for root in mounted[:1])


class UserManager:
    """Units are files in `units`. Raises OSError, with what systemd said, where it cannot run."""

    def __init__(self, folder):
        self.runtime, self.log = folder / "run", folder / "systemd.log"
        self.units = self.runtime / "systemd" / "user"
        self.env = {"XDG_RUNTIME_DIR": str(self.runtime), "HOME": str(folder), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
        self.groups = list(own_groups(f"tidegate-tests-{os.getpid()}"))
        self.process = self.handle = None

    def start(self, patience):
        self.units.mkdir(parents=True)
        self.runtime.chmod(0o700)
        for group in self.groups:
            group.mkdir()
        booted = pathlib.Path("/run/systemd/system").exists()
        script = BEGIN + ("" if booted else NOT_BOOTED) + f"exec {SYSTEMD} --user --log-target=console"
        with self.log.open("w", encoding="utf-8") as log:
            self.process = subprocess.Popen([*([] if booted else ["unshare", "--mount"]), "sh", "-ec", script, "sh", *self.groups],
                                            env=self.env, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        self.handle = guard.kill_later(self.process.pid)
        deadline = time.monotonic() + patience
        while not self.systemctl("show", "--property=Version"):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise OSError("no systemd user manager: " + self.log.read_text(encoding="utf-8")[-300:])
            time.sleep(0.1)
        return self

    def systemctl(self, *arguments):
        return subprocess.run(["systemctl", "--user", *arguments], env=self.env, capture_output=True, text=True, timeout=30, check=False).stdout.strip()

    def stop(self):
        if self.process and self.process.poll() is None:
            self.systemctl("exit")
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                pass
        guard.end(self.process, self.handle)
        for group in self.groups:
            for folder, _, _ in os.walk(group, topdown=False):
                os.rmdir(folder)
