"""Functions of the schema reached through /rpc: what they take and give, and which overload a request means."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from run402_cli import suggest
from run402_cli.core.db import Connection
from run402_cli.core.rest import openapi_rows
from run402_cli.core.rest.body import Payload
from run402_cli.core.rest.errors import RestError
from run402_cli.core.rest.media import MEDIA_NAME, Handler

# `t` is what is under a domain, or under a domain over one.
_ALL = """
SELECT p.proname, p.pronargs, p.pronargdefaults, p.provariadic <> 0, p.proretset, p.provolatile::pg_catalog.text,
  t.typtype::pg_catalog.text, t.typname, r.relname,
  (SELECT pg_catalog.json_agg(a.attname ORDER BY a.attnum) FROM pg_catalog.pg_attribute a
   WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped),
  (SELECT pg_catalog.json_agg(pg_catalog.json_build_object(
     'name', p.proargnames[k.ord], 'mode', coalesce(p.proargmodes[k.ord]::pg_catalog.text, 'i'),
     'type', pg_catalog.format_type(k.type, NULL)) ORDER BY k.ord)
   FROM pg_catalog.unnest(coalesce(p.proallargtypes, p.proargtypes::pg_catalog.oid[])) WITH ORDINALITY AS k(type, ord)),
  coalesce((SELECT pg_catalog.has_function_privilege(u.oid, p.oid, 'EXECUTE') FROM pg_catalog.pg_roles u
   WHERE u.rolname = %(role)s), false),
  pg_catalog.obj_description(p.oid, 'pg_proc'),
  (SELECT pg_catalog.lower(d.typname) FROM pg_catalog.pg_type d
   WHERE d.oid = p.prorettype AND d.typtype = 'd' AND NOT p.proretset)
FROM pg_catalog.pg_proc p
JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
CROSS JOIN LATERAL (
  WITH RECURSIVE under AS (
    SELECT d.oid, d.typtype, d.typbasetype FROM pg_catalog.pg_type d WHERE d.oid = p.prorettype
    UNION ALL
    SELECT d.oid, d.typtype, d.typbasetype FROM under JOIN pg_catalog.pg_type d ON d.oid = under.typbasetype
    WHERE under.typtype = 'd')
  SELECT u.* FROM under JOIN pg_catalog.pg_type u ON u.oid = under.oid WHERE under.typtype <> 'd') t
LEFT JOIN pg_catalog.pg_class r ON r.oid = t.typrelid AND r.relnamespace = n.oid AND r.relkind IN ('r','p','v','m','f')
WHERE n.nspname = %(schema)s AND p.prokind = 'f'
  AND p.prorettype NOT IN ('pg_catalog.trigger'::pg_catalog.regtype,
  'pg_catalog.event_trigger'::pg_catalog.regtype)
"""
_ROUTINES = f"{_ALL} AND p.proname = %(name)s ORDER BY p.oid"
_USABLE = f"{_ALL} ORDER BY p.proname, p.oid"

_NAMES = """
SELECT DISTINCT p.proname FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
WHERE n.nspname = %s AND p.prokind = 'f' AND p.prorettype NOT IN ('pg_catalog.trigger'::pg_catalog.regtype,
  'pg_catalog.event_trigger'::pg_catalog.regtype) LIMIT 500
"""

# The types of a parameter without a name that gets the whole body.
UNNAMED = ("json", "jsonb", "text", "xml", "bytea")
# As PostgreSQL prints these without a length it would cut values to one character or bit.
_UNCUT = {"character": "character varying", "bit": "bit varying"}


@dataclass(frozen=True, slots=True)
class Argument:
    name: str
    type: str
    optional: bool
    variadic: bool


@dataclass(frozen=True, slots=True)
class Routine:
    """`shape`: void, scalar, composite, columns (by OUT or TABLE) or record (whatever its query gives).

    `relation` is set when it gives rows of a table or view of the schema, `media` when its one value is of a media type.
    """

    name: str
    arguments: tuple[Argument, ...]
    returns_set: bool
    volatile: bool
    shape: str
    relation: str | None
    columns: frozenset[str]
    allowed: bool
    comment: str | None = None
    media: Handler | None = None

    @property
    def has_columns(self) -> bool:
        """Are its columns known, so that they can be selected, filtered and ordered?"""
        return self.shape in ("composite", "columns")

    @property
    def unnamed(self) -> str | None:
        """The type of its one parameter, when that has no name."""
        alone = len(self.arguments) == 1 and not self.arguments[0].name
        return self.arguments[0].type if alone else None


@dataclass(frozen=True, slots=True)
class Routines:
    """Every overload of one name; when there is none, the names that there are."""

    found: tuple[Routine, ...] = ()
    names: tuple[str, ...] = ()


async def load_routines(conn: Connection, schema: str, name: str, role: str) -> Routines:
    """The overloads of `name`, with whether `role` may execute each. `conn` is one of the gateway's own."""
    cursor = await conn.execute(_ROUTINES, {"schema": schema, "name": name, "role": role})
    found = tuple(_routine(row) for row in await cursor.fetchall())
    if found:
        return Routines(found)
    return Routines(names=tuple(row[0] for row in await (await conn.execute(_NAMES, (schema,))).fetchall()))


