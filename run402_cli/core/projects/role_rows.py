"""The PostgreSQL roles of a project, which are the wall around it. Pure SQL; who logs in as whom is in logins.py.

`<base>_owner` owns the project's schema and nothing else: SQL, migrations, expose, copies and imports log in as it.
`<base>_anon`, `_authenticated`, `_project_admin` and `_service_role` are what requests log in as: USAGE of one schema,
and membership in the group of the same name, whose rights on tables are worth nothing without that USAGE. Nobody can
SET ROLE to a group or to the owner (SET FALSE), so there is nothing to reset to. Names hold the database's OID: roles
belong to the cluster, and a copy of a database must not share them.
"""

from __future__ import annotations

import secrets
from typing import Final, Literal

from psycopg import sql

from run402_cli.core.db import Connection

Kind = Literal["owner", "anon", "authenticated", "project_admin", "service_role"]
GROUPS: Final = ("anon", "authenticated", "service_role", "project_admin")
KINDS: Final[tuple[Kind, ...]] = ("owner", "anon", "authenticated", "project_admin", "service_role")
OWN_ROLE: Final = r"r402_[0-9]+_[0-9a-f]{12}_(?:owner|anon|authenticated|project_admin|service_role)"

_CREATOR = """
SELECT (SELECT oid FROM pg_database WHERE datname = current_database()), rolsuper OR rolbypassrls, rolsuper
FROM pg_roles WHERE rolname = current_user
"""
# Members of an extension stay its own; a sequence or a type that belongs to a table goes with the table.
_OBJECTS = """
WITH own AS (SELECT to_regnamespace(quote_ident(%(schema)s)) AS schema), extended AS (
  SELECT classid, objid FROM pg_depend WHERE deptype = 'e'
)
SELECT format('ALTER SCHEMA %%I OWNER TO %%I', %(schema)s::text, %(owner)s::text)
UNION ALL
SELECT format('ALTER %%s %%s OWNER TO %%I', CASE c.relkind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW'
         WHEN 'S' THEN 'SEQUENCE' WHEN 'f' THEN 'FOREIGN TABLE' WHEN 'c' THEN 'TYPE' ELSE 'TABLE' END,
         c.oid::regclass, %(owner)s::text)
FROM pg_class c, own WHERE c.relnamespace = own.schema AND c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f', 'c')
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
                  AND c.relkind = 'S' AND d.deptype IN ('a', 'i') AND d.refclassid = 'pg_class'::regclass)
  AND ('pg_class'::regclass, c.oid) NOT IN (SELECT * FROM extended)
UNION ALL
SELECT format('ALTER ROUTINE %%s OWNER TO %%I', p.oid::regprocedure, %(owner)s::text)
FROM pg_proc p, own WHERE p.pronamespace = own.schema AND ('pg_proc'::regclass, p.oid) NOT IN (SELECT * FROM extended)
UNION ALL
SELECT format('ALTER TYPE %%s OWNER TO %%I', t.oid::regtype, %(owner)s::text)
FROM pg_type t, own WHERE t.typnamespace = own.schema AND t.typtype IN ('e', 'd', 'r', 'b') AND t.typelem = 0
  AND ('pg_type'::regclass, t.oid) NOT IN (SELECT * FROM extended)
UNION ALL
SELECT format('ALTER OPERATOR %%s OWNER TO %%I', o.oid::regoperator, %(owner)s::text)
FROM pg_operator o, own WHERE o.oprnamespace = own.schema
  AND ('pg_operator'::regclass, o.oid) NOT IN (SELECT * FROM extended)
UNION ALL
SELECT format('ALTER COLLATION %%s OWNER TO %%I', c.oid::regcollation, %(owner)s::text)
FROM pg_collation c, own WHERE c.collnamespace = own.schema
UNION ALL
SELECT format('ALTER TEXT SEARCH CONFIGURATION %%s OWNER TO %%I', c.oid::regconfig, %(owner)s::text)
FROM pg_ts_config c, own WHERE c.cfgnamespace = own.schema
UNION ALL
SELECT format('ALTER TEXT SEARCH DICTIONARY %%s OWNER TO %%I', d.oid::regdictionary, %(owner)s::text)
FROM pg_ts_dict d, own WHERE d.dictnamespace = own.schema
  AND ('pg_ts_dict'::regclass, d.oid) NOT IN (SELECT * FROM extended)
UNION ALL
SELECT format('ALTER STATISTICS %%I.%%I OWNER TO %%I', %(schema)s::text, s.stxname, %(owner)s::text)
FROM pg_statistic_ext s, own WHERE s.stxnamespace = own.schema
"""


