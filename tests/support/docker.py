"""A Docker daemon of the test's own, with one image: busybox, whose httpd shows the variable DATABASE_URL."""
import os
import pathlib
import re
import shutil
import subprocess
import time

from support.guard import guard

PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
BUSYBOX = "/bin/busybox"
SHOWS = '#!/bin/sh\necho\nprintf %s "$DATABASE_URL"\n'


def libraries_of(program):
    """None where it is linked statically."""
    said = subprocess.run(["ldd", program], capture_output=True, text=True, check=False).stdout
    return re.findall(r"(/\S+) \(0x", said)


class Docker:
    """Raises OSError, with what the daemon said, where it cannot run."""

    def __init__(self, folder):
        self.folder, self.log = folder, folder / "docker.log"
        self.env = {"DOCKER_HOST": f"unix://{folder}/docker.sock", "HOME": str(folder), "PATH": PATH}
        self.process = self.handle = self.clear = None

    def start(self, patience):
        dockerd = shutil.which("dockerd", path=PATH)
        if os.geteuid() != 0 or not dockerd or not shutil.which("docker-compose", path=PATH):
            raise OSError("needs root, dockerd and docker-compose")
        folder = self.folder
        with self.log.open("w", encoding="utf-8") as log:
            self.process = subprocess.Popen(
                [dockerd, "--storage-driver=vfs", "--iptables=false", "--ip6tables=false", "--bridge=none", "--data-root", folder / "data",
                 "--exec-root", folder / "exec", "--pidfile", folder / "pid", "--host", self.env["DOCKER_HOST"]],
                env=self.env, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        self.handle = guard.kill_later(self.process.pid)
        self.clear = guard.run_later("sh", "-c", self.leave())
        deadline = time.monotonic() + patience
        while self.docker("version").returncode != 0:
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise OSError("no Docker daemon: " + self.log.read_text(encoding="utf-8")[-300:])
            time.sleep(0.1)
        return self

    def docker(self, *arguments, **options):
        return subprocess.run(["docker", *arguments], env=self.env, capture_output=True, timeout=60, check=False, **options)

    def image(self, name):
        """Serves /cgi-bin/url."""
        root = self.folder / "image"
        (root / "bin").mkdir(parents=True)
        (root / "www" / "cgi-bin").mkdir(parents=True)
        for tool in ("httpd", "sh"):
            (root / "bin" / tool).symlink_to("busybox")
        (root / "bin" / "busybox").write_bytes(pathlib.Path(BUSYBOX).read_bytes())
        for library in libraries_of(BUSYBOX):
            (root / library[1:]).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(library, root / library[1:])
        (root / "www" / "cgi-bin" / "url").write_text(SHOWS, encoding="utf-8")
        for program in (root / "bin" / "busybox", root / "www" / "cgi-bin" / "url"):
            program.chmod(0o755)
        packed = subprocess.run(["tar", "-C", root, "-c", "."], capture_output=True, check=True).stdout
        made = self.docker("import", "-", name, input=packed)
        if made.returncode != 0:
            raise OSError("no image: " + made.stderr.decode())

    def leave(self):
        """Ends the containers and the daemon, and its mount."""
        return (f"export DOCKER_HOST={self.env['DOCKER_HOST']}; docker ps -aq | xargs -r docker rm -f; "
                f"kill {self.process.pid}; while kill -0 {self.process.pid}; do sleep 0.1; done; umount {self.folder}/exec/netns/default")

    def stop(self):
        if self.process and self.process.poll() is None:
            ending = subprocess.Popen(["sh", "-c", self.leave()], env=self.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            self.process.wait(30)
            ending.wait(30)
        guard.end(self.process, self.handle)
        guard.forget(self.clear)