async def size_of_routines(conn: Connection, schema: str, role: str) -> int:
    return await openapi_rows.size(conn, _USABLE, {"schema": schema, "role": role})


async def usable_routines(conn: Connection, schema: str, role: str) -> list[Routine]:
    """All functions that `role` may call, overloads in the order in which they were made."""
    cursor = await conn.execute(_USABLE, {"schema": schema, "role": role})
    found = [_routine(row) for row in await cursor.fetchall()]
    return [r for r in found if r.allowed and (r.unnamed in UNNAMED or all(a.name for a in r.arguments))]


def _routine(row: tuple[Any, ...]) -> Routine:
    name, count, defaults, variadic, returns_set, volatility, kind, type_name, relation, attributes, parts = row[:11]
    allowed, comment, domain = row[11:]
    inputs = [part for part in parts or [] if part["mode"] in "ibv"]
    outputs = [part["name"] for part in parts or [] if part["mode"] in "obt"]
    arguments = tuple(
        Argument(
            part["name"] or "",
            _uncut(part["type"]),
            optional=index >= count - defaults or part["mode"] == "v",
            variadic=variadic and part["mode"] == "v",
        )
        for index, part in enumerate(inputs)
    )
    if type_name == "void":
        shape = "void"
    elif kind == "c":
        shape = "composite"
    elif outputs:
        shape = "columns"
    else:
        shape = "record" if type_name == "record" else "scalar"
    columns = frozenset(attributes or outputs) if shape in ("composite", "columns") else frozenset()
    media = Handler(domain, type_name == "bytea") if domain and re.match(MEDIA_NAME, domain) else None
    return Routine(name, arguments, returns_set, volatility == "v", shape, relation, columns, allowed, comment, media)


def _uncut(kind: str) -> str:
    plain, array = (kind[:-2], "[]") if kind.endswith("[]") else (kind, "")
    return f"{_UNCUT.get(plain, plain)}{array}"


def choose(schema: str, name: str, known: Routines, given: frozenset[str] | None, payload: Payload | None) -> Routine:
    """The overload whose parameters fit the names of the arguments, or that takes the whole body of a POST.

    `given` is None for a body that has no names. PGRST202 when none fits, PGRST203 when several do.
    """
    fitting = [r for r in known.found if given is not None and _fits(r, given)]
    if not fitting and payload is not None:
        fitting = [r for r in known.found if r.unnamed in payload.whole]
    if not fitting:
        raise _not_found(schema, name, known, given, payload)
    if len(fitting) == 1:
        return fitting[0]
    raise RestError(
        300,
        "PGRST203",
        "Could not choose the best candidate function between: "
        + ", ".join(f"{schema}.{_signature(r)}" for r in fitting),
        hint="Rename the parameters of one of them, so that the argument names tell the overloads apart.",
    )


def _not_found(
    schema: str, name: str, known: Routines, given: frozenset[str] | None, payload: Payload | None
) -> RestError:
    names = sorted(given or ())[:50]
    searched = f" with parameter{'s' if len(names) > 1 else ''} {', '.join(names)}" if names else " without parameters"
    whole = "/".join(payload.whole) if payload else ""
    if payload and payload.raw is not None:
        shown, searched = "", f" with a single unnamed {whole} parameter"
    else:
        shown = f"({', '.join(names)})" if names else " without parameters"
        searched += f" or with a single unnamed {whole} parameter" if whole else ""
    close = suggest.alike(name, known.names)
    hint: str | None
    if known.found:
        hint = f"{name} takes {' or '.join(_signature(r) for r in known.found[:5])}."
    else:
        hint = f"Perhaps you meant to call the function {schema}.{close[0]}" if close else None
    return RestError(
        404,
        "PGRST202",
        f"Could not find the function {schema}.{name}{shown} in the schema cache",
        details=f"Searched for the function {schema}.{name}{searched}, but no matches were found in the schema cache.",
        hint=hint,
    )


def _fits(routine: Routine, given: frozenset[str]) -> bool:
    names = {a.name for a in routine.arguments}
    required = {a.name for a in routine.arguments if not a.optional}
    return "" not in names and required <= given <= names


def _signature(routine: Routine) -> str:
    return f"{routine.name}({', '.join(f'{a.name} => {a.type}' for a in routine.arguments)})"
