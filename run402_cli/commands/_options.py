"""Options and value checks that several commands share, declared once."""

from __future__ import annotations

import contextlib
import os
import re
import stat
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, BinaryIO
from urllib.parse import urlsplit

import typer
from click import get_current_context

from run402_cli import exact_json, global_options, standard_input, text_files, uploads
from run402_cli.errors import CommandError, FlagError, UsageError, project_required
from run402_cli.state.profile import Profile
from run402_cli.uploads import TYPED, Bounds

ProjectOpt = Annotated[
    str | None,
    typer.Option("--project", metavar="ID", help="Project id. Default: RUN402_PROJECT_ID, then the active project."),
]
AllowWarningOpt = Annotated[
    list[str] | None, typer.Option("--allow-warning", metavar="CODE", help="Go on despite this warning. Repeatable.")
]
AllowWarningsOpt = Annotated[bool, typer.Option("--allow-warnings", help="Go on despite every warning.")]
OverwriteOpt = Annotated[bool, typer.Option("--overwrite", help="Replace an existing output file.")]
AllowOutsideOpt = Annotated[
    bool, typer.Option("--allow-outside", help="Read files outside of the manifest's work tree, too.")
]
QuietOpt = Annotated[bool, typer.Option("--quiet", help="No progress events on stderr.")]
IdempotencyKeyOpt = Annotated[
    str | None,
    typer.Option("--idempotency-key", metavar="KEY", help="One purchase per key, however often the command runs."),
]
# Words that only older forms of a command take; not in its usage line.
Words = Annotated[list[str] | None, typer.Argument(hidden=True)]

_INTEGER = re.compile(r"-?\d+")
_MAX_SAFE = 2**53 - 1
_PIECE = 256 * 1024


def resolve_project(profile: Profile, flag: str | None) -> str:
    """`--project`, else RUN402_PROJECT_ID, else the active project; PROJECT_REQUIRED without any."""
    named = flag if flag is not None else os.environ.get("RUN402_PROJECT_ID") or None
    if named is not None:
        profile.active.decided = True
        return named
    project = profile.active.get()
    if not project:
        raise project_required()
    global_options.current.active_project = project
    return project


def known_project(flag: str | None) -> list[str]:
    """`--project ID` as words for a command that is to be typed again: it then means the same project; [] without any."""
    from run402_cli.state.profile import current

    project = flag or os.environ.get("RUN402_PROJECT_ID") or current().active.get()
    return ["--project", project] if project else []


def take_project(
    profile: Profile, flag: str | None, words: list[str], *, reject_bare: bool = False
) -> tuple[str, list[str]]:
    """Resolve the project, where an older form takes it as a leading `prj_...` word; returns it and the other words.

    `reject_bare`: the command takes no other word, so a first word that is no project id is BAD_PROJECT_ID.
    """
    if words and words[0].startswith("prj_"):
        if flag is not None and flag != words[0]:
            raise UsageError(
                f"--project {flag} and the argument {words[0]} name different projects.",
                hint="Give only one of them.",
                details={"project_flag": flag, "positional": words[0]},
            )
        return resolve_project(profile, words[0]), words[1:]
    if words and reject_bare:
        raise bad_project_id(words[0])
    return resolve_project(profile, flag), words


def take_project_and_id(profile: Profile, flag: str | None, words: list[str], *, usage: str) -> tuple[str, str]:
    """The project and the one id of a command that also takes `<prj_...> <id>`; a lone word is always the id."""
    lead = words[:1] if len(words) > 1 and words[0].startswith("prj_") else []
    rest = words[len(lead) :]
    if not rest:
        raise UsageError("An id is missing.", hint=usage)
    if len(rest) > 1:
        raise UsageError(f"Unexpected argument {rest[1]!r}.", hint=usage)
    return take_project(profile, flag, lead)[0], rest[0]


def bad_project_id(value: str) -> CommandError:
    return CommandError(
        f"{value!r} is not a project id.",
        code="BAD_PROJECT_ID",
        hint="Project ids start with prj_. List yours: run402 projects list",
        details={"value": value, "expected_prefix": "prj_"},
    )


def integer(flag: str, text: str | None, *, low: int = 1, high: int | None = None) -> int | None:
    """The value of an integer flag, or None when absent. FlagError (BAD_FLAG) unless low <= value <= high."""
    if text is None:
        return None
    if not _INTEGER.fullmatch(text) or abs(int(text)) > _MAX_SAFE:
        what = "number of seconds" if flag == "--ttl" else "number"
        raise FlagError(f"{flag} takes a whole {what}, not {text!r}.", details={"flag": flag, "value": text})
    value = int(text)
    if value < low:
        raise FlagError(f"{flag} must be at least {low}.", details={"flag": flag, "value": value, "min": low})
    if high is not None and value > high:
        raise FlagError(f"{flag} must be at most {high}.", details={"flag": flag, "value": value, "max": high})
    return value


def regular_file(flag: str, name: str) -> Path:
    """The path of an existing regular file; FILE_NOT_FOUND or NOT_A_FILE naming the flag otherwise."""
    path = Path(name)
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError) as exc:
        raise CommandError(
            f"{flag}: there is no file {name!r}.",
            code="FILE_NOT_FOUND",
            hint="Check the path; it is relative to the current directory.",
            field=flag,
        ) from exc
    if not stat.S_ISREG(mode):
        raise CommandError(f"{flag}: {name!r} is not a regular file.", code="NOT_A_FILE", field=flag)
    return path


