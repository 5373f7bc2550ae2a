"""Functions of the schema called through /rpc: which overload, with which arguments, and what it gives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from psycopg.sql import SQL, Composable, Identifier

from run402_cli import suggest
from run402_cli.core.db import Connection
from run402_cli.core.rest.body import Payload
from run402_cli.core.rest.compile import Parameters, array_literal, raw
from run402_cli.core.rest.errors import RestError

_ROUTINES = """
SELECT p.oid::pg_catalog.int8, p.pronargs, p.pronargdefaults, p.provariadic <> 0, p.proretset, p.provolatile::pg_catalog.text,
  t.typtype::pg_catalog.text, t.typname, r.relname,
  (SELECT pg_catalog.json_agg(a.attname ORDER BY a.attnum) FROM pg_catalog.pg_attribute a
   WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped),
  (SELECT pg_catalog.json_agg(pg_catalog.json_build_object(
     'name', p.proargnames[k.ord], 'mode', coalesce(p.proargmodes[k.ord]::pg_catalog.text, 'i'),
     'type', pg_catalog.format_type(k.type, NULL)) ORDER BY k.ord)
   FROM pg_catalog.unnest(coalesce(p.proallargtypes, p.proargtypes::pg_catalog.oid[])) WITH ORDINALITY AS k(type, ord)),
  coalesce((SELECT pg_catalog.has_function_privilege(u.oid, p.oid, 'EXECUTE') FROM pg_catalog.pg_roles u
   WHERE u.rolname = %(role)s), false)
FROM pg_catalog.pg_proc p
JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
JOIN pg_catalog.pg_type t ON t.oid = p.prorettype
LEFT JOIN pg_catalog.pg_class r ON r.oid = t.typrelid AND r.relnamespace = n.oid AND r.relkind IN ('r','p','v','m','f')
WHERE n.nspname = %(schema)s AND p.proname = %(name)s AND p.prokind = 'f'
ORDER BY p.oid
"""

_NAMES = """
SELECT DISTINCT p.proname FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
WHERE n.nspname = %s AND p.prokind = 'f' AND p.prorettype NOT IN ('pg_catalog.trigger'::pg_catalog.regtype,
  'pg_catalog.event_trigger'::pg_catalog.regtype) LIMIT 500
"""

_WHOLE_BODY = ("json", "jsonb", "text")


@dataclass(frozen=True, slots=True)
class Argument:
    name: str
    type: str
    optional: bool
    variadic: bool


@dataclass(frozen=True, slots=True)
class Routine:
    """`shape`: void, scalar, composite or record (columns by OUT or TABLE); `relation` when it gives rows of a table."""

    name: str
    arguments: tuple[Argument, ...]
    returns_set: bool
    volatile: bool
    shape: str
    relation: str | None
    columns: frozenset[str]
    allowed: bool

    @property
    def has_columns(self) -> bool:
        return self.shape in ("composite", "record")

    @property
    def takes_body(self) -> bool:
        """One unnamed json, jsonb or text parameter receives the whole body."""
        return len(self.arguments) == 1 and not self.arguments[0].name and self.arguments[0].type in _WHOLE_BODY


@dataclass(frozen=True, slots=True)
class Routines:
    """Every overload of one name; when there is none, the names that there are."""

    found: tuple[Routine, ...] = ()
    names: tuple[str, ...] = ()


async def load_routines(conn: Connection, schema: str, name: str, role: str) -> Routines:
    """The overloads of `name`, with whether `role` may execute each. `conn` is one of the gateway's own."""
    cursor = await conn.execute(_ROUTINES, {"schema": schema, "name": name, "role": role})
    found = tuple(_routine(name, row) for row in await cursor.fetchall())
    if found:
        return Routines(found)
    return Routines(names=tuple(row[0] for row in await (await conn.execute(_NAMES, (schema,))).fetchall()))


def _routine(name: str, row: tuple[Any, ...]) -> Routine:
    _, count, defaults, variadic, returns_set, volatility, kind, type_name, relation, attributes, parts, allowed = row
    inputs = [part for part in parts or [] if part["mode"] in "ibv"]
    outputs = [part["name"] for part in parts or [] if part["mode"] in "obt"]
    arguments = tuple(
        Argument(
            part["name"] or "",
            part["type"],
            optional=index >= count - defaults or part["mode"] == "v",
            variadic=variadic and part["mode"] == "v",
        )
        for index, part in enumerate(inputs)
    )
    if type_name == "void":
        shape = "void"
    elif kind == "c":
        shape = "composite"
    elif type_name == "record":
        shape = "record"
    else:
        shape = "scalar"
    columns = frozenset(attributes or outputs) if shape in ("composite", "record") else frozenset()
    return Routine(name, arguments, returns_set, volatility == "v", shape, relation, columns, allowed)


