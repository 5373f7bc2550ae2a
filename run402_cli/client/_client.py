"""The sync HTTP kernel: base URL, client headers, credentials, error mapping. Services go through `Client.request`."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from run402_cli import advice, global_options, output, secrecy
from run402_cli.client import bounded, credentials, deadline, own_gateway, plain_http, response_hints
from run402_cli.client.bounded import parse_body
from run402_cli.client.http import httpx
from run402_cli.client.transport import LazyTransport, reason, refused_directly
from run402_cli.client.urls import origin
from run402_cli.errors import ApiError, EnvironmentFault, NetworkError, no_allowance
from run402_cli.proxies import is_loopback
from run402_cli.state import sessions
from run402_cli.state.allowance import Allowance
from run402_cli.state.files import now_iso
from run402_cli.state.profile import Profile, acting, current

if TYPE_CHECKING:
    from run402_cli.client.budget import Budget

CLIENT_HEADER = 'surface="cli"'
_TIMEOUT = httpx.Timeout(deadline.EACH_SECONDS, connect=30.0)
_READS = ("GET", "HEAD", "OPTIONS")
_CORE_PORT = 4020

Json = Any


class Client:
    """Requests on behalf of one profile. Use as a context manager, or close it.

    Every method that sends raises ApiError (non-2xx answer) or NetworkError (no answer).
    """

    # Whether the 402 of a priced call may be answered with money (docs/payments.md).
    pays = True
    # Whether a damaged file of the wallet stops the first request. Off for who reports all of them itself.
    checks_files = True
    # Whether requests go to the profile's gateway; not when the caller has named another address.
    uses_target = True
    # What all payments of this client may cost together.
    budget: Budget | None = None
    # What the gateway is told about who calls.
    client_header = CLIENT_HEADER

    def __init__(self, profile: Profile | None = None, *, transport: httpx.BaseTransport | None = None) -> None:
        self.profile = profile or current()
        self._transport = transport
        self._http: httpx.Client | None = None

    @property
    def api_base(self) -> str:
        return self.profile.target.api_base

    @property
    def is_core(self) -> bool:
        return self.profile.target.is_core

    @property
    def http(self) -> httpx.Client:
        """The underlying httpx client; ours for gateway calls, shared with uploads to presigned URLs."""
        if self._http is None:
            if self.checks_files:
                self.profile.require_readable(signs=not self.delegate_token(), target=self.uses_target)
            limit = global_options.current.http_timeout
            self._http = bounded.Client(
                self._transport or LazyTransport(),
                timeout=_TIMEOUT if limit is None else httpx.Timeout(limit),
                follow_redirects=True,
                event_hooks=_hooks(self._own_gateway),
            )
        return self._http

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def close(self) -> None:
        if self._http is not None:
            self._http.close()

    # -- credentials ------------------------------------------------------------------------------------------------

    def delegate_token(self) -> str | None:
        return os.environ.get("RUN402_DELEGATE_TOKEN", "").strip() or None

    def principal(self, *, capability: str | None = None, target: dict[str, str] | None = None) -> httpx.Auth | None:
        """The caller's own credential: delegate token, else wallet, else control-plane session, else none.

        `capability` and `target` name the write that a human's approval must cover when the session is used.
        """
        if token := self.delegate_token():
            return credentials.Bearer(token)
        if self.profile.allowance is not None:
            return credentials.Siwx(self.profile.allowance)
        with acting(self.profile.scope):  # worker threads too read the files of this client's own directory
            session = sessions.control_plane_session()
            if session is None:
                return None
            if not capability or not target:
                return credentials.Bearer(session.token)
            approval = sessions.write_auth_token(session, api_origin=self.origin, action=capability, target=target)
            return credentials.Operator(session.token, write_auth=approval, capability=capability, target=target)

    def operator_session(self) -> sessions.Session | None:
        """The signed-in human's session for reading all of their wallets, or None."""
        return sessions.operator_session()

    @property
    def origin(self) -> str:
        """Scheme, host and port (unless it is the default one) of the API base."""
        return origin(self.api_base)

    def require_wallet(self) -> None:
        """CommandError NO_ALLOWANCE unless the wallet has a key."""
        if self.profile.allowance is None:
            raise no_allowance()

    def service_key(self, project_id: str, *, apikey: bool = False) -> httpx.Auth:
        """The project's cached service key. Raises CommandError PROJECT_CREDENTIAL_NOT_FOUND without one."""
        return credentials.service_key(self.profile.keys.cached_key(project_id, "service_key"), apikey=apikey)

    def anon_key(self, project_id: str, *, bearer: bool = False) -> httpx.Auth:
        """The project's cached anon key as `apikey` (and bearer). Raises PROJECT_CREDENTIAL_NOT_FOUND without one."""
        return credentials.anon_key(self.profile.keys.cached_key(project_id, "anon_key"), bearer=bearer)

    def deploy_reader(self, project_id: str | None) -> httpx.Auth | None:
        """Credential of deploy reads: the principal, plus the project's anon key when cached and no delegate acts."""
        principal = self.principal()
        if self.delegate_token() or project_id is None:
            return principal
        key = (self.profile.keys.get(project_id) or {}).get("anon_key")
        return credentials.anon_key(key, principal=principal) if isinstance(key, str) and key else principal

    # -- requests ---------------------------------------------------------------------------------------------------

    def request(
        self,
        method: str,
        path: str,
        *,
        context: str,
        auth: httpx.Auth | None = None,
        body: Json = None,
        content: bytes | str | Iterable[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
        reveals: bool = False,
        priced: int | None = None,
    ) -> Json:
        """Send one request and return the parsed body, without secrets unless the call is made to get them (`reveals`).

        `priced`: the service may charge for it, so that a 402 is paid, up to this many micro-USD (services/prices.py); more
        only with --max-usd. A read never is: whoever asks money for it gets none.

        `path` starts with / and may hold a query string (see `with_query`); `body` is sent as JSON, `content` as it
        is; `context` is a verb phrase for error messages ("listing projects"). A JSON answer that does not parse is
        a NetworkError (ANSWER_UNREADABLE), a non-JSON answer its text.
        """
        response = self.send(
            method, path, context=context, auth=auth, body=body, content=content, headers=headers, priced=priced
        )
        answer = self.answered(response, context)
        return answer if reveals else secrecy.public(answer)

    def answered(
        self, response: httpx.Response, context: str, read: Callable[[httpx.Response], Json] = bounded.answered
    ) -> Json:
        """The value of what `send` returned. NetworkError ANSWER_UNREADABLE for what is not what it says it is."""
        with self._network_errors(response.request.method, context):
            return read(response)

    def send(
        self,
        method: str,
        path: str,
        *,
        context: str,
        auth: httpx.Auth | None = None,
        body: Json = None,
        content: bytes | str | Iterable[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
        base: str | None = None,
        priced: int | None = None,
    ) -> httpx.Response:
        """Like `request`, but returns the response (already read). `base` overrides the API base of the profile."""
        url = (base or self.api_base) + path
        merged = {"Run402-Client": self.client_header, **(headers or {})}
        if body is not None:
            content = output.dumps(body, compact=True).encode()
            merged.setdefault("Content-Type", "application/json")
        try:
            request = self.http.build_request(
                method, url, content=content, headers=merged, extensions={credentials.SIGNED_URI: url}
            )
        except httpx.InvalidURL as exc:
            raise NetworkError(f"Cannot call {url}: {exc}", read=True) from exc
        asked_at = now_iso()
        with self._network_errors(method, context):
            response = self.http.send(request, auth=auth or _NO_AUTH, stream=True)
            if response.status_code == 402:
                response = self._answer_402(request, response, asked_at, context, priced=priced)
            _read(response)
        if response.is_success:
            return response
        refusal = _refusal(response, context, auth, priced=priced is not None)
        # A body that was streamed is gone; no write that a human approves has one.
        renewed = self._approved(refusal, auth) if isinstance(content, bytes | str | None) else None
        if renewed is None:
            raise refusal
        return self.send(
            method, path, context=context, auth=renewed, content=content, headers=merged, base=base, priced=priced
        )

    def _approved(self, refusal: ApiError, auth: httpx.Auth | None) -> httpx.Auth | None:
        """The credential to repeat the call with, once a human has approved it; else None."""
        if refusal.http != 403 or not isinstance(auth, credentials.Operator) or auth.final:
            return None
        with acting(self.profile.scope):
            return self.approval(refusal, auth)

    def approval(self, refusal: ApiError, auth: credentials.Operator) -> credentials.Operator | None:
        """The credential that has what the gateway missed: from a human who is asked here, or None where nobody is.

        services/terminal.py asks the human at this terminal. The credential is `final`: nobody is asked twice.
        """
        return None

    def _answer_402(
        self, request: httpx.Request, response: httpx.Response, asked_at: str, purpose: str, *, priced: int | None
    ) -> httpx.Response:
        """The answer after paying, or the 402 itself when it asks for no payment, has no price, or nobody pays here."""
        from run402_cli.client.payments import challenge

        response = challenge.read_402(response)
        by_function = response.headers.get("x-run402-answered-by") == "function"  # the price is the service's
        paid = priced is not None and not by_function and isinstance(request.stream, httpx.ByteStream)
        payer = self.payer() if paid else None
        if priced is None or payer is None or not challenge.carries_challenge(response):
            return response
        from run402_cli.client.payments import errors, gateway

        if payer.rail == "mpp":
            raise errors.rail_unsupported({})
        unpaid = gateway.Unpaid(request, response, asked_at, purpose, priced, self.budget)
        return gateway.settle(gateway.Payment(self.http, self.profile, payer, unpaid))

    def payer(self) -> Allowance | None:
        """The wallet that pays a 402; None without a usable one, for a delegate, and where `pays` is off."""
        return None if not self.pays or self.delegate_token() else self.profile.allowance

    def download(self, path: str, *, context: str, auth: httpx.Auth | None = None) -> Iterator[bytes]:
        """GET `path` and yield the body in chunks, so that its size does not matter. Errors as in `request`."""
        with self.stream("GET", path, context=context, auth=auth) as response:
            yield from response.iter_bytes()

    @contextlib.contextmanager
    def stream(
        self,
        method: str,
        path: str,
        *,
        context: str,
        auth: httpx.Auth | None = None,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Iterator[httpx.Response]:
        """Like `send`, but the body is not read yet. A connection that breaks inside the block is a NetworkError."""
        url = self.api_base + path
        merged = {"Run402-Client": self.client_header, **(headers or {})}
        request = self.http.build_request(
            method, url, content=content, headers=merged, extensions={credentials.SIGNED_URI: url}
        )
        with self._network_errors(method, context):
            response = self.http.send(request, auth=auth or _NO_AUTH, stream=True)
            with contextlib.closing(response):
                if not response.is_success:
                    response.read()
                    raise _refusal(response, context, auth)
                deadline.by_progress(response.request)
                yield response

    @contextlib.contextmanager
    def _network_errors(self, method: str, context: str) -> Iterator[None]:
        try:
            yield
        except httpx.LocalProtocolError:
            # Its text would repeat the header, which may be a key.
            raise EnvironmentFault(
                f"A credential for {context} holds a character that HTTP cannot carry, such as a line break.",
                hint="Check RUN402_DELEGATE_TOKEN, or import the project key again: run402 credentials project-keys import",
            ) from None
        except (httpx.TransportError, httpx.TooManyRedirects, httpx.DecodingError) as exc:
            where = urlsplit(self.api_base).netloc
            raise bounded.failure(
                exc,
                f"No answer from {where} while {context}: {reason(exc)}",
                read=method.upper() in _READS,
                remedy=self._local_remedy() if refused_directly(exc) else (),
            ) from exc

    def _own_gateway(self, request: httpx.Request) -> None:
        own_gateway.introduce(request, self.profile, uses_target=self.uses_target, remedy=self._local_remedy)

    def _local_remedy(self, why: str = "") -> list[dict[str, Any]]:
        """How to reach the gateway when it is this machine's own: where it runs by now, else how to start it."""
        parts = urlsplit(self.api_base)
        if not self.is_core or not is_loopback(parts.hostname or ""):
            return []
        from run402_cli.client import running_gateway

        if (url := running_gateway.elsewhere(self.http, self.api_base)) is not None:
            return [_moved(url, parts.netloc, self.profile.target.source)]
        port = parts.port or 80
        command = (
            advice.command("core", "start") if port == _CORE_PORT else advice.command("core", "start", "--port", port)
        )
        nothing = f"Nothing listens on {parts.netloc}: the local gateway is not running."
        return [advice.entry("run_command", command, why=why or nothing)]


def _moved(url: str, named: str, source: str) -> dict[str, Any]:
    """To the gateway that runs at `url`, while the target, from `source`, names another address."""
    why = f"Nothing listens on {named}: the local gateway runs at {url}."
    if source == "profile":
        return advice.action("run_command", "core", "start", "--use", why=f"{why} This points the active wallet at it.")
    return advice.action("run_command", "core", "status", why=f"{why} {_TOLD.get(source, 'Name that address')}.")


# What to change where the address does not come from the wallet's target.
_TOLD = {"env": "RUN402_API_BASE names the other one: unset or correct it"}


def _read(response: httpx.Response) -> None:
    try:
        response.read()
    except BaseException:
        response.close()
        raise


_NO_AUTH = httpx.Auth()


def _refusal(response: httpx.Response, context: str, auth: httpx.Auth | None, *, priced: bool = False) -> ApiError:
    hint = response_hints.clock_hint(response) or response_hints.price_hint(response, priced=priced)
    body = secrecy.public(parse_body(response))
    if response.headers.get("x-run402-answered-by") == "function":
        body = response_hints.without_advice(body)
    elif isinstance(body, dict):
        from run402_cli import as_typed

        body = as_typed.foreign_advice(body)
    error = ApiError(response.status_code, body, context=context, extra={"hint": hint} if hint else None)
    if response.status_code == 403:
        from run402_cli.client import write_auth

        error.extra |= write_auth.guidance(error, auth)
    if error.code in ("SIWX_EXPIRED", "SIWX_INVALID") and isinstance(body, dict):
        # The gateway's hint is for those who write the header themselves; here the program does.
        error.body = {**body, "hint": hint or _SIGNED_ANEW, "next_actions": _status_actions()}
    error.retry_after = response_hints.retry_after(response)
    return error


_SIGNED_ANEW = (
    "This program signs each request anew, and the clocks agree. Repeat the command; if it is refused again, look at the "
    "wallet and the gateway that are in use: `run402 status`"
)


def _status_actions() -> list[dict[str, Any]]:
    from run402_cli import as_typed

    words = as_typed.words()
    again = [advice.action("retry", *words, why="After the clock is set.")] if words else []
    return [*again, advice.action("run_command", "status", why="It shows the wallet and the gateway in use.")]


def _hooks(own_gateway: Callable[[httpx.Request], None]) -> dict[str, list[Any]]:
    traced: dict[str, list[Any]] = {"request": []}
    if global_options.current.dry_run or global_options.current.verbose:
        from run402_cli.client import _trace

        traced |= _trace.hooks()
    return {**traced, "request": [plain_http.warn, *traced["request"], own_gateway, _sending]}


def _sending(request: httpx.Request) -> None:
    # A failure that nobody planned must not call a repetition safe after this.
    if request.method not in _READS:
        global_options.current.wrote = True
