"""Issued credentials: what they open, when they stop, and that only a hash is kept."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import psycopg
import pytest
from gateway_kit import Live

from run402_cli.core.callers.credential_rows import find_credential


def issue(client: httpx.Client, project: dict[str, Any], name: str = "ci", **fields: Any) -> dict[str, Any]:
    body = {"kind": "service", "name": name, **fields}
    answer = client.post(f"/projects/v1/{project['project_id']}/credentials", json=body)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


def opens(client: httpx.Client, project: dict[str, Any], secret: str) -> bool:
    """Whether the secret is taken as the project's service key."""
    headers = {"Authorization": f"Bearer {secret}"}
    status = client.get(f"/projects/v1/admin/{project['project_id']}/expose", headers=headers).status_code
    assert status in (200, 401)
    return status == 200


def path(project: dict[str, Any], *parts: str) -> str:
    return "/".join([f"/projects/v1/{project['project_id']}", *parts])


def test_an_issued_service_credential_opens_its_project_only(client: httpx.Client, project: dict[str, Any]) -> None:
    other = client.post("/projects/v1", json={"name": "other"}).json()
    made = issue(client, project, "  ci  ")
    assert made["name"] == "ci"
    assert set(made) >= {"credential_id", "project_id", "kind", "created_at", "last_used_at", "expires_at", "secret"}
    assert made["revoked_at"] is made["revoked_reason"] is made["replacement_of"] is None
    assert opens(client, project, made["secret"])
    assert not opens(client, other, made["secret"])
    assert not opens(client, project, issue(client, project, "page", kind="anon")["secret"])


def test_only_a_hash_of_the_secret_is_stored_and_lists_show_none(
    client: httpx.Client, project: dict[str, Any], live: Live
) -> None:
    secret = issue(client, project)["secret"]
    with psycopg.connect(live.database_url) as conn:
        stored = conn.execute("SELECT to_jsonb(c)::text FROM internal.core_credentials c").fetchall()
    assert secret not in str(stored)
    listed = client.get(path(project, "credentials"))
    assert secret not in listed.text
    assert [record["name"] for record in listed.json()["credentials"]] == ["ci"]


def test_a_use_is_noted(client: httpx.Client, project: dict[str, Any]) -> None:
    opens(client, project, issue(client, project)["secret"])
    assert client.get(path(project, "credentials")).json()["credentials"][0]["last_used_at"] is not None


def test_a_live_name_is_taken_until_revoked(client: httpx.Client, project: dict[str, Any]) -> None:
    first = issue(client, project)
    again = client.post(path(project, "credentials"), json={"kind": "anon", "name": "ci"})
    assert (again.status_code, again.json()["code"]) == (409, "CREDENTIAL_NAME_TAKEN")
    revoked = client.request("DELETE", path(project, "credentials", first["credential_id"]), json={"reason": "leaked"})
    assert revoked.json()["revoked"] is True
    assert revoked.json()["revoked_reason"] == "leaked"
    assert not opens(client, project, first["secret"])
    issue(client, project)
    assert len(client.get(path(project, "credentials")).json()["credentials"]) == 1
    everything = client.get(path(project, "credentials"), params={"include_revoked": "true"}).json()
    assert len(everything["credentials"]) == 2


def test_revoking_twice_keeps_the_first_reason(client: httpx.Client, project: dict[str, Any]) -> None:
    target = path(project, "credentials", issue(client, project)["credential_id"])
    first = client.request("DELETE", target, json={"reason": "leaked"}).json()
    assert client.request("DELETE", target).json() == first


def test_rotation_replaces_the_secret_under_the_same_name(client: httpx.Client, project: dict[str, Any]) -> None:
    old = issue(client, project)
    rotated = client.post(path(project, "credentials", old["credential_id"], "rotate")).json()
    assert rotated["name"] == "ci"
    assert rotated["replacement_of"] == old["credential_id"]
    assert rotated["secret"] != old["secret"]
    assert opens(client, project, rotated["secret"])
    assert not opens(client, project, old["secret"])
    again = client.post(path(project, "credentials", old["credential_id"], "rotate"))
    assert (again.status_code, again.json()["code"]) == (409, "CREDENTIAL_NOT_LIVE")


