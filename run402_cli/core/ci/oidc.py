"""GitHub's OIDC tokens: RS256, checked against the keys that RUN402_CORE_CI_JWKS names. See docs/ci.md."""

from __future__ import annotations

import json
import os
import urllib.request
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import jwt

from run402_cli.core.errors import GatewayError
from run402_cli.proxies import Proxies
from run402_cli.release.ci_delegation import AUDIENCE, ISSUER

JWKS_VARIABLE: Final = "RUN402_CORE_CI_JWKS"
_TIMEOUT_SECONDS: Final = 10
_MAX_JWKS_BYTES: Final = 1_000_000
_LEEWAY_SECONDS: Final = 30
_REQUIRED: Final = ["exp", "iat", "sub", "aud", "iss"]


def claims(token: str) -> dict[str, Any]:
    """The claims of a workflow's token. Reads the keys anew each time (blocking: file or HTTP), as issuers rotate them.

    GatewayError 401 invalid_token; 422 unsupported_capability when no keys are configured; 502 when they cannot be read.
    """
    keys = _keys()
    try:
        kid = jwt.get_unverified_header(token).get("kid")
        key = next((key for key in keys.keys if key.key_id == kid), None)
        if key is None:
            raise invalid_token(f"It names the key {kid!r}, which the issuer does not have.")
        found: dict[str, Any] = jwt.decode(
            token,
            key.key,
            algorithms=["RS256"],
            audience=AUDIENCE,
            issuer=ISSUER,
            leeway=_LEEWAY_SECONDS,
            options={"require": _REQUIRED},
        )
    except (jwt.PyJWTError, ValueError, TypeError, RecursionError) as exc:
        raise invalid_token(f"{exc}.") from exc
    return found


def invalid_token(reason: str) -> GatewayError:
    return GatewayError(
        401, "invalid_token", f"The workflow's OIDC token was not accepted. {reason}", code="INVALID_AUTH"
    )


def _keys() -> jwt.PyJWKSet:
    place = os.environ.get(JWKS_VARIABLE)
    if not place or find_spec("cryptography") is None:
        message = (
            f"This gateway does not know an OIDC issuer. Start it with {JWKS_VARIABLE}=<file or URL of the issuer's "
            f"keys>, for GitHub {ISSUER}/.well-known/jwks, and with the library `cryptography` installed."
        )
        raise GatewayError(
            422, "unsupported_capability", message, capability="ci.github-actions", code="UNSUPPORTED_CAPABILITY"
        )
    try:
        return jwt.PyJWKSet.from_dict(json.loads(_read(place)))
    except (OSError, ValueError, RecursionError, jwt.PyJWTError) as exc:
        raise GatewayError(
            502,
            "issuer_unavailable",
            f"The keys of the OIDC issuer cannot be read from {JWKS_VARIABLE}: {exc}. Correct it or try again.",
            retryable=True,
        ) from exc


def _read(place: str) -> bytes:
    if not place.startswith(("http://", "https://")):
        return Path(place).read_bytes()
    parts = urlsplit(place)
    proxy = Proxies().for_address(parts.scheme, parts.hostname or "", parts.port)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({parts.scheme: proxy.url()} if proxy else {}))
    with opener.open(place, timeout=_TIMEOUT_SECONDS) as response:
        data: bytes = response.read(_MAX_JWKS_BYTES)
    return data
