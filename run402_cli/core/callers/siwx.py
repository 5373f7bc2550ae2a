"""Wallets as principals: the SIGN-IN-WITH-X header, verified; and which wallet owns which project.

A request with the header speaks for its wallet: what it creates is that wallet's, and other wallets' projects are closed to
it. A wallet that signs a request with the control token is admitted: from then on its signature is enough for what it owns.
See docs/local-gateway.md.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn
from urllib.parse import SplitResult, unquote, urlsplit

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from run402_cli.core.callers import wallet_rows
from run402_cli.core.callers.control_token import holds_token
from run402_cli.core.callers.surfaces import is_public
from run402_cli.core.callers.wallet_signatures import ADDRESS, personal_digest, signer_of
from run402_cli.core.db import Connection
from run402_cli.core.errors import GatewayError
from run402_cli.core.gateway import Gateway, gateway_of
from run402_cli.core.web.addresses import path_of

HEADER = "sign-in-with-x"
# In the scope of a request: whether the control token's holder admitted the wallet.
ADMITTED = "run402.admitted_wallet"
STATEMENT = "Sign in to Run402"
CHAIN = "eip155:84532"
LIFETIME = timedelta(minutes=5)
LONGEST = timedelta(hours=1)
SKEW = timedelta(seconds=60)

_NONCE = re.compile(r"[A-Za-z0-9]{8,128}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?Z", re.ASCII)
_BASE64 = re.compile(r"[A-Za-z0-9+/]+={0,2}")
_HIDDEN = re.compile(r"[\x00-\x1f\x7f]")

# The wallet that the request being answered has proved to hold (lower case), or None.
caller: ContextVar[str | None] = ContextVar("run402_wallet", default=None)


@dataclass(frozen=True, slots=True)
class SignIn:
    """A verified header."""

    wallet: str
    nonce: str
    expires_at: datetime


class Siwx:
    """ASGI middleware: 401 for a SIGN-IN-WITH-X header that proves nothing; else `caller` is its wallet."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope) if scope["type"] == "http" else None
        value = None if request is None else request.headers.get(HEADER)
        # What everybody may read is no principal's route; a site may even use a header of this name itself.
        if request is None or value is None or is_public(path_of(request), request.headers):
            await self.app(scope, receive, send)
            return
        sign_in = verify(value, request, datetime.now(UTC))
        gateway = gateway_of(request)
        scope[ADMITTED] = await _use(gateway, sign_in, admit=holds_token(request))

        async def send_giving_back(message: Message) -> None:
            # The request that pays repeats the header of the one that was told the price.
            if message["type"] == "http.response.start" and message["status"] == 402:
                await _give_back(gateway, sign_in)
            await send(message)

        token = caller.set(sign_in.wallet)
        try:
            await self.app(scope, receive, send_giving_back)
        finally:
            caller.reset(token)


# -- the header ---------------------------------------------------------------------------------------------------------


def verify(value: str, request: Request, now: datetime) -> SignIn:
    """The sign-in of a header value, for exactly this request. 401 SIWX_INVALID or SIWX_EXPIRED."""
    fields = _decoded(value)
    _check_request(fields, request)
    issued, expires = _times(fields)
    if issued > now + SKEW:
        _refuse("it was signed in the future; check this machine's clock")
    if expires <= now:
        _refuse("it has expired; sign a new one for each request", "siwx_expired")
    if expires - issued > LONGEST:
        _refuse("it would be valid for more than an hour")
    signer = signer_of(personal_digest(_text(fields)), fields["signature"])
    if signer is None or signer != fields["address"].lower():
        _refuse(f"it was not signed by {fields['address']}")
    return SignIn(signer, fields["nonce"], expires)


def _decoded(value: str) -> dict[str, Any]:
    try:
        if not _BASE64.fullmatch(value):
            _refuse("it is not standard base64")
        fields = json.loads(base64.b64decode(value, validate=True).decode())
    except (binascii.Error, ValueError, RecursionError):
        _refuse("it is not base64 of a JSON object")
    if not isinstance(fields, dict):
        _refuse("it is not base64 of a JSON object")
    for name in (
        "domain",
        "address",
        "statement",
        "uri",
        "version",
        "chainId",
        "type",
        "nonce",
        "issuedAt",
        "signature",
    ):
        text = fields.get(name)
        if not isinstance(text, str) or _HIDDEN.search(text):
            _refuse(f"its `{name}` is missing or no plain text")
    try:
        "".join(value for value in fields.values() if isinstance(value, str)).encode()
    except UnicodeEncodeError:
        _refuse("it holds characters that are no text")
    if not ADDRESS.fullmatch(fields["address"]):
        _refuse("its `address` is not 0x and 40 hex digits")
    if not _NONCE.fullmatch(fields["nonce"]):
        _refuse("its `nonce` must be 8 to 128 letters and digits")
    return fields


