"""What the deploy commands share: events, the update notice's place, errors of the manifest, who may run."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from run402_cli import advice, as_typed, output
from run402_cli.errors import CommandError
from run402_cli.release.errors import ReleaseError
from run402_cli.state import sessions

_LONGEST_WORD = 200

if TYPE_CHECKING:
    from run402_cli.client import Client
    from run402_cli.deploy import Emit


def events(quiet: bool) -> Emit:
    """Where deploy events go: one line each on stderr, or nowhere."""
    from run402_cli.deploy import silent

    return silent if quiet else output.event


class ManifestError(CommandError):
    """A problem with the manifest itself, found before the deploy begins; `body` holds further envelope keys."""

    def __init__(self, error: ReleaseError) -> None:
        super().__init__(error.message, code=error.code, hint=error.hint, details=error.details)
        self._body = dict(error.body or {})

    def envelope(self) -> dict[str, Any]:
        return {**super().envelope(), **self._body}


@contextlib.contextmanager
def command_errors() -> Iterator[None]:
    """ReleaseErrors raised inside are reported as the command's own."""
    try:
        yield
    except ReleaseError as exc:
        raise ManifestError(exc) from exc


def require_deployer(client: Client, *, core: bool = False, saved_core: bool = False, session: bool = False) -> None:
    """NO_ALLOWANCE unless a delegate token, a wallet, or (where allowed) a Core target or operator session acts.

    `core`: any Core target is enough; `saved_core`: one that the profile names, not one told from RUN402_API_BASE alone.
    """
    if client.delegate_token() or (core and client.is_core) or (saved_core and client.profile.target.is_saved_core):
        return
    if session and sessions.control_plane_session() is not None:
        return
    client.require_wallet()


def this_command(prog: str) -> str:
    """The command line of this process, to run it again; `prog` when there is none. Long values are left out."""
    words = [word if len(word) <= _LONGEST_WORD else advice.Blank("value") for word in as_typed.words()]
    return advice.command(*words) if words else prog
