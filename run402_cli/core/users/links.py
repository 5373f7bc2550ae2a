"""Sign-in mails: links and codes that prove that somebody reads an address. See docs/local-gateway-users.md, "Sign-in mails".

A challenge is one mail: a link token, a six-digit code, or both, for one sign-in within 15 minutes. An address that may not
sign in gets no mail but the same answer, so that nobody can ask who has an account.
"""

from __future__ import annotations

import hashlib
import hmac
import html
import logging
import re
import secrets
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from run402_cli import advice
from run402_cli.core.attempts import Attempts, Guesser
from run402_cli.core.callers.surfaces import is_bare_host, label_of
from run402_cli.core.db import Connection
from run402_cli.core.errors import GatewayError, bad_field
from run402_cli.core.gateway import Gateway
from run402_cli.core.mail.letters import Letter
from run402_cli.core.mail.messages import post_for_auth
from run402_cli.core.projects.rows import Project
from run402_cli.core.releases.rows import host_url
from run402_cli.core.settings import Settings
from run402_cli.core.sites.lookup import project_of_host
from run402_cli.core.users import accounts, challenge_rows, proofs, session_rows, setting_rows, user_rows
from run402_cli.core.users.challenge_rows import Challenge
from run402_cli.core.users.setting_rows import AuthSettings
from run402_cli.core.users.user_rows import User

log = logging.getLogger("run402.core.users")