def test_an_expired_credential_is_dead_and_frees_its_name(
    client: httpx.Client, project: dict[str, Any], live: Live
) -> None:
    soon = (datetime.now(UTC) + timedelta(days=30)).isoformat()
    made = issue(client, project, expires_at=soon)
    assert opens(client, project, made["secret"])
    with psycopg.connect(live.database_url) as conn:
        conn.execute("UPDATE internal.core_credentials SET expires_at = now() - interval '1 second'")
    assert not opens(client, project, made["secret"])
    assert client.get(path(project, "credential-status")).json()["state"] == "legacy"
    assert opens(client, project, issue(client, project)["secret"])


@pytest.mark.parametrize(
    "fields",
    [
        {"kind": "admin"},
        {"kind": None},
        {"name": " "},
        {"name": 7},
        {"name": "a\nb"},
        {"name": "x" * 129},
        {"expires_at": "soon"},
        {"expires_at": 5},
        {"expires_at": "2001-01-01T00:00:00Z"},
        {"expires_at": "2999-01-01T00:00:00Z"},
    ],
)
def test_bad_input_is_refused_with_the_field(
    client: httpx.Client, project: dict[str, Any], fields: dict[str, Any]
) -> None:
    answer = client.post(path(project, "credentials"), json={"kind": "anon", "name": "x", **fields})
    assert (answer.status_code, answer.json()["field"]) == (400, next(iter(fields)))


def test_status_turns_from_legacy_to_rotatable(client: httpx.Client, project: dict[str, Any]) -> None:
    before = client.get(path(project, "credential-status")).json()
    assert (before["state"], before["rotatable_credentials"], before["credentials"]) == ("legacy", 0, [])
    assert project["project_id"] in before["next_actions"][0]["command"]
    issue(client, project)
    after = client.get(path(project, "credential-status")).json()
    assert (after["state"], after["rotatable_credentials"]) == ("rotatable", 1)
    assert after["retirement"] == {"gated_on": [], "deadline": None}


def test_a_token_is_a_short_lived_key_outside_the_list(client: httpx.Client, project: dict[str, Any]) -> None:
    token = client.post(path(project, "tokens"), json={}).json()
    assert (token["kind"], token["expires_in"]) == ("service", 3600)
    assert opens(client, project, token["secret"])
    assert client.get(path(project, "credentials")).json()["credentials"] == []
    assert client.get(path(project, "credential-status")).json()["state"] == "legacy"
    assert client.post(path(project, "tokens"), json={"kind": "root"}).status_code == 400


def test_unknown_ids_are_404(client: httpx.Client, project: dict[str, Any]) -> None:
    other = client.post("/projects/v1", json={"name": "other"}).json()
    foreign = issue(client, other)["credential_id"]
    for credential_id in (foreign, "cred_nope", "%00"):
        for method, tail in (("DELETE", ""), ("POST", "/rotate")):
            answer = client.request(method, path(project, "credentials", credential_id) + tail)
            assert (answer.status_code, answer.json()["code"]) == (404, "CREDENTIAL_NOT_FOUND")
    assert client.get("/projects/v1/prj_0000000000000000/credentials").status_code == 404


def test_a_secret_is_found_by_its_kind_or_not_at_all(client: httpx.Client, project: dict[str, Any], live: Live) -> None:
    made = issue(client, project, "page", kind="anon")

    async def find(secret: str) -> tuple[str, str] | None:
        async with live.gateway.connection() as conn:
            return await find_credential(conn, secret)

    assert live.run(find(made["secret"])) == (project["project_id"], "anon")
    for wrong in ("", "r402_anon_x", "\udcff", made["secret"].upper()):
        assert live.run(find(wrong)) is None
