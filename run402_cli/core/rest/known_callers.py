"""Who sent which key and token, remembered after it was checked, until something that opens the project changes."""

from __future__ import annotations

import functools
import hashlib
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

from starlette.requests import Request

from run402_cli.core.callers import credential_rows, siwx
from run402_cli.core.callers.auth import token_claims
from run402_cli.core.changes import Mark
from run402_cli.core.db import Connection
from run402_cli.core.gateway import Gateway, gateway_of
from run402_cli.core.users import session_rows

# The use of an issued credential is noted at most once a minute, where it is looked up.
SECONDS: Final = 60.0
Check = Callable[[Connection, Request], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class _Known:
    caller: Any
    project_id: str
    mark: Mark
    until: float


def find(request: Request) -> Any | None:
    """What the check of this route found for these headers before, if it would find the same now."""
    gateway, key = gateway_of(request), _key(request)
    known: _Known | None = gateway.known_callers.get(key)
    if known is None:
        return None
    if known.mark != gateway.changes.of_callers(known.project_id) or known.until < time.monotonic():
        gateway.known_callers.drop(key)
        return None
    # A wallet that signed has a say in it.
    return known.caller if siwx.caller.get() is None else None


def remembering(check: Check) -> Check:
    """A check whose answer is kept for `find`; a refusal is not."""

    @functools.wraps(check)
    async def remembered(conn: Connection, request: Request) -> Any:
        changes = gateway_of(request).changes
        before = changes.of_all()
        caller = await check(conn, request)
        seconds = await _seconds(conn, request)
        project_id = caller.project.project_id
        mark = changes.of_callers(project_id)
        # Else it may be from before a change.
        if mark is not None and before == changes.of_all() and siwx.caller.get() is None and seconds > 0:
            known = _Known(caller, project_id, mark, time.monotonic() + seconds)
            gateway_of(request).known_callers.put(_key(request), known)
        return caller

    return remembered


def _sent(request: Request) -> list[str]:
    return [request.headers.get("apikey", ""), request.headers.get("authorization", "")]


def _key(request: Request) -> bytes:
    """Of the route's kind and of all that the checks look at; keys themselves are not kept."""
    route = b"service" if request.scope["path"].startswith("/admin/") else b"any"
    sent = [hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest() for text in _sent(request)]
    return b"".join([*sent, route])


async def _seconds(conn: Connection, request: Request) -> float:
    """How long at most this may be remembered: not beyond the end of a token, a session or a credential."""
    found = [SECONDS]
    for text in _sent(request):
        credential = text.rpartition(" ")[2]
        if credential.count(".") == 2:
            found += await _of_token(conn, gateway_of(request), credential)
        elif credential:
            found += await credential_rows.seconds_left(conn, credential)
    return min(found)


async def _of_token(conn: Connection, gateway: Gateway, token: str) -> list[float]:
    claims = token_claims(gateway.settings, token)
    ends = claims.get("exp")
    found = [float(ends) - time.time()] if isinstance(ends, int | float) else []
    return found + await session_rows.seconds_left(conn, str(claims.get("session_id", "")))
