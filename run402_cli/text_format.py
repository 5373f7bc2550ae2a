"""--format text: a result for people at a terminal, and for `cut` and `awk` in a pipe. docs/protocol/conventions.md, "Text".

A document is shown in parts: its list (or what PAYLOADS names) as a table, and what stands around it as lines of a name and a
value. At a terminal a table fits the width, with long values last; one that cannot fit is shown a field a line. In a pipe it
is tab-separated with a header line, every value whole. No escape sequence is ever written, so no colour variable matters.
"""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from run402_cli import control_characters, exact_json

# Commands whose answer is one list, whatever stands around it: the list alone is shown, in --format jsonl too.
PAYLOADS = {
    "projects sql": "rows",
    "functions logs": "logs",
    "functions runs logs": "logs",
    "logs": "entries",
    "jobs logs": "logs",
    "core logs": "lines",
}
# Columns that come first, in this order, where a list has them; the others follow as the gateway sent them.
FIRST = {
    "projects list": ("project_id", "name", "active", "tier", "status", "created_at"),
    "functions list": ("name", "url", "runtime", "timeout", "memory", "schedule"),
    "functions logs": ("timestamp", "level", "message"),
    "logs": ("timestamp", "level", "message"),
    "deploy list": ("operation_id", "status", "created_at"),
    "secrets list": ("key", "created_at", "updated_at"),
    "assets ls": ("key", "size_bytes", "content_type", "url"),
    "wallets list": ("name", "active", "address"),
}
# A value that is longer than this goes to the end of a line at a terminal.
_LONG = 40
_GAP = "  "
_ESCAPES = {"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"}
_CONTROL = re.compile(rf"[\\\t\n]|{control_characters.IN_TEXT}")


def text(value: Any, command: str, *, width: int | None = None) -> tuple[str, str | None]:
    """The text of a result, and a note for stderr: an empty list, warnings beside one. `width` of a terminal; None: a pipe."""
    parts = list(_parts(value, command))
    notes = [f"{name or 'The list'} is empty." for name, records in parts if isinstance(records, list) and not records]
    if payload(value, command) is not None and (said := warned(value)):
        notes.append(said)
    shown = [(name, part) for name, part in parts if part]
    blocks: list[str] = []
    for name, part in shown:
        lines = _table(part, command, width) if isinstance(part, list) else _pairs(part, width)
        # The list alone, or first, needs no title: a pipe's first line is its header.
        titled = blocks and isinstance(part, list) and name
        blocks.append("\n".join([f"{_escaped(name)}:", *lines] if titled else lines))
    return "\n\n".join(blocks), " ".join(notes) or None


def payload(value: Any, command: str) -> str | None:
    """The name of the list that is the whole answer of a command, for --format jsonl too; None when there is none."""
    name = PAYLOADS.get(command)
    return name if name is not None and isinstance(value, dict) and isinstance(value.get(name), list) else None


def warned(value: Mapping[str, Any]) -> str | None:
    """What the warnings of a document say: for stderr, where its list alone is shown."""
    warnings = value.get("warnings")
    said = [warning.get("message") for warning in warnings or () if isinstance(warning, dict)]
    return " ".join(message for message in said if isinstance(message, str)) or None


def terminal_width() -> int | None:
    """The width of the terminal that stdout is; None when it is a pipe or a file."""
    return shutil.get_terminal_size().columns if sys.stdout is not None and sys.stdout.isatty() else None


def _parts(value: Any, command: str) -> Iterator[tuple[str, list[Any] | dict[str, Any]]]:
    """(name, list of rows or pairs) in the order to show them."""
    if isinstance(value, list):
        yield "", value
        return
    if not isinstance(value, dict):
        yield "", [value]
        return
    alone = payload(value, command)
    if alone is not None:
        yield alone, value[alone]
        return
    lists = dict(_lists(value))
    rest = {name: item for name, item in _flat(value).items() if name not in lists}
    if len(lists) == 1:
        rest = {key: item for key, item in rest.items() if _tells(key, item)}
        yield next(iter(lists.items()))
        yield "", rest
        return
    yield "", rest
    yield from lists.items()


def _tells(key: str, item: Any) -> bool:
    # What says only how long the list is, or that it goes no further, is seen from the list.
    return item is not None and (key not in ("has_more", "count", "total", "row_count") or item is True)


def _lists(value: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, list[Any]]]:
    """Every list of objects, and every empty list at the top, by its path; not those inside other lists."""
    for key, item in value.items():
        if isinstance(item, list) and (all(isinstance(row, dict) for row in item) and (item or not before)):
            yield f"{before}{key}", item
        elif isinstance(item, dict):
            yield from _lists(item, f"{before}{key}.")


def _flat(value: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """{"a": {"b": 1}} -> {"a.b": 1}."""
    out: dict[str, Any] = {}
    for key, item in value.items():
        if isinstance(item, dict) and item:
            out |= _flat(item, f"{before}{key}.")
        else:
            out[f"{before}{key}"] = item
    return out


def _pairs(pairs: Mapping[str, Any], width: int | None) -> list[str]:
    if width is None:
        return [f"{_escaped(name)}\t{cell(item)}" for name, item in pairs.items()]
    shown = {_escaped(name): cell(item) or "-" for name, item in pairs.items()}
    broad = max(map(len, shown), default=0)
    return [f"{name:<{broad}}{_GAP}{item}" for name, item in shown.items()]


def _table(records: Sequence[Any], command: str, width: int | None) -> list[str]:
    if not all(isinstance(row, dict) for row in records):
        return [cell(row) for row in records]
    flat = [{_escaped(name): item for name, item in _flat(row).items()} for row in records]
    names = list(dict.fromkeys(name for row in flat for name in row))
    first = [name for name in FIRST.get(command, ()) if name in names]
    names = first + [name for name in names if name not in first]
    if width is None:
        return ["\t".join(names), *("\t".join(cell(row.get(name)) for name in names) for row in flat)]
    return _fitted(names, [{name: cell(row.get(name)) or "-" for name in names} for row in flat], width)


def _fitted(names: list[str], rows: list[dict[str, str]], width: int) -> list[str]:
    """A table within `width`, long values last; a field a line when it cannot be."""
    broad = {name: max(len(name), *(len(row[name]) for row in rows)) for name in names}
    names = [name for name in names if broad[name] <= _LONG] + [name for name in names if broad[name] > _LONG]
    if sum(broad.values()) + len(_GAP) * (len(names) - 1) > width:
        blocks = [[f"{name:<{max(map(len, names))}}{_GAP}{row[name]}" for name in names] for row in rows]
        return [line for block in blocks for line in (*block, "")][:-1]
    head = dict(zip(names, names, strict=True))
    return [_GAP.join(f"{row[name]:<{broad[name]}}" for name in names).rstrip() for row in [head, *rows]]


def cell(value: Any) -> str:
    """One value on one line, whole: text as it is, control characters as \\t, \\n or \\xNN; null is empty."""
    if value is None:
        return ""
    if isinstance(value, str):
        return _escaped(value)
    if isinstance(value, list) and all(isinstance(item, str | int | float) for item in value):
        return ",".join(cell(item) for item in value)
    return _escaped(exact_json.dumps(value, ensure_ascii=False, separators=(",", ":")))


def _escaped(value: str) -> str:
    return _CONTROL.sub(lambda match: _ESCAPES.get(match[0]) or _code(match[0]), value)


def _code(char: str) -> str:
    return f"\\x{ord(char):02x}" if ord(char) < 0x100 else control_characters.code(char)
