"""run402 archives: look into and verify portable archives on this machine."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from run402_cli import advice, output
from run402_cli.archive.format import DEFAULT_LIMITS, Limits
from run402_cli.archive.verify import verify as verify_archive
from run402_cli.commands._command import CommandGroup
from run402_cli.commands._options import integer, no_more
from run402_cli.errors import UsageError, Verdict

app = CommandGroup()

PathWord = Annotated[list[str] | None, typer.Argument(metavar="ARCHIVE_PATH", show_default=False)]
MaxBytesOpt = Annotated[
    str | None,
    typer.Option("--max-bytes", metavar="N", help="Accept archives up to N bytes. Default: 536870912 (512 MiB)."),
]


def _read(action: str, words: list[str] | None, max_bytes: str | None) -> dict[str, Any]:
    if not words:
        raise UsageError("The archive's path is missing.", hint=advice.command("archives", action, "backup.r402ar"))
    no_more(words[1:])
    size = integer("--max-bytes", max_bytes)
    return verify_archive(words[0], DEFAULT_LIMITS if size is None else Limits.up_to(size)).report()


@app.command(
    "verify",
    summary="Whether an archive is whole and safe.",
    effect="read",
    auth=(),
    example="run402 archives verify backup.r402ar",
)
def verify(words: PathWord = None, max_bytes: MaxBytesOpt = None) -> None:
    """Whether an archive, directory or tar is whole and safe. Reads only; no network."""
    report = _read("verify", words, max_bytes)
    output.emit({"ok": report["ok"], "verified": report["ok"], "archive": report})
    if not report["ok"]:
        found = [each for each in report["diagnostics"] if each["severity"] == "blocking"]
        new = advice.command("projects", "export", "--output", advice.Blank("file"))
        raise Verdict(1, f"It is no whole and safe archive: {found[0]['message']}", new)


@app.command(
    "inspect",
    summary="What an archive holds.",
    effect="read",
    auth=(),
    example="run402 archives inspect backup.r402ar | jq .archive.required_secrets",
)
def inspect(words: PathWord = None, max_bytes: MaxBytesOpt = None) -> None:
    """The report of verify without its verdict."""
    output.emit({"archive": _read("inspect", words, max_bytes)})
