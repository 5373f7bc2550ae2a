"""Account routes of a gateway that bills nobody."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from gateway_kit import Live

from run402_cli.core.users.user_rows import add

ADDRESS = "0xABCDEFabcdef00000000000000000000000000AA"


def register(live: Live, project: dict[str, Any], email: str) -> str:
    async def run() -> str:
        async with live.gateway.connection() as conn:
            return (await add(conn, project["project_id"], email)).user_id

    return live.run(run())


def test_the_one_tier_is_free_and_is_the_one_that_the_status_names(
    client: httpx.Client, project: dict[str, Any]
) -> None:
    tiers = client.get("/tiers/v1").json()["tiers"]
    assert [tier["price"] for tier in tiers.values()] == ["$0.00"]
    status = client.get("/tiers/v1/status").json()
    assert status["tier"] in tiers
    assert (status["active"], status["lease_expires_at"], status["lease_perpetual"]) == (True, None, True)
    assert status["pool_usage"]["projects"] == 1
    assert status["pool_usage"]["total_storage_bytes"] < status["pool_usage"]["storage_bytes_limit"]
    assert [row["id"] for row in status["projects"]] == [project["project_id"]]


def test_no_prepaid_account_exists(client: httpx.Client) -> None:
    answer = client.get("/orgs/v1/lookup", params={"wallet": ADDRESS}).json()
    assert answer["exists"] is False
    assert (answer["available_usd_micros"], answer["held_usd_micros"]) == (0, 0)


def test_tenant_payments_are_an_empty_page(client: httpx.Client, project: dict[str, Any]) -> None:
    path = f"/projects/v1/{project['project_id']}/tenant-payments"
    answer = client.get(path, params={"limit": "200", "status": "settled", "after": "x"})
    assert answer.json() == {
        "project_id": project["project_id"],
        "payments": [],
        "has_more": False,
        "next_cursor": None,
    }
    assert client.get("/projects/v1/prj_0000000000000000/tenant-payments").status_code == 404


@pytest.mark.parametrize(
    "query", [{"limit": "0"}, {"limit": "201"}, {"limit": "1e2"}, {"limit": "٣"}, {"status": "paid"}]
)
def test_bad_paging_is_refused(client: httpx.Client, project: dict[str, Any], query: dict[str, str]) -> None:
    answer = client.get(f"/projects/v1/{project['project_id']}/tenant-payments", params=query)
    assert (answer.status_code, answer.json()["field"]) == (400, next(iter(query)))


def test_a_user_is_promoted_and_demoted_by_email(
    client: httpx.Client, project: dict[str, Any], service: dict[str, str], live: Live
) -> None:
    user_id = register(live, project, "Ann@example.com")
    base = f"/projects/v1/admin/{project['project_id']}"
    for action, role in (("promote-user", "project_admin"), ("demote-user", "authenticated")):
        answer = client.post(f"{base}/{action}", json={"email": " ann@EXAMPLE.com "}, headers=service).json()
        assert answer == {
            "status": "ok",
            "project_id": project["project_id"],
            "user_id": user_id,
            "email": "Ann@example.com",
            "role": role,
        }


def test_promoting_needs_the_service_key_and_a_known_user(
    client: httpx.Client, project: dict[str, Any], service: dict[str, str], live: Live
) -> None:
    path = f"/projects/v1/admin/{project['project_id']}/promote-user"
    assert client.post(path, json={"email": "ann@example.com"}).status_code == 401
    unknown = client.post(path, json={"email": "ann@example.com"}, headers=service)
    assert (unknown.status_code, unknown.json()["code"]) == (404, "USER_NOT_FOUND")
    assert unknown.json()["next_actions"][0]["email"] == "ann@example.com"
    assert client.post(path, json={}, headers=service).status_code == 400
    register(live, project, "ann@example.com")
    other = client.post("/projects/v1", json={"name": "other"}).json()
    foreign = {"Authorization": f"Bearer {other['service_key']}"}
    elsewhere = f"/projects/v1/admin/{other['project_id']}/promote-user"
    assert client.post(elsewhere, json={"email": "ann@example.com"}, headers=foreign).status_code == 404


def test_a_wallet_label_is_kept_whatever_the_case_of_the_address(client: httpx.Client) -> None:
    path = f"/wallets/v1/{ADDRESS}/label"
    assert client.get(path).json() == {"address": ADDRESS.lower(), "label": None}
    for label in ("first", "second"):
        assert client.post(path, json={"label": label}).json()["label"] == label
    assert client.get(f"/wallets/v1/{ADDRESS.lower()}/label").json()["label"] == "second"
    assert client.post(path, json={"label": " "}).status_code == 400
    assert client.post("/wallets/v1/nobody/label", json={"label": "x"}).status_code == 400


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/admin/api/finance/project/{id}?window=7d"),
        ("POST", "/tiers/v1/hobby"),
    ],
)
def test_what_a_local_gateway_cannot_do_is_said_with_the_next_step(
    client: httpx.Client, project: dict[str, Any], method: str, path: str
) -> None:
    answer = client.request(method, path.replace("{id}", project["project_id"]))
    assert (answer.status_code, answer.json()["error"]) == (422, "unsupported_capability")
    assert answer.json()["capability"]
    assert "`run402 " in answer.json()["message"]
