#!/usr/bin/python3
"""The throw-away target looks to a client like a Supabase project's database."""
import pathlib
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import psycopg2                                  # noqa: E402
from support.target import TOOL, Target          # noqa: E402

IMPORTED_USER = """
  INSERT INTO auth.users (id, instance_id, aud, role, email, encrypted_password, email_confirmed_at, created_at, updated_at,
    confirmation_token, recovery_token, email_change_token_new, email_change, raw_app_meta_data, raw_user_meta_data)
  VALUES (%(id)s, '00000000-0000-0000-0000-000000000000', 'authenticated', 'authenticated', %(email)s, %(hash)s, now(), now(), now(),
    '', '', '', '', '{"provider": "email", "providers": ["email"]}', '{}');
  INSERT INTO auth.identities (provider_id, user_id, provider, identity_data, created_at, updated_at, last_sign_in_at)
  VALUES (%(id)s, %(id)s, 'email', jsonb_build_object('sub', %(id)s, 'email', %(email)s, 'email_verified', true), now(), now(), now());
  SELECT confirmed_at = email_confirmed_at, i.email FROM auth.users u JOIN auth.identities i ON user_id = u.id WHERE u.id = %(id)s"""


class TargetTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.target = Target().start()
        cls.addClassCleanup(cls.target.stop)

    def refused(self, statement):
        with self.assertRaises(psycopg2.Error) as caught:
            self.target.query(statement)
        return str(caught.exception)

    def test_role_is_strong_but_no_superuser(self):
        row = self.target.query("""SELECT rolname, rolsuper, rolcreatedb, rolcreaterole, rolreplication, rolbypassrls
                                   FROM pg_roles WHERE rolname = current_user""")
        self.assertEqual(row, [("postgres", False, True, True, True, True)])
        member = self.target.query("SELECT array_agg(pg_has_role(name, 'member')) FROM unnest(%s) name",
                                   (["anon", "authenticated", "service_role", "pg_monitor", "pg_read_all_data", "pg_signal_backend"],))
        self.assertEqual(member, [([True] * 6,)])
        self.assertFalse(self.target.query("SELECT pg_has_role('supabase_auth_admin', 'member')")[0][0])

    def test_certificate_is_checked_in_full(self):
        self.assertIn("sslmode=verify-full", self.target.url)
        self.assertEqual(self.target.query("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"), [(True,)])
        wrong = self.target.url.split("sslrootcert=")[0] + "sslrootcert=/etc/ssl/certs/ca-certificates.crt"
        with self.assertRaisesRegex(psycopg2.OperationalError, "certificate verify failed|does not exist"):
            psycopg2.connect(wrong)

    def test_superuser_has_no_way_in_by_network(self):
        admin = "postgresql://supabase_admin@" + self.target.url.split("@")[1]
        with self.assertRaisesRegex(psycopg2.OperationalError, "rejects connection"):
            psycopg2.connect(admin)

    def test_replica_mode_by_plain_set(self):
        self.assertEqual(self.target.query("SET LOCAL session_replication_role = replica; SHOW session_replication_role"), [("replica",)])

    def test_auth_tables_are_used_not_owned(self):
        self.assertIn("must be owner", self.refused("ALTER TABLE auth.users ADD COLUMN mine integer"))
        self.assertIn("must be owner", self.refused("ALTER TABLE auth.users DISABLE TRIGGER ALL"))
        self.assertIn("permission denied", self.refused("CREATE TABLE auth.mine (id integer)"))
        connection = self.target.connect()
        self.addCleanup(connection.close)
        connection.autocommit = True
        with self.assertRaises(psycopg2.errors.InsufficientPrivilege):
            connection.cursor().execute("ALTER SYSTEM SET work_mem = '1MB'")

    def test_imported_user(self):
        user = {"id": "7b1c0a34-7f0e-4c6b-9a54-6f4e36e6a001", "email": "ada@example.test", "hash": "$2b$12$" + "x" * 53}
        self.assertEqual(self.target.query(IMPORTED_USER, user), [(True, "ada@example.test")])
        again = {**user, "id": "7b1c0a34-7f0e-4c6b-9a54-6f4e36e6a002"}
        with self.assertRaises(psycopg2.errors.UniqueViolation):
            self.target.query(IMPORTED_USER, again)
        self.target.query("DELETE FROM auth.users WHERE id = %(id)s", user)
        self.assertEqual(self.target.query("SELECT count(*) FROM auth.identities"), [(0,)])

    def test_claims(self):
        claims = '{"sub": "7b1c0a34-7f0e-4c6b-9a54-6f4e36e6a001", "role": "authenticated"}'
        row = self.target.query("SELECT set_config('request.jwt.claims', %s, true); SELECT auth.uid()::text, auth.role()", (claims,))
        self.assertEqual(row, [("7b1c0a34-7f0e-4c6b-9a54-6f4e36e6a001", "authenticated")])

    def test_what_a_replicator_needs(self):
        self.target.query("CREATE SCHEMA tidegate_try; CREATE TABLE public.tried (id bigint PRIMARY KEY, name extensions.citext)")
        self.target.query("ALTER PUBLICATION supabase_realtime ADD TABLE public.tried; CREATE PUBLICATION tried FOR TABLE public.tried")
        self.target.query("SELECT pg_create_logical_replication_slot('tried', 'pgoutput')")
        self.target.query("SELECT pg_drop_replication_slot('tried')")
        self.target.query("DROP TABLE public.tried; DROP SCHEMA tidegate_try; DROP PUBLICATION tried")
        self.assertEqual(self.target.query("SHOW statement_timeout"), [("2min",)])

    def test_crashes_lose_nothing_and_keep_the_port(self):
        url = self.target.url
        self.target.query("CREATE TABLE public.kept (id int)")
        for number, crash in enumerate([lambda: self.target.restart(), lambda: self.target.restart(immediate=True),
                                        lambda: (self.target.kill(), self.target.restart())]):
            self.target.query("INSERT INTO public.kept VALUES (%s)", (number,))
            crash()
            self.assertEqual(self.target.query("SELECT count(*) FROM public.kept"), [(number + 1,)])
        self.assertEqual(self.target.url, url)
        self.target.query("DROP TABLE public.kept")

    def test_a_shell_reads_the_env_file(self):
        said = subprocess.run(["bash", "-uc", '. "$1" && printf %s "$SUPABASE_DB_URL"', "-", str(self.target.dir / "env")],
                              capture_output=True, text=True, check=True).stdout
        self.assertEqual(said, self.target.url)

    def test_secrets_are_for_the_owner_only(self):
        for name in ("env", "pgpass"):
            self.assertEqual((self.target.dir / name).stat().st_mode & 0o777, 0o600)
        password = self.target.url.split(":")[2].split("@")[0]
        self.assertNotIn(password, self.target.log)


