"""Results as Markdown: a heading, a table of the plain fields, the rest as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from run402_cli import output, secrecy


def heading(text: str) -> str:
    return f"## {text}"


def table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    lines = [_row(head), _row(["---"] * len(head)), *(_row([cell(value) for value in row]) for row in rows)]
    return "\n".join(lines)


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def cell(value: Any) -> str:
    """A value on one line, without breaking the table."""
    text = value if isinstance(value, str) else output.dumps(value, compact=True)
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("\r", "").replace("\n", "<br>")


def fence(value: Any) -> str:
    """JSON between marks longer than any run of backticks in it."""
    text = output.dumps(value, compact=False)
    marks = "```"
    while marks in text:
        marks += "`"
    return f"{marks}json\n{text}\n{marks}"


def document(title: str, value: Any) -> str:
    """Any JSON value under a heading."""
    if isinstance(value, Mapping):
        plain = {key: item for key, item in value.items() if not isinstance(item, dict | list)}
        nested = {key: item for key, item in value.items() if key not in plain}
        parts = [table(("Field", "Value"), plain.items())] if plain else []
        parts += [fence(nested)] if nested else []
        return "\n\n".join([heading(title), *(parts or ["Done."])])
    if isinstance(value, str):
        return "\n\n".join([heading(title), value or "(empty)"])
    return "\n\n".join([heading(title), "Done." if value is None else fence(value)])


def redacted(value: Any, secrets: Sequence[str]) -> Any:
    """A JSON value in which no text holds one of the secrets."""
    if isinstance(value, str):
        for secret in secrets:
            value = value.replace(secret, secrecy.REDACTED)
        return value
    if isinstance(value, dict):
        return {redacted(key, secrets): redacted(item, secrets) for key, item in value.items()}
    return [redacted(item, secrets) for item in value] if isinstance(value, list | tuple) else value
