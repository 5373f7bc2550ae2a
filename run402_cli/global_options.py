"""The options that every command takes, as set for this run. See docs/protocol/conventions.md, "Global options".

A command's own option of the same name comes first; a test lists those.
"""

from __future__ import annotations

from run402_cli.errors import CommandError, DryRun, EnvironmentFault, FlagError

TYPE_CHECKING = False
if TYPE_CHECKING:  # root help must not pay for typing
    from collections.abc import Sequence
    from typing import Any

FORMATS = ("json", "jsonl", "text", "csv")
# Spelling: whether it takes a value, and what it does.
OPTIONS: dict[str, tuple[str | None, str]] = {
    "--jq": ("EXPR", "Filter the result; one JSON value per line."),
    "--raw": (None, "Strings without quotes; also -r."),
    "--fields": ("a,b.c", "Keep only these fields; lists are mapped."),
    "--format": ("FORMAT", "json, jsonl, text or csv. Also: RUN402_FORMAT."),
    "--jsonl": (None, "The same as --format jsonl."),
    "--dry-run": (None, "Show the first write instead of sending it."),
    "--http-timeout": ("SECONDS", "Give up on a request after this."),
    "--insecure-http": (None, "Pay over plain http too."),
    "--max-usd": ("USD", "At most this per payment."),
    "--quiet": (None, "No events and notes on stderr; errors appear."),
    "--verbose": (None, "One line on stderr per request."),
}
SHORT = {"-r": "--raw"}
FORMAT_VARIABLE = "RUN402_FORMAT"
_FLAG_CHARACTERS = "abcdefghijklmnopqrstuvwxyz0123456789-"


def looks_like_flag(word: str) -> bool:
    """Whether a word is `-x`, `--lower-case`, or `--lower-case=anything`; every other word is a value.

    `--` alone counts as a flag, which no command knows. No regular expression: root help must not pay for that import.
    """
    if len(word) == 2:
        return word == "--" or (word[0] == "-" and word[1].isascii() and word[1].isalpha())
    name = word.partition("=")[0]
    return len(name) > 2 and name[:2] == "--" and name[2].isalpha() and not name.strip(_FLAG_CHARACTERS)


def option(word: str) -> str | None:
    """The global option that this word (without `=value`) spells, or None."""
    name = SHORT.get(word, word)
    return name if name in OPTIONS else None


class Invocation:
    """Global options of one run; `http_timeout` in seconds. No dataclass: root help must not pay for that import."""

    def __init__(self) -> None:
        self.jq: str | None = None
        self.fields: tuple[tuple[str, ...], ...] = ()
        self.format = "json"
        self.format_given = False
        self.raw = False
        self.dry_run = False
        self.http_timeout: float | None = None
        # Whether payments over plain http were allowed, and whether such a request was warned of.
        self.insecure_http = False
        self.told_open = False
        # What each payment may cost, in micro-USD, where not what services/prices.py says.
        self.max_usd_micros: int | None = None
        self.quiet = False
        self.verbose = False
        # The command as effects.py names it ("projects sql"), once it runs; what it has done so far, for an error that
        # has to say so: whether a request that may change something was sent, and each payment that went through.
        self.command = ""
        self.wrote = False
        self.payments: list[dict[str, Any]] = []
        # The active project, when the command works on it because none was named.
        self.active_project: str | None = None

    @property
    def streams(self) -> bool:
        """Whether rows can be printed as they come: a line each, and nothing is asked of the document around them."""
        return self.format in ("jsonl", "csv") and not (self.jq or self.fields or self.raw)

    @property
    def reshapes(self) -> bool:
        """Whether stdout is anything else than the plain document."""
        return bool(self.jq or self.fields or self.raw or self.format != "json")


current = Invocation()


def reset() -> None:
    """Forget the options of the run before (a process may run several commands, as tests and the MCP server do)."""
    global current, _typed
    current = Invocation()
    _typed = ()


