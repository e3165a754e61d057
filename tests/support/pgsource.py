"""A throw-away Postgres as a legacy source, and the comparison of two Postgres databases."""
import subprocess
import urllib.parse

import psycopg2
from psycopg2 import sql

from support.target import Target

SETTINGS = "SET datestyle = 'ISO'; SET intervalstyle = 'postgres'; SET extra_float_digits = 3; SET timezone = 'UTC'; SET search_path = ''"


class PgSource(Target):
    """A server of its own with one database, `legacy`, that belongs to the role `postgres` (no superuser; it may replicate)."""

    database = "legacy"

    def start(self):
        super().start()
        try:
            admin = psycopg2.connect(self._url)
            admin.autocommit = True
            with admin.cursor() as cursor:
                cursor.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(self.database)))
            admin.close()
        except BaseException:
            self.stop()
            raise
        return self

    @property
    def url(self):
        parts = urllib.parse.urlsplit(self._url)
        return urllib.parse.urlunsplit(parts._replace(path="/" + self.database))

    def libpq_env(self, env):
        """For psql and pgbench: all of the URL, the password not in argv."""
        parts = urllib.parse.urlsplit(self._url)
        options = dict(urllib.parse.parse_qsl(parts.query))
        return {**env, "PGHOST": parts.hostname, "PGPORT": str(parts.port), "PGUSER": parts.username,
                "PGPASSWORD": urllib.parse.unquote(parts.password), "PGDATABASE": self.database,
                **({"PGSSLROOTCERT": options["sslrootcert"]} if "sslrootcert" in options else {})}

    def execute(self, text, parameters=None):
        """One or several statements in one transaction."""
        connection = self.connect()
        try:
            with connection, connection.cursor() as cursor:
                cursor.execute(text, parameters)
        finally:
            connection.close()

    def psql(self, env, text):
        return subprocess.run(["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-f", "-"], input=text, env=self.libpq_env(env),
                              capture_output=True, text=True, check=True).stdout


def tables_of(connection):
    """Ordinary and partitioned tables of the application, as (schema, name)."""
    with connection.cursor() as cursor:
        cursor.execute("""SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                          WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND n.nspname NOT LIKE 'pg\\_%%'
                            AND n.nspname NOT IN ('information_schema', 'tidegate', 'auth', 'storage', 'realtime', 'extensions', 'vault',
                                                  'supabase_migrations', 'graphql', 'graphql_public')
                          ORDER BY 1, 2""")
        return cursor.fetchall()


def content(connection, schema, table):
    """Number of rows and a sum over their texts: equal in both databases iff every row's text is."""
    with connection.cursor() as cursor:
        cursor.execute(SETTINGS)
        cursor.execute(sql.SQL("SELECT count(*), coalesce(sum(hashtextextended(t::text, 0)::numeric), 0) FROM {} AS t").format(
            sql.Identifier(schema, table)))
        return cursor.fetchone()


def rows(connection, schema, table):
    with connection.cursor() as cursor:
        cursor.execute(SETTINGS)
        cursor.execute(sql.SQL("SELECT t::text FROM {} AS t ORDER BY 1").format(sql.Identifier(schema, table)))
        return [row[0] for row in cursor.fetchall()]


def differences(source, target, tables=None):
    """What differs, in words; empty where both hold the same rows. `tables`: (schema, name); default all of the source."""
    found = []
    for schema, table in tables or tables_of(source):
        if content(source, schema, table) == content(target, schema, table):
            continue
        mine, theirs = rows(source, schema, table), rows(target, schema, table)
        missing, more = sorted(set(mine) - set(theirs))[:3], sorted(set(theirs) - set(mine))[:3]
        found.append(f"{schema}.{table}: {len(mine)} rows in the source, {len(theirs)} in the target; "
                     f"only in the source {missing}, only in the target {more}")
    source.rollback()
    target.rollback()
    return found