def choose(schema: str, name: str, known: Routines, given: set[str]) -> Routine:
    """The overload whose parameters fit the argument names. PGRST202 when none does, PGRST203 when several do."""
    routines = known.found
    fitting = [r for r in routines if _fits(r, given)]
    if not fitting:
        fitting = [r for r in routines if r.takes_body]
    if len(fitting) == 1:
        return fitting[0]
    hint: str | None
    listed = ", ".join(sorted(given)[:50])
    if fitting:
        raise RestError(
            300,
            "PGRST203",
            f"Could not choose the best candidate function between: {', '.join(_signature(r) for r in fitting)}",
            hint="Rename the parameters of one of them, so that the argument names tell the overloads apart.",
        )
    if routines:
        hint = f"{name} takes {' or '.join(_signature(r) for r in routines[:5])}."
    else:
        close = suggest.alike(name, known.names)
        hint = f"Perhaps you meant to call the function {schema}.{close[0]}" if close else None
    raise RestError(
        404,
        "PGRST202",
        f"Could not find the function {schema}.{name}({listed}) in the schema cache",
        details=f"Searched for the function {schema}.{name} with parameters ({listed}), but no matches were found.",
        hint=hint,
    )


def _fits(routine: Routine, given: set[str]) -> bool:
    names = {a.name for a in routine.arguments}
    required = {a.name for a in routine.arguments if not a.optional}
    return "" not in names and required <= given <= names


def _signature(routine: Routine) -> str:
    return f"{routine.name}({', '.join(f'{a.name} => {a.type}'.strip() for a in routine.arguments)})"


def call_with_body(schema: str, routine: Routine, payload: Payload, parameters: Parameters) -> Composable:
    """SELECT that calls the function with the keys of a JSON object (or the whole body) as arguments."""
    if routine.takes_body:
        body = SQL("{}::{}").format(parameters.add(payload.text), raw(routine.arguments[0].type))
        return _call(schema, routine, body, None)
    used = [a for a in routine.arguments if a.name in payload.keys]
    if not used:
        return _call(schema, routine, SQL(""), None)
    shape = SQL(", ").join(SQL("{} {}").format(Identifier(a.name), raw(a.type)) for a in used)
    source = SQL("json_to_record({}::json) AS pgrst_a({})").format(parameters.add(payload.text), shape)
    passed = SQL(", ").join(_passed(a, Identifier("pgrst_a", a.name)) for a in used)
    return _call(schema, routine, passed, source)


def call_with_text(
    schema: str, routine: Routine, values: Sequence[tuple[str, str]], parameters: Parameters
) -> Composable:
    """SELECT that calls the function with values of the query string; repeated names make a variadic array."""
    passed = []
    for argument in routine.arguments:
        texts = [value for name, value in values if name == argument.name]
        if not texts:
            continue
        many = argument.variadic and not (len(texts) == 1 and texts[0].startswith("{"))
        value = parameters.add(array_literal(texts) if many else texts[-1])
        passed.append(_passed(argument, SQL("{}::{}").format(value, raw(argument.type))))
    return _call(schema, routine, SQL(", ").join(passed), None)


def _passed(argument: Argument, value: Composable) -> Composable:
    prefix = SQL("VARIADIC ") if argument.variadic else SQL("")
    return SQL("{}{} => {}").format(prefix, Identifier(argument.name), value)


def _call(schema: str, routine: Routine, passed: Composable, source: Composable | None) -> Composable:
    function = SQL("{}({})").format(Identifier(schema, routine.name), passed)
    before = SQL("{}, ").format(source) if source else SQL("")
    if routine.has_columns:
        return SQL("SELECT pgrst_f.* FROM {}LATERAL {} AS pgrst_f").format(before, function)
    return SQL("SELECT pgrst_f.* FROM {}LATERAL (SELECT {} AS {}) AS pgrst_f").format(
        before, function, Identifier(routine.name)
    )
