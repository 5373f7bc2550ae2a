"""The commands as they describe themselves: for docs/reference, llms-cli.txt and the data file of `run402 schema`."""

from __future__ import annotations

import functools
import importlib
import re
from collections.abc import Iterator, Mapping
from typing import Any

import click
from static_scan import facts

from run402_cli.command_schemas import names
from run402_cli.commands._command import Command, words_of
from run402_cli.registry import GROUPS

Document = dict[str, Any]

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


def find(name: str) -> Command:
    """The click command with this full name."""
    group = name.split()[0]
    app = importlib.import_module(f"run402_cli.commands.{GROUPS[group].module}").app
    command: Command = app.find(name.removeprefix(group).strip() or group)
    return command


def usage(name: str, command: click.Command) -> str:
    context = click.Context(command, info_name=f"run402 {name}")
    return " ".join(["run402", name, *command.collect_usage_pieces(context)]).replace(" [OPTIONS]", "")


def examples(command: click.Command) -> list[str]:
    lines = (command.epilog or "").replace("\b", "").splitlines()
    return [line.strip() for line in lines if line.startswith("  ")]


def text(command: click.Command) -> str:
    return " ".join((command.help or "").replace("\b", "").split())


def _arguments(command: click.Command, kinds: Mapping[str, Document]) -> Iterator[Document]:
    """Positional words, as the usage line shows them."""
    for name, required, repeatable in words_of(command, click.Context(command)):
        values = {key: value for key, value in kinds.get(name, {}).items() if key == "values"}
        yield {"name": name, "required": required, **values, **({"repeatable": True} if repeatable else {})}


def _shown(command: click.Command) -> list[click.Option]:
    return [param for param in command.params if isinstance(param, click.Option) and not param.hidden]


def every_flag(name: str) -> Iterator[tuple[str, click.Option]]:
    """(flag, option) of a command, those that no help shows too."""
    options = [param for param in find(name).params if isinstance(param, click.Option)]
    yield from ((flag, option) for option in options for flag in (*option.opts, *option.secondary_opts))


def _option(option: click.Option, kinds: Mapping[str, Document], needed: tuple[str, ...]) -> Document:
    help_ = " ".join((option.help or "").split())
    kind: Document = {"type": "boolean"} if option.is_flag else {"type": "string"}
    if not option.is_flag:
        kind |= _by_placeholder(option.metavar)
        kind |= next((kinds[flag] for flag in option.opts if flag in kinds), {})
    sometimes = {
        "value": None if option.is_flag else option.metavar,
        "default": _default(option, help_, kind["type"]),
        "env": sorted(set(_VARIABLE.findall(help_))),
        "repeatable": option.multiple,
        "required": not set(needed).isdisjoint(option.opts),
    }
    filled = {key: value for key, value in sometimes.items() if value}
    return {"flags": [*option.opts, *option.secondary_opts], **kind, **filled, "help": help_}


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
def everything() -> Document:
    """The data file: {every_command, calls_gateway, commands: {name: entry}}. See docs/how-to/schema.md."""
    found = facts({name: _unit(name) for name in names()})
    shared = {key: found.pop(key) for key in ("every_command", "calls_gateway")}
    return {**shared, "commands": {name: _entry(name, fact) for name, fact in found.items()}}


def _unit(name: str) -> str:
    """The function behind a command, as static_scan names it."""
    group = name.split()[0]
    app = importlib.import_module(f"run402_cli.commands.{GROUPS[group].module}").app
    path = name.removeprefix(group).strip() or group
    function = next(info.callback for info in app.registered_commands if info.name == path)
    return f"{function.__module__}:{function.__qualname__}"


def _entry(name: str, fact: Document) -> Document:
    command = find(name)
    kinds = fact.pop("options", {})
    return {
        "description": text(command),
        "usage": usage(name, command),
        "arguments": list(_arguments(command, kinds)),
        "options": [_option(option, kinds, command.needed) for option in _shown(command)],
        "exit_codes": [0, 1],
        "error_codes": [],
        **fact,
        "examples": examples(command),
    }
