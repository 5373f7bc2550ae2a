"""Which fields the result of a command may have: those of its output schema, and those of the result itself.

Loaded only to judge a field of --fields that the result does not have.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from typing import Any

from run402_cli import command_schemas, suggest

Document = dict[str, Any]
_Place = tuple[tuple[str, ...], list[Document], list[Any]]


def at(command: str, value: Any, path: tuple[str, ...]) -> list[str] | None:
    """The fields that there are where `path` ends, when its last part is none of them; None when it may be one.

    A part of the path that is of no known kind (an open object without a row, a text) may hold anything.
    """
    schemas = list(_forms(command))
    values = [value]
    before: tuple[str, ...] = ()
    for part in path:
        schemas = [form for schema in schemas for form in _objects(schema)]
        rows = [row for item in values for row in _rows(item)]
        named = {key for schema in schemas for key in schema["properties"]}
        known = named | {key for row in rows for key in row}
        if part not in known:
            return [".".join((*before, key)) for key in sorted(known)] if known else None
        schemas = [_within(schema["properties"][part], schema) for schema in schemas if part in schema["properties"]]
        values = [row[part] for row in rows if part in row]
        before = (*before, part)
    return None


_DEEPEST = 4  # parts of a path that is offered; schemas may refer to themselves


def meant(command: str, value: Any, path: tuple[str, ...]) -> list[str]:
    """The field that `path` probably stands for, as `[dotted path]`, or `[]`: the highest that ends so, else by spelling."""
    found: dict[tuple[str, ...], None] = {}
    level: list[_Place] = [((), list(_forms(command)), [value])]
    for _ in range(_DEEPEST):
        level = [below for at in level for below in _below(*at)]
        found.update(dict.fromkeys(each[0] for each in level))
    ends = next((each for each in found if each[-len(path) :] == path), None) or _longer(found, path)
    return [".".join(ends)] if ends else suggest.closest(".".join(path), map(".".join, found))


def _longer(found: Iterable[tuple[str, ...]], path: tuple[str, ...]) -> tuple[str, ...] | None:
    """The field beside it whose name says of what: `projects.project_id` for `projects.id`; None when two fit alike."""
    beside = [each for each in found if each[:-1] == path[:-1] and each[-1].endswith(f"_{path[-1]}")]
    own = [each for each in beside if path[:-1] and path[-2].startswith(each[-1].removesuffix(f"_{path[-1]}"))]
    fit = own or beside
    return fit[0] if len(fit) == 1 else None


def _below(before: tuple[str, ...], schemas: list[Document], values: list[Any]) -> Iterator[_Place]:
    """Each field below a place: its path, its schemas, and its values."""
    schemas = [form for schema in schemas for form in _objects(schema)]
    rows = [row for item in values for row in _rows(item)]
    for key in dict.fromkeys(
        [*(key for form in schemas for key in form["properties"]), *(key for row in rows for key in row)]
    ):
        forms = [_within(form["properties"][key], form) for form in schemas if key in form["properties"]]
        yield (*before, key), forms, [row[key] for row in rows if key in row]


def _forms(command: str) -> Iterator[Document]:
    """The schemas of the result: the plain one, and those that a flag selects."""
    waiting = [(command_schemas.output_schema(command) if command else None) or {}]
    while waiting:
        output = waiting.pop()
        waiting += output.get("with", {}).values()
        if "schema" in output:
            yield output["schema"]


def _within(schema: Document, whole: Document) -> Document:
    """A part of a schema together with the definitions that it refers to."""
    return {**schema, "$defs": whole.get("$defs", {})}


def _objects(schema: Document) -> Iterator[Document]:
    """The objects with named properties that a schema allows, lists taken apart."""
    inside = functools.partial(_within, whole=schema)
    if isinstance(reference := schema.get("$ref"), str):
        yield from _objects(inside(schema["$defs"][reference.removeprefix("#/$defs/")]))
    if "properties" in schema:
        yield schema
    if isinstance(schema.get("items"), dict):
        yield from _objects(inside(schema["items"]))
    for kind in ("anyOf", "oneOf", "allOf"):
        for form in schema.get(kind, ()):
            yield from _objects(inside(form))


def _rows(value: Any) -> Iterator[Document]:
    if isinstance(value, dict):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _rows(item)
