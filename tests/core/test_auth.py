from __future__ import annotations

import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import jwt
import pytest

from run402_cli.core.callers import token_routes
from run402_cli.core.callers.auth import sign_token, token_claims, verify_token
from run402_cli.core.errors import GatewayError
from run402_cli.core.gateway import Gateway
from run402_cli.core.settings import Settings

CLAIMS = {"sub": "user_1", "role": "authenticated", "project_id": "prj_0123456789abcdef", "iss": "run402-core-dev"}
# Made by another implementation with the secret "s3cret".
KNOWN_TOKEN = (
    "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9"
    ".eyJpc3MiOiJydW40MDItY29yZS1kZXYiLCJwcm9qZWN0X2lkIjoicHJqXzAxMjM0NTY3ODlhYmNkZWYiLCJyb2xlIjoiYXV0aGVudGljYXRlZCIs"
    "InN1YiI6InVzZXJfMSJ9"
    ".mt97i5TAvNdWij7euX7DiEFsEFONW82ZkDdGpnGYa6A"
)


def with_secret(secret: str) -> Settings:
    return Settings(data_dir=Path("unused"), jwt_secret=secret, signed_read_secret="unused")


@pytest.mark.filterwarnings("ignore::jwt.InsecureKeyLengthWarning")
def test_token_bytes_match_another_implementation() -> None:
    assert sign_token(with_secret("s3cret"), CLAIMS) == KNOWN_TOKEN
    assert verify_token(with_secret("s3cret"), KNOWN_TOKEN) == CLAIMS


def test_only_string_claims_are_kept() -> None:
    settings = with_secret("k" * 32)
    token = sign_token(settings, {**CLAIMS, "exp": int(time.time()) + 60, "admin": True, "sub": "ünï"})
    assert verify_token(settings, token) == {**CLAIMS, "sub": "ünï"}


def forged(kind: str) -> str:
    key = "k" * 32
    if kind == "alg none":
        return jwt.encode(CLAIMS, "", algorithm="none")
    if kind == "other secret":
        return jwt.encode(CLAIMS, "z" * 32, algorithm="HS256")
    if kind == "other algorithm":
        return jwt.encode(CLAIMS, key * 2, algorithm="HS512")
    if kind == "expired":
        return jwt.encode({**CLAIMS, "exp": 1}, key, algorithm="HS256")
    if kind == "payload changed":
        head, _, signature = jwt.encode(CLAIMS, key, algorithm="HS256").split(".")
        return f"{head}.{jwt.encode({**CLAIMS, 'sub': 'x'}, key, algorithm='HS256').split('.')[1]}.{signature}"
    return kind


@pytest.mark.parametrize(
    "kind",
    ["alg none", "other secret", "other algorithm", "expired", "payload changed", "", "a.b", "a.b.c", "..", "é.é.é"],
)
def test_tokens_that_are_not_ours_are_refused(kind: str) -> None:
    with pytest.raises(GatewayError) as caught:
        verify_token(with_secret("k" * 32), forged(kind))
    assert (caught.value.status, caught.value.error) == (401, "authentication_required")


@pytest.mark.parametrize(
    ("body", "role", "subject"),
    [
        ({}, "authenticated", "user"),
        ({"sub": "user_1"}, "authenticated", "user_1"),
        ({"role": "anon"}, "anon", None),
        ({"role": "service_role"}, "service_role", "service"),
    ],
)
def test_dev_tokens_carry_role_and_subject(
    client: httpx.Client,
    gateway: Gateway,
    project: dict[str, Any],
    body: dict[str, Any],
    role: str,
    subject: str | None,
) -> None:
    response = client.post("/auth/v1/dev-tokens", json={"project_id": project["project_id"], **body})
    assert response.status_code == 201
    answer = response.json()
    assert answer["authorization"] == f"Bearer {answer['token']}"
    assert (answer["role"], answer["sub"]) == (role, subject)
    claims = verify_token(gateway.settings, answer["token"])
    assert claims["role"] == role
    assert claims.get("sub") == subject
    assert claims["project_id"] == project["project_id"]
    assert answer["expires_in"] == 86400
    whole = token_claims(gateway.settings, answer["token"])
    assert whole["exp"] - whole["iat"] == 86400
    assert abs(whole["iat"] - time.time()) < 60


def test_a_dev_token_is_over_after_a_day_and_for_a_project_that_is_there(
    client: httpx.Client, project: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, anon = "/auth/v1/dev-tokens", {"apikey": project["anon_key"]}
    day_before = time.time() - 86400 - 60
    with monkeypatch.context() as earlier:
        earlier.setattr(token_routes, "time", SimpleNamespace(time=lambda: day_before))
        old = client.post(url, json={"project_id": project["project_id"]}).json()["authorization"]
    refused = client.get("/rest/v1/", headers={**anon, "Authorization": old})
    assert (refused.status_code, refused.json()["code"]) == (401, "TOKEN_EXPIRED"), refused.text
    unknown = client.post(url, json={"project_id": "prj_0123456789abcdef"})
    assert (unknown.status_code, unknown.json()["error"]) == (404, "project_not_found")
    client.delete(
        f"/projects/v1/{project['project_id']}", headers={"Authorization": f"Bearer {project['service_key']}"}
    )
    assert client.post(url, json={"project_id": project["project_id"]}).status_code == 404


@pytest.mark.parametrize(
    "body",
    [{}, {"project_id": "prj_x", "role": "root"}, {"project_id": 7}, [], {"project_id": "prj_x", "sub": 1}],
)
def test_dev_tokens_refuse_bad_input(client: httpx.Client, body: Any) -> None:
    response = client.post("/auth/v1/dev-tokens", json=body)
    assert (response.status_code, response.json()["error"]) == (400, "invalid_request")
