"""Who may touch what in a project's schema: nothing for the public roles unless exposed. Whoever has the service key logs in
as a member of the schema's owner, and needs no grants.

Tables and functions are granted to the groups anon, authenticated and project_admin, sequences to the project's own roles:
a sequence is found by its number without USAGE of its schema, and the groups have members in every project.

Only differences are granted and revoked, so that a repeated run writes nothing. See docs/expose.md.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from psycopg import sql

from run402_cli.core.db import Connection
from run402_cli.core.expose import signatures
from run402_cli.core.expose.catalog import read_functions
from run402_cli.core.expose.model import Manifest
from run402_cli.core.expose.policies import ANON, USER, raw, table_grants
from run402_cli.core.projects import role_rows
from run402_cli.core.projects.rows import Project
from run402_cli.core.sql.meaning import OWN_PATH
from run402_cli.core.sql.shared import search_path

PUBLIC_ROLES = ("PUBLIC", ANON, USER, "project_admin")

_RELATIONS = """
SELECT c.oid::int8, CASE WHEN c.relkind = 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, c.oid::regclass::text, c.relname,
       coalesce(r.rolname, CASE WHEN acl.grantee = 0 THEN 'PUBLIC' END), acl.privilege_type
FROM pg_class c
LEFT JOIN LATERAL aclexplode(c.relacl) acl ON true
LEFT JOIN pg_roles r ON r.oid = acl.grantee
WHERE c.relnamespace = to_regnamespace(quote_ident(%s)) AND c.relkind IN ('r', 'p', 'f', 'v', 'm', 'S')
ORDER BY c.oid
"""
_ROUTINES = """
SELECT p.oid::int8, 'ROUTINE', p.oid::regprocedure::text, p.proname,
       coalesce(r.rolname, CASE WHEN acl.grantee = 0 THEN 'PUBLIC' END), acl.privilege_type
FROM pg_proc p
LEFT JOIN LATERAL aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) acl ON true
LEFT JOIN pg_roles r ON r.oid = acl.grantee
WHERE p.pronamespace = to_regnamespace(quote_ident(%s))
ORDER BY p.oid
"""
_COLUMN_GRANTS = """
SELECT DISTINCT a.attrelid::int8, coalesce(r.rolname, 'PUBLIC')
FROM pg_attribute a
JOIN pg_class c ON c.oid = a.attrelid
CROSS JOIN LATERAL aclexplode(a.attacl) acl
LEFT JOIN pg_roles r ON r.oid = acl.grantee
WHERE c.relnamespace = to_regnamespace(quote_ident(%s))
"""
# A serial column owns its sequence; a hand-written nextval() default only depends on it; an identity column has one inside.
_SEQUENCES = """
SELECT d.adrelid::int8, dep.refobjid::int8
FROM pg_attrdef d
JOIN pg_class t ON t.oid = d.adrelid
JOIN pg_depend dep ON dep.classid = 'pg_attrdef'::regclass AND dep.objid = d.oid AND dep.refclassid = 'pg_class'::regclass
JOIN pg_class s ON s.oid = dep.refobjid AND s.relkind = 'S'
WHERE t.relnamespace = to_regnamespace(quote_ident(%(slot)s))
UNION
SELECT t.oid::int8, s.oid::int8
FROM pg_class t
JOIN pg_depend dep ON dep.refclassid = 'pg_class'::regclass AND dep.refobjid = t.oid AND dep.classid = 'pg_class'::regclass
JOIN pg_class s ON s.oid = dep.objid AND s.relkind = 'S'
WHERE t.relnamespace = to_regnamespace(quote_ident(%(slot)s)) AND dep.deptype = 'i'
"""
_USAGE = """
SELECT coalesce(r.rolname, 'PUBLIC'), acl.privilege_type
FROM pg_namespace n CROSS JOIN LATERAL aclexplode(n.nspacl) acl LEFT JOIN pg_roles r ON r.oid = acl.grantee
WHERE n.nspname = %s AND acl.grantee <> n.nspowner
"""
_FORCED = """
SELECT relname FROM pg_class
WHERE relnamespace = to_regnamespace(quote_ident(%s)) AND relkind IN ('r', 'p') AND relforcerowsecurity
"""
# What a caller may lead astray: functions that run as their owner and leave the meaning of names to the caller, or to
# temporary tables first.
_LOOSE = """
SELECT p.oid::regprocedure::text,
       (SELECT substr(setting, 13) FROM unnest(p.proconfig) AS setting WHERE setting LIKE 'search\\_path=%%')
