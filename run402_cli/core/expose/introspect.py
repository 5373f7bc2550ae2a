"""A manifest rebuilt from the live database, for a project that never applied one. See docs/expose.md."""

from __future__ import annotations

from typing import Any

from psycopg import sql

from run402_cli.core.db import Connection

_ROLES = ("anon", "authenticated", "project_admin")
_TABLES = """
SELECT c.relname, c.relkind = 'v',
       coalesce((SELECT array_agg(DISTINCT a.privilege_type) FROM aclexplode(c.relacl) a JOIN pg_roles r ON r.oid = a.grantee
                 WHERE r.rolname = ANY(%s)), '{}'),
       c.relrowsecurity
FROM pg_class c
WHERE c.relnamespace = to_regnamespace(quote_ident(%s)) AND c.relkind IN ('r', 'p', 'v') ORDER BY c.relname
"""
_POLICIES = """
SELECT tablename, policyname, permissive, roles::text[], cmd, qual, with_check FROM pg_policies WHERE schemaname = %s
ORDER BY tablename, policyname
"""
_VIEW_COLUMNS = """
SELECT u.view_name, min(u.table_name), count(DISTINCT u.table_name),
       (SELECT array_agg(c.column_name::text ORDER BY c.ordinal_position) FROM information_schema.columns c
        WHERE c.table_schema = %(slot)s AND c.table_name = u.view_name)
FROM information_schema.view_table_usage u
WHERE u.view_schema = %(slot)s AND u.table_schema = %(slot)s GROUP BY u.view_name
"""
_RPCS = """
SELECT p.proname, '(' || pg_get_function_identity_arguments(p.oid) || ')', array_agg(r.rolname::text ORDER BY r.rolname)
FROM pg_proc p
CROSS JOIN LATERAL aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
JOIN pg_roles r ON r.oid = a.grantee OR (a.grantee = 0 AND r.rolname IN ('anon', 'authenticated'))
WHERE p.pronamespace = to_regnamespace(quote_ident(%s)) AND r.rolname = ANY(%s) AND p.prokind IN ('f', 'p')
GROUP BY p.oid, p.proname ORDER BY p.proname, p.oid
"""


async def introspect(conn: Connection, slot: str) -> dict[str, Any]:
    """`{version, tables, views, rpcs}`: every table with what the public roles may do to it now, as policy custom."""
    policies: dict[str, list[str]] = {}
    for row in await (await conn.execute(_POLICIES, (slot,))).fetchall():
        policies.setdefault(row[0], []).append(_policy_text(*row))
    tables: list[dict[str, Any]] = []
    readable_views: list[str] = []
    for name, is_view, privileges, protected in await (await conn.execute(_TABLES, (list(_ROLES), slot))).fetchall():
        if is_view:
            readable_views += [name] if "SELECT" in privileges else []
        elif not privileges or (protected and name not in policies):
            tables.append({"name": name, "expose": False})
        elif protected:
            tables.append({"name": name, "expose": True, "policy": "custom", "custom_sql": "\n".join(policies[name])})
        else:
            tables.append(_unprotected(name, set(privileges)))
    return {
        "version": "1",
        "tables": tables,
        "views": await _views(conn, slot, readable_views),
        "rpcs": await _rpcs(conn, slot),
    }


def _unprotected(name: str, privileges: set[str]) -> dict[str, Any]:
    if privileges <= {"SELECT"}:
        read = sql.SQL("CREATE POLICY read ON {} FOR SELECT USING (true);").format(sql.Identifier(name)).as_string()
        return {"name": name, "expose": True, "policy": "custom", "custom_sql": read}
    return {
        "name": name,
        "expose": True,
        "policy": "public_read_write_UNRESTRICTED",
        "i_understand_this_is_unrestricted": True,
    }


def _policy_text(
    table: str, name: str, permissive: str, roles: list[str], command: str, using: str | None, check: str | None
) -> str:
    text = sql.SQL("CREATE POLICY {} ON {}").format(sql.Identifier(name), sql.Identifier(table)).as_string()
    named = ", ".join("PUBLIC" if role == "public" else sql.Identifier(role).as_string() for role in roles)
    text += f" AS {permissive} FOR {command} TO {named}"
    text += f" USING ({using})" if using else ""
    return text + (f" WITH CHECK ({check})" if check else "") + ";"


async def _views(conn: Connection, slot: str, readable: list[str]) -> list[dict[str, Any]]:
    found = []
    for name, base, bases, columns in await (await conn.execute(_VIEW_COLUMNS, {"slot": slot})).fetchall():
        # A view over several tables has no form in a manifest.
        if name in readable and bases == 1:
            found.append({"name": name, "base": base, "select": columns, "expose": True})
    return found


async def _rpcs(conn: Connection, slot: str) -> list[dict[str, Any]]:
    rows = await (await conn.execute(_RPCS, (slot, list(_ROLES)))).fetchall()
    return [{"name": name, "signature": signature, "grant_to": roles} for name, signature, roles in rows]
