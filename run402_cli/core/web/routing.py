"""Routes that say who may call them: the policy is checked before the handler runs, whatever the handler does.

A policy is a value beside the check that it stands for (callers/auth.py, users/callers.py, rest/access.py, ...). What the
check found - a project, a session, a caller - is what the handler gets from `admitted`. tests/test_routes.py walks them.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route as StarletteRoute
from starlette.types import Receive, Scope, Send

from run402_cli.core.callers.admission import reach_of
from run402_cli.core.callers.kinds import Kind
from run402_cli.core.callers.reach import reach
from run402_cli.core.db import Connection
from run402_cli.core.gateway import gateway_of
from run402_cli.core.web import body_limit

Endpoint = Callable[[Request], Awaitable[Response]]
Check = Callable[[Connection, Request], Awaitable[Any]]
T = TypeVar("T")
_ADMITTED = "run402.admitted"


@dataclass(frozen=True, slots=True)
class Policy:
    """Who may call a route. `says` completes "Whoever calls it ..." in the documentation.

    `check` raises GatewayError (401, 403, 404) or returns what the handler is told of the caller; `alone` does so from the
    request alone, without the database. Neither: nothing can be checked before the handler, either because the route is open
    or because what is asked for says whose it is; then `within` names what the handler calls.

    `opened_by`: the kinds of credentials of which one has to be there. Where the control token is one of them,
    callers/admission.py checks that here, and all that finds a project (callers/auth.py) keeps to what the credential is for.
    `kept` gives what `check` found for an equal request before, as long as it holds: then there is nothing to ask.
    `of_the_caller`: the credential itself says which project it is about, or there is none.
    """

    name: str
    says: str
    opened_by: frozenset[Kind]
    check: Check | None = None
    alone: Callable[[Request], Any] | None = None
    kept: Callable[[Request], Any | None] | None = None
    within: str = ""
    of_the_caller: bool = False


class Route(StarletteRoute):
    """A route with the policy that is applied before its endpoint, and the most bytes that a body may have there.

    `settles`: what it has changed is known to every request after its answer (changes.py). Where it is False the route takes
    care of that itself, or changes no schema, no key, no session and no project.
    """

    def __init__(
        self,
        path: str,
        endpoint: Endpoint,
        *,
        methods: Sequence[str],
        who: Policy,
        body: int | None = body_limit.DEFAULT,
        settles: bool = True,
    ) -> None:
        guarded = _guarded(endpoint, who)
        super().__init__(path, _settled(guarded, who) if settles else guarded, methods=list(methods))
        self.who, self.body = who, body

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        await super().handle(scope, body_limit.limited(scope, receive, self.body), send)


def _settled(endpoint: Endpoint, who: Policy) -> Endpoint:
    # Whoever asks the control plane may be told of work that has just ended.
    always = Kind.CONTROL_TOKEN in who.opened_by

    @functools.wraps(endpoint)
    async def settled(request: Request) -> Response:
        try:
            return await endpoint(request)
        finally:
            if always or request.method not in ("GET", "HEAD", "OPTIONS"):
                await gateway_of(request).changes.settled()

    return settled


def _guarded(endpoint: Endpoint, who: Policy) -> Endpoint:
    opened = _opened(_checked(endpoint, who), who)
    if who.alone is None:
        return opened
    alone = who.alone

    @functools.wraps(endpoint)
    async def seen(request: Request) -> Response:
        request.scope[_ADMITTED] = alone(request)
        return await opened(request)

    return seen


def _opened(endpoint: Endpoint, who: Policy) -> Endpoint:
    if Kind.CONTROL_TOKEN not in who.opened_by:
        return endpoint

    @functools.wraps(endpoint)
    async def opened(request: Request) -> Response:
        before = reach.set(await reach_of(request, who.opened_by))
        try:
            return await endpoint(request)
        finally:
            reach.reset(before)

    return opened


def _checked(endpoint: Endpoint, who: Policy) -> Endpoint:
    check = who.check
    if check is None:
        return endpoint

    @functools.wraps(endpoint)
    async def checked(request: Request) -> Response:
        found = who.kept(request) if who.kept is not None else None
        if found is None:
            async with gateway_of(request).connection() as conn:
                found = await check(conn, request)
        request.scope[_ADMITTED] = found
        return await endpoint(request)

    return checked


def admitted(request: Request, kind: type[T]) -> T:
    """What the route's policy found out about the caller: a Project, a Session, ..."""
    found = request.scope[_ADMITTED]
    assert isinstance(found, kind), f"the policy of {request.url.path} admits {type(found).__name__}"
    return found


OPEN = Policy("open", "needs no credential: what it answers is public.", frozenset({Kind.NOTHING}))
HOLDER = Policy("holder of the token", "sends the control token.", frozenset({Kind.CONTROL_TOKEN}), of_the_caller=True)
HOLDER_OR_WALLET = Policy(
    "holder of the token or wallet",
    "sends the control token, or is an admitted wallet, for what that wallet owns.",
    frozenset({Kind.CONTROL_TOKEN, Kind.ADMITTED_WALLET}),
    of_the_caller=True,
)
