"""CI bindings, the token exchange, and what a CI session may do."""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import httpx
import jwt
import pytest
from ci_issuer import Issuer
from deploy_kit import commit, plan, site, stage
from eth_account import Account
from eth_account.messages import encode_defunct

from run402_cli.client import siwx
from run402_cli.release.ci_delegation import Delegation, delegation

KEY = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"
OTHER_KEY = "0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d"
MAIN = "repo:tal/myapp:ref:refs/heads/main"


@pytest.fixture
def issuer(monkeypatch: pytest.MonkeyPatch) -> Iterator[Issuer]:
    with Issuer() as running:
        monkeypatch.setenv("RUN402_CORE_CI_JWKS", running.jwks_url)
        yield running


def signed(client: httpx.Client, wanted: Delegation, **changes: Any) -> str:
    """The delegation as a wallet signs it; made with eth-account, not with our own signing."""
    account = Account.from_key(KEY)
    now = datetime.now(UTC)
    base = str(client.base_url).rstrip("/")
    fields: dict[str, Any] = {
        "domain": urlsplit(base).hostname,
        "address": account.address,
        "statement": wanted.statement(),
        "uri": f"{base}/ci/v1/bindings",
        "version": "1",
        "chainId": "eip155:84532",
        "type": "eip191",
        "nonce": wanted.nonce[:16],
        "issuedAt": now.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "expirationTime": (now + timedelta(minutes=5)).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "resources": [wanted.resource_uri()],
        **changes,
    }
    text = (
        f"{fields['domain']} wants you to sign in with your Ethereum account:\n{fields['address']}\n\n"
        f"{fields['statement']}\n\nURI: {fields['uri']}\nVersion: 1\nChain ID: 84532\nNonce: {fields['nonce']}\n"
        f"Issued At: {fields['issuedAt']}\nExpiration Time: {fields['expirationTime']}\n"
        f"Resources:\n- {fields['resources'][0]}"
    )
    fields.setdefault("signature", "0x" + account.sign_message(encode_defunct(text=text)).signature.hex())
    return base64.b64encode(json.dumps(fields).encode()).decode()


def body_of(wanted: Delegation, signed_delegation: str) -> dict[str, Any]:
    return {
        "project_id": wanted.project_id,
        "provider": "github-actions",
        "subject_match": wanted.subject_match,
        "allowed_actions": ["deploy"],
        "allowed_events": list(wanted.allowed_events),
        "github_repository_id": wanted.github_repository_id,
        "expires_at": wanted.expires_at,
        "nonce": wanted.nonce,
        "signed_delegation": signed_delegation,
        **({"route_scopes": list(wanted.route_scopes)} if wanted.route_scopes else {}),
    }


def wanted(project: dict[str, Any], subject: str = MAIN, **more: Any) -> Delegation:
    more.setdefault("github_repository_id", "892341")
    return delegation(project["project_id"], subject, nonce=secrets.token_hex(16), **more)


def link(client: httpx.Client, project: dict[str, Any], subject: str = MAIN, **more: Any) -> dict[str, Any]:
    made = wanted(project, subject, **more)
    answer = client.post("/ci/v1/bindings", json=body_of(made, signed(client, made)))
    assert answer.status_code == 201, answer.text
    row: dict[str, Any] = answer.json()
    return row


def exchange(client: httpx.Client, project: dict[str, Any], token: str) -> httpx.Response:
    return client.post(
        "/ci/v1/token-exchange",
        json={
            "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
            "subject_token": token,
            "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
            "project_id": project["project_id"],
        },
    )


@pytest.fixture
def ci(client: httpx.Client, project: dict[str, Any], issuer: Issuer) -> Iterator[httpx.Client]:
    """A client with a CI session of the project, whose binding covers routes below /api/."""
    link(client, project, route_scopes=["/api/*"])
    token = exchange(client, project, issuer.token()).json()["access_token"]
    headers = {"Authorization": f"Bearer {token}"}
    with httpx.Client(base_url=client.base_url, headers=headers, timeout=30, trust_env=False) as session:
        yield session


