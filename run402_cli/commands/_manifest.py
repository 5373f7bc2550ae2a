"""What `run402 schema` prints: the command tree as data. See docs/how-to/schema.md.

Names, arguments and options come from the commands themselves, effect and credentials from surface.py, error codes and
kinds of values from schemas/_facts.json (made by `make docs` from the source), output schemas from schemas/<group>.json.
"""

from __future__ import annotations

import functools
import importlib
import json
import re
from collections.abc import Iterator, Mapping
from importlib import resources
from typing import Any

import click

from run402_cli import __version__, invocation
from run402_cli.registry import GROUPS, Group
from run402_cli.surface import AUTH_CLASSES, SURFACE

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
    "destructive": "deletes, overwrites what cannot be read again, or gives something away",
}
_EXITS = {
    "0": "success: one result on stdout",
    "1": "failure: the last line of stderr is the error envelope; for a command with 1 in verdict_exits also a negative "
    "result, printed on stdout",
    "2": "negative result, printed on stdout, of a command with 2 in verdict_exits; else a failure that exit code 1 of the "
    "command must not be mistaken for",
    "130": "stopped by SIGINT (INTERRUPTED)",
    "143": "stopped by SIGTERM (INTERRUPTED)",
}
_WALLET_OPTION = {
    "flags": ["--wallet"],
    "value": "NAME",
    "type": "string",
    "default": None,
    "env": ["RUN402_WALLET", "RUN402_PROFILE"],
    "help": "The local wallet of this run.",
}
_VARIABLE = re.compile(r"\bRUN402_[A-Z_]+\b")
_DEFAULT = re.compile(r"\bDefault(?: [^:.]*)?: (.+?)(?:\.(?= |$)|;|$)")
_PLACEHOLDERS = {
    "N": {"type": "integer"},
    "MS": {"type": "integer", "unit": "ms"},
    "USD_MICROS": {"type": "integer", "unit": "usd_micros"},
    "SECONDS": {"type": "number", "unit": "s"},
    "USD": {"type": "string", "format": "usd"},
    "FILE": {"type": "string", "format": "path"},
    "PATH": {"type": "string", "format": "path"},
    "DIR": {"type": "string", "format": "path"},
    "JSON": {"type": "string", "format": "json"},
    "URL": {"type": "string", "format": "uri"},
    "TIME": {"type": "string", "format": "date-time"},
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
    """Everything that holds for all commands, and one short row for each: no command module is imported."""
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
    group, command, surface, fact = GROUPS[group_name], find(name), SURFACE[name], _facts().get(name, {})
    return {
        "summary": dict(_paths(group_name, group))[name],
        "description": text(command),
        "usage": usage(name, command),
        "arguments": list(_arguments(command)),
        "options": [_option(option, fact.get("options", {})) for option in _shown(command)],
        "effect": surface.effect,
        "auth": list(surface.auth),
        "spends": surface.spends,
        "calls_gateway": fact.get("gateway", False),
        "needs_named_wallet": group.needs_wallet,
        "exit_codes": fact.get("exit_codes", [0, 1]),
        "verdict_exits": fact.get("verdict_exits", []),
        "error_codes": fact.get("error_codes", []),
        "environment": fact.get("environment", []),
        "examples": examples(command),
        "output": output_schema(name),
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


def find(name: str) -> click.Command:
    """The click command with this full name."""
    group = name.split()[0]
    app = importlib.import_module(f"run402_cli.commands.{GROUPS[group].module}").app
    command: click.Command = app.find(name.removeprefix(group).strip() or group)
    return command


def usage(name: str, command: click.Command) -> str:
    context = click.Context(command, info_name=f"run402 {name}")
    return " ".join(["run402", name, *command.collect_usage_pieces(context)]).replace(" [OPTIONS]", "")


def examples(command: click.Command) -> list[str]:
    lines = (command.epilog or "").replace("\b", "").splitlines()
    return [line.strip() for line in lines if line.startswith("  ")]


def text(command: click.Command) -> str:
    return " ".join((command.help or "").replace("\b", "").split())


def _paths(name: str, group: Group) -> list[tuple[str, str]]:
    """(full name, summary) of the commands of a group."""
    if group.commands:
        return [(f"{name} {path}", summary) for path, summary in group.commands.items()]
    return [(name, group.summary), *((f"{name} {word}", summary) for word, summary in group.words.items())]


def _globals() -> Document:
    every, gateway = _facts()["*"], _facts()["gateway"]
    return {
        "schema": FORMAT,
        "version": __version__,
        "global_options": list(_global_options()),
        "effects": _EFFECTS,
        "auth_classes": dict(AUTH_CLASSES),
        "exit_codes": _EXITS,
        "dry_run_output": DRY_RUN_SCHEMA,
        "error_codes": {"every_command": every["error_codes"], "calls_gateway": gateway["error_codes"]},
        "environment": {"every_command": every["environment"], "calls_gateway": gateway["environment"]},
    }


def _global_options() -> Iterator[Document]:
    yield _WALLET_OPTION
    for flag, (value, text_) in invocation.OPTIONS.items():
        kind: Document = {"type": "boolean"} if value is None else {"type": "string"}
        kind |= _PLACEHOLDERS.get(value or "", {})
        if flag == "--format":
            kind["values"] = list(invocation.FORMATS)
        default = False if value is None else "json" if flag == "--format" else None
        yield {"flags": [flag], "value": value, **kind, "default": default, "env": [], "help": text_}


def _arguments(command: click.Command) -> Iterator[Document]:
    """Positional words. Several in one metavar ("TABLE [QUERY]") are told apart."""
    for param in command.params:
        if not isinstance(param, click.Argument) or getattr(param, "hidden", False):
            continue
        label = param.metavar or param.make_metavar(click.Context(command))
        many = param.nargs == -1 and not param.metavar
        for word in label.split():
            bare = word.strip("[].")
            yield {"name": bare, "required": not word.startswith("["), "repeatable": many or "..." in word}


def _shown(command: click.Command) -> list[click.Option]:
    return [param for param in command.params if isinstance(param, click.Option) and not param.hidden]


def _option(option: click.Option, kinds: Mapping[str, Document]) -> Document:
    help_ = " ".join((option.help or "").split())
    kind: Document = {"type": "boolean"} if option.is_flag else {"type": "string"}
    if not option.is_flag:
        kind |= _by_placeholder(option.metavar)
        kind |= next((kinds[flag] for flag in option.opts if flag in kinds), {})
    return {
        "flags": [*option.opts, *option.secondary_opts],
        "value": None if option.is_flag else option.metavar,
        **kind,
        "default": _default(option, help_, kind["type"]),
        "env": sorted(set(_VARIABLE.findall(help_))),
        "repeatable": option.multiple,
        "required": option.required,
        "help": help_,
    }


def _by_placeholder(metavar: str | None) -> Document:
    """What the placeholder of a value says: `a|b` are the values themselves."""
    if metavar and "|" in metavar and metavar == metavar.lower():
        return {"values": metavar.split("|")}
    return dict(_PLACEHOLDERS.get(metavar or "", {}))


def _default(option: click.Option, help_: str, kind: str) -> Any:
    """What applies without the option: a value, or the help's words for it ("Default: ..."); null for nothing."""
    if option.is_flag:
        return bool(option.default)
    if option.default not in (None, ()) and not callable(option.default):
        return option.default
    found = _DEFAULT.search(help_)
    if found is None:
        return None
    return int(found[1]) if kind in ("integer", "number") and found[1].isdecimal() else found[1]


@functools.cache
def _facts() -> dict[str, Document]:
    facts: dict[str, Document] = _packaged("_facts")
    return facts


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