def _check_request(fields: dict[str, Any], request: Request) -> None:
    expected = {"statement": STATEMENT, "version": "1", "chainId": CHAIN, "type": "eip191"}
    for name, wanted in expected.items():
        if fields[name] != wanted:
            _refuse(f"its `{name}` must be {wanted!r}")
    # A signature that grants something to resources is for another purpose than a sign-in.
    if fields.get("resources"):
        _refuse("it names resources, which a sign-in here does not have")
    host = request.url.hostname or ""
    if fields["domain"] != host.lower():
        _refuse(f"it is for the host {fields['domain']!r} and was sent to {host!r}")
    try:
        same = _place(urlsplit(fields["uri"])) == _place(_address(request))
    except ValueError:
        same = False
    if not same:
        _refuse("its `uri` is not the address of this request")


def _address(request: Request) -> SplitResult:
    """The address as it was asked for: request.url has lost which characters were percent-encoded."""
    raw: bytes = request.scope.get("raw_path") or request.scope["path"].encode()
    query: bytes = request.scope["query_string"]
    target = raw + b"?" + query if query else raw
    return urlsplit(f"{request.url.scheme}://{request.url.netloc}{target.decode('latin-1')}")


def _place(address: SplitResult) -> tuple[str, str | None, int | None, str, str]:
    # Clients sign the address before they percent-encode it.
    return address.scheme, address.hostname, address.port, unquote(address.path), unquote(address.query)


def _times(fields: dict[str, Any]) -> tuple[datetime, datetime]:
    issued = _moment(fields["issuedAt"], "issuedAt")
    if "expirationTime" not in fields:
        return issued, issued + LIFETIME
    return issued, _moment(fields["expirationTime"], "expirationTime")


def _moment(value: Any, name: str) -> datetime:
    text = value if isinstance(value, str) and _TIME.fullmatch(value) else ""
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        _refuse(f"its `{name}` is not a time such as 2026-01-02T03:04:05.678Z")


def _text(fields: dict[str, Any]) -> str:
    """The EIP-4361 text that the wallet signed."""
    lines = [
        f"{fields['domain']} wants you to sign in with your Ethereum account:",
        fields["address"],
        "",
        fields["statement"],
        "",
        f"URI: {fields['uri']}",
        f"Version: {fields['version']}",
        f"Chain ID: {fields['chainId'].removeprefix('eip155:')}",
        f"Nonce: {fields['nonce']}",
        f"Issued At: {fields['issuedAt']}",
    ]
    if "expirationTime" in fields:
        lines.append(f"Expiration Time: {fields['expirationTime']}")
    return "\n".join(lines)


def _refuse(reason: str, error: str = "siwx_invalid") -> NoReturn:
    raise GatewayError(
        401,
        error,
        f"The SIGN-IN-WITH-X header was not accepted: {reason}.",
        hint="Leave the header out to use this gateway without a wallet, or sign the text again for this very request.",
    )


# -- once only ----------------------------------------------------------------------------------------------------------


async def _use(gateway: Gateway, sign_in: SignIn, *, admit: bool) -> bool:
    """Each header is good for one request: 401 SIWX_REPLAYED. Whether the wallet is admitted, now or since earlier."""
    async with gateway.connection() as conn:
        new, admitted = await wallet_rows.use_nonce(
            conn, sign_in.wallet, sign_in.nonce, sign_in.expires_at, admit=admit
        )
    if not new:
        _refuse("it was used before; each header is good for one request", "SIWX_REPLAYED")
    return admitted


async def _give_back(gateway: Gateway, sign_in: SignIn) -> None:
    async with gateway.connection() as conn:
        await wallet_rows.give_back_nonce(conn, sign_in.wallet, sign_in.nonce)


# -- owners -------------------------------------------------------------------------------------------------------------


async def take_ownership(conn: Connection, project_id: str) -> None:
    """The caller's wallet, if there is one, owns this new project."""
    if wallet := caller.get():
        await wallet_rows.set_owner(conn, project_id, wallet)


async def check_owner(conn: Connection, project_id: str) -> None:
    """403 NOT_AUTHORIZED when the caller signed in with a wallet and another one owns the project."""
    wallet = caller.get()
    if wallet is None:
        return
    if await wallet_rows.owner_of(conn, project_id) not in (None, wallet):
        raise not_the_owner(project_id, wallet)


def not_the_owner(project_id: str, wallet: str | None) -> GatewayError:
    return GatewayError(
        403,
        "not_authorized",
        f"{project_id} belongs to another wallet than {wallet}. `run402 projects list` prints yours; "
        "`run402 --wallet <name> ...` uses another wallet.",
        project_id=project_id,
    )


def scoped_key(key: str) -> str:
    """An idempotency key in the name space of the caller's wallet: two wallets may choose the same words."""
    wallet = caller.get()
    return key if wallet is None else f"{wallet} {key}"