def test_a_binding_is_made_listed_read_and_revoked(client: httpx.Client, project: dict[str, Any]) -> None:
    row = link(client, project, route_scopes=["/b", "/a"], expires_at="2099-01-01T00:00:00Z")
    assert row["route_scopes"] == ["/a", "/b"]
    assert row["created_by"] == Account.from_key(KEY).address.lower()
    assert (row["use_count"], row["revoked_at"], row["expires_at"]) == (0, None, "2099-01-01T00:00:00.000Z")
    query = {"project": project["project_id"]}
    assert client.get("/ci/v1/bindings", params=query).json() == {"bindings": [row]}
    assert client.get(f"/ci/v1/bindings/{row['id']}").json() == row
    revoked = client.post(f"/ci/v1/bindings/{row['id']}/revoke").json()
    assert revoked["revoked_at"] is not None
    assert client.post(f"/ci/v1/bindings/{row['id']}/revoke").json() == revoked
    answer = client.post(f"/ci/v1/bindings/{row['id']}/asset-scopes", json={"asset_key_scopes": ["a"]})
    assert (answer.status_code, answer.json()["error"]) == (409, "binding_revoked")
    assert client.get("/ci/v1/bindings/cib_none").status_code == 404


def test_linking_again_replaces_the_binding(client: httpx.Client, project: dict[str, Any]) -> None:
    first, second = link(client, project), link(client, project, route_scopes=["/x"])
    rows = client.get("/ci/v1/bindings", params={"project": project["project_id"]}).json()["bindings"]
    assert {row["id"]: row["revoked_at"] is None for row in rows} == {first["id"]: False, second["id"]: True}


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"statement": "Sign in to Run402"}, "delegation_statement_mismatch"),
        ({"resources": ["run402-ci-delegation:v1?"]}, "delegation_resource_uri_mismatch"),
        ({"nonce": "0" * 16}, "delegation_nonce_invalid"),
        ({"uri": "https://api.run402.com/ci/v1/bindings"}, "delegation_parse_failed"),
        ({"expirationTime": "2020-01-01T00:00:00Z"}, "delegation_expired"),
        ({"issuedAt": "tomorrow"}, "delegation_parse_failed"),
        ({"address": "0x" + "1" * 40}, "delegation_signature_invalid"),
        ({"signature": "0x" + "00" * 65}, "delegation_signature_invalid"),
        ({"signature": "0x12"}, "delegation_signature_invalid"),
        ({"signature": ""}, "delegation_signature_invalid"),
        ({"signature": 7}, "delegation_parse_failed"),
    ],
)
def test_a_delegation_that_says_something_else_is_refused(
    client: httpx.Client, project: dict[str, Any], changes: dict[str, Any], code: str
) -> None:
    made = wanted(project)
    answer = client.post("/ci/v1/bindings", json=body_of(made, signed(client, made, **changes)))
    assert (answer.status_code in (400, 403), answer.json()["code"]) == (True, code)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"route_scopes": ["/*"]}, "invalid_route_scopes"),
        ({"route_scopes": ["/b"]}, "delegation_statement_mismatch"),
        ({"subject_match": "repo:evil/app:ref:refs/heads/main"}, "delegation_statement_mismatch"),
        ({"signed_delegation": "A" * 40_000}, "delegation_oversized"),
        ({"signed_delegation": "!"}, "delegation_parse_failed"),
        ({"signed_delegation": None}, "delegation_parse_failed"),
        ({"expires_at": "soon"}, "INVALID_REQUEST"),
        ({"allowed_events": ["pull_request"]}, "INVALID_REQUEST"),
        ({"allowed_actions": ["admin"]}, "INVALID_REQUEST"),
        ({"nonce": "x"}, "INVALID_REQUEST"),
        ({"project_id": "prj_\0"}, "INVALID_REQUEST"),
    ],
)
def test_a_request_that_was_not_signed_is_refused(
    client: httpx.Client, project: dict[str, Any], changes: dict[str, Any], code: str
) -> None:
    made = wanted(project)
    answer = client.post("/ci/v1/bindings", json={**body_of(made, signed(client, made)), **changes})
    assert (answer.status_code, answer.json()["code"]) == (400, code)


