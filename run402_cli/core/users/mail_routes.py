"""Routes that send sign-in mails: to whom, leading where. See docs/local-gateway-users.md, "Sign-in mails"."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from run402_cli.core.db import Connection
from run402_cli.core.errors import bad_field
from run402_cli.core.gateway import gateway_of
from run402_cli.core.projects.rows import Project
from run402_cli.core.users import accounts, links, proofs, user_rows
from run402_cli.core.users.callers import APP, is_owner, owner_of
from run402_cli.core.web.http import read_object, reply
from run402_cli.core.web.routing import Route, admitted


async def magic_link(request: Request) -> Response:
    """POST /auth/v1/magic-link (anon key) `{email, redirect_url?, delivery, intent?, client_state?}`.

    200 `{message, challenge_id?}`. Accepted, not delivered: addresses that may not sign in get no mail. `intent: invite` needs
    the service key as bearer.
    400 invalid_email, invalid_request; 401 authentication_required; 429 rate_limited.
    """
    gateway = gateway_of(request)
    project = admitted(request, Project)
    body = await read_object(request)
    async with gateway.connection() as conn:
        trusted = await is_owner(conn, request, project)
        wish = links.wish_of(body, trusted=trusted)
        if wish.intent == "invite" and not trusted:
            await owner_of(conn, request)
        async with conn.transaction():
            prepared = await links.prepare(conn, gateway.settings, project, wish)
            removed = await _invited(conn, project, wish.email) if wish.intent == "invite" else {}
    # Written after the answer, for every address: the time of the answer does not tell which one has an account.
    await gateway.afterwards.put(prepared.post, keep=prepared.allowed)
    message = "If the address may sign in, a mail is in the local outbox: `run402 email outbox` shows it."
    challenge = {"challenge_id": prepared.challenge_id} if wish.delivery != "link" else {}
    return reply({"message": message, **challenge, **removed})


async def _invited(conn: Connection, project: Project, email: str) -> dict[str, Any]:
    """The owner invites whoever reads this address; what there is to tell about the account that is there."""
    found = await user_rows.by_email(conn, project.project_id, email)
    return {} if found is None else proofs.told(found, await proofs.vouch(conn, found))


async def one_time_link(request: Request) -> Response:
    """POST /auth/v1/otp (anon key) `{email, create_user?, data?}`, `redirect_to` in the query: 200 `{}`.

    A mail with a link, as POST /auth/v1/magic-link sends it. With `create_user` false only to who has an account; the
    answer is the same. `data` becomes the data of the account that the link makes. Other keys are ignored.
    400 invalid_email, invalid_request (`phone`: there are no text messages here); 429 rate_limited.
    """
    body = await read_object(request)
    if body.get("phone") is not None:
        raise bad_field("phone", "left out: a local gateway sends mails only, so give `email`")
    create = body.get("create_user")
    if create is not None and not isinstance(create, bool):
        raise bad_field("create_user", "true or false")
    data = body.get("data")
    return await _mail_a_link(
        request, body, "signin", known_only=create is False, data=accounts.checked_data({} if data is None else data)
    )


async def recover(request: Request) -> Response:
    """POST /auth/v1/recover (anon key) `{email}`, `redirect_to` in the query: 200 `{}`, whether there is a user or not.

    Who has an account gets a mail with a link; within 15 minutes after it the user may set a new password. Other keys are
    ignored. 400 invalid_email; 429 rate_limited.
    """
    return await _mail_a_link(request, await read_object(request), "recovery")


async def _mail_a_link(
    request: Request,
    body: dict[str, Any],
    intent: str,
    *,
    known_only: bool = False,
    data: dict[str, Any] | None = None,
) -> Response:
    gateway, project = gateway_of(request), admitted(request, Project)
    wanted = (request.query_params.get("redirect_to"), request.headers.get("origin"))
    async with gateway.connection() as conn:
        page = await links.page_of(conn, gateway.settings, project, wanted)
        asked = {"email": body.get("email"), "redirect_url": page}
        wish = links.wish_of(asked, trusted=False, intent=intent, known_only=known_only, data=data)
        async with conn.transaction():
            prepared = await links.prepare(conn, gateway.settings, project, wish)
    # Written after the answer, as for magic_link.
    await gateway.afterwards.put(prepared.post, keep=prepared.allowed)
    return reply({})


ROUTES = [
    Route("/auth/v1/magic-link", magic_link, methods=["POST"], who=APP),
    Route("/auth/v1/otp", one_time_link, methods=["POST"], who=APP),
    Route("/auth/v1/recover", recover, methods=["POST"], who=APP),
]