def read_file(flag: str, name: str, *, limit: int = -1, bounds: Bounds = TYPED) -> bytes:
    """A regular file, at most `limit` bytes of it. BAD_FILE when it cannot be read; CommandError of uploads.py."""
    path = regular_file(flag, name)
    with _readable(flag, name):
        return uploads.read(path, bounds, limit)


def file_pieces(flag: str, name: str) -> Iterator[bytes]:
    """A regular file piece by piece, opened at once: as `read_file`, for what need not be held as a whole."""
    path = regular_file(flag, name)
    with _readable(flag, name):
        file = os.fdopen(uploads.Gate(TYPED).open(path), "rb")
    return _pieces(file)


def _pieces(file: BinaryIO) -> Iterator[bytes]:
    with file:
        while piece := file.read(_PIECE):
            yield piece


def read_text_file(flag: str, name: str) -> str:
    """The UTF-8 text of a file, or of stdin for `-`. BAD_FILE when it cannot be read or is not text."""
    with _readable(flag, name):
        data = _from_stdin(flag) if name == "-" else read_file(flag, name)
    return decode_text(flag, name, data)


@contextlib.contextmanager
def _readable(flag: str, name: str) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        raise CommandError(
            f"{flag}: cannot read {name!r}: {exc.strerror or exc}.", code="BAD_FILE", field=flag
        ) from exc


def _from_stdin(flag: str) -> bytes:
    return standard_input.read(f"the text of {flag}", f"Or pass {flag} <path>.")


def decode_text(flag: str, name: str, data: bytes) -> str:
    """Bytes as UTF-8 without NUL (no PostgreSQL text can hold one). BAD_FILE otherwise."""
    text = text_files.decoded(data, name, flag=flag)
    if "\0" in text:
        raise CommandError(f"{flag}: {name!r} is binary: it holds a NUL character.", code="BAD_FILE", field=flag)
    return text


def parse_json_flag(flag: str, text: str, read: Callable[[str], Any] | None = None) -> Any:
    """The JSON value of a flag, as `load_json` or `read` has it; BAD_JSON_FLAG otherwise."""
    try:
        return (read or load_json)(text)
    except (ValueError, RecursionError) as exc:
        raise CommandError(
            f"{flag} is not valid JSON: {exc}.",
            code="BAD_JSON_FLAG",
            hint="Correct the JSON in it."
            if flag.endswith("-file")
            else "Quote the JSON so that the shell passes it as one word.",
            details={"flag": flag, "value_preview": text[:32], "parse_error": str(exc)},
        ) from exc


def comma_separated(text: str) -> list[str]:
    """The items of A,B, without white space around them and without empty ones."""
    return [item.strip() for item in text.split(",") if item.strip()]


def load_json(text: str) -> Any:
    """The JSON value of a text, numbers with their digits. ValueError (for a key that occurs twice, too), RecursionError."""
    return exact_json.loads_once(text)


def one_of(flag: str, value: str | None, allowed: tuple[str, ...], *, key: str = "field") -> str | None:
    """The value when it is absent or allowed; BAD_FLAG with `key` (field or flag), value and allowed otherwise."""
    if value is not None and value not in allowed:
        raise FlagError(
            f"{flag} must be one of {', '.join(allowed)}, not {value!r}.",
            details={key: flag, "value": value, "allowed": list(allowed)},
        )
    return value


def webhook_url(flag: str, text: str | None) -> str | None:
    """The value when it is absent, empty or an absolute https URL; BAD_WEBHOOK_URL otherwise."""
    if not text:
        return text
    try:
        parts = urlsplit(text)
        scheme = parts.scheme
        usable = bool(parts.hostname) if scheme in ("http", "https") else bool(scheme)
    except ValueError:
        scheme, usable = "", False
    if usable and scheme == "https":
        return text
    details = {"flag": flag, "value": text, **({"scheme": f"{scheme}:"} if usable else {})}
    problem = f"{flag} must be an https URL, not {scheme}." if usable else f"{flag}: {text!r} is not a URL."
    raise CommandError(
        problem,
        code="BAD_WEBHOOK_URL",
        hint=f"Webhooks are delivered over TLS only: {flag} https://example.com/hook",
        field=flag,
        details=details,
    )


def instant(flag: str, text: str | None, *, ahead: bool = False) -> str | None:
    """The value of a flag that takes a point in time, as ISO text; a span counts back from now, or forward when `ahead`.

    UsageError for anything else than ISO with a zone, milliseconds or a span. See docs/protocol/conventions.md, "Values".
    """
    from run402_cli.services import instants

    found = None if text is None else instants.typed(text, ahead=ahead)
    if text is not None and found is None:
        raise UsageError(
            f"{flag} {text!r} is not a time.",
            hint=f"{flag} takes 2026-03-15T12:00:00Z (with a zone), milliseconds since 1970, or a span such as 15m, 1h, 2d.",
            details={"flag": flag, "value": text},
        )
    return found


def no_more(words: Sequence[str]) -> None:
    """UsageError for the first of the words that a command has no use for; call it with those that are left."""
    if words:
        raise UsageError(f"Unexpected argument {words[0]!r}.", hint=get_current_context().get_usage())


def checked_key(key: str | None) -> None:
    """FlagError (BAD_FLAG) for an --idempotency-key that no HTTP header can carry."""
    if key is not None and not (key.isascii() and key.isprintable()):
        details = {"flag": "--idempotency-key", "value": key}
        raise FlagError("--idempotency-key takes printable ASCII.", details=details)
