"""The OpenAPI document at the root: Swagger 2.0, as PostgREST writes it. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from run402_cli._version import __version__
from run402_cli.core.rest.openapi_rows import UsableColumn, UsableRelation
from run402_cli.core.rest.routines import Argument, Routine
from run402_cli.core.rest.schema import Catalog, Relation

Json = dict[str, Any]

_PRODUCED = [
    "application/json",
    "application/vnd.pgrst.object+json;nulls=stripped",
    "application/vnd.pgrst.object+json",
    "text/csv",
]
_TYPES = {
    "character varying": "string",
    "character": "string",
    "text": "string",
    "boolean": "boolean",
    "smallint": "integer",
    "integer": "integer",
    "bigint": "integer",
    "numeric": "number",
    "real": "number",
    "double precision": "number",
}
# A string of a default, as PostgreSQL prints it.
_LITERAL = re.compile(r"'((?:[^']|'')*)'(?:::.*)?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Surface:
    """What the caller's role may use."""

    comment: str | None
    relations: Sequence[UsableRelation]
    routines: Sequence[Routine]


def document(surface: Surface, catalog: Catalog, base_path: str) -> str:
    """The whole document as JSON text."""
    title, description = _comment(surface.comment)
    definitions: Json = {}
    parameters = _common_parameters()
    paths: Json = {"/": _root()}
    usable = frozenset(relation.name for relation in surface.relations)
    for relation in surface.relations:
        definitions[relation.name] = _definition(relation, catalog, usable)
        parameters |= _parameters(relation)
        paths[f"/{relation.name}"] = _path(relation)
    for routine in surface.routines:
        # Overloads share an address: the first one stands for them.
        paths.setdefault(f"/rpc/{routine.name}", _call(routine))
    told = {
        "swagger": "2.0",
        "info": {
            "title": title or "REST API",
            "description": description or "What this key or token may use, in the dialect of PostgREST 13.",
            "version": __version__,
        },
        "basePath": base_path,
        "consumes": [*_PRODUCED],
        "produces": [*_PRODUCED],
        "paths": paths,
        "definitions": definitions,
        "parameters": parameters,
        "externalDocs": {
            "description": "PostgREST's reference",
            "url": "https://docs.postgrest.org/en/v13/references/api.html",
        },
    }
    return json.dumps(told, ensure_ascii=False)


def _comment(text: str | None) -> tuple[str | None, str | None]:
    """The first line, and what comes after it."""
    first, _, rest = (text or "").partition("\n")
    return first or None, rest.strip("\n") or None


def _told(text: str | None) -> Json:
    summary, description = _comment(text)
    return {name: value for name, value in (("summary", summary), ("description", description)) if value}


def _root() -> Json:
    return {
        "get": {
            "tags": ["Introspection"],
            "summary": "OpenAPI description (this document)",
            "produces": ["application/openapi+json", "application/json"],
            "responses": {"200": {"description": "OK"}},
        }
    }


# relations


def _definition(relation: UsableRelation, catalog: Catalog, usable: frozenset[str]) -> Json:
    known = catalog.relations.get(relation.name)
    properties = {column.name: _property(column, known, catalog, usable) for column in relation.columns}
    required = [column.name for column in relation.columns if column.required]
    return {
        "type": "object",
        "properties": properties,
        **({"description": relation.comment} if relation.comment else {}),
        **({"required": required} if required else {}),
    }


def _property(column: UsableColumn, relation: Relation | None, catalog: Catalog, usable: frozenset[str]) -> Json:
    found: Json = _schema_of(column.format)
    if column.length:
        found["maxLength"] = column.length
    if column.labels:
        found["enum"] = column.labels
    info = relation.columns.get(column.name) if relation else None
    default = _default(info.default, found.get("type")) if info and info.default else None
    if default is not None:
        found["default"] = default
    said = [column.comment, _keys(column, relation, catalog, usable) if relation else None]
    if any(said):
        found["description"] = "\n\n".join(part for part in said if part)
    return found


def _schema_of(kind: str) -> Json:
    """Swagger's type for one of PostgreSQL's; JSON may be anything, and what is not known is written as a string."""
    if kind in ("json", "jsonb"):
        return {"format": kind}
    if kind.endswith("[]"):
        inner = _schema_of(kind.removesuffix("[]"))
        return {"format": kind, "type": "array", "items": {"type": inner["type"]} if "type" in inner else {}}
    return {"format": kind, "type": _TYPES.get(kind, "string")}


def _default(text: str, kind: object) -> Any:
    """The default where it is a constant; an expression only where a string can hold it."""
    literal = _LITERAL.fullmatch(text)
    if literal:
        text = literal[1].replace("''", "'")
    if kind == "string":
        return text
    try:
        value = json.loads(text)
    except ValueError:
        return None
    return value if isinstance(value, (bool, int, float)) else None


