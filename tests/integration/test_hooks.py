#!/usr/bin/python3
"""The hooks of deploy/hooks against what they move: BIND, nginx, PgBouncer, HAProxy, on free ports of this machine."""
import os
import pathlib
import subprocess
import sys
import threading
import time
import unittest
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support.bind import Bind, new_key                # noqa: E402
from support.haproxy import HaProxy, free_port        # noqa: E402
from support.hooks import WAIT, HookTest, wait_until  # noqa: E402
from support.pg_cluster import PgCluster              # noqa: E402
from support.pgbouncer import PgBouncer               # noqa: E402


class Dns(HookTest):
    def setUp(self):
        super().setUp()
        self.bind = Bind("192.0.2.1", ttl=2)
        self.addCleanup(self.bind.stop)
        self.answer = self.bind.start(WAIT).answer
        self.install("dns", self.bind.hook_settings("192.0.2.1", "192.0.2.2", ttl=2, low_ttl=1))

    def test_there_and_back(self):
        self.run_hook("check")
        begun = time.monotonic()
        self.run_hook("before-fence")
        self.assertGreaterEqual(time.monotonic() - begun, 2, "the caches forget the old TTL first")
        self.assertEqual(self.answer(), ("192.0.2.1", 1))
        self.run_hook("on-switch")
        self.assertEqual(self.answer(), ("192.0.2.2", 1))
        self.run_hook("verify-switch")
        self.run_hook("on-switch")
        self.run_hook("on-done")
        self.assertEqual(self.answer(), ("192.0.2.2", 2))
        self.run_hook("check", code=1)
        self.run_hook("check", direction="backward")
        self.run_hook("on-switch", direction="backward")
        self.assertEqual(self.answer()[0], "192.0.2.1")

    def test_an_abort_restores_the_ttl(self):
        self.run_hook("before-fence")
        self.run_hook("on-abort", TIDEGATE_AGAIN="yes")
        self.assertEqual(self.answer(), ("192.0.2.1", 1), "another attempt follows")
        self.run_hook("on-abort", TIDEGATE_AGAIN="no")
        self.assertEqual(self.answer(), ("192.0.2.1", 2))

    def test_a_ttl_that_is_too_long_to_wait_for(self):
        settings = self.dir / "dns.conf"
        settings.write_text(settings.read_text().replace("MOST_WAIT=10", "MOST_WAIT=1"))
        for event in ("check", "before-fence"):
            self.assertIn("begin 2 s later", self.run_hook(event, code=1))
            self.assertEqual(self.answer(), ("192.0.2.1", 2), "nothing has changed")
        self.run_hook("lower")
        for event in ("check", "before-fence", "on-abort", "check"):
            self.run_hook(event)
            self.assertEqual(self.answer(), ("192.0.2.1", 1))
        self.run_hook("on-switch")
        self.run_hook("on-done")
        self.assertEqual(self.answer(), ("192.0.2.2", 2))

    def test_a_key_that_is_not_taken(self):
        (self.bind.dir / "other").write_bytes(new_key())
        settings = self.dir / "dns.conf"
        settings.write_text(settings.read_text().replace("/key", "/other"))
        self.run_hook("on-switch", code=2)
        self.assertEqual(self.answer()[0], "192.0.2.1")


class DnsOfBothKinds(HookTest):
    """A name that has an IPv4 and an IPv6 address at the old side."""

    def start_with(self, old, new, address6="2001:db8::1"):
        bind = Bind("192.0.2.1", ttl=2, address6=address6)
        self.addCleanup(bind.stop)
        bind.start(WAIT)
        self.install("dns", bind.hook_settings(f'"{old}"', f'"{new}"', ttl=2, low_ttl=1))
        return lambda: (bind.answer("A"), bind.answer("AAAA"))

    def test_both_move(self):
        answers = self.start_with("2001:db8::1 192.0.2.1", "192.0.2.2 2001:db8::2")
        for event in ("check", "before-fence", "on-switch", "verify-switch", "on-switch"):
            self.run_hook(event)
        self.assertEqual(answers(), (("192.0.2.2", 1), ("2001:db8::2", 1)))
        self.run_hook("on-done")
        self.assertEqual(answers(), (("192.0.2.2", 2), ("2001:db8::2", 2)))
        for event in ("check", "before-fence", "on-rollback", "verify-switch"):
            self.run_hook(event, direction="backward")
        self.assertEqual(answers(), (("192.0.2.1", 1), ("2001:db8::1", 1)))

    def test_what_the_new_side_does_not_have_goes_and_comes_back(self):
        answers = self.start_with("192.0.2.1 2001:db8::1", "192.0.2.2")
        for event in ("check", "before-fence", "on-switch", "verify-switch"):
            self.run_hook(event)
        self.assertEqual(answers(), (("192.0.2.2", 1), None))
        for event in ("check", "on-rollback", "on-done"):
            self.run_hook(event, direction="backward")
        self.assertEqual(answers(), (("192.0.2.1", 2), ("2001:db8::1", 2)))

    def test_from_one_kind_to_the_other(self):
        answers = self.start_with("192.0.2.1", "2001:db8::2", address6=None)
        for event in ("check", "on-switch", "verify-switch"):
            self.run_hook(event)
        self.assertEqual(answers(), (None, ("2001:db8::2", 1)))

    def test_an_address_that_the_settings_do_not_know_blocks(self):
        self.start_with("192.0.2.1", "192.0.2.2")
        self.assertIn("points to '192.0.2.1 2001:db8::1', not to '192.0.2.1'", self.run_hook("check", code=1))

    def test_a_server_that_is_away_is_told(self):
        bind = Bind("192.0.2.1", ttl=2)
        self.addCleanup(bind.stop)   # never started
        self.install("dns", bind.hook_settings("192.0.2.1", "192.0.2.2", ttl=2, low_ttl=1))
        for event in ("check", "verify-switch", "on-switch"):
            env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "TIDEGATE_EVENT": event, "TIDEGATE_DIRECTION": "forward"}
            self.assertNotEqual(subprocess.run([self.hook], env=env, capture_output=True, timeout=60, check=False).returncode, 0, event)


