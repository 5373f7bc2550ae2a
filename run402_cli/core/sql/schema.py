"""What is in a project's schema, as PostgreSQL's catalog has it. See docs/local-gateway.md."""

from __future__ import annotations

from typing import Any

from run402_cli.core.db import Connection
from run402_cli.core.sql.meaning import alone, as_written

TABLES = """
SELECT pg_catalog.jsonb_build_object(
  'name', c.relname,
  'columns', coalesce((
    SELECT pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
      'name', a.attname,
      'type', pg_catalog.format_type(a.atttypid, a.atttypmod),
      'nullable', NOT a.attnotnull,
      'default_value', pg_catalog.pg_get_expr(d.adbin, d.adrelid)
    ) ORDER BY a.attnum)
    FROM pg_catalog.pg_attribute a LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
  ), '[]'),
  'constraints', coalesce((
    SELECT pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
      'name', k.conname,
      'type', CASE k.contype WHEN 'p' THEN 'PRIMARY KEY' WHEN 'f' THEN 'FOREIGN KEY' WHEN 'u' THEN 'UNIQUE'
                             WHEN 'c' THEN 'CHECK' WHEN 'x' THEN 'EXCLUDE' WHEN 'n' THEN 'NOT NULL' ELSE k.contype::text END,
      'definition', pg_catalog.pg_get_constraintdef(k.oid)
    ) ORDER BY k.contype = 'p' DESC, k.conname)
    FROM pg_catalog.pg_constraint k WHERE k.conrelid = c.oid AND k.contype <> 'n'
  ), '[]'),
  'rls_enabled', c.relrowsecurity,
  'row_estimate', CASE WHEN c.reltuples < 0::pg_catalog.float4 THEN NULL ELSE c.reltuples::pg_catalog.int8 END,
  'policies', coalesce((
    SELECT pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
      'name', p.polname,
      'command', CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE'
                               WHEN 'd' THEN 'DELETE' ELSE 'ALL' END,
      'using_expression', pg_catalog.pg_get_expr(p.polqual, p.polrelid),
      'check_expression', pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid)
    ) ORDER BY p.polname)
    FROM pg_catalog.pg_policy p WHERE p.polrelid = c.oid
  ), '[]')
)
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = %s AND c.relkind IN ('r', 'p')
ORDER BY c.relname
"""


async def tables(conn: Connection, schema: str) -> list[dict[str, Any]]:
    """Every table of a schema, by name, with definitions as the user wrote them. `conn` logged in as the schema's owner."""
    return [row[0] for row in await as_written(conn, alone(schema), TABLES, (schema,))]