_typed: tuple[str, ...] = ()


def typed() -> tuple[str, ...]:
    """The words after `run402` of the command that is running; empty where none was typed."""
    return _typed


def remember(words: Sequence[str]) -> None:
    """Keep the words as typed, for advice that repeats the command."""
    global _typed
    _typed = tuple(words)


def take(flag: str, value: str | None) -> None:
    """Set one global option. FlagError or CommandError for a value that cannot be used, before anything is sent."""
    match flag:
        case "--dry-run":
            current.dry_run = True
        case "--quiet":
            current.quiet = True
        case "--insecure-http":
            current.insecure_http = True
        case "--verbose":
            current.verbose = True
        case "--raw":
            current.raw = True
        case "--jsonl":
            take("--format", "jsonl")
        case "--jq":
            current.jq = _jq(value or "")
        case "--fields":
            current.fields = tuple(tuple(name.strip().split(".")) for name in (value or "").split(",") if name.strip())
        case "--format":
            if value not in FORMATS:
                raise FlagError(
                    f"--format is one of {', '.join(FORMATS)}, not {value!r}.", details={"flag": flag, "value": value}
                )
            current.format = value
            current.format_given = True
        case "--max-usd":
            current.max_usd_micros = micros(flag, value or "", digits=9)
        case "--http-timeout":
            current.http_timeout = _seconds(flag, value or "")


def settle() -> None:
    """Call when all options are read: what the environment says holds where no flag was given. BAD_ENV for a bad value."""
    import os

    wanted = os.environ.get(FORMAT_VARIABLE)
    if not wanted or current.format_given:
        return
    if wanted not in FORMATS:
        raise EnvironmentFault(
            f"{FORMAT_VARIABLE} is one of {', '.join(FORMATS)}, not {wanted!r}.",
            hint=f"Unset {FORMAT_VARIABLE}, or set it to one of them; --format on a command comes first.",
            details={"variable": FORMAT_VARIABLE, "allowed": list(FORMATS)},
        )
    current.format = wanted


def _jq(expression: str) -> str:
    try:
        from run402_cli import jq_filter
    except ImportError as exc:
        raise CommandError(
            "--jq needs the jq library, which has no build for this machine.",
            code="JQ_UNAVAILABLE",
            hint="Pipe the output into the jq program instead, or use --fields.",
        ) from exc
    try:
        problem = jq_filter.problem(expression)
    except ValueError as exc:
        problem = str(exc)
    if problem is not None:
        raise FlagError(
            f"--jq: {(problem.strip() or 'it is no jq expression').splitlines()[0]}",
            hint="Nothing was sent. A path begins with a dot, and the shell wants quotes: --jq '.items[].id'",
            details={"flag": "--jq", "value": expression},
        )
    return expression


def _seconds(flag: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= 86_400:
        raise FlagError(
            f"{flag} takes a number of seconds above 0, at most 86400, not {text!r}.",
            details={"flag": flag, "value": text},
        )
    return value


def micros(flag: str, text: str, *, digits: int = 20) -> int:
    """USD as people write them ("0.05"), in micro-USD. FlagError (BAD_FLAG) for anything else, more than 2^53-1, or more than
    so many digits before the point.
    """
    import re  # on no other command's path

    if re.fullmatch(r"(0|[1-9][0-9]*)(\.[0-9]{1,6})?", text):
        whole, _, fraction = text.partition(".")
        value = int(whole[:digits]) * 1_000_000 + int(fraction.ljust(6, "0") or 0)
        if value <= 2**53 - 1 and len(whole) <= digits:
            return value
    raise FlagError(
        f"{flag} takes US dollars with at most six decimals, such as 0.05, not {text!r}.",
        details={"flag": flag, "value": text},
    )


def about_to_write(*paths: object) -> None:
    """Call before changing local files: under --dry-run this ends the command with the list of them."""
    if current.dry_run:
        raise DryRun(files=[str(path) for path in paths])