def test_a_delegation_makes_one_binding_only(client: httpx.Client, project: dict[str, Any]) -> None:
    made = wanted(project)
    body = body_of(made, signed(client, made))
    assert client.post("/ci/v1/bindings", json=body).status_code == 201
    again = client.post("/ci/v1/bindings", json=body)
    assert (again.status_code, again.json()["code"]) == (409, "nonce_replay")
    rows = client.get("/ci/v1/bindings", params={"project": project["project_id"]}).json()["bindings"]
    assert [row["revoked_at"] for row in rows] == [None]


def sign_in(client: httpx.Client, path: str, key: str) -> dict[str, str]:
    address = Account.from_key(key).address
    uri = str(client.base_url).rstrip("/") + path
    return {"SIGN-IN-WITH-X": siwx.header(key, address, domain="127.0.0.1", uri=uri)}


def test_only_the_wallet_that_owns_a_project_binds_it(client: httpx.Client, project: dict[str, Any]) -> None:
    owned = client.post("/projects/v1", json={}, headers=sign_in(client, "/projects/v1", OTHER_KEY)).json()
    made = wanted(owned)
    body = body_of(made, signed(client, made))
    assert client.post("/ci/v1/bindings", json=body).json()["error"] == "signer_mismatch"
    made = wanted(project)
    body = body_of(made, signed(client, made))
    headers = sign_in(client, "/ci/v1/bindings", OTHER_KEY)
    assert client.post("/ci/v1/bindings", json=body, headers=headers).json()["error"] == "signer_mismatch"
    headers = sign_in(client, "/ci/v1/bindings", KEY)
    assert client.post("/ci/v1/bindings", json=body, headers=headers).status_code == 201


def test_another_wallet_cannot_see_or_revoke_a_binding(client: httpx.Client) -> None:
    owned = client.post("/projects/v1", json={}, headers=sign_in(client, "/projects/v1", KEY)).json()
    row = link(client, owned)
    path = f"/ci/v1/bindings/{row['id']}"
    assert client.get(path, headers=sign_in(client, path, OTHER_KEY)).status_code == 403
    path += "/revoke"
    assert client.post(path, headers=sign_in(client, path, OTHER_KEY)).status_code == 403
    assert client.post(path, headers=sign_in(client, path, KEY)).json()["revoked_at"] is not None


@pytest.mark.parametrize(
    ("claims", "status", "word"),
    [
        ({"sub": "repo:tal/myapp:ref:refs/heads/evil"}, 403, "access_denied"),
        ({"sub": MAIN + "x"}, 403, "access_denied"),
        ({"event_name": "pull_request"}, 403, "event_not_allowed"),
        ({"repository_id": "1"}, 403, "repository_id_mismatch"),
        ({"aud": "https://github.com/tal"}, 401, "invalid_token"),
        ({"iss": "https://evil.test"}, 401, "invalid_token"),
        ({"exp": 1}, 401, "invalid_token"),
    ],
)
def test_tokens_of_other_workflows_are_refused(
    client: httpx.Client, project: dict[str, Any], issuer: Issuer, claims: dict[str, Any], status: int, word: str
) -> None:
    link(client, project)
    answer = exchange(client, project, issuer.token(**claims))
    assert (answer.status_code, answer.json()["error"]) == (status, word)
    assert answer.json()["code"] == ("FORBIDDEN" if status == 403 else "INVALID_AUTH")


def test_forged_tokens_are_refused(client: httpx.Client, project: dict[str, Any], issuer: Issuer) -> None:
    link(client, project)
    claims = jwt.decode(issuer.token(), options={"verify_signature": False})
    header = {"kid": "key-1"}
    modulus = issuer.jwks()["keys"][0]["n"]
    forged = [
        jwt.encode(claims, None, algorithm="none", headers=header),
        jwt.encode(claims, modulus, algorithm="HS256", headers=header),
        jwt.encode(claims, "x" * 32, algorithm="HS256"),
        Issuer().token(),
        "not.a.token",
        "",
    ]
    words = [exchange(client, project, token).json()["error"] for token in forged]
    assert set(words) == {"invalid_token"}


