"""Validates what a command printed against its output schema (docs/how-to/schema.md)."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator, Sequence
from typing import Any

from jsonschema import Draft202012Validator

from run402_cli import command_schemas, main
from run402_cli.errors import Run402Error
from run402_cli.registry import GROUPS

RESHAPING = {"--jq", "--fields", "--format", "--help", "-h"}
DRY_RUN = Draft202012Validator(command_schemas.DRY_RUN_SCHEMA)


def command_of(argv: Sequence[str]) -> str | None:
    """The full name of the command that these arguments run; None when they run none."""
    args, _, _ = main._take_wallet_flag(list(argv))
    group = GROUPS.get(args[0]) if args else None
    if group is None:
        return None
    if not group.commands:
        word = args[1] if len(args) > 1 and args[1] in group.words else ""
        return f"{args[0]} {word}".strip()
    try:
        path, _ = main._take_subcommand(args[0], args[1:])
    except Run402Error:
        return None
    return f"{args[0]} {group.aliases.get(path, path)}" if path else None


def problems(argv: Sequence[str], code: int, stdout: str) -> list[str]:
    """What is wrong with the output of a run that ended with a result; empty when nothing is."""
    name = command_of(argv)
    flags = {word.split("=")[0] for word in argv if word.startswith("-")}
    if name is None or name not in set(command_schemas.names()) or flags & RESHAPING:
        return []
    verdicts = command_schemas.entry(name).get("verdict_exits", [])
    if code not in (0, *verdicts) or (code and not stdout):
        return []
    return list(_problems(name, flags, stdout))


def validate(name: str, flags: set[str], document: Any) -> Iterator[str]:
    """Differences between one JSON document and the schema of the command, as "path: message"."""
    output = chosen(name, flags)
    assert output is not None, f"{name} has no output schema"
    if output["kind"] in ("json", "jsonl"):
        for error in _validator(json.dumps(output["schema"])).iter_errors(document):
            if not (isinstance(error.instance, str) and error.instance.startswith("<volatile")):
                yield f"{name}: {error.json_path}: {error.message[:200]}"


def chosen(name: str, flags: set[str]) -> dict[str, Any] | None:
    """The form of the output that these flags select."""
    output = command_schemas.output_schema(name)
    if output is None:
        return None
    with_flag = output.get("with", {})
    return next((form for flag, form in with_flag.items() if flag in flags), output)


def _problems(name: str, flags: set[str], stdout: str) -> Iterator[str]:
    output = chosen(name, flags)
    if output is None or output["kind"] not in ("json", "jsonl"):
        return  # that a schema is missing is another test's finding
    lines = stdout.splitlines() if output["kind"] == "jsonl" else [stdout]
    try:
        documents = [json.loads(line) for line in lines]
    except ValueError as exc:
        yield f"{name}: stdout is not {output['kind']}: {exc}"
        return
    for document in documents:
        if "--dry-run" in flags and DRY_RUN.is_valid(document):
            continue
        yield from validate(name, flags, document)


@functools.cache
def _validator(schema: str) -> Draft202012Validator:
    return Draft202012Validator(json.loads(schema))
