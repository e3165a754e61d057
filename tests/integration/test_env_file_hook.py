#!/usr/bin/python3
"""The hook env-file against an application that gunicorn, systemd and Docker run, each in its own way."""
import os
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support.docker import Docker               # noqa: E402
from support.haproxy import free_port           # noqa: E402
from support.hooks import HookTest, wait_until  # noqa: E402
from support.systemd import UserManager         # noqa: E402

OLD, NEW = "sqlite:////old.db", "postgresql://u:p@h/new?a=b&c=d"
PATIENCE = 20
WSGI = "import os\ndef app(environ, start):\n    start('200 OK', [])\n    return [os.environ['DATABASE_URL'].encode()]\n"
GUNICORN = ["/usr/bin/python3", "-m", "gunicorn"]


class EnvFile(HookTest):
    """What is the same for each of them."""

    path = ""

    def setUp(self):
        super().setUp()
        self.port = free_port()
        (self.dir / ".env").write_text(f"OTHER=kept\nDATABASE_URL={OLD}\n")
        (self.dir / ".env").chmod(0o640)
        (self.dir / "new-url").write_text(NEW + "\n")
        (self.dir / "app.py").write_text(WSGI)

    def install_with(self, reload):
        self.install("env-file", f"ENV_FILE={self.dir}/.env\nNAME=DATABASE_URL\nNEW_VALUE_FILE={self.dir}/new-url\nRELOAD='{reload}'\n")
        wait_until(lambda: self.answers() == OLD, "application with the old URL")

    def answers(self):
        try:
            return self.get(self.port, self.path)
        except OSError:
            return None

    def there_and_back(self):
        self.run_hook("check")
        for _ in range(2):
            self.run_hook("on-switch")
            wait_until(lambda: self.answers() == NEW, "the new URL")
        self.assertIn("OTHER=kept\n", (self.dir / ".env").read_text())
        self.assertEqual((self.dir / ".env").stat().st_mode & 0o777, 0o640)
        self.run_hook("check", direction="backward")
        for _ in range(2):
            self.run_hook("on-switch", direction="backward")
            wait_until(lambda: self.answers() == OLD, "the old URL")
        self.run_hook("check")


class Gunicorn(EnvFile):
    def setUp(self):
        super().setUp()
        (self.dir / "gunicorn_conf.py").write_text(f"raw_env = [line.strip() for line in open('{self.dir}/.env') if '=' in line]\n")
        process = self.start([*GUNICORN, "-c", "gunicorn_conf.py", "--bind", f"127.0.0.1:{self.port}", "app:app"], cwd=self.dir)
        self.install_with(f"kill -HUP {process.pid}")

    def test_there_and_back(self):
        self.there_and_back()

    def test_nothing_to_go_back_to(self):
        (self.dir / ".env").write_text(f"DATABASE_URL={NEW}\n")
        self.run_hook("check", code=1, direction="backward")
        self.run_hook("on-rollback", code=1)

    def test_a_file_without_the_line(self):
        (self.dir / ".env").write_text("OTHER=kept\n")
        self.run_hook("check", code=1)


class Systemd(EnvFile):
    def setUp(self):
        super().setUp()
        manager = UserManager(self.dir)
        self.addCleanup(manager.stop)
        try:
            manager.start(PATIENCE)
        except OSError as error:
            self.skipTest(str(error))
        command = " ".join(GUNICORN)
        (manager.units / "app.service").write_text(
            f"[Service]\nEnvironmentFile={self.dir}/.env\nWorkingDirectory={self.dir}\n"
            f"ExecStart={command} --bind 127.0.0.1:{self.port} app:app\n")
        manager.systemctl("start", "app")
        self.manager = manager
        self.install_with(f"XDG_RUNTIME_DIR={manager.runtime} systemctl --user restart app")

    def test_there_and_back(self):
        self.there_and_back()

    def test_a_unit_that_does_not_restart_is_reported(self):
        (self.manager.units / "app.service").write_text("[Service]\nType=oneshot\nExecStart=/bin/false\n")
        self.manager.systemctl("daemon-reload")
        self.run_hook("on-switch", code=1)


COMPOSE = """
services:
  app:
    image: app
    network_mode: host
    env_file: .env
    stop_grace_period: 1s
    command: /bin/httpd -f -p 127.0.0.1:{port} -h /www
"""


class InDocker(EnvFile):
    path = "cgi-bin/url"

    def setUp(self):
        super().setUp()
        docker = Docker(self.dir)
        self.addCleanup(docker.stop)
        try:
            docker.start(PATIENCE)
        except OSError as error:
            self.skipTest(str(error))
        docker.image("app")
        (self.dir / "docker-compose.yml").write_text(COMPOSE.format(port=self.port))
        self.up = f"DOCKER_HOST={docker.env['DOCKER_HOST']} docker-compose -f {self.dir}/docker-compose.yml up -d app"
        self.assertEqual(os.system(self.up + " 2>/dev/null"), 0)
        self.install_with(self.up)

    def test_there_and_back(self):
        self.there_and_back()


del EnvFile

if __name__ == "__main__":
    unittest.main(verbosity=2)