FROM pg_proc p
WHERE p.pronamespace = to_regnamespace(quote_ident(%s)) AND p.prosecdef AND pg_has_role(p.proowner, 'USAGE')
  AND NOT EXISTS (SELECT FROM unnest(p.proconfig) AS setting WHERE setting ~ '^search_path=(.*, ?)?pg_temp$')
"""
_PATH = re.compile(r'(?:"(?:[^"]|"")+"|[\w$]+)(?:, ?(?:"(?:[^"]|"")+"|[\w$]+))*')
# What the owner would grant with everything that it makes from now on; whoever may do as the owner can say so.
_DEFAULTS = """
SELECT DISTINCT n.nspname, d.defaclobjtype::text, coalesce(r.rolname, 'PUBLIC')
FROM pg_default_acl d
CROSS JOIN LATERAL aclexplode(d.defaclacl) acl
LEFT JOIN pg_namespace n ON n.oid = d.defaclnamespace
LEFT JOIN pg_roles r ON r.oid = acl.grantee
WHERE d.defaclrole = (SELECT oid FROM pg_roles WHERE rolname = %s) AND acl.grantee <> d.defaclrole
"""
_HIDES_FUNCTIONS = """
SELECT FROM pg_default_acl
WHERE defaclrole = (SELECT oid FROM pg_roles WHERE rolname = %s) AND defaclnamespace = 0 AND defaclobjtype = 'f'
"""
_KINDS = {"r": "TABLES", "S": "SEQUENCES", "f": "FUNCTIONS", "T": "TYPES", "n": "SCHEMAS", "L": "LARGE OBJECTS"}
_POLICY_ROLES = """
SELECT c.relname, p.polcmd::text, coalesce(r.rolname, 'PUBLIC')
FROM pg_policy p
JOIN pg_class c ON c.oid = p.polrelid
CROSS JOIN LATERAL unnest(p.polroles) AS roles(oid)
LEFT JOIN pg_roles r ON r.oid = roles.oid
WHERE c.relnamespace = to_regnamespace(quote_ident(%s)) AND p.polpermissive
"""
_COMMAND = {
    "r": frozenset({"SELECT"}),
    "a": frozenset({"INSERT"}),
    "w": frozenset({"UPDATE"}),
    "d": frozenset({"DELETE"}),
    "*": frozenset({"SELECT", "INSERT", "UPDATE", "DELETE"}),
}

Wanted = dict[int, dict[str, frozenset[str]]]


@dataclass(slots=True)
class _Object:
    kind: str
    shown: str
    name: str
    has: dict[str, set[str]] = field(default_factory=dict)
    column_roles: set[str] = field(default_factory=set)


async def converge_privileges(
    conn: Connection, project: Project, manifest: Manifest, hidden: Iterable[str] = ()
) -> None:
    """Make the privileges of every object in the schema what the manifest says. `hidden`: declared names to keep dark."""
    slot = project.schema_slot
    objects = await _objects(conn, slot)
    wanted = await _wanted(conn, slot, manifest, objects, set(hidden))
    statements = [*await _schema_usage(conn, project), *await _defaults(conn, project), *await _unforced(conn, slot)]
    statements += await _pinned(conn, slot)
    for oid, item in objects.items():
        statements.extend(_differences(item, wanted.get(oid, {}), project.roles))
    if statements:
        await conn.execute(sql.SQL("; ").join(statements))


async def _objects(conn: Connection, slot: str) -> dict[int, _Object]:
    objects: dict[int, _Object] = {}
    for query in (_RELATIONS, _ROUTINES):
        for oid, kind, shown, name, role, privilege in await (await conn.execute(query, (slot,))).fetchall():
            item = objects.setdefault(oid, _Object(kind, shown, name))
            if role is not None:
                item.has.setdefault(role, set()).add(privilege)
    for oid, role in await (await conn.execute(_COLUMN_GRANTS, (slot,))).fetchall():
        if oid in objects:
            objects[oid].column_roles.add(role)
    return objects


async def _wanted(
    conn: Connection, slot: str, manifest: Manifest, objects: dict[int, _Object], hidden: set[str]
) -> Wanted:
    by_name = {item.name: oid for oid, item in objects.items() if item.kind == "TABLE"}
    wanted: Wanted = {}
    custom = await _custom_grants(conn, slot)
    for table in manifest.tables:
        if table.expose and table.name in by_name and table.name not in hidden:
            grants = custom.get(table.name, {}) if table.policy == "custom" else table_grants(table)
            wanted[by_name[table.name]] = grants
    for view in manifest.views:
        if view.expose and view.name in by_name and view.name not in hidden:
            wanted[by_name[view.name]] = {role: frozenset({"SELECT"}) for role in (ANON, USER)}
    for table_oid, sequence_oid in await (await conn.execute(_SEQUENCES, {"slot": slot})).fetchall():
        for role, privileges in wanted.get(table_oid, {}).items():
            if "INSERT" in privileges and sequence_oid in objects:
                wanted.setdefault(sequence_oid, {})[role] = frozenset({"USAGE"})
    functions = await read_functions(conn, slot)
    for rpc in manifest.rpcs:
        named = [function for function in functions if function.name == rpc.name]
        fitting = signatures.matching(rpc.signature, [function.signature for function in named])
        if len(fitting) == 1:
            oid = next(function.oid for function in named if function.signature == fitting[0])
            roles = {role: frozenset({"EXECUTE"}) for role in rpc.grant_to if role != "service_role"}
            wanted[oid] = wanted.get(oid, {}) | roles
    return wanted


async def _custom_grants(conn: Connection, slot: str) -> dict[str, dict[str, frozenset[str]]]:
    """Table -> role -> the commands that its permissive policies name."""
    grants: dict[str, dict[str, frozenset[str]]] = {}
    for table, command, role in await (await conn.execute(_POLICY_ROLES, (slot,))).fetchall():
        for name in (ANON, USER) if role == "PUBLIC" else (role,):
            if name in PUBLIC_ROLES:
                roles = grants.setdefault(table, {})
                roles[name] = roles.get(name, frozenset()) | _COMMAND[command]
    return grants


async def _schema_usage(conn: Connection, project: Project) -> list[sql.Composable]:
    """USAGE of the schema is the wall between projects: nobody has it but this project's roles, who make nothing in it."""
    found = await (await conn.execute(_USAGE, (project.schema_slot,))).fetchall()
    own = {role_rows.name_of(project.roles, group) for group in role_rows.GROUPS}
    has = {role for role, privilege in found if privilege == "USAGE"}
    makers = {role for role, privilege in found if role in own and privilege != "USAGE"}
    strangers = {role for role, _ in found} - own
    schema = sql.Identifier(project.schema_slot)
    statements: list[sql.Composable] = [
        sql.SQL("GRANT USAGE ON SCHEMA {} TO {}").format(schema, sql.Identifier(role)) for role in sorted(own - has)
    ]
    statements += [
        sql.SQL("REVOKE CREATE ON SCHEMA {} FROM {}").format(schema, sql.Identifier(role)) for role in sorted(makers)
    ]
    return statements + [
        sql.SQL("REVOKE ALL ON SCHEMA {} FROM {}").format(
            schema, raw(role) if role == "PUBLIC" else sql.Identifier(role)
        )
        for role in sorted(strangers)
    ]


