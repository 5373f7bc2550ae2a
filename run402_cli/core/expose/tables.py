"""The statements that give one table or view its declared surface, and a picture of the surface that it has.

See docs/expose.md.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

from psycopg import sql

from run402_cli.core.db import Connection
from run402_cli.core.expose.custom_sql import RESERVED_PREFIX
from run402_cli.core.expose.model import Table, View
from run402_cli.core.expose.policies import (
    derived_name,
    generated_policies,
    owner_trigger_names,
    owner_trigger_statements,
    policy_names,
    policy_statement,
    raw,
    view_statement,
)
from run402_cli.core.sql.meaning import as_written, of_project
from run402_cli.core.sql.shared import search_path

_SURFACES = """
SELECT c.relname, json_build_object(
  'rls', c.relrowsecurity, 'forced', c.relforcerowsecurity, 'options', c.reloptions,
  'view', CASE WHEN c.relkind = 'v' THEN pg_get_viewdef(c.oid) END,
  'policies', (SELECT json_agg(json_build_array(p.polname, p.polcmd, p.polpermissive, p.polroles::regrole[]::text,
                 pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid)) ORDER BY p.polname)
               FROM pg_policy p WHERE p.polrelid = c.oid),
  'triggers', (SELECT json_agg(json_build_array(pg_get_triggerdef(t.oid), t.tgenabled, pg_get_functiondef(t.tgfoid))
                 ORDER BY t.tgname)
               FROM pg_trigger t WHERE t.tgrelid = c.oid AND NOT t.tgisinternal AND t.tgname = ANY(%s))
)::text
FROM pg_class c
WHERE c.relnamespace = to_regnamespace(quote_ident(%s)) AND c.relkind IN ('r', 'p', 'v') AND c.relname = ANY(%s)
"""
_OWNER_INDEX = """
SELECT EXISTS (
  SELECT FROM pg_index i
  JOIN pg_class c ON c.oid = i.indrelid
  JOIN pg_class x ON x.oid = i.indexrelid
  JOIN pg_am am ON am.oid = x.relam AND am.amname = 'btree'
  JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = i.indkey[0]
  WHERE c.relnamespace = to_regnamespace(quote_ident(%s)) AND c.relname = %s AND a.attname = %s
    AND i.indisvalid AND i.indpred IS NULL
)
"""
_POLICIES = """
SELECT p.polname FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid
WHERE c.relnamespace = to_regnamespace(quote_ident(%s)) AND c.relname = %s
"""


async def surfaces(conn: Connection, slot: str, tables: Iterable[str], views: Iterable[str]) -> dict[str, str]:
    """Name -> everything about access to it except privileges, as text. Equal text means equal behaviour."""
    tables = list(tables)
    triggers = [owner_trigger_names(table)[0] for table in tables]
    rows = await as_written(conn, search_path(slot), _SURFACES, (triggers, slot, [*tables, *views]))
    return {name: json.dumps(json.loads(text), sort_keys=True) for name, text in rows}


async def clear_table(conn: Connection, slot: str, name: str, before: Table | None) -> None:
    """Take away what the apply of `before` made on the table: policies, and the owner trigger with its function.

    Without `before` only policies under the reserved names go; everything else belongs to a migration.
    """
    made = set(policy_names(before)) if before else set()
    for (policy,) in await (await conn.execute(_POLICIES, (slot, name))).fetchall():
        if policy in made or policy.startswith(RESERVED_PREFIX):
            await conn.execute(
                sql.SQL("DROP POLICY {} ON {}").format(sql.Identifier(policy), sql.Identifier(slot, name))
            )
    if before:
        await drop_owner_function(conn, slot, before)


async def drop_owner_function(conn: Connection, slot: str, table: Table) -> None:
    """The function of force_owner_on_insert. Its trigger goes with it, also when the table has been renamed since."""
    if table.expose and table.force_owner_on_insert:
        function = owner_trigger_names(table.name)[1]
        await conn.execute(sql.SQL("DROP FUNCTION IF EXISTS {}() CASCADE").format(sql.Identifier(slot, function)))


async def make_table(conn: Connection, slot: str, table: Table, owner_type: str) -> None:
    """Row-level security, policies, owner index and owner trigger of one exposed table."""
    target = sql.Identifier(slot, table.name)
    await conn.execute(sql.SQL("ALTER TABLE {} ENABLE ROW LEVEL SECURITY").format(target))
    for policy in generated_policies(table):
        await conn.execute(policy_statement(policy, slot, table, owner_type))
    if table.policy == "custom":
        async with of_project(conn, search_path(slot)):
            for custom in table.custom_policies:
                await conn.execute(raw(custom.sql))
    if table.policy == "user_owns_rows" and table.owner_column is not None:
        await _owner_index(conn, slot, table.name, table.owner_column)
    if table.force_owner_on_insert:
        for statement in owner_trigger_statements(slot, table, owner_type):
            await conn.execute(statement)


async def _owner_index(conn: Connection, slot: str, table: str, column: str) -> None:
    row = await (await conn.execute(_OWNER_INDEX, (slot, table, column))).fetchone()
    if row is not None and row[0]:
        return
    await conn.execute(
        sql.SQL("CREATE INDEX IF NOT EXISTS {} ON {} ({})").format(
            sql.Identifier(derived_name(f"{table}_{column}", "_owner_idx")),
            sql.Identifier(slot, table),
            sql.Identifier(column),
        )
    )


async def drop_view(conn: Connection, slot: str, view: View) -> None:
    await conn.execute(sql.SQL("DROP VIEW IF EXISTS {}").format(sql.Identifier(slot, view.name)))


async def make_view(conn: Connection, slot: str, view: View) -> None:
    async with of_project(conn, search_path(slot)):
        await conn.execute(view_statement(slot, view))
