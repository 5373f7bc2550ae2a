"""Deploying from GitHub Actions: the job's OIDC token becomes a short-lived session. See docs/ci.md."""

from __future__ import annotations

import os
import threading
import time
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from run402_cli.client import Client, parse_body
from run402_cli.client.http import httpx
from run402_cli.client.transport import reason
from run402_cli.errors import NetworkError, ValidationError
from run402_cli.release.ci_delegation import AUDIENCE

_URL = "ACTIONS_ID_TOKEN_REQUEST_URL"
_TOKEN = "ACTIONS_ID_TOKEN_REQUEST_TOKEN"
_EARLY_SECONDS = 60.0


def in_github_actions() -> bool:
    """Whether this process is a GitHub Actions job that may ask for an OIDC token."""
    return os.environ.get("GITHUB_ACTIONS") == "true" and all(os.environ.get(name) for name in (_URL, _TOKEN))


class CiClient(Client):
    """A client that acts as the CI binding of one project: its session is the only credential of every request."""

    pays = False

    def __init__(self, project_id: str) -> None:
        super().__init__()
        self._auth = _CiAuth(self, project_id)

    def principal(self, *, capability: str | None = None, target: dict[str, str] | None = None) -> httpx.Auth:
        return self._auth

    def deploy_reader(self, project_id: str | None) -> httpx.Auth:
        return self._auth


class _CiAuth(httpx.Auth):
    """Bearer of a CI session, exchanged anew a minute before it ends."""

    def __init__(self, client: Client, project_id: str) -> None:
        self._client = client
        self._project_id = project_id
        self._token = ""
        self._renew_at = 0.0
        self._lock = threading.Lock()

    def auth_flow(self, request: httpx.Request) -> Any:
        with self._lock:
            if time.monotonic() >= self._renew_at:
                answer = exchange(self._client, self._project_id, oidc_token(self._client))
                self._token = answer["access_token"]
                self._renew_at = time.monotonic() + max(0.0, _seconds(answer.get("expires_in")) - _EARLY_SECONDS)
        request.headers["Authorization"] = f"Bearer {self._token}"
        yield request


def oidc_token(client: Client) -> str:
    """GET ACTIONS_ID_TOKEN_REQUEST_URL with our audience -> the job's OIDC token. docs/ci.md

    Raises NetworkError, and ValidationError INTERNAL_ERROR for an answer that holds no token.
    """
    parts = urlsplit(os.environ[_URL])
    query = [pair for pair in parse_qsl(parts.query, keep_blank_values=True) if pair[0] != "audience"]
    url = urlunsplit(parts._replace(query=urlencode([*query, ("audience", AUDIENCE)])))
    try:
        response = client.http.get(url, headers={"Authorization": f"Bearer {os.environ[_TOKEN]}"})
    except httpx.LocalProtocolError:
        # Its text would repeat the token.
        raise ValidationError(
            f"{_TOKEN} holds a character that HTTP cannot carry. GitHub sets it; leave it.", reason="BAD_TOKEN_VARIABLE"
        ) from None
    except (httpx.HTTPError, httpx.InvalidURL) as exc:
        raise NetworkError(
            f"GitHub's token service does not answer ({reason(exc)}). Run the job again.", read=True
        ) from exc
    body = parse_body(response) if response.is_success else None
    value = body.get("value") if isinstance(body, dict) else None
    if not isinstance(value, str) or not value:
        raise ValidationError(
            f"GitHub gave no OIDC token for this job (HTTP {response.status_code}). "
            "The workflow needs `permissions: id-token: write`.",
            code="INTERNAL_ERROR",
        )
    return value


def exchange(client: Client, project_id: str, subject_token: str) -> dict[str, Any]:
    """POST /ci/v1/token-exchange -> {access_token, expires_in (seconds), ...}. No credential but the OIDC token.

    Raises ApiError (401 or 403 with `error`: invalid_token, access_denied, binding_revoked, ...) and NetworkError.
    """
    answer = client.request(
        "POST",
        "/ci/v1/token-exchange",
        context="exchanging the CI token",
        body={
            "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
            "subject_token": subject_token,
            "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
            "project_id": project_id,
        },
        reveals=True,
    )
    if not isinstance(answer, dict) or not isinstance(answer.get("access_token"), str):
        raise ValidationError(
            "The gateway's token exchange answered without an access_token. Run the job again.", code="INTERNAL_ERROR"
        )
    return answer


def _seconds(value: Any) -> float:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else 0.0
