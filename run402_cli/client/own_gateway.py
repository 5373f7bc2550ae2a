"""Whether the gateway of this user listens at a local address, before anything is sent there.

A port proves nothing: when the gateway is stopped, any program of the machine can listen there. What proves it is the data
directory, if it is this user's: its gateway.json (0600) names the address, its lock is held by a living process. See
docs/local-gateway.md, "Who may call".
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from run402_cli import advice
from run402_cli.client import credentials, redirects
from run402_cli.client.http import httpx
from run402_cli.errors import NetworkError, Run402Error
from run402_cli.file_lock import is_held
from run402_cli.local_gateway import CONTROL_HEADER, MARKER, RUN_LOCK, default_data_dir
from run402_cli.ownership import belongs_to_another
from run402_cli.state.catalogue import GATEWAY
from run402_cli.state.files import DamagedState, read_state
from run402_cli.state.profile import Profile

# The gateway listens on the first of them, and `client/transport.py` asks there for the other.
_HOSTS = ("127.0.0.1", "localhost")


def introduce(
    request: httpx.Request, profile: Profile, *, uses_target: bool, remedy: Callable[[str], list[dict[str, Any]]]
) -> None:
    """Before each request: the control token for this user's own gateway, when a command asks that gateway for something.

    Not where an answer sends a request, nor with one to an address that anybody may have named (`run402 pay`, uploads).

    NetworkError, and nothing is sent, for the address of one that does not run, or runs elsewhere by now; `remedy` is what to
    do. A look at /health needs no proof.
    """
    request.headers.pop(CONTROL_HEADER, None)
    if request.url.scheme != "http" or request.url.host not in _HOSTS:
        return
    asks_gateway = credentials.SIGNED_URI in request.extensions
    if request.url.path == "/health" and not asks_gateway:
        return
    try:
        token = token_for(request.url, profile if uses_target else None)
    except NotRunning as exc:
        where = request.url.netloc.decode("ascii")
        raise NetworkError(
            f"Nothing was sent to {where}: it is the address of the local gateway of {exc.data_dir}, which does not run "
            "there. Another program may listen in its place.",
            read=True,
            remedy=remedy("The local gateway is not running.") or [advice.action("run_command", "core", "start")],
        ) from None
    if token is not None and asks_gateway and redirects.is_first(request):
        request.headers[CONTROL_HEADER] = token


class NotRunning(Exception):
    """The address belongs to the gateway of a data directory, and that one does not listen there."""

    def __init__(self, data_dir: Path) -> None:
        super().__init__(str(data_dir))
        self.data_dir = data_dir


def token_for(url: httpx.URL, profile: Profile | None) -> str | None:
    """The control token of this user's gateway at a local `url`; None for an address that is no gateway's of this user."""
    missed = None
    for folder, named in _directories(url, profile):
        living = _living(folder)
        if living is not None and _same_place(living[0], url):
            return living[1]
        if missed is None and (named or _had_port(folder, url.port)):
            missed = folder
    if missed is not None:
        raise NotRunning(missed)
    return None


def directory_at(address: str) -> Path | None:
    """The data directory of this user whose gateway runs at an address."""
    try:
        url = httpx.URL(address)
    except httpx.InvalidURL:
        return None
    folder = default_data_dir()
    living = _living(folder) if url.host in _HOSTS else None
    return folder if living is not None and _same_place(living[0], url) else None


def open_one(profile: Profile) -> str | None:
    """The address of a gateway of this user that asks nobody for a credential (`core start --open`)."""
    return next((str(state["url"]) for state in running(profile) if state.get("open")), None)


def running(profile: Profile) -> Iterator[dict[str, Any]]:
    """What each gateway of this user that runs says of itself (`gateway.json`)."""
    for folder in data_directories(profile):
        if (state := _state(folder)) is not None:
            yield state


def data_directories(profile: Profile) -> list[Path]:
    """The default data directory, and the one that the saved target remembers."""
    try:
        saved = profile.target.data_dir
    except Run402Error:
        saved = None
    return list(dict.fromkeys([default_data_dir(), *([Path(saved)] if saved else [])]))


def _directories(url: httpx.URL, profile: Profile | None) -> Iterator[tuple[Path, bool]]:
    """(data directory, whether the saved target says that the address is of its gateway)."""
    try:
        target = None if profile is None else profile.target
    except Run402Error:
        target = None
    if target is not None and target.data_dir and _same_place(target.api_base, url):
        yield Path(target.data_dir), True
    yield default_data_dir(), False


def _living(folder: Path) -> tuple[str, str | None] | None:
    """(address, control token) of the gateway that runs from a data directory."""
    state = _state(folder)
    return None if state is None else (state["url"], state.get("control_token"))


def _state(folder: Path) -> dict[str, Any] | None:
    try:
        # A directory that was deleted below /tmp may be another user's by now, with a lock and an address of theirs.
        if any(belongs_to_another(place) for place in (folder, folder / GATEWAY.name, folder / RUN_LOCK)):
            return None
        return read_state(folder / GATEWAY.name, GATEWAY) if is_held(folder / RUN_LOCK) else None
    except (DamagedState, OSError):
        return None


def _had_port(folder: Path, port: int | None) -> bool:
    """Whether the gateway of a data directory had this port when it ran last."""
    try:
        marker = json.loads((folder / MARKER).read_bytes())
    except (OSError, ValueError, RecursionError):
        return False
    return port is not None and isinstance(marker, dict) and marker.get("port") == port


def _same_place(address: str, url: httpx.URL) -> bool:
    try:
        other = httpx.URL(address)
    except httpx.InvalidURL:
        return False
    return other.scheme == "http" and other.host in _HOSTS and (other.port or 80) == (url.port or 80)
