"""The PostgreSQL roles of a project, which are the wall around it. Pure SQL; who logs in as whom is in logins.py.

`<base>_owner` owns the project's schema and nothing else: SQL, migrations, expose, copies and imports log in as it.
`<base>_anon`, `_authenticated`, `_project_admin` and `_service_role` are what requests log in as: USAGE of one schema,
and membership in the group of the same name, whose rights on tables are worth nothing without that USAGE. Nobody can
SET ROLE to a group or to the owner (SET FALSE), so there is nothing to reset to. Names hold the database's OID: roles
belong to the cluster, and a copy of a database must not share them.
"""

from __future__ import annotations

import secrets
from typing import Final, Literal, NamedTuple

from psycopg import sql

from run402_cli.core.db import Connection

Kind = Literal["owner", "anon", "authenticated", "project_admin", "service_role"]
GROUPS: Final = ("anon", "authenticated", "service_role", "project_admin")
KINDS: Final[tuple[Kind, ...]] = ("owner", "anon", "authenticated", "project_admin", "service_role")
OWN_ROLE: Final = r"r402_[0-9]+_[0-9a-f]{12}_(?:owner|anon|authenticated|project_admin|service_role)"

_CREATOR = """
SELECT d.oid::text, rolsuper OR rolbypassrls, rolsuper, to_regrole(format('run402_owners_%s', d.oid)) IS NOT NULL
FROM pg_roles, pg_database d WHERE rolname = current_user AND datname = current_database()
"""
# Who makes a temporary object runs code where functions of the owner meet it: a cast, the check of a domain. So only owners
# may, by a group of this database; to give or take it is for whoever owns the database.
OWNERS = """
DO $do$
DECLARE
  owners text; database text; member text;
BEGIN
  SELECT format('run402_owners_%s', oid), datname INTO owners, database FROM pg_database WHERE datname = current_database()
    AND pg_has_role(current_user, datdba, 'USAGE');
  IF owners IS NULL THEN RETURN; END IF;
  IF to_regrole(owners) IS NULL THEN
    EXECUTE format('CREATE ROLE %I NOLOGIN', owners);
  END IF;
  IF NOT has_database_privilege(owners, current_database(), 'TEMPORARY') OR EXISTS (
    SELECT FROM pg_database d, aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) a
    WHERE d.datname = current_database() AND a.grantee = 0 AND a.privilege_type = 'TEMPORARY'
  ) THEN
    EXECUTE format('GRANT TEMPORARY ON DATABASE %I TO %I', database, owners);
    EXECUTE format('REVOKE TEMPORARY ON DATABASE %I FROM PUBLIC', database);
  END IF;
  FOR member IN SELECT r.rolname FROM pg_roles r JOIN internal.core_projects p ON r.rolname = p.roles || '_owner'
    WHERE NOT pg_has_role(r.oid, to_regrole(owners), 'USAGE')
  LOOP
    EXECUTE format('GRANT %I TO %I WITH INHERIT TRUE, SET FALSE', owners, member);
  END LOOP;
END
$do$;
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
    return (await _creator(conn)).beginning


async def create(conn: Connection) -> str:
    """Roles for a new project; their base. Without a password they cannot log in yet, where one is asked for."""
    creator = await _creator(conn)
    base = f"{creator.beginning}{secrets.token_hex(6)}"
    owner = sql.Identifier(name_of(base, "owner"))
    # A table may FORCE row security on its owner, and an owner that sees no rows could not copy them.
    made = [sql.SQL("CREATE ROLE {} LOGIN{}").format(owner, sql.SQL(" BYPASSRLS" if creator.bypasses else ""))]
    granted: list[sql.Composed] = []
    for group in GROUPS:
        role = sql.Identifier(name_of(base, group))
        made.append(sql.SQL("CREATE ROLE {} LOGIN").format(role))
        groups = [sql.Identifier(group), *([owner] if group == "service_role" else [])]
        granted += [sql.SQL("GRANT {} TO {} WITH INHERIT TRUE, SET FALSE").format(each, role) for each in groups]
    if creator.has_group:
        group_of_owners = sql.Identifier(f"run402_owners_{creator.database}")
        granted.append(sql.SQL("GRANT {} TO {} WITH INHERIT TRUE, SET FALSE").format(group_of_owners, owner))
    if not creator.is_superuser:
        # Who makes a role without being a superuser administers it; to use or to drop what is its, it has to be a member.
        every = sql.SQL(", ").join(map(sql.Identifier, names_of(base)))
        made.append(sql.SQL("GRANT {} TO CURRENT_USER WITH INHERIT TRUE, SET TRUE").format(every))
    granted.append(
        sql.SQL("ALTER DEFAULT PRIVILEGES FOR ROLE {} REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC").format(owner)
    )
    await conn.execute(sql.SQL("; ").join([*made, *granted]))
    return base


class _Creator(NamedTuple):
    """The number of this database; what who makes roles here may; whether there is the group of OWNERS."""

    database: str
    bypasses: bool
    is_superuser: bool
    has_group: bool

    @property
    def beginning(self) -> str:
        """What roles of this database begin with."""
        return f"r402_{self.database}_"


async def _creator(conn: Connection) -> _Creator:
    row = await (await conn.execute(_CREATOR)).fetchone()
    assert row is not None
    return _Creator(*row)


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