def name_of(base: str, kind: str) -> str:
    """The role of a project for one kind of work."""
    return f"{base}_{kind}"


def names_of(base: str) -> list[str]:
    return [name_of(base, kind) for kind in KINDS]


async def prefix(conn: Connection) -> str:
    """What the roles of this database begin with."""
    return (await _creator(conn))[0]


async def create(conn: Connection) -> str:
    """Roles for a new project; their base. Without a password they cannot log in yet, where one is asked for."""
    beginning, bypasses, is_superuser = await _creator(conn)
    base = f"{beginning}{secrets.token_hex(6)}"
    owner = sql.Identifier(name_of(base, "owner"))
    # A table may FORCE row security on its owner, and an owner that sees no rows could not copy them.
    made = [sql.SQL("CREATE ROLE {} LOGIN{}").format(owner, sql.SQL(" BYPASSRLS" if bypasses else ""))]
    granted: list[sql.Composed] = []
    for group in GROUPS:
        role = sql.Identifier(name_of(base, group))
        made.append(sql.SQL("CREATE ROLE {} LOGIN").format(role))
        groups = [sql.Identifier(group), *([owner] if group == "service_role" else [])]
        granted += [sql.SQL("GRANT {} TO {} WITH INHERIT TRUE, SET FALSE").format(each, role) for each in groups]
    if not is_superuser:
        # Who makes a role without being a superuser administers it; to use or to drop what is its, it has to be a member.
        every = sql.SQL(", ").join(map(sql.Identifier, names_of(base)))
        made.append(sql.SQL("GRANT {} TO CURRENT_USER WITH INHERIT TRUE, SET TRUE").format(every))
    granted.append(
        sql.SQL("ALTER DEFAULT PRIVILEGES FOR ROLE {} REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC").format(owner)
    )
    await conn.execute(sql.SQL("; ").join([*made, *granted]))
    return base


async def _creator(conn: Connection) -> tuple[str, bool, bool]:
    """What roles of this database begin with; whether who makes them here may let them bypass row security; is superuser."""
    row = await (await conn.execute(_CREATOR)).fetchone()
    assert row is not None
    return f"r402_{row[0]}_", row[1], row[2]


async def drop(conn: Connection, base: str) -> None:
    """The roles of a project that is gone, with whatever they still own or may use. Those that are not there are not."""
    cursor = await conn.execute("SELECT rolname FROM pg_roles WHERE rolname = ANY(%s)", (names_of(base),))
    found = sql.SQL(", ").join(sql.Identifier(name) for (name,) in await cursor.fetchall())
    if found.as_string():
        await conn.execute(sql.SQL("DROP OWNED BY {} CASCADE; DROP ROLE {}").format(found, found))


async def make_schema(conn: Connection, slot: str, base: str) -> None:
    """An empty schema that belongs to a project's owner and that nobody else may look into."""
    owner = sql.Identifier(name_of(base, "owner"))
    await conn.execute(sql.SQL("CREATE SCHEMA {} AUTHORIZATION {}").format(sql.Identifier(slot), owner))


async def take_over(conn: Connection, slot: str, base: str) -> None:
    """Give a schema with everything in it to a project's owner. Runs none of its code."""
    await conn.execute("SELECT set_config('search_path', '', true)")
    cursor = await conn.execute(_OBJECTS, {"schema": slot, "owner": name_of(base, "owner")})
    await conn.execute("; ".join(row[0] for row in await cursor.fetchall()).encode())
    await conn.execute("SET LOCAL search_path = pg_catalog")


async def open_schema(conn: Connection, slot: str, base: str) -> None:
    """The requests of a project may look into this schema."""
    await conn.execute(_usage("GRANT", "TO", slot, [name_of(base, group) for group in GROUPS]))


async def close_schema(conn: Connection, slot: str, base: str) -> None:
    """Nobody but the project's owner may look into this schema."""
    await conn.execute(_usage("REVOKE", "FROM", slot, [name_of(base, group) for group in GROUPS]))


def _usage(verb: str, to: str, slot: str, names: list[str]) -> sql.Composed:
    return sql.SQL("{} USAGE ON SCHEMA {} {} {}").format(
        sql.SQL(verb), sql.Identifier(slot), sql.SQL(to), sql.SQL(", ").join(map(sql.Identifier, names))
    )