class Nginx(HookTest):
    def setUp(self):
        super().setUp()
        old, new, self.port = self.server("old"), self.server("new"), free_port()
        (self.dir / "upstream.conf").write_text(f"upstream app {{ server 127.0.0.1:{old}; }}\n")
        (self.dir / "site.conf").write_text(f"""
            daemon off; pid {self.dir}/pid; error_log {self.dir}/error.log; worker_processes 1; {'user root;' if os.geteuid() == 0 else ''}
            events {{ worker_connections 64; }}
            http {{ access_log off; client_body_temp_path {self.dir}; proxy_temp_path {self.dir}; fastcgi_temp_path {self.dir};
                    uwsgi_temp_path {self.dir}; scgi_temp_path {self.dir};
                    include {self.dir}/upstream.conf;
                    server {{ listen 127.0.0.1:{self.port}; location / {{ proxy_pass http://app; }} }} }}""")
        self.start(["/usr/sbin/nginx", "-c", str(self.dir / "site.conf")])
        wait_until(lambda: (self.dir / "pid").exists(), "nginx")
        self.install("nginx", f"UPSTREAM_FILE={self.dir}/upstream.conf\nUPSTREAM=app OLD=127.0.0.1:{old} NEW=127.0.0.1:{new}\n"
                              f"NGINX='nginx -c {self.dir}/site.conf'\n")

    def test_there_and_back(self):
        self.run_hook("check")
        self.assertEqual(self.get(self.port), "old")
        self.run_hook("on-abort")
        self.run_hook("on-switch")
        self.run_hook("verify-switch")
        wait_until(lambda: self.get(self.port) == "new", "the new server")
        self.run_hook("check", code=1)
        self.run_hook("on-switch", direction="backward")
        wait_until(lambda: self.get(self.port) == "old", "the old server")

    def test_a_configuration_that_is_not_taken_stays_as_it_was(self):
        settings = self.dir / "nginx.conf"
        settings.write_text(settings.read_text().replace("NEW=", "NEW=nonsense:0:"))
        self.run_hook("on-switch", code=1)
        self.assertEqual(self.get(self.port), "old")


class Haproxy(HookTest):
    def test_requests_wait_and_none_fails(self):
        old, new = self.server("old", delay=0.02), self.server("new", delay=0.02)
        proxy = HaProxy(f"127.0.0.1:{old}", f"127.0.0.1:{new}")
        self.addCleanup(proxy.stop)
        proxy.start()
        self.install("haproxy", proxy.hook_settings)
        self.run_hook("check")
        answers, errors, over = [], [], threading.Event()

        def ask():
            while not over.is_set():
                try:
                    request = urllib.request.Request(proxy.url, data=b"x" * 100)
                    with urllib.request.urlopen(request, timeout=20) as answer:
                        answers.append((time.monotonic(), answer.read().decode()))
                except OSError as error:
                    errors.append(repr(error))
        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        try:
            for ending, expected in (("on-abort", "old"), ("on-switch", "new")):
                time.sleep(0.3)
                self.run_hook("on-hold")
                held = time.monotonic()
                time.sleep(0.5)
                self.assertEqual([name for at, name in answers if at > held + 0.05], [], "nobody is served during the hold")
                self.run_hook(ending)
                wait_until(lambda: len([1 for at, name in answers if at > held + 0.5]) > 20, "answers")
                self.assertEqual({name for at, name in answers if at > held + 0.5}, {expected})
        finally:
            over.set()
            for thread in threads:
                thread.join(30)
        self.assertEqual(errors, [])
        self.run_hook("on-hold", direction="backward")
        self.run_hook("on-switch", direction="backward")
        self.assertEqual(self.get(proxy.port), "old")


class Pooler(HookTest):
    def setUp(self):
        super().setUp()
        cluster = PgCluster().__enter__()
        self.addCleanup(cluster.stop)
        server = f"host=127.0.0.1 port={cluster.port} user=admin"
        self.pooler = PgBouncer(f"{server} dbname=legacy", f"{server} dbname=postgres")
        self.addCleanup(self.pooler.stop)
        self.pooler.start()
        self.install("pgbouncer", self.pooler.hook_settings)
        wait_until(lambda: self.database() == "legacy", "PgBouncer")

    def database(self):
        return self.pooler.database()

    def test_there_and_back(self):
        self.run_hook("check")
        self.run_hook("on-abort")
        for ending, expected in (("on-abort", "legacy"), ("on-switch", "postgres")):
            self.run_hook("on-hold")
            seen = []
            waiting = threading.Thread(target=lambda: seen.append(self.database()))
            waiting.start()
            time.sleep(1)
            self.assertEqual(seen, [], "clients wait")
            self.run_hook(ending)
            waiting.join(30)
            self.assertEqual(seen, [expected])
        self.run_hook("on-switch", direction="backward")
        self.assertEqual(self.database(), "legacy")

    def test_a_pooler_that_does_not_answer_is_told(self):
        self.pooler.process.kill()
        for event, code in (("check", 2), ("on-hold", 2), ("on-abort", 1), ("on-switch", 1)):
            self.run_hook(event, code=code)


if __name__ == "__main__":
    unittest.main()
