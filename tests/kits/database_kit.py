"""Databases that are as good as new for each test.

To copy the template takes a quarter of a second, to take out what a test left some milliseconds. A database whose
catalogs then differ from a new one in anything is dropped, so a test can do to it what it likes. The connection that
takes out stays open: a new one has to learn the catalogs first.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator
from contextlib import contextmanager

import psycopg
from psycopg.conninfo import make_conninfo
from psycopg.sql import SQL, Identifier

from run402_cli.core.daemon.postgres import EmbeddedPostgres
from run402_cli.core.projects.role_rows import OWNERS

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
  UNION ALL SELECT format('database %s %s', regexp_replace(datacl::text, 'owners_[0-9]+', 'owners'), datconnlimit)
    FROM pg_database WHERE datname = current_database()
  UNION ALL SELECT format('sequence %s %s %s', schemaname, sequencename, increment_by) FROM pg_sequences
) AS lines
"""
SCHEMAS = "SELECT nspname FROM pg_namespace WHERE oid >= %s AND nspname !~ '^pg_'"
# Of the projects of a database: roles belong to the server, and are named after the database's number.
ROLES = """
SELECT rolname FROM pg_roles, pg_database d WHERE datname = %s AND starts_with(rolname, format('r402_%%s_', d.oid))
"""
# What may make temporary objects there, and stays as long as the database.
GROUP = (
    "SELECT rolname FROM pg_roles, pg_database d WHERE datname = %s AND rolname = format('run402_owners_%%s', d.oid)"
)
TABLES = "SELECT relname FROM pg_class WHERE relnamespace = 'internal'::regnamespace AND relkind = 'r' ORDER BY relname"
SEQUENCES = "SELECT format('%I.%I', schemaname, sequencename) FROM pg_sequences"


def owner_of(url: str, slot: str) -> str:
    """How to log in as the owner of a project's schema."""
    return role_of(url, slot, "owner")


def role_of(url: str, slot: str, kind: str) -> str:
    """How to log in as one of the roles of the project whose schema this is."""
    with psycopg.connect(url) as conn:
        row = conn.execute("SELECT nspowner::regrole::text FROM pg_namespace WHERE nspname = %s", (slot,)).fetchone()
    assert row is not None, slot
    return make_conninfo(url, user=row[0].removesuffix("owner") + kind)


class Databases:
    """Copies of one template on one server. `one()` lends one; what it was used for is not seen by the next."""

    def __init__(self, server: EmbeddedPostgres, template: str) -> None:
        self.server, self.template = server, template
        self.free: list[str] = []
        self.uses: dict[str, int] = {}
        self.cleaners: dict[str, psycopg.Connection] = {}
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
        self.free.append(name)

    @contextmanager
    def one(self) -> Iterator[str]:
        """A database with roles, schemas and bookkeeping tables: its superuser URL, usable with psycopg.connect."""
        name = self.take()
        try:
            yield self.server.url(name)
        finally:
            if self.cleaned(name):
                self.free.append(name)
            else:
                self.drop(name)

    def take(self) -> str:
        """The name of a database that is nobody else's until it is dropped."""
        return self.free.pop() if self.free else self._new()

    def _new(self) -> str:
        name = f"run402_test_{next(self.numbers)}"
        with psycopg.connect(self.server.url("postgres"), autocommit=True) as admin:
            admin.execute(SQL("CREATE DATABASE {} TEMPLATE {}").format(Identifier(name), Identifier(self.template)))
        with psycopg.connect(self.server.url(name), autocommit=True) as conn:
            # A copy does not have the privileges of its template.
            conn.execute(OWNERS)
        return name

    def drop(self, name: str) -> None:
        if cleaner := self.cleaners.pop(name, None):
            cleaner.close()
        with psycopg.connect(self.server.url("postgres"), autocommit=True) as admin:
            roles = [role for query in (ROLES, GROUP) for (role,) in admin.execute(query, (name,)).fetchall()]
            admin.execute(SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(Identifier(name)))
            for role in roles:
                admin.execute(SQL("DROP ROLE {}").format(Identifier(role)))

    def cleaned(self, name: str, keep: Collection[int] = ()) -> bool:
        """Take out what was left; whether the database is as new. Connections are ended but for the backends to keep."""
        self.uses[name] = self.uses.get(name, 0) + 1
        if self.uses[name] >= USES:
            return False
        try:
            if name not in self.cleaners:
                self.cleaners[name] = psycopg.connect(self.server.url(name), autocommit=True)
                self.cleaners[name].execute("SET lock_timeout = '5s'; SET session_replication_role = replica")
            return self._clean(self.cleaners[name], keep)
        except psycopg.Error:
            return False

    def _clean(self, conn: psycopg.Connection, keep: Collection[int]) -> bool:
        conn.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid() AND pid <> ALL (%s)",
            (list(keep),),
        )
        for (schema,) in conn.execute(SCHEMAS, (FIRST_OWN_OID,)).fetchall():
            if schema not in self.schemas:
                conn.execute(SQL("DROP SCHEMA {} CASCADE").format(Identifier(schema)))
        database = conn.info.dbname
        roles = SQL(", ").join(Identifier(role) for (role,) in conn.execute(ROLES, (database,)).fetchall())
        if roles.as_string():
            conn.execute(SQL("DROP OWNED BY {} CASCADE; DROP ROLE {}").format(roles, roles))
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
