"""Which tables can be read, and which written, without running anything that a project has written.

After such a request there is nothing in the session to be taken away, and its statements can stay prepared. Whatever is not
known to be so counts as the project's: views, types of its own, row security that looks elsewhere, an index over an
expression.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from run402_cli.core.db import Connection

# Names without a schema in a compiled statement, and columns that are functions of a row, must not mean anything of the
# project. PostgreSQL notes what a table depends on, but for what is its own from the beginning: of that some functions
# change the session, or run what a text says (`domain_in` the checks of a type), and a policy may call them. Its expression
# has their numbers.
_BY_TEXT: Final = "f.proname ~ '_to_xml|^pg_' OR 'cstring'::regtype = ANY (f.proargtypes)"
_QUIET: Final = f"""
WITH own AS (SELECT oid FROM pg_namespace WHERE nspname = %s),
parts(relid, classid, objid) AS (
  SELECT c.oid, 'pg_class'::regclass, c.oid FROM pg_class c JOIN own ON c.relnamespace = own.oid WHERE c.relkind = 'r'
  UNION ALL
  SELECT i.indrelid, 'pg_class'::regclass, i.indexrelid FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
  JOIN own ON c.relnamespace = own.oid
  UNION ALL
  SELECT n.conrelid, 'pg_constraint'::regclass, n.oid FROM pg_constraint n JOIN own ON n.connamespace = own.oid
  UNION ALL
  SELECT p.polrelid, 'pg_policy'::regclass, p.oid FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid
  JOIN own ON c.relnamespace = own.oid
  UNION ALL
  SELECT s.stxrelid, 'pg_statistic_ext'::regclass, s.oid FROM pg_statistic_ext s JOIN pg_class c ON c.oid = s.stxrelid
  JOIN own ON c.relnamespace = own.oid
), loud AS (
  SELECT p.relid FROM parts p JOIN pg_depend d ON d.classid = p.classid AND d.objid = p.objid
  WHERE CASE d.refclassid
    WHEN 'pg_proc'::regclass THEN NOT EXISTS (
      SELECT FROM pg_proc f WHERE f.oid = d.refobjid AND f.pronamespace = 'auth'::regnamespace)
    WHEN 'pg_class'::regclass THEN p.classid = 'pg_policy'::regclass AND d.refobjid <> p.relid
    ELSE d.refclassid IN ('pg_operator'::regclass, 'pg_type'::regclass, 'pg_opclass'::regclass, 'pg_opfamily'::regclass,
      'pg_cast'::regclass, 'pg_ts_config'::regclass) END
  UNION ALL
  SELECT p.polrelid FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid JOIN own ON c.relnamespace = own.oid
  CROSS JOIN LATERAL regexp_matches(concat(p.polqual::text, p.polwithcheck::text), 'funcid ([0-9]+)', 'g') AS called(number)
  JOIN pg_proc f ON f.oid = number[1]::oid
  WHERE f.pronamespace <> 'auth'::regnamespace AND (
    f.provolatile = 'v' OR {_BY_TEXT})
)
SELECT c.relname, EXISTS (
  SELECT FROM pg_policy p WHERE p.polrelid = c.oid AND (
    p.polqual::text ~ 'SUBLINK' OR EXISTS (
      SELECT FROM regexp_matches(p.polqual::text, 'funcid ([0-9]+)', 'g') AS called(number)
      JOIN pg_proc f ON f.oid = number[1]::oid
      WHERE f.pronamespace <> 'auth'::regnamespace AND f.provolatile <> 'i'))) AS asks,
  c.relhastriggers OR c.relhasrules OR c.relispartition OR EXISTS (
    SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND a.attidentity <> ''
  ) OR EXISTS (
    SELECT FROM (
      SELECT d.adbin::text FROM pg_attrdef d WHERE d.adrelid = c.oid
      UNION ALL
      SELECT n.conbin::text FROM pg_constraint n WHERE n.conrelid = c.oid AND n.conbin IS NOT NULL
    ) AS kept(expression)
    WHERE expression ~ 'SUBLINK|NEXTVALUE' OR EXISTS (
      SELECT FROM regexp_matches(expression, 'funcid ([0-9]+)', 'g') AS called(number)
      LEFT JOIN pg_proc f ON f.oid = number[1]::oid
      WHERE f.oid IS NULL OR f.pronamespace NOT IN ('auth'::regnamespace, 'pg_catalog'::regnamespace)
      OR (f.provolatile = 'v' AND f.proname NOT IN ('gen_random_uuid', 'uuidv4', 'uuidv7', 'clock_timestamp'))
      OR {_BY_TEXT})) AS runs
FROM pg_class c JOIN own ON c.relnamespace = own.oid
WHERE c.relkind = 'r' AND NOT c.relhassubclass AND c.oid NOT IN (SELECT relid FROM loud)
AND NOT EXISTS (
  SELECT FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
  WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND (
    t.typnamespace <> 'pg_catalog'::regnamespace OR t.typtype NOT IN ('b', 'r', 'm') OR a.attgenerated = 'v'))
AND NOT EXISTS (SELECT FROM pg_operator o WHERE o.oprnamespace = own.oid)
AND NOT EXISTS (
  SELECT FROM pg_proc p WHERE p.pronamespace = own.oid AND (
    EXISTS (SELECT FROM pg_proc s WHERE s.proname = p.proname AND s.pronamespace = 'pg_catalog'::regnamespace)
    OR EXISTS (
      SELECT FROM unnest(p.proargtypes) AS given(type) JOIN pg_type t ON t.oid = given.type
      WHERE t.typnamespace <> 'pg_catalog'::regnamespace OR t.typtype NOT IN ('b', 'r', 'm'))))
"""


class Quiet(NamedTuple):
    """The quiet tables of a schema. Of them, `unasking` are those whose policies do not look at what a request was like:
    nothing that they call depends on a setting, but for the claims that auth.uid() and its kin read. `written`: a write runs
    nothing that changes the session either: no trigger, no sequence, no default or check that does.
    """

    relations: frozenset[str] = frozenset()
    unasking: frozenset[str] = frozenset()
    written: frozenset[str] = frozenset()


async def relations(conn: Connection, schema: str) -> Quiet:
    """`conn` is one of the gateway's own."""
    found = await (await conn.execute(_QUIET, (schema,))).fetchall()
    return Quiet(
        frozenset(name for name, _, _ in found),
        frozenset(name for name, asks, _ in found if not asks),
        frozenset(name for name, _, runs in found if not runs),
    )