DELIVERIES = ("link", "code", "both")
INTENTS = ("signin", "invite", "claim", "recovery")
LIFETIME = timedelta(minutes=15)
MAILS_PER_HOUR = 5
MAX_ATTEMPTS = 5
MAX_STATE = 4096
MAX_URL = 2048
# What a browser makes another path of.
_LEADS_OUT = re.compile(r"\\|//|(?:/|%2f)(?:\.|%2e){1,2}(?:/|%2f|$)", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """A sign-in mail that somebody wants; `trusted` when the service key asked. `known_only`: no account is to be made;
    `data`: of the account that is made.
    """

    email: str
    delivery: str
    intent: str
    redirect_url: str | None
    client_state: str | None
    trusted: bool
    known_only: bool = False
    data: dict[str, Any] | None = None


def wish_of(body: dict[str, Any], *, trusted: bool, intent: str | None = None, **more: Any) -> Wish:
    """The wish that a request describes. 400 invalid_request, invalid_email."""
    delivery = body.get("delivery", "link")
    if delivery not in DELIVERIES:
        raise bad_field("delivery", f"one of {', '.join(DELIVERIES)}")
    intent = intent or body.get("intent") or "signin"
    if intent not in INTENTS:
        raise bad_field("intent", f"one of {', '.join(INTENTS)}")
    state = body.get("client_state")
    if state is not None and (not isinstance(state, str) or len(state) > MAX_STATE or "\0" in state):
        raise bad_field("client_state", f"a text of at most {MAX_STATE} characters")
    redirect = body.get("redirect_url")
    if redirect is None and delivery != "code":
        raise bad_field("redirect_url", "the http or https address of the page that takes the token")
    return Wish(
        email=accounts.checked_email(body.get("email")),
        delivery=delivery,
        intent=intent,
        redirect_url=None if redirect is None else _checked_url(redirect),
        client_state=state,
        trusted=trusted,
        **more,
    )


async def page_of(conn: Connection, settings: Settings, project: Project, wanted: Iterable[str | None]) -> str:
    """The first of these pages that the anon key may have a link lead to, else the project's own."""
    for url in wanted:
        try:
            if url is not None and await _place_of(conn, settings, project, _checked_url(url)) != "elsewhere":
                return url
        except GatewayError:
            continue
    return host_url(settings.public_url, project.public_id)


def _checked_url(value: Any) -> str:
    try:
        parts = urlsplit(value if isinstance(value, str) else "")
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and not parts.username and value.isprintable()
    except ValueError:
        good = False
    if not good or " " in value or len(value) > MAX_URL:
        raise bad_field("redirect_url", "an absolute http or https URL")
    return str(value)


async def _leads_to(conn: Connection, settings: Settings, project: Project, wish: Wish) -> str:
    """What the mail leads to: a page of the `project` or of this `machine`, or one `elsewhere`; `code` without a link.

    400 when a link there would hand somebody else the token: whoever has the anon key, which is public, may ask. Allowed are
    the project's own hosts, its path at the gateway, and other programs of this machine, such as a development server.
    """
    if wish.redirect_url is None:
        return "code"
    place = await _place_of(conn, settings, project, wish.redirect_url)
    if place == "elsewhere" and not wish.trusted:
        raise bad_field(
            "redirect_url",
            "an allowed origin, one of this project or of a server on localhost (redirect_url is not an allowed origin); "
            "with the service key as bearer any http or https URL is taken",
        )
    return "code" if wish.delivery == "code" else place


async def _place_of(conn: Connection, settings: Settings, project: Project, url: str) -> str:
    parts = urlsplit(url)
    label, own = label_of(parts.netloc), f"/projects/v1/{project.project_id}/static/"
    if label is not None:
        return "project" if await project_of_host(conn, label) == project.project_id else "elsewhere"
    if not is_bare_host(parts.netloc):
        return "elsewhere"
    if parts.port != settings.port:
        return "machine"
    return "project" if parts.path.startswith(own) and not _LEADS_OUT.search(parts.path) else "elsewhere"


@dataclass(frozen=True, slots=True)
class Prepared:
    """A challenge that is there, and its mail. `allowed`: the address may sign in, so the mail is to be sent."""

    challenge_id: str
    project: Project
    letter: Letter
    allowed: bool

    async def post(self, conn: Connection) -> None:
        await post_for_auth(conn, self.project, self.letter)


async def prepare(conn: Connection, settings: Settings, project: Project, wish: Wish) -> Prepared:
    """Make a challenge, and the mail that goes out if the address may have one. Inside a transaction.

    It does the same for every address, so that its time does not tell which one has an account.
    400 for a link to somebody else; 429 rate_limited after five mails to one address in an hour, while one still works.
    """
    leads_to = await _leads_to(conn, settings, project, wish)
    await _check_rate(conn, project.project_id, wish, leads_to)
    allowed = await _may_sign_in(conn, project, wish) or wish.trusted
    challenge_id = str(uuid.uuid4())
    token = f"r402_link_{secrets.token_urlsafe(32)}" if wish.delivery != "code" else None
    code = f"{secrets.randbelow(10**6):06d}" if wish.delivery != "link" else None
    # A row is also written when nothing is mailed: the limit must not tell known addresses from others.
    await challenge_rows.insert(
        conn,
        project.project_id,
        challenge_id,
        Challenge(wish.email, wish.intent, wish.delivery, wish.client_state, wish.trusted, wish.data),
        token_sha256=session_rows.digest(token) if token else None,
        code_mac=_mac(settings, challenge_id, code) if code else None,
        leads_to=leads_to,
        lifetime=LIFETIME,
        usable=allowed,
    )
    if not allowed:
        log.info("no sign-in mail: public_signup or allowed_email_domains of %s forbid it", project.project_id)
    link = _link(wish.redirect_url, token) if token and wish.redirect_url else None
    return Prepared(challenge_id, project, _letter(project, wish, link, code), allowed)


async def _may_sign_in(conn: Connection, project: Project, wish: Wish) -> bool:
    user = await user_rows.by_email(conn, project.project_id, wish.email)
    admitted = (await setting_rows.of_project(conn, project.project_id)).admits(wish.email, user)
    return admitted and (user is not None or not (wish.known_only or wish.intent == "recovery"))


async def _check_rate(conn: Connection, project_id: str, wish: Wish, leads_to: str) -> None:
    """A stranger who uses up the five keeps nobody out: the owner has five more, and whoever reads the address has a link that
    works, or gets the next one.
    """
    # Two requests at once must not both be the fifth.
    await challenge_rows.lock(conn, project_id, wish.email)
    await challenge_rows.forget_old(conn, project_id)
    wait = await challenge_rows.seconds_to_wait(
        conn, project_id, wish.email, trusted=wish.trusted, leads_to=leads_to, an_hour=MAILS_PER_HOUR
    )
    if wait:
        raise GatewayError(
            429,
            "rate_limited",
            f"{MAILS_PER_HOUR} sign-in mails went to this address within an hour, and the newest of this kind is still good. "
            f"Use it, or wait {wait} seconds.",
            code="R402_AUTH_RATE_LIMITED",
            retryable=True,
            retry_after_seconds=wait,
        )


def _mac(settings: Settings, challenge_id: str, code: str) -> str:
    # Six digits could be found from a plain hash by trying all of them.
    return hmac.new(settings.jwt_secret.encode(), f"{challenge_id} {code}".encode(), hashlib.sha256).hexdigest()


def _link(redirect_url: str, token: str) -> str:
    parts = urlsplit(redirect_url)
    query = f"{parts.query}&token={token}" if parts.query else f"token={token}"
    return urlunsplit(parts._replace(query=query))


_SUBJECTS = {
    "signin": "Sign in to {}",
    "invite": "You are invited to {}",
    "claim": "Claim your account at {}",
    "recovery": "Get back into your account at {}",
}


def _letter(project: Project, wish: Wish, link: str | None, code: str | None) -> Letter:
    subject = _SUBJECTS[wish.intent].format(project.name)
    minutes = int(LIFETIME.total_seconds() // 60)
    note = f"It works once, within {minutes} minutes. If you did not ask for it, ignore this mail."
    lines = [f"{subject}."]
    marked = [f"<p>{html.escape(subject)}.</p>"]
    if link:
        lines.append(f"Open this link: {link}")
        marked.append(f'<p><a href="{html.escape(link)}">Continue</a></p>')
    if code:
        lines.append(f"Your code: {code}")
        marked.append(f"<p>Your code: <strong>{code}</strong></p>")
    lines.append(note)
    marked.append(f"<p>{note}</p>")
    return Letter(to=wish.email, subject=subject, html="\n".join(marked), text="\n\n".join(lines), template=wish.intent)


@dataclass(frozen=True, slots=True)
class Proof:
    """A challenge that was just used up, and what proved that its mail was read: link or email_code."""

    challenge: Challenge
    verified_with: str

    def view(self) -> dict[str, Any]:
        """`magic_link` of a session."""
        asked = self.challenge
        return {
            "intent": asked.intent,
            "client_state": asked.client_state,
            "state_source": "service_key" if asked.trusted else "anonymous",
            "state_trusted": asked.trusted,
            "delivery": asked.delivery,
            "verified_with": self.verified_with,
        }


async def use_token(conn: Connection, attempts: Attempts, who: Guesser, token: Any) -> Proof:
    """Take a link's token, however many others were wrong. 401 invalid_token when it is unknown, used, or older than
    15 minutes; 429 rate_limited.
    """
    digest = session_rows.digest(token) if isinstance(token, str) else ""
    challenge = await challenge_rows.use_token(conn, who.project_id, digest)
    if challenge is None:
        attempts.begin(who)
        raise _invalid("link")
    attempts.right(who, challenge.email, begun=False)
    return Proof(challenge, "link")


async def use_code(conn: Connection, gateway: Gateway, who: Guesser, challenge_id: Any, code: Any) -> Proof:
    """Take a mailed code. 401 invalid_code; after five wrong ones the challenge is over; 429 rate_limited. Not inside a
    transaction.
    """
    if not isinstance(challenge_id, str) or not isinstance(code, str) or "\0" in challenge_id:
        raise bad_field("challenge_id and code", "texts: the id of the challenge, and the six digits of the mail")
    challenge_id = challenge_id.lower()
    gateway.attempts.begin(who, await challenge_rows.email_of(conn, who.project_id, challenge_id))
    mac = await challenge_rows.try_code(conn, who.project_id, challenge_id, MAX_ATTEMPTS)
    given = _mac(gateway.settings, challenge_id, code if code.isascii() else "")
    if mac is None or not hmac.compare_digest(mac, given):
        raise _invalid("code")
    challenge = await challenge_rows.use(conn, who.project_id, challenge_id)
    if challenge is None:
        raise _invalid("code")
    gateway.attempts.right(who, challenge.email)
    return Proof(challenge, "email_code")


def _invalid(what: str) -> GatewayError:
    error = "invalid_token" if what == "link" else "invalid_code"
    return GatewayError(
        401,
        error,
        f"This {what} is wrong, was used already, or is older than 15 minutes. Ask for a new one.",
        code=f"R402_AUTH_{error.upper()}",
    )


async def admit(conn: Connection, project_id: str, proof: Proof) -> User:
    """The user whose address was proven, made or verified now. 403 signup_not_allowed. Inside a transaction."""
    challenge = proof.challenge
    user = await user_rows.by_email(conn, project_id, challenge.email)
    settings = await setting_rows.of_project(conn, project_id)
    if not challenge.trusted and not settings.admits(challenge.email, user):
        raise signup_refused(settings, challenge.email)
    if user is None:
        user = await user_rows.add(conn, project_id, challenge.email)
        if challenge.data:
            user = await user_rows.change(conn, user, data=challenge.data)
    return await proofs.prove(conn, user)


def signup_refused(settings: AuthSettings, email: str | None) -> GatewayError:
    """403: the project's settings do not let this address, or somebody without one, sign up."""
    domains = settings.allowed_email_domains
    if settings.public_signup == "open" and domains:
        said = f"only addresses of {', '.join(domains)} may"
    else:
        said = f"its public_signup is {settings.public_signup}"
    address = email or advice.Blank("address")
    return GatewayError(
        403,
        "signup_not_allowed",
        f"{email or 'An anonymous user'} may not sign up to this project: {said}. Its owner can add the user: "
        f"{advice.command('auth', 'invite-user', '--email', address, '--redirect', advice.Blank('url'))}",
        code="R402_AUTH_SIGNUP_NOT_ALLOWED",
    )
