"""The control token, the wallets that its holder admits, an open gateway, and pages that hold a key."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import httpx
import pytest
from eth_account import Account
from gateway_kit import CONTROL, Live

from run402_cli.client import siwx
from run402_cli.core.callers import reach

HERS, HIS = "0x" + "44" * 32, "0x" + "55" * 32
FROM_PAGE = [{"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "same-origin"}, {"Sec-Fetch-Site": "cross-site"}]


def signed(client: httpx.Client, key: str, path: str) -> dict[str, str]:
    uri = f"{str(client.base_url).rstrip('/')}{path}"
    value = siwx.header(key, str(Account.from_key(key).address), domain=httpx.URL(uri).host, uri=uri)
    return {"SIGN-IN-WITH-X": value}


@pytest.fixture
def opened(live: Live) -> Iterator[None]:
    """The gateway as `core start --open` makes it."""
    before = live.gateway.settings
    live.gateway.settings = replace(before, open=True)
    yield
    live.gateway.settings = before


def test_a_refusal_says_every_way_to_be_let_in(stranger: httpx.Client, project: dict[str, Any]) -> None:
    answer = stranger.get(f"/projects/v1/{project['project_id']}")
    said = answer.json()
    assert (answer.status_code, said["error"]) == (401, "control_token_required")
    for way in ("Run402-Control-Token", "service key", "run402 core start --open"):
        assert way in said["message"]
    assert said["next_actions"][0]["command"] == "run402 core start --open"
    about_no_project = stranger.get("/projects/v1").json()["message"]
    assert "Run402-Control-Token" in about_no_project
    assert "service key" not in about_no_project


@pytest.mark.parametrize("token", ["", "0" * 64, "\u00fc", CONTROL["Run402-Control-Token"] + "x"])
def test_another_token_is_refused(stranger: httpx.Client, token: str) -> None:
    answer = stranger.get("/projects/v1", headers={b"Run402-Control-Token": token.encode("latin-1")})
    assert (answer.status_code, answer.json()["error"]) == (401, "control_token_invalid")


def test_a_wallet_that_signed_with_the_token_is_admitted_for_what_it_owns(
    client: httpx.Client, stranger: httpx.Client, project: dict[str, Any]
) -> None:
    before = stranger.get("/projects/v1", headers=signed(stranger, HERS, "/projects/v1"))
    assert (before.status_code, before.json()["error"]) == (403, "wallet_not_admitted")
    made = client.post("/projects/v1", json={"name": "hers"}, headers=signed(client, HERS, "/projects/v1")).json()
    listed = stranger.get("/projects/v1", headers=signed(stranger, HERS, "/projects/v1")).json()["projects"]
    assert [row["project_id"] for row in listed] == [made["project_id"]]
    own = f"/projects/v1/{made['project_id']}"
    assert stranger.get(own, headers=signed(stranger, HERS, own)).status_code == 200
    nobodys = f"/projects/v1/{project['project_id']}"
    refused = stranger.get(nobodys, headers=signed(stranger, HERS, nobodys))
    assert (refused.status_code, refused.json()["error"]) == (403, "not_authorized")
    with_anon_key = stranger.get(nobodys, headers={**signed(stranger, HERS, nobodys), "apikey": project["anon_key"]})
    assert with_anon_key.status_code == 403


def test_a_name_does_not_lead_an_admitted_wallet_to_a_project_of_nobody(
    client: httpx.Client, stranger: httpx.Client, project: dict[str, Any]
) -> None:
    client.get("/projects/v1", headers=signed(client, HERS, "/projects/v1"))
    key = {"Idempotency-Key": "provision:test"}
    path = "/projects/v1"
    made = stranger.post(path, json={"name": "test"}, headers={**signed(stranger, HERS, path), **key}).json()
    assert made["project_id"] != project["project_id"]


def test_a_signature_with_a_wrong_token_admits_nobody(client: httpx.Client, stranger: httpx.Client) -> None:
    headers = {**signed(stranger, HIS, "/projects/v1"), "Run402-Control-Token": "0" * 64}
    assert stranger.get("/projects/v1", headers=headers).status_code == 401
    assert stranger.get("/projects/v1", headers=signed(stranger, HIS, "/projects/v1")).status_code == 403


def test_the_feed_of_the_organization_shows_a_wallet_its_own_projects(client: httpx.Client) -> None:
    made = {}
    for key in (HERS, HIS):
        made[key] = client.post("/projects/v1", json={}, headers=signed(client, key, "/projects/v1")).json()
        service = {"apikey": made[key]["service_key"]}
        path = f"/projects/v1/{made[key]['project_id']}/events"
        assert client.post(path, json={"event_type": "order_paid"}, headers=service).status_code == 201
    org = client.get("/projects/v1").json()["projects"][0]["org_id"]
    path = f"/orgs/v1/{org}/events"
    feed = client.get(path, headers=signed(client, HERS, path)).json()["events"]
    assert {event["project_id"] for event in feed} == {made[HERS]["project_id"]}
    assert len(client.get(path).json()["events"]) == 2


def test_no_token_for_a_user_of_another_wallets_project(client: httpx.Client) -> None:
    made = client.post("/projects/v1", json={}, headers=signed(client, HERS, "/projects/v1")).json()
    body = {"project_id": made["project_id"], "role": "service_role"}
    path = "/auth/v1/dev-tokens"
    assert client.post(path, json=body, headers=signed(client, HIS, path)).status_code == 403
    assert client.post(path, json=body, headers=signed(client, HERS, path)).status_code == 201


def test_the_service_key_alone_deploys_its_project(stranger: httpx.Client, project: dict[str, Any]) -> None:
    key = {"apikey": project["service_key"]}
    spec = {"project_id": project["project_id"], "site": {"replace": {}}}
    planned = stranger.post("/apply/v1/plans", json={"spec": spec}, headers=key)
    assert planned.status_code == 200, planned.text
    done = stranger.post(f"/apply/v1/plans/{planned.json()['plan_id']}/commit", json={}, headers=key)
    assert done.status_code == 200, done.text
    assert stranger.get("/apply/v1/releases/active", headers=key).status_code == 200
    assert stranger.get(f"/projects/v1/{project['project_id']}", headers=key).status_code == 200


@pytest.mark.parametrize("headers", FROM_PAGE, ids=str)
def test_a_key_opens_to_a_page_its_own_project_only(
    client: httpx.Client, stranger: httpx.Client, project: dict[str, Any], opened: None, headers: dict[str, str]
) -> None:
    other = client.post("/projects/v1", json={"name": "other"}).json()["project_id"]
    with_key = {**headers, "apikey": project["service_key"]}
    assert stranger.get(f"/projects/v1/{project['project_id']}", headers=with_key).status_code == 200
    assert stranger.get(f"/projects/v1/{other}", headers=with_key).status_code == 403
    for path in ("/projects/v1", "/tiers/v1/status"):
        assert stranger.get(path, headers=with_key).json()["error"] == "key_not_enough"
    with_token = {**with_key, **CONTROL}
    assert stranger.get("/projects/v1", headers=with_token).status_code == 403


def test_an_open_gateway_serves_clients_that_know_no_token(
    stranger: httpx.Client, project: dict[str, Any], opened: None
) -> None:
    assert stranger.get(f"/projects/v1/{project['project_id']}").status_code == 200
    assert stranger.get("/projects/v1", headers=signed(stranger, HIS, "/projects/v1")).status_code == 200
    assert stranger.get("/projects/v1", headers={"Origin": "https://evil.example"}).status_code == 403
    wrong = stranger.post(
        f"/projects/v1/{project['project_id']}/snapshots", json={}, headers={"apikey": "r402_service_x"}
    )
    assert wrong.status_code == 401


def test_a_name_tells_an_id_only_to_whoever_reaches_the_project(
    client: httpx.Client, stranger: httpx.Client, project: dict[str, Any], service: dict[str, str]
) -> None:
    made = client.post("/projects/v1", json={"name": "secretcorp"}).json()
    paths = ("static/", "storage/public/a.txt", "snapshots", "storage/objects")
    for path in paths:
        for headers in ({}, service, {"apikey": project["anon_key"]}, {"Host": "rebound.example"}):
            told = stranger.get(f"/projects/v1/secretcorp/{path}", headers=headers)
            nobody = stranger.get(f"/projects/v1/nobodys/{path}", headers=headers)
            assert told.status_code == nobody.status_code
            assert made["project_id"] not in told.text
            assert told.json() == {
                **nobody.json(),
                **{k: v for k, v in told.json().items() if k in ("message", "hint")},
            }
    assert client.get("/projects/v1/secretcorp/snapshots").json()["project_id"] == made["project_id"]


def test_a_key_is_told_of_no_name_of_another_owner_and_of_no_id_of_another_project(
    client: httpx.Client, stranger: httpx.Client, project: dict[str, Any], service: dict[str, str]
) -> None:
    """A service key names no wallet: that is not the same as every wallet."""
    path = f"/projects/v1/{project['project_id']}"
    client.post("/projects/v1", json={"name": "hercorp"}, headers=signed(client, HERS, "/projects/v1"))
    mine = client.post("/projects/v1", json={"name": "mycorp"}).json()["project_id"]
    refused = stranger.patch(path, json={"name": "mycorp"}, headers=service)
    assert (refused.status_code, refused.json()["error"]) == (409, "project_name_taken")
    assert mine not in refused.text
    assert client.patch(path, json={"name": "mycorp"}).json()["project_id"] == mine
    assert stranger.patch(path, json={"name": "hercorp"}, headers=service).json()["name"] == "hercorp"
    hers = client.post("/projects/v1", json={"name": "her second"}, headers=signed(client, HERS, "/projects/v1")).json()
    hers_path, key = f"/projects/v1/{hers['project_id']}", {"apikey": hers["service_key"]}
    assert stranger.patch(hers_path, json={"name": "hercorp"}, headers=key).json()["error"] == "project_name_taken"
    assert stranger.patch(hers_path, json={"name": "mycorp"}, headers=key).status_code == 200


def test_where_nobody_was_asked_nothing_is_somebodys() -> None:
    assert reach.reach.get() is None
    assert reach.unowned() is False