def test_expired_and_revoked_bindings_give_no_session(
    client: httpx.Client, project: dict[str, Any], issuer: Issuer
) -> None:
    link(client, project, expires_at="2020-01-01T00:00:00Z")
    assert exchange(client, project, issuer.token()).json()["error"] == "access_denied"
    row = link(client, project)
    client.post(f"/ci/v1/bindings/{row['id']}/revoke")
    assert exchange(client, project, issuer.token()).json()["error"] == "binding_revoked"


def test_an_exact_subject_goes_before_a_prefix(client: httpx.Client, project: dict[str, Any], issuer: Issuer) -> None:
    prefix, exact = link(client, project, "repo:tal/myapp:*"), link(client, project)
    assert exchange(client, project, issuer.token()).status_code == 200
    assert exchange(client, project, issuer.token(sub="repo:tal/myapp:environment:prod")).status_code == 200
    counts = {row: client.get(f"/ci/v1/bindings/{row}").json()["use_count"] for row in (prefix["id"], exact["id"])}
    assert counts == {prefix["id"]: 1, exact["id"]: 1}


def test_without_an_issuer_the_exchange_says_how_to_name_one(client: httpx.Client, project: dict[str, Any]) -> None:
    answer = exchange(client, project, "a.b.c")
    assert answer.status_code == 422
    assert "RUN402_CORE_CI_JWKS" in answer.json()["message"]


