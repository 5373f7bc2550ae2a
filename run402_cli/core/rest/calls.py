"""A function of the schema called with the arguments of a request, as one SELECT. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from psycopg.sql import SQL, Composable, Identifier

from run402_cli.core.rest.body import Payload
from run402_cli.core.rest.routines import Argument, Routine
from run402_cli.core.rest.statement import Parameters, array_literal, raw


def with_whole_body(schema: str, routine: Routine, payload: Payload, parameters: Parameters) -> Composable:
    """The one unnamed parameter gets all of the body."""
    value = payload.text if payload.raw is None else payload.raw
    return _call(schema, routine, SQL("{}::{}").format(parameters.add(value), raw(routine.arguments[0].type)), None)


def with_json(
    schema: str, routine: Routine, payload: Payload, given: frozenset[str], parameters: Parameters
) -> Composable:
    """The keys `given` of the body's object, or of the first one of its array, are the arguments."""
    used = [a for a in routine.arguments if a.name in given]
    if not used:
        return _call(schema, routine, SQL(""), None)
    shape = SQL(", ").join(SQL("{} {}").format(Identifier(a.name), raw(a.type)) for a in used)
    row = SQL("{}::json").format(parameters.add(payload.text))
    row = SQL("({} -> 0)").format(row) if payload.is_array else row
    source = SQL("json_to_record({}) AS pgrst_a({})").format(row, shape)
    passed = SQL(", ").join(_passed(a, Identifier("pgrst_a", a.name)) for a in used)
    return _call(schema, routine, passed, source)


def with_texts(schema: str, routine: Routine, values: Sequence[tuple[str, str]], parameters: Parameters) -> Composable:
    """Values of a query string or a form; of a name that comes twice the last one counts, or all for a VARIADIC one."""
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
