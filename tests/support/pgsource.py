"""Postgres as a legacy source: a throw-away server, databases on it, and the comparison of two databases."""
import subprocess
import threading
import unittest
import urllib.parse

import psycopg2
from psycopg2 import sql

from support.target import Target, run_once

SETTINGS = "SET datestyle = 'ISO'; SET intervalstyle = 'postgres'; SET extra_float_digits = 3; SET timezone = 'UTC'; SET search_path = ''"
# Whoever compares waits as long as it takes, whatever the database has for a default.
PATIENT = " ".join(f"-c {name}=0" for name in ("idle_session_timeout", "idle_in_transaction_session_timeout", "statement_timeout", "lock_timeout"))
OTHERS = ("information_schema", "tidegate", "auth", "storage", "realtime", "extensions", "vault", "supabase_migrations", "graphql",
          "graphql_public")


class Database:
    """One database on a throw-away server, as the role `postgres` (no superuser; it may replicate and owns the tables)."""

    def __init__(self, server, name, template="template1", more=""):
        self.server, self.name = server, name
        admin = server.connect()
        admin.autocommit = True
        with admin.cursor() as cursor:
            cursor.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {} " + more).format(sql.Identifier(name), sql.Identifier(template)))
        admin.close()

    @property
    def url(self):
        return urllib.parse.urlunsplit(urllib.parse.urlsplit(self.server.url)._replace(path="/" + self.name))

    def connect(self, **options):
        return psycopg2.connect(self.url, application_name="legacy-app", **options)

    def execute(self, text, parameters=None):
        """One or several statements in one transaction; the last one's rows, if it has some."""
        return run_once(self.connect(), text, parameters)

    def execute_each(self, *statements):
        """Each by itself, in one session: a transaction begins and ends where they say so."""
        connection = self.connect()
        connection.autocommit = True
        with connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
        connection.close()

    def run(self, *command, **options):
        """psql, pgbench and the like, with this database in their environment."""
        return subprocess.run(command, env=self.env(), check=True, capture_output=True, text=True, **options)

    def start(self, *command, **options):
        return subprocess.Popen(command, env=self.env(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options)

    def env(self):
        parts = urllib.parse.urlsplit(self.url)
        options = dict(urllib.parse.parse_qsl(parts.query))
        return {"PATH": "/usr/lib/postgresql/15/bin:/usr/bin:/bin", "PGHOST": parts.hostname, "PGPORT": str(parts.port),
                "PGUSER": parts.username, "PGPASSWORD": urllib.parse.unquote(parts.password), "PGDATABASE": self.name,
                **({"PGSSLROOTCERT": options["sslrootcert"]} if "sslrootcert" in options else {})}

    def drop(self):
        """With its slots and sessions."""
        admin = self.server.connect()
        admin.autocommit = True
        with admin.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE database = %s AND active", (self.name,))
            cursor.execute("SELECT slot_name FROM pg_replication_slots WHERE database = %s", (self.name,))
            for slot, in cursor.fetchall():
                drop_slot(cursor, slot)
            cursor.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(self.name)))
        admin.close()


def drop_slot(cursor, slot):
    """Its session may need a moment to end."""
    for attempt in range(50):
        try:
            cursor.execute("SELECT pg_drop_replication_slot(%s)", (slot,))
            return
        except psycopg2.errors.ObjectInUse:
            if attempt == 49:
                raise
            cursor.execute("SELECT pg_sleep(0.1)")
        except psycopg2.errors.UndefinedObject:
            return


class Pair:
    """A source server and a target server; databases in pairs, one pipeline each. `..._bin`: of another server than Debian's."""

    def __init__(self, source_bin=None, target_bin=None, **settings):
        self.source, self.target, self.made, self.lock = Target(source_bin).start(), None, 0, threading.Lock()
        try:
            self.target = Target(target_bin).start()
            for server in (self.source, self.target) if settings else ():
                server.configure(**settings)
        except BaseException:
            self.source.stop()
            raise

    def close(self):
        self.source.stop()
        self.target.stop()

    def databases(self, name="shop", template="template1"):
        """`template`: what the source's begins as."""
        with self.lock:   # tests may share the servers, and take databases at once
            self.made += 1
            own = f"{name}{self.made}"
        return Database(self.source, own, template), Database(self.target, own)


def open_pair():
    """For setUpModule: a pair of servers for all tests of a file."""
    pair = Pair()
    unittest.addModuleCleanup(pair.close)
    return pair


def tables_of(connection):
    """Ordinary and partitioned tables of the application, as (schema, name)."""
    with connection.cursor() as cursor:
        cursor.execute("""SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                          WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND n.nspname !~ '^pg_' AND n.nspname <> ALL (%s)
                          ORDER BY 1, 2""", (list(OTHERS),))
        return cursor.fetchall()


def content(connection, schema, table):
    """Number of rows and a sum over their texts: equal in both databases iff every row's text is."""
    with connection.cursor() as cursor:
        cursor.execute(SETTINGS)
        cursor.execute(sql.SQL("SELECT count(*), coalesce(sum(hashtextextended(_row_::text, 0)::numeric), 0) FROM {} AS _row_").format(
            sql.Identifier(schema, table)))
        return cursor.fetchone()


def rows(connection, schema, table):
    with connection.cursor() as cursor:
        cursor.execute(SETTINGS)
        cursor.execute(sql.SQL("SELECT _row_::text FROM {} AS _row_ ORDER BY 1").format(sql.Identifier(schema, table)))
        return [row[0] for row in cursor.fetchall()]


def differences(source, target, tables=None):
    """What differs, in words; empty where both databases hold the same rows. `tables`: (schema, name); default all of the source."""
    mine, theirs, found = source.connect(options=PATIENT), target.connect(options=PATIENT), []
    try:
        for schema, table in tables_of(mine) if tables is None else tables:
            if content(mine, schema, table) == content(theirs, schema, table):
                continue
            here, there = rows(mine, schema, table), rows(theirs, schema, table)
            missing, more = sorted(set(here) - set(there))[:3], sorted(set(there) - set(here))[:3]
            found.append(f"{schema}.{table}: {len(here)} rows in the source, {len(there)} in the target; "
                         f"only in the source {missing}, only in the target {more}")
    finally:
        mine.close()
        theirs.close()
    return found
