"""One httpx.Auth class per way to authenticate. See docs/protocol/authentication.md.

Siwx          SIGN-IN-WITH-X, signed anew for every request        (principal: wallet)
Bearer        Authorization: Bearer <token>                        (principal: delegate, operator session, CI)
Operator      the same for a write that a human must approve      (principal: operator session)
ProjectKey    a project key as bearer, `apikey` or both, and optionally the principal
AdminMode     the principal plus X-Admin-Mode (platform admins)
"""

from __future__ import annotations

from collections.abc import Generator
from urllib.parse import urlsplit

from run402_cli.client.http import httpx
from run402_cli.state.allowance import Allowance

Flow = Generator[httpx.Request, httpx.Response, None]

SIGNED_URI = "run402_signed_uri"


class Siwx(httpx.Auth):
    """Sign each request with the wallet key; the signed URI is the address exactly as it was asked for."""

    def __init__(self, allowance: Allowance) -> None:
        self._allowance = allowance

    def auth_flow(self, request: httpx.Request) -> Flow:
        from run402_cli.client import siwx

        uri = request.extensions.get(SIGNED_URI) or str(request.url)
        request.headers["SIGN-IN-WITH-X"] = siwx.header(
            self._allowance.private_key,
            self._allowance.address,
            domain=(urlsplit(uri).hostname or "").lower(),
            uri=uri,
        )
        yield request


class Bearer(httpx.Auth):
    """A bearer token; `write_auth` adds a human's approval for one kind of write."""

    def __init__(self, token: str, *, write_auth: str | None = None) -> None:
        self._token = token
        self._write_auth = write_auth

    def auth_flow(self, request: httpx.Request) -> Flow:
        request.headers["Authorization"] = f"Bearer {self._token}"
        if self._write_auth:
            request.headers["X-Run402-Write-Auth"] = f"Bearer {self._write_auth}"
        yield request


class Operator(Bearer):
    """A human's control-plane session, for a write that their approval must cover.

    `capability` and `target` name that write. `final`: what the gateway refuses now is not asked of the human again.
    """

    def __init__(
        self, token: str, *, write_auth: str | None, capability: str, target: dict[str, str], final: bool = False
    ) -> None:
        super().__init__(token, write_auth=write_auth)
        self.approved = write_auth is not None
        self.capability = capability
        self.target = target
        self.final = final


class ProjectKey(httpx.Auth):
    """A project key as bearer, as `apikey`, or both; with `principal` the caller's own credential as well."""

    def __init__(self, key: str, *, bearer: bool, apikey: bool, principal: httpx.Auth | None = None) -> None:
        self._key = key
        self._bearer = bearer
        self._apikey = apikey
        self._principal = principal

    def auth_flow(self, request: httpx.Request) -> Flow:
        if self._apikey:
            request.headers["apikey"] = self._key
        if self._bearer:
            request.headers["Authorization"] = f"Bearer {self._key}"
        if self._principal is not None:
            yield from self._principal.auth_flow(request)
        else:
            yield request


def service_key(key: str, *, apikey: bool = False) -> ProjectKey:
    """The service key as bearer; storage routes want it as `apikey` too."""
    return ProjectKey(key, bearer=True, apikey=apikey)


def anon_key(key: str, *, bearer: bool = False, principal: httpx.Auth | None = None) -> ProjectKey:
    """The anon key as `apikey`; REST wants it as bearer too, deploy reads add the principal."""
    return ProjectKey(key, bearer=bearer, apikey=True, principal=principal)


class AdminMode(httpx.Auth):
    """A platform admin's call: the principal plus `X-Admin-Mode: 1` and, for finance, an admin cookie."""

    def __init__(self, principal: httpx.Auth | None, *, cookie: str | None = None) -> None:
        self._principal = principal
        self._cookie = cookie

    def auth_flow(self, request: httpx.Request) -> Flow:
        request.headers["X-Admin-Mode"] = "1"
        if self._cookie:
            request.headers["Cookie"] = self._cookie
        if self._principal is not None:
            yield from self._principal.auth_flow(request)
        else:
            yield request
