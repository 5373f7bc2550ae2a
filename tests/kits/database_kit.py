"""Databases that are as good as new for each test.

To copy the template takes a quarter of a second, to take out what a test left some milliseconds. A database whose
catalogs then differ from a new one in anything is dropped, so a test can do to it what it likes.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg.sql import SQL, Identifier

from run402_cli.core.daemon.postgres import EmbeddedPostgres

# Dropped schemas leave dead rows in the catalogs.
USES = 200
FIRST_OWN_OID = 16384  # of objects that are not PostgreSQL's

# Everything that a test can leave behind outside the rows of tables: what is there, whose it is and who may use it.
LOOK = """
SELECT md5(string_agg(line, E'\\n' ORDER BY line)) FROM (
  SELECT format('schema %s', n) AS line FROM pg_namespace n WHERE nspname !~ '^pg_(toast_)?temp_'
  UNION ALL SELECT format('relation %s %s %s %s %s %s %s %s %s', oid, relname, relnamespace, relowner, relkind,
    relrowsecurity, relforcerowsecurity, relacl, reloptions) FROM pg_class WHERE oid >= 16384 OR relacl IS NOT NULL
  UNION ALL SELECT format('column %s %s %s %s %s %s %s', attrelid, attnum, attname, atttypid, attnotnull, attacl,
    attisdropped) FROM pg_attribute WHERE attrelid >= 16384
  UNION ALL SELECT format('function %s', p) FROM pg_proc p WHERE oid >= 16384 OR proacl IS NOT NULL
  UNION ALL SELECT format('type %s %s %s %s', oid, typname, typnamespace, typacl) FROM pg_type WHERE oid >= 16384
  UNION ALL SELECT format('default %s', d) FROM pg_attrdef d
  UNION ALL SELECT format('constraint %s', c) FROM pg_constraint c WHERE oid >= 16384
  UNION ALL SELECT format('trigger %s', t) FROM pg_trigger t
  UNION ALL SELECT format('policy %s', p) FROM pg_policy p
  UNION ALL SELECT format('rule %s', oid) FROM pg_rewrite WHERE oid >= 16384
  UNION ALL SELECT format('event trigger %s', oid) FROM pg_event_trigger
  UNION ALL SELECT format('publication %s', oid) FROM pg_publication
  UNION ALL SELECT format('extension %s %s', extname, extversion) FROM pg_extension
  UNION ALL SELECT format('default privileges %s', d) FROM pg_default_acl d
  UNION ALL SELECT format('setting %s', setconfig) FROM pg_db_role_setting
  UNION ALL SELECT format('large object %s', oid) FROM pg_largeobject_metadata
  UNION ALL SELECT format('cast %s', oid) FROM pg_cast WHERE oid >= 16384
  UNION ALL SELECT format('operator %s', oid) FROM pg_operator WHERE oid >= 16384
  UNION ALL SELECT format('collation %s', oid) FROM pg_collation WHERE oid >= 16384
  UNION ALL SELECT format('language %s %s', lanname, lanacl) FROM pg_language
  UNION ALL SELECT format('server %s', srvname) FROM pg_foreign_server
  UNION ALL SELECT format('statistics %s', oid) FROM pg_statistic_ext
  UNION ALL SELECT format('database %s %s', datacl, datconnlimit) FROM pg_database WHERE datname = current_database()
  UNION ALL SELECT format('sequence %s %s %s', schemaname, sequencename, increment_by) FROM pg_sequences
) AS lines
"""
SCHEMAS = "SELECT nspname FROM pg_namespace WHERE oid >= %s AND nspname !~ '^pg_'"
TABLES = "SELECT relname FROM pg_class WHERE relnamespace = 'internal'::regnamespace AND relkind = 'r' ORDER BY relname"
SEQUENCES = "SELECT format('%I.%I', schemaname, sequencename) FROM pg_sequences"


class Databases:
    """Copies of one template on one server. `one()` lends one; what it was used for is not seen by the next."""

    def __init__(self, server: EmbeddedPostgres, template: str) -> None:
        self.server, self.template = server, template
        self.free: list[tuple[str, int]] = []
        self.numbers = itertools.count(1)
        with psycopg.connect(server.url(template), autocommit=True) as conn:
            self.schemas = {name for (name,) in conn.execute(SCHEMAS, (FIRST_OWN_OID,))}
            self.tables = [name for (name,) in conn.execute(TABLES)]
            self.filled = [name for name in self.tables if self._rows(conn, name) is not None]
            self.kept = {name: self._rows(conn, name) for name in self.filled}
            self.sequences = [name for (name,) in conn.execute(SEQUENCES)]
        name = self._new()
        with psycopg.connect(server.url(name), autocommit=True) as conn:
            self.new = self._look(conn)
        self.free.append((name, 0))

    @contextmanager
    def one(self) -> Iterator[str]:
        """A database with roles, schemas and bookkeeping tables: its superuser URL, usable with psycopg.connect."""
        name, uses = self.free.pop() if self.free else (self._new(), 0)
        try:
            yield self.server.url(name)
        finally:
            if uses < USES and self._cleaned(name):
                self.free.append((name, uses + 1))
            else:
                self._drop(name)

    def _new(self) -> str:
        name = f"run402_test_{next(self.numbers)}"
        with psycopg.connect(self.server.url("postgres"), autocommit=True) as admin:
            admin.execute(SQL("CREATE DATABASE {} TEMPLATE {}").format(Identifier(name), Identifier(self.template)))
        return name

    def _drop(self, name: str) -> None:
        with psycopg.connect(self.server.url("postgres"), autocommit=True) as admin:
            admin.execute(SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(Identifier(name)))

    def _cleaned(self, name: str) -> bool:
        """Whether the database is as new."""
        try:
            with psycopg.connect(self.server.url(name), autocommit=True) as conn:
                return self._clean(conn)
        except psycopg.Error:
            return False

    def _clean(self, conn: psycopg.Connection) -> bool:
        conn.execute("SET lock_timeout = '5s'")
        conn.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        for (schema,) in conn.execute(SCHEMAS, (FIRST_OWN_OID,)).fetchall():
            if schema not in self.schemas:
                conn.execute(SQL("DROP SCHEMA {} CASCADE").format(Identifier(schema)))
        conn.execute("SET session_replication_role = replica")
        empty = [
            SQL("DELETE FROM internal.{}").format(Identifier(name)) for name in self.tables if name not in self.kept
        ]
        restart = [SQL("ALTER SEQUENCE {} RESTART").format(SQL(name)) for name in self.sequences]
        conn.execute(SQL("; ").join([*empty, *restart]))
        return self._look(conn) == self.new and all(self._rows(conn, name) == self.kept[name] for name in self.filled)

    @staticmethod
    def _rows(conn: psycopg.Connection, table: str) -> str | None:
        row = conn.execute(SQL("SELECT md5(string_agg(t::text, ',')) FROM internal.{} t").format(Identifier(table)))
        return row.fetchone()[0]  # type: ignore[index]

    @staticmethod
    def _look(conn: psycopg.Connection) -> str:
        return str(conn.execute(LOOK).fetchone()[0])  # type: ignore[index]