async def _defaults(conn: Connection, project: Project) -> list[sql.Composable]:
    """What the owner makes is open to nobody by itself: what role_rows.create has set, and nothing beside it."""
    owner = role_rows.name_of(project.roles, "owner")
    statements: list[sql.Composable] = []
    for schema, kind, role in await (await conn.execute(_DEFAULTS, (owner,))).fetchall():
        # Types are PUBLIC's as PostgreSQL makes them.
        if (kind, role) != ("T", "PUBLIC"):
            where = sql.SQL(" IN SCHEMA {}").format(sql.Identifier(schema)) if schema else sql.SQL("")
            statements.append(_default(owner, where, _KINDS[kind], role))
    if await (await conn.execute(_HIDES_FUNCTIONS, (owner,))).fetchone() is None:
        statements.append(_default(owner, sql.SQL(""), "FUNCTIONS", "PUBLIC"))
    return statements


def _default(owner: str, where: sql.Composable, kind: str, role: str) -> sql.Composable:
    return sql.SQL("ALTER DEFAULT PRIVILEGES FOR ROLE {}{} REVOKE ALL ON {} FROM {}").format(
        sql.Identifier(owner), where, raw(kind), raw(role) if role == "PUBLIC" else sql.Identifier(role)
    )


async def _unforced(conn: Connection, slot: str) -> list[sql.Composable]:
    """Row security that is forced on the owner would hide rows from the service key, too."""
    found = await (await conn.execute(_FORCED, (slot,))).fetchall()
    return [
        sql.SQL("ALTER TABLE {} NO FORCE ROW LEVEL SECURITY").format(sql.Identifier(slot, name)) for (name,) in found
    ]


