"""run402 cache: the origin cache of server-rendered pages."""

from __future__ import annotations

from typing import Annotated

import typer

from run402_cli import advice, output
from run402_cli.commands._command import CommandGroup
from run402_cli.commands._options import no_more
from run402_cli.errors import UsageError
from run402_cli.services import cache
from run402_cli.services.terminal import TerminalClient

app = CommandGroup()

_FORMS = {
    "exact": "run402 cache invalidate https://<host>/<path>",
    "prefix": "run402 cache invalidate --prefix /<path> --host <host>",
    "all": "run402 cache invalidate --all --host <host>",
}
UrlWord = Annotated[list[str] | None, typer.Argument(metavar="URL", show_default=False)]


def _usage(message: str, *commands: str) -> UsageError:
    actions = [advice.entry("edit_request", advice.parsed(command)) for command in commands]
    return UsageError(message, hint=commands[0], next_actions=actions)


def _page(url: str, usage: str) -> cache.Page:
    try:
        return cache.page(url)
    except ValueError:
        raise _usage(f"{url!r} is not an absolute http or https URL.", usage) from None


@app.command(
    "inspect",
    summary="Whether a page is cached.",
    effect="read",
    auth="principal",
    example="run402 cache inspect https://my-app.run402.com/blog/hello | jq .status",
)
def inspect(
    words: UrlWord = None,
    locale: Annotated[
        str | None, typer.Option("--locale", metavar="TAG", help="Default: the project's own default.")
    ] = None,
    release_id: Annotated[
        str | None, typer.Option("--release-id", metavar="ID", help="Default: the live release.")
    ] = None,
) -> None:
    """Show whether a page is cached (HIT or MISS), since when and until when. The page itself is not requested."""
    usage = "run402 cache inspect https://<host>/<path>"
    if not words:
        raise _usage("The URL is missing.", usage)
    no_more(words[1:])
    _page(words[0], usage)
    with TerminalClient() as client:
        output.emit(cache.inspect(client, words[0], locale=locale, release_id=release_id))


@app.command(
    "invalidate",
    summary="Drop a page, a prefix or a whole host.",
    effect="write",
    auth="principal",
    example=[form.replace("<", "").replace(">", "") for form in _FORMS.values()],
)
def invalidate(
    words: UrlWord = None,
    prefix: Annotated[
        str | None, typer.Option("--prefix", metavar="PATH", help="Every page under this path; needs --host.")
    ] = None,
    host: Annotated[str | None, typer.Option("--host", metavar="HOST", help="The host of --prefix or --all.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every page of the host; needs --host.")] = False,
) -> None:
    """Drop cached pages: one URL, a path prefix, or a whole host. The next visit renders anew.

    --all comes before --prefix, --prefix before a URL.
    """
    what = _what(words or [], prefix, host, everything=everything)
    with TerminalClient() as client:
        output.emit(cache.invalidate(client, what))


def _what(words: list[str], prefix: str | None, host: str | None, *, everything: bool) -> dict[str, str]:
    if everything:
        if not host:
            raise _usage("--all needs --host.", _FORMS["all"])
        return {"kind": "all", "host": host.lower()}
    if prefix is not None:
        if not host:
            raise _usage("--prefix needs --host.", _FORMS["prefix"])
        if not prefix.startswith("/"):
            raise _usage(f"--prefix must start with /, not {prefix!r}.", _FORMS["prefix"])
        return {"kind": "prefix", "host": host.lower(), "prefix": prefix}
    if not words:
        raise _usage("Nothing is named: give a URL, --prefix or --all.", *_FORMS.values())
    if len(words) > 1:
        raise _usage(f"Unexpected argument {words[1]!r}: one URL at a time.", _FORMS["exact"])
    found = _page(words[0], _FORMS["exact"])
    return {"kind": "exact", "host": found.host, "path": found.path}