class ToolTest(unittest.TestCase):
    def tool(self, *arguments):
        return subprocess.run([TOOL, *arguments], capture_output=True, text=True, timeout=60, check=False)

    def test_refusals(self):
        with Target() as target:
            port = (target.dir / "port").read_text().strip()
            taken = self.tool("start", "--port", port)
            self.assertEqual((taken.returncode, "is taken" in taken.stderr), (1, True), taken.stderr)
            full = self.tool("start", "--dir", str(target.dir))
            self.assertEqual((full.returncode, "not empty" in full.stderr), (1, True))
        with tempfile.TemporaryDirectory() as folder:
            self.assertEqual(self.tool("stop", "--dir", folder).returncode, 1)
            self.assertTrue(pathlib.Path(folder).exists())
        self.assertEqual(self.tool("sail").returncode, 4)

    def test_a_killed_test_leaves_nothing(self):
        program = ("import sys, os; sys.path.insert(0, sys.argv[1]); from support.target import Target; t = Target().start(); "
                   "print(t.dir, flush=True); os.kill(os.getpid(), 9)")
        killed = subprocess.run([sys.executable, "-c", program, sys.path[0]], capture_output=True, text=True, timeout=60, check=False)
        folder = pathlib.Path(killed.stdout.strip())
        deadline = time.monotonic() + 20
        while folder.exists() and time.monotonic() < deadline:
            time.sleep(0.1)
        self.assertFalse(folder.exists())


if __name__ == "__main__":
    unittest.main()