async def _pinned(conn: Connection, slot: str) -> list[sql.Composable]:
    """What a SECURITY DEFINER function means by a name is for the project to say, never for whoever calls it."""
    found = await (await conn.execute(_LOOSE, (slot,))).fetchall()
    return [
        sql.SQL("ALTER ROUTINE {} SET search_path = {}").format(raw(shown), raw(_pinned_path(slot, own)))
        for shown, own in found
    ]


def _pinned_path(slot: str, own: str | None) -> str:
    """The path that a function says, with temporary tables last. One that is no list of names was not written as one."""
    if own == '""':
        return OWN_PATH
    return f"{own}, pg_temp" if own is not None and _PATH.fullmatch(own) else search_path(slot)


def _differences(item: _Object, wanted: dict[str, frozenset[str]], base: str) -> list[sql.Composable]:
    found: list[sql.Composable] = []
    if item.kind == "SEQUENCE":
        wanted = {role_rows.name_of(base, role): privileges for role, privileges in wanted.items()}
    for role in (*PUBLIC_ROLES, "service_role", *(role_rows.name_of(base, group) for group in role_rows.GROUPS)):
        has = frozenset(item.has.get(role, ()))
        want = wanted.get(role, frozenset())
        if role in item.column_roles:
            found.append(_statement("REVOKE", frozenset({"ALL"}), item, role))
            has = frozenset()
        if has - want:
            found.append(_statement("REVOKE", has - want, item, role))
        if want - has:
            found.append(_statement("GRANT", want - has, item, role))
    return found


def _statement(verb: str, privileges: frozenset[str], item: _Object, role: str) -> sql.Composable:
    return sql.SQL("{} {} ON {} {} {} {}").format(
        raw(verb),
        raw(", ".join(sorted(privileges))),
        raw(item.kind),
        raw(item.shown),
        raw("TO" if verb == "GRANT" else "FROM"),
        raw(role) if role == "PUBLIC" else sql.Identifier(role),
    )
