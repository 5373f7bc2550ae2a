"""--jq, --fields and --format: the result in the shape that the caller asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from run402_cli import suggest
from run402_cli.errors import CommandError, FlagError
from run402_cli.global_options import Invocation

Dumps = Callable[..., str]


def render(value: Any, options: Invocation, dumps: Dumps, notice: Callable[[str], None]) -> Iterator[str]:
    """The lines or texts to print for one result; `notice` takes what is said beside it."""
    if options.fields or options.jq:
        _tell_repeats(value, notice)
    if options.fields:
        value = select(value, options.fields)
    values = _filtered(value, options.jq) if options.jq else [value]
    for item in values:
        if options.raw and isinstance(item, str):
            yield item
        elif options.format == "text":
            yield from _texts(item, options, notice)
        elif options.format == "csv":
            from run402_cli import csv_format

            listed, note = _listed(item, options)
            yield from csv_format.texts(listed)
            if note:
                notice(note)
        elif options.format == "jsonl":
            listed, note = _listed(item, options)
            yield from (row if options.raw and isinstance(row, str) else dumps(row, compact=True) for row in listed)
            if note:
                notice(note)
        else:
            yield dumps(item, compact=options.jq is not None)


def _tell_repeats(value: Any, notice: Callable[[str], None]) -> None:
    from run402_cli import exact_json

    names = {name for members in exact_json.repeats(value) for name in members.repeated()}
    if names:
        notice(
            f"Keys that occur twice in one object of the answer: {', '.join(sorted(names))}. The last of each is taken."
        )


def select(value: Any, fields: tuple[tuple[str, ...], ...]) -> Any:
    """Only the named fields. Lists are mapped; a field that is not there is null, so that its absence shows."""
    if isinstance(value, list):
        return [select(item, fields) for item in value]
    if not isinstance(value, dict):
        return value
    kept: dict[str, Any] = {}
    for name in dict.fromkeys(path[0] for path in fields):
        below = tuple(path[1:] for path in fields if path[0] == name and len(path) > 1)
        inner = value.get(name)
        whole = any(len(path) == 1 and path[0] == name for path in fields)
        kept[name] = inner if whole or inner is None else select(inner, below)
    return kept


def check_fields(value: Any, options: Invocation) -> None:
    """BAD_FLAG, with the fields that there are, for one of --fields that neither the result nor its schema has."""
    missing = [path for path in options.fields if not _has(value, path)]
    if not missing or options.dry_run:
        return
    from run402_cli import known_fields

    for path in missing:
        known = known_fields.at(options.command, value, path)
        if known is not None:
            raise _no_field(path, known, known_fields.meant(options.command, value, path), value, options)


def _has(value: Any, path: tuple[str, ...]) -> bool:
    if isinstance(value, list):
        return any(_has(item, path) for item in value)
    if not path:
        return True
    return isinstance(value, dict) and path[0] in value and _has(value[path[0]], path[1:])


def _no_field(path: tuple[str, ...], known: list[str], near: list[str], value: Any, options: Invocation) -> FlagError:
    field = ".".join(path)
    done = (
        "The command succeeded, and its result is in details.result; only its display failed. " if options.wrote else ""
    )
    error = FlagError(
        f"--fields: the result has no field {field!r}.{suggest.did_you_mean(near)}",
        hint=f"{done}Its fields: {', '.join(known)}.",
        details={
            "flag": "--fields",
            "value": field,
            "near": near,
            "known": known,
            **({"result": value} if options.wrote else {}),
        },
        next_actions=[] if options.wrote or not near else _with_field(path, near[0], options),
    )
    error.safe_to_retry = not options.wrote
    return error


def _with_field(path: tuple[str, ...], near: str, options: Invocation) -> list[dict[str, Any]]:
    """The command as typed, with the field that was meant."""
    from run402_cli import advice, as_typed, secrecy

    told = secrecy.CommandLine(as_typed.words())
    typed = told.given.get("--fields")
    fields = ",".join(near if each == path else ".".join(each) for each in options.fields)
    words = told.with_word(typed, fields) if typed is not None else None
    return [advice.run(*words)] if words else []


def rows(value: Any) -> list[Any]:
    """What one line each is made of: the items of a list, or of the only list of a document."""
    if isinstance(value, list):
        return value
    if isinstance(value, dict):
        lists = [item for item in value.values() if isinstance(item, list)]
        if len(lists) == 1:
            return lists[0]
    return [value]


def _listed(value: Any, options: Invocation) -> tuple[list[Any], str | None]:
    """The lines of --format jsonl, and what is to be said beside them."""
    from run402_cli import text_format

    # What --jq or --fields left is no longer the document of the command.
    payload = text_format.payload(value, "" if options.jq else options.command)
    return (rows(value), None) if payload is None else (value[payload], text_format.warned(value))


def _filtered(value: Any, expression: str) -> list[Any]:
    from run402_cli import jq_filter

    try:
        return jq_filter.results(expression, value)
    except ValueError as exc:
        # The command itself has succeeded, so its result must not get lost.
        raise CommandError(
            f"The command succeeded, but --jq failed on its result: {str(exc).strip()}",
            code="JQ_FAILED",
            hint="The result is in details.result. Correct the expression; do not repeat a write for it.",
            details={"result": value},
            safe_to_retry=False,
        ) from exc


def _texts(value: Any, options: Invocation, notice: Callable[[str], None]) -> Iterator[str]:
    from run402_cli import text_format

    if options.jq and isinstance(value, str):
        yield value
        return
    # What --jq or --fields left is no longer the document of the command.
    command = "" if options.jq else options.command
    shown, note = text_format.text(value, command, width=text_format.terminal_width())
    if shown:
        yield shown
    if note:
        notice(note)
