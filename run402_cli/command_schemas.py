"""What `run402 schema` prints: the command tree as data. See docs/how-to/schema.md.

Names come from the registry, effect and credentials from effects.py (both out of command_table.py), output schemas from
schemas/<group>.json, and the rest from schemas/_commands.json. `make docs` makes table and rest from the commands and their
source; no command module is imported here.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator, Mapping
from importlib import resources
from typing import Any

from run402_cli import exits, global_options
from run402_cli._version import __version__
from run402_cli.effects import AUTH_CLASSES, SURFACE
from run402_cli.registry import GROUPS, Group

FORMAT = "run402.schema.v1"
DIALECT = "https://json-schema.org/draft/2020-12/schema"
Document = dict[str, Any]

DRY_RUN_SCHEMA: Document = {
    "type": "object",
    "description": "What --dry-run prints in place of the result: the first write, not sent, and the files not changed.",
    "properties": {
        "dry_run": {"const": True},
        "requests": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "method": {"type": "string"},
                    "url": {"type": "string", "format": "uri"},
                    "headers": {"type": "object"},
                    "body": {},
                },
                "required": ["method", "url"],
            },
        },
        "files": {"type": "array", "items": {"type": "string"}},
    },
    "required": ["dry_run", "requests", "files"],
}
_EFFECTS = {
    "read": "changes nothing, on the gateway or on this machine",
    "write": "adds, changes or starts something, or saves a file",
    "destructive": "deletes something, ends it for good (a key in use, a running job), or gives it away",
}
_WALLET_OPTION = {
    "flags": ["--wallet"],
    "type": "string",
    "value": "NAME",
    "env": ["RUN402_WALLET", "RUN402_PROFILE"],
    "help": "The local wallet of this run.",
}


def names() -> Iterator[str]:
    """Every command by its full name ("projects sql"), in the order of the registry."""
    for name, group in GROUPS.items():
        yield from (full for full, _ in _paths(name, group))


def chosen(words: list[str]) -> list[str]:
    """The commands whose names begin with these words; of older spellings, the command that they stand for."""
    group = GROUPS.get(words[0]) if words else None
    if group is not None and (target := group.aliases.get(" ".join(words[1:]))):
        words = [words[0], *target.split()]
    return [name for name in names() if name.split()[: len(words)] == words]


def index() -> Document:
    """Everything that holds for all commands, and one short row for each."""
    rows = {}
    for name, group in GROUPS.items():
        for full, summary in _paths(name, group):
            rows[full] = {"summary": summary, "effect": SURFACE[full].effect, "auth": list(SURFACE[full].auth)}
    return {**_globals(), "commands": rows}


def detailed(wanted: list[str]) -> Document:
    """Full entries of these commands: {schema, commands: {name: entry}}."""
    return {"schema": FORMAT, "commands": {name: entry(name) for name in wanted}}


def everything() -> Document:
    """What `index` says, with full entries."""
    return {**_globals(), "commands": {name: entry(name) for name in names()}}


def entry(name: str) -> Document:
    """One command: what it takes, does, needs, prints and may fail with."""
    group_name = name.split()[0]
    group, surface, output = GROUPS[group_name], SURFACE[name], output_schema(name)
    outcomes = exits.OUTCOMES.get(name)
    return {
        "summary": dict(_paths(group_name, group))[name],
        "effect": surface.effect,
        "auth": list(surface.auth),
        **({"spends": True} if surface.spends else {}),
        "needs_named_wallet": group.needs_wallet,
        **_tree()["commands"].get(name, {}),
        **({"outcomes": {str(code): text for code, text in outcomes.items()}} if outcomes else {}),
        **({"output": output} if output else {}),
    }


def output_schema(name: str) -> Document | None:
    """What the command prints on stdout: {kind, schema?, with?}; None when it is not written down.

    kind: json, jsonl (the schema is that of a line), text, or bytes (what a function or a service answered). `with`
    holds the forms that a flag selects.
    """
    group = _schemas(name.split()[0])
    found = group["commands"].get(name) if group else None
    if found is None:
        return None
    return _complete(found, group["$defs"])


def _complete(output: Mapping[str, Any], definitions: Mapping[str, Any]) -> Document:
    """An output entry with schemas that stand on their own."""
    done = dict(output)
    if "schema" in done:
        done["schema"] = _whole(done["schema"], definitions)
    if "with" in done:
        done["with"] = {flag: _complete(form, definitions) for flag, form in done["with"].items()}
    return done


def _paths(name: str, group: Group) -> list[tuple[str, str]]:
    """(full name, summary) of the commands of a group."""
    if group.commands:
        return [(f"{name} {path}", summary) for path, summary in group.commands.items()]
    return [(name, group.summary), *((f"{name} {word}", summary) for word, summary in group.words.items())]


def _globals() -> Document:
    shared = {key: _tree()[key] for key in ("every_command", "calls_gateway")}
    return {
        "schema": FORMAT,
        "version": __version__,
        "global_options": list(_global_options()),
        "effects": _EFFECTS,
        "auth_classes": dict(AUTH_CLASSES),
        "exit_codes": {str(code): text for code, text in exits.MEANINGS.items()},
        "dry_run_output": DRY_RUN_SCHEMA,
        "error_codes": {key: facts["error_codes"] for key, facts in shared.items()},
        "environment": {key: facts["environment"] for key, facts in shared.items()},
    }


def _global_options() -> Iterator[Document]:
    yield _WALLET_OPTION
    for flag, (value, help_) in global_options.OPTIONS.items():
        kind: Document = {"type": "boolean" if value is None else "number" if value == "SECONDS" else "string"}
        if flag == "--format":
            kind |= {"values": list(global_options.FORMATS), "default": global_options.FORMATS[0]}
        yield {"flags": [flag], **kind, **({"value": value} if value else {}), "help": help_}


@functools.cache
def _tree() -> Document:
    tree: Document = _packaged("_commands")
    return tree


@functools.cache
def _schemas(group: str) -> Document:
    """{$defs, commands} of a group; empty when the group has no file."""
    try:
        return {"$defs": {}, **_packaged(group)}
    except FileNotFoundError:
        return {}


def _packaged(name: str) -> Any:
    return json.loads((resources.files("run402_cli") / "schemas" / f"{name}.json").read_text(encoding="utf-8"))


def _whole(schema: Document, definitions: Mapping[str, Any]) -> Document:
    """The schema as a document of its own, with the definitions that it refers to."""
    needed: dict[str, Any] = {}
    waiting = [schema]
    while waiting:
        for reference in _references(waiting.pop()):
            if reference not in needed:
                needed[reference] = definitions[reference]
                waiting.append(definitions[reference])
    return {"$schema": DIALECT, **schema, **({"$defs": dict(sorted(needed.items()))} if needed else {})}


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(reference := value.get("$ref"), str):
            yield reference.removeprefix("#/$defs/")
        for item in value.values():
            yield from _references(item)
    elif isinstance(value, list):
        for item in value:
            yield from _references(item)