def _keys(column: UsableColumn, relation: Relation, catalog: Catalog, usable: frozenset[str]) -> str | None:
    """What generators of clients look for: the notes on keys. A view has those of the columns that it shows.

    A table that the role may not use is not named.
    """
    notes = ["This is a Primary Key.<pk/>"] if column.name in relation.primary_key else []
    refers = column.refers
    for way in catalog.relationships.get(relation.name, ()) if relation.is_view else ():
        leads = way.cardinality == "many-to-one" and way.columns == (column.name,)
        if leads and way.target in usable and not catalog.relations[way.target].is_view:
            refers = [way.target, *way.target_columns]
    if refers:
        table, key = refers
        notes.append(f"This is a Foreign Key to `{table}.{key}`.<fk table='{table}' column='{key}'/>")
    return "Note:\n" + "\n".join(notes) if notes else None


def _path(relation: UsableRelation) -> Json:
    told: Json = {"tags": [relation.name], **_told(relation.comment)}
    filters = [_ref(f"rowFilter.{relation.name}.{column.name}") for column in relation.columns]
    body = _ref(f"body.{relation.name}")
    path: Json = {}
    if relation.reads:
        names = ("select", "order", "range", "rangeUnit", "offset", "limit", "preferCount")
        rows = {"type": "array", "items": {"$ref": f"#/definitions/{relation.name}"}}
        path["get"] = {
            **told,
            "parameters": [*filters, *map(_ref, names)],
            "responses": {"200": {"description": "OK", "schema": rows}, "206": {"description": "Partial Content"}},
        }
    if relation.inserts:
        path["post"] = {
            **told,
            "parameters": [body, _ref("select"), _ref("preferPost")],
            "responses": {"201": {"description": "Created"}},
        }
    if relation.updates:
        path["patch"] = _change(told, [*filters, body, _ref("preferReturn")])
    if relation.deletes:
        path["delete"] = _change(told, [*filters, _ref("preferReturn")])
    return path


def _change(told: Json, parameters: list[Json]) -> Json:
    return {**told, "parameters": parameters, "responses": {"204": {"description": "No Content"}}}


def _ref(name: str) -> Json:
    return {"$ref": f"#/parameters/{name}"}


def _parameters(relation: UsableRelation) -> Json:
    body = {
        "name": relation.name,
        "in": "body",
        "required": False,
        "description": relation.name,
        "schema": {"$ref": f"#/definitions/{relation.name}"},
    }
    filters = {
        f"rowFilter.{relation.name}.{column.name}": {
            "name": column.name,
            "in": "query",
            "required": False,
            "type": "string",
            **({"description": column.comment} if column.comment else {}),
        }
        for column in relation.columns
    }
    return {f"body.{relation.name}": body, **filters}


def _common_parameters() -> Json:
    def parameter(name: str, where: str, description: str, values: Iterable[str] = ()) -> Json:
        found: Json = {"name": name, "in": where, "required": False, "type": "string", "description": description}
        return found | ({"enum": list(values)} if values else {})

    returned = ("return=representation", "return=minimal", "return=none")
    resolved = ("resolution=ignore-duplicates", "resolution=merge-duplicates")
    return {
        "preferParams": parameter("Prefer", "header", "Preference", ()),
        "preferReturn": parameter("Prefer", "header", "Preference", returned),
        "preferCount": parameter("Prefer", "header", "Preference", ("count=none",)),
        "preferPost": parameter("Prefer", "header", "Preference", (*returned, *resolved)),
        "select": parameter("select", "query", "Filtering Columns"),
        "on_conflict": parameter("on_conflict", "query", "On Conflict"),
        "order": parameter("order", "query", "Ordering"),
        "range": parameter("Range", "header", "Limiting and Pagination"),
        "rangeUnit": parameter("Range-Unit", "header", "Limiting and Pagination") | {"default": "items"},
        "offset": parameter("offset", "query", "Limiting and Pagination"),
        "limit": parameter("limit", "query", "Limiting and Pagination"),
    }


# functions


def _call(routine: Routine) -> Json:
    told: Json = {"tags": [f"(rpc) {routine.name}"], **_told(routine.comment)}
    responses = {"200": {"description": "OK"}}
    post = {**told, "produces": _PRODUCED, "parameters": [_arguments(routine)], "responses": responses}
    if routine.volatile:
        return {"post": post}
    named = [_argument(argument) for argument in routine.arguments if argument.name]
    return {"get": {**told, "produces": _PRODUCED, "parameters": named, "responses": responses}, "post": post}


def _arguments(routine: Routine) -> Json:
    """The body of a call: an object of its arguments, or anything for the one that has no name."""
    named = [argument for argument in routine.arguments if argument.name]
    required = [argument.name for argument in named if not argument.optional]
    schema = {
        "type": "object",
        **({"description": routine.comment} if routine.comment else {}),
        "properties": {argument.name: _schema_of(argument.type) for argument in named},
        **({"required": required} if required else {}),
    }
    if routine.unnamed is not None:
        schema = _schema_of(routine.unnamed)
    return {"name": "args", "in": "body", "required": True, "schema": schema}


def _argument(argument: Argument) -> Json:
    """An argument in a query string, where an array is written `{1,2}` and a VARIADIC one is repeated."""
    found = _schema_of(argument.type)
    if argument.variadic:
        found |= {"collectionFormat": "multi"}
    elif found.get("type") in (None, "array"):
        found = {"format": argument.type, "type": "string"}
    return {"name": argument.name, "in": "query", "required": not argument.optional, **found}