def test_an_issuer_without_keys_is_a_passing_failure(
    client: httpx.Client, project: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUN402_CORE_CI_JWKS", "/nowhere/jwks.json")
    answer = exchange(client, project, "a.b.c")
    assert (answer.status_code, answer.json()["retryable"]) == (502, True)


def test_a_session_deploys_its_project(ci: httpx.Client, project: dict[str, Any], client: httpx.Client) -> None:
    spec = {"project_id": project["project_id"], "site": {"replace": site({"index.html": b"from ci"})}}
    planned = plan(ci, spec)
    assert planned.status_code == 200, planned.text
    stage(ci, project, b"from ci")
    assert commit(ci, planned.json()).json()["status"] == "ready"
    assert client.get(f"/projects/v1/{project['project_id']}/static/").content == b"from ci"
    operation = planned.json()["operation_id"]
    assert ci.get(f"/apply/v1/operations/{operation}").json()["status"] == "ready"


@pytest.mark.parametrize(
    ("section", "code"),
    [
        ({"secrets": {"require": []}}, "forbidden_spec_field"),
        ({"subdomains": {"set": ["x"]}}, "forbidden_spec_field"),
        ({"base": {"release": "empty"}}, "forbidden_spec_field"),
        (
            {"assets": {"put": [{"key": "a.png", "sha256": "0" * 64, "size_bytes": 1}]}},
            "CI_ASSET_SCOPE_DENIED",
        ),
        ({"assets": {"sync": {"prefix": "img/", "prune": True}}}, "CI_ASSET_SCOPE_DENIED"),
    ],
)
def test_a_session_may_not_plan_beyond_its_binding(
    ci: httpx.Client, project: dict[str, Any], section: dict[str, Any], code: str
) -> None:
    answer = plan(ci, {"project_id": project["project_id"], **section})
    assert (answer.status_code, answer.json()["code"]) == (403, code)


def test_routes_are_allowed_within_the_scopes(
    ci: httpx.Client, client: httpx.Client, project: dict[str, Any], issuer: Issuer
) -> None:
    def routed(*patterns: str) -> dict[str, Any]:
        entries = [{"pattern": p, "target": {"type": "static", "file": "index.html"}} for p in patterns]
        files = {"replace": site({"index.html": b"x"})}
        return {"project_id": project["project_id"], "site": files, "routes": {"replace": entries}}

    assert plan(ci, routed("/api/a")).status_code == 200
    assert plan(ci, routed("/api/a", "/admin")).json()["code"] == "CI_ROUTE_SCOPE_DENIED"
    stage(client, project, b"x")
    assert commit(client, plan(client, routed("/admin")).json()).status_code == 200
    # Left as it is, a route outside needs no scope; taking it away does.
    assert plan(ci, routed("/admin", "/api/a")).status_code == 200
    assert plan(ci, routed("/api/a")).json()["code"] == "CI_ROUTE_SCOPE_DENIED"
    link(client, project)
    token = exchange(client, project, issuer.token()).json()["access_token"]
    ci.headers["Authorization"] = f"Bearer {token}"
    assert plan(ci, routed("/admin")).json()["code"] == "CI_ROUTE_SCOPE_DENIED"


def test_asset_scopes_open_asset_keys(ci: httpx.Client, client: httpx.Client, project: dict[str, Any]) -> None:
    (row,) = client.get("/ci/v1/bindings", params={"project": project["project_id"]}).json()["bindings"]
    path = f"/ci/v1/bindings/{row['id']}/asset-scopes"
    assert client.post(path, json={"asset_key_scopes": ["a*b"]}).status_code == 400
    assert client.post(path, json={"asset_key_scopes": ["img/*"]}).json()["asset_key_scopes"] == ["img/*"]

    def put(key: str) -> httpx.Response:
        entry = {"key": key, "sha256": "0" * 64, "size_bytes": 1}
        return plan(ci, {"project_id": project["project_id"], "assets": {"put": [entry]}})

    assert put("img/a.png").status_code == 200
    assert put("b.png").json()["code"] == "CI_ASSET_SCOPE_DENIED"


def test_a_session_reaches_nothing_but_a_deploy(
    ci: httpx.Client, client: httpx.Client, project: dict[str, Any]
) -> None:
    other = client.post("/projects/v1", json={}).json()["project_id"]
    own = project["project_id"]
    asked = [
        ci.get("/projects/v1"),
        ci.get(f"/projects/v1/{own}"),
        ci.delete(f"/projects/v1/{own}"),
        ci.post(f"/projects/v1/admin/{own}/sql", content="select 1"),
        ci.get("/ci/v1/bindings", params={"project": own}),
        ci.post("/projects/v1"),
        ci.post(f"/projects/v1/{other}/content", json={}),
        plan(ci, {"project_id": other, "site": {"replace": {}}}),
        ci.post("/content/v1/plans", json={"project_id": other, "content": [{"sha256": "0" * 64, "size": 1}]}),
    ]
    assert [answer.status_code for answer in asked] == [403] * len(asked)
    assert not any(project["service_key"] in answer.text for answer in asked)


def test_a_session_may_not_commit_a_plan_that_it_could_not_have_made(
    ci: httpx.Client, client: httpx.Client, project: dict[str, Any]
) -> None:
    spec = {"project_id": project["project_id"], "secrets": {"require": []}, "site": {"replace": {}}}
    planned = plan(client, spec).json()
    assert commit(ci, planned).json()["code"] == "forbidden_spec_field"
    rehearsal = ci.post(f"/apply/v1/plans/{planned['plan_id']}/rehearse", json={})
    assert rehearsal.json()["code"] == "REHEARSAL_CI_UNSUPPORTED"


def test_a_session_ends_with_its_binding_and_is_no_user_token(
    ci: httpx.Client, client: httpx.Client, project: dict[str, Any]
) -> None:
    spec = {"project_id": project["project_id"], "site": {"replace": {}}}
    assert plan(ci, spec).status_code == 200
    token = ci.headers["authorization"].removeprefix("Bearer ").removeprefix("r402ci_")
    as_user = {"apikey": project["anon_key"], "Authorization": f"Bearer {token}"}
    assert client.get("/rest/v1/anything", headers=as_user).status_code == 401
    (row,) = client.get("/ci/v1/bindings", params={"project": project["project_id"]}).json()["bindings"]
    client.post(f"/ci/v1/bindings/{row['id']}/revoke")
    answer = plan(ci, spec)
    assert (answer.status_code, answer.json()["error"]) == (403, "binding_revoked")
    ci.headers["Authorization"] += "x"
    assert plan(ci, spec).json()["error"] == "invalid_token"
