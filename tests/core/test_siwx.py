"""Wallets as principals of the gateway: what a SIGN-IN-WITH-X header must prove, and whose projects it opens."""

from __future__ import annotations

import base64
import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import psycopg
import pytest
from eth_account import Account
from eth_account.messages import encode_defunct
from gateway_kit import Live

from run402_cli.client import siwx
from run402_cli.core.callers.wallet_signatures import personal_digest, signer_of

ALICE = "0x" + "11" * 32
BOB = "0x" + "22" * 32
ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


def address(key: str) -> str:
    return str(Account.from_key(key).address)


def header(key: str, uri: str, **changes: Any) -> str:
    domain = changes.pop("domain", httpx.URL(uri).host)
    return siwx.header(key, changes.pop("address", address(key)), domain=domain, uri=uri, **changes)


def decoded(value: str) -> dict[str, Any]:
    return dict(json.loads(base64.b64decode(value)))


def encoded(fields: Any) -> str:
    return base64.b64encode(json.dumps(fields).encode()).decode()


class Person:
    """Somebody with a wallet: signs each request anew, as the CLI does."""

    def __init__(self, client: httpx.Client, key: str) -> None:
        self.client, self.key = client, key

    def __call__(self, method: str, path: str, headers: dict[str, str] | None = None, **more: Any) -> httpx.Response:
        signed = {"SIGN-IN-WITH-X": header(self.key, f"{str(self.client.base_url).rstrip('/')}{path}")}
        return self.client.request(method, path, headers={**signed, **(headers or {})}, **more)

    def listed(self) -> set[str]:
        return {row["project_id"] for row in self("GET", "/projects/v1").json()["projects"]}


@pytest.fixture
def alice(client: httpx.Client) -> Person:
    return Person(client, ALICE)


@pytest.fixture
def bob(client: httpx.Client) -> Person:
    return Person(client, BOB)


def refused(client: httpx.Client, value: str, code: str = "SIWX_INVALID", path: str = "/projects/v1") -> str:
    answer = client.get(path, headers={"SIGN-IN-WITH-X": value})
    assert (answer.status_code, answer.json()["code"]) == (401, code), answer.text
    return str(answer.json()["message"])


# -- owners -------------------------------------------------------------------------------------------------------------


def test_each_wallet_sees_its_own_projects_and_those_of_nobody(
    client: httpx.Client, alice: Person, bob: Person, project: dict[str, Any]
) -> None:
    hers = alice("POST", "/projects/v1", json={"name": "hers"}).json()["project_id"]
    his = bob("POST", "/projects/v1", json={"name": "his"}).json()["project_id"]
    nobodys = project["project_id"]
    assert alice.listed() == {hers, nobodys}
    assert bob.listed() == {his, nobodys}
    assert {row["project_id"] for row in client.get("/projects/v1").json()["projects"]} == {hers, his, nobodys}
    status = alice("GET", "/tiers/v1/status").json()
    assert (status["wallet"], {row["id"] for row in status["projects"]}) == (address(ALICE).lower(), {hers, nobodys})


def test_pages_of_the_list_hold_only_own_projects(alice: Person, bob: Person) -> None:
    wanted = []
    for _ in range(3):
        wanted.append(alice("POST", "/projects/v1", json={}).json()["project_id"])
        bob("POST", "/projects/v1", json={})
    first = alice("GET", "/projects/v1?limit=2").json()
    assert first["has_more"] is True
    second = alice("GET", f"/projects/v1?limit=2&after={first['next_cursor']}").json()
    assert [row["project_id"] for row in first["projects"] + second["projects"]] == wanted
    assert second["has_more"] is False


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/projects/v1/{id}", None),
        ("PATCH", "/projects/v1/{id}", {"name": "mine now"}),
        ("GET", "/projects/v1/{id}/credentials", None),
        ("POST", "/projects/v1/{id}/credentials", {"kind": "service", "name": "x"}),
        ("POST", "/projects/v1/{id}/snapshots", {}),
        ("GET", "/projects/v1/{id}/branches", None),
        ("POST", "/apply/v1/plans", {"spec": {"project": "{id}", "site": {"replace": {}}}}),
        ("GET", "/apply/v1/operations?project_id={id}", None),
        ("POST", "/content/v1/plans", {"project_id": "{id}", "content": []}),
    ],
)
def test_another_wallets_project_is_closed(
    alice: Person, bob: Person, method: str, path: str, body: dict[str, Any] | None
) -> None:
    made = alice("POST", "/projects/v1", json={"name": "hers"}).json()
    filled = json.loads(json.dumps(body).replace("{id}", made["project_id"])) if body is not None else None
    answer = bob(method, path.format(id=made["project_id"]), json=filled)
    assert (answer.status_code, answer.json()["code"]) == (403, "NOT_AUTHORIZED"), answer.text
    assert made["service_key"] not in answer.text
    assert alice(method, path.format(id=made["project_id"]), json=filled).json().get("code") != "NOT_AUTHORIZED"


def test_a_branch_belongs_to_the_owner_of_its_parent(alice: Person, bob: Person) -> None:
    parent = alice("POST", "/projects/v1", json={}).json()["project_id"]
    branch = alice("POST", f"/projects/v1/{parent}/branches", json={"name": "try"}).json()["branch_project_id"]
    assert bob("GET", f"/projects/v1/{branch}").status_code == 403
    assert alice("GET", f"/projects/v1/{branch}").status_code == 200
    assert branch in alice.listed()
    assert branch not in bob.listed()


def test_the_service_key_opens_a_project_whatever_the_wallet(alice: Person, bob: Person) -> None:
    made = alice("POST", "/projects/v1", json={}).json()
    path = f"/projects/v1/admin/{made['project_id']}/usage"
    assert bob("GET", path, headers={"apikey": made["service_key"]}).status_code == 200
    assert bob("GET", path).status_code == 401


def test_without_a_wallet_the_token_opens_every_project(client: httpx.Client, alice: Person) -> None:
    made = alice("POST", "/projects/v1", json={}).json()["project_id"]
    assert client.get(f"/projects/v1/{made}").status_code == 200


def test_two_wallets_may_use_the_same_idempotency_key(client: httpx.Client, alice: Person, bob: Person) -> None:
    key = {"Idempotency-Key": "provision:shop"}
    send = [alice, bob, alice, bob]
    ids = [who("POST", "/projects/v1", headers=key, json={"name": "shop"}).json()["project_id"] for who in send]
    unsigned = client.post("/projects/v1", headers=key, json={"name": "shop"}).json()["project_id"]
    assert ids[:2] == ids[2:]
    assert len(set(ids)) == 2
    # Without a wallet this machine's owner asks: to it the name means the one that is there.
    assert unsigned == ids[0]


def test_public_pages_ignore_the_header(client: httpx.Client, project: dict[str, Any]) -> None:
    for path in ("/health", f"/projects/v1/{project['project_id']}/static/"):
        assert client.get(path, headers={"SIGN-IN-WITH-X": "rubbish"}).status_code != 401


# -- the header ---------------------------------------------------------------------------------------------------------


def test_a_header_is_good_for_one_request(client: httpx.Client, live: Live) -> None:
    value = header(ALICE, f"{live.base_url}/projects/v1")
    assert client.get("/projects/v1", headers={"SIGN-IN-WITH-X": value}).status_code == 200
    assert "used before" in refused(client, value, "SIWX_REPLAYED")


def test_the_same_nonce_does_not_count_for_another_text(client: httpx.Client, live: Live) -> None:
    nonce = "0123456789abcdef"
    one, two = (header(ALICE, f"{live.base_url}/projects/v1{query}", nonce=nonce) for query in ("", "?limit=1"))
    assert client.get("/projects/v1", headers={"SIGN-IN-WITH-X": one}).status_code == 200
    refused(client, two, "SIWX_REPLAYED", "/projects/v1?limit=1")


def test_used_nonces_are_kept_until_they_have_expired_and_no_longer(alice: Person, live: Live) -> None:
    with psycopg.connect(live.database_url, autocommit=True) as conn:
        conn.execute("INSERT INTO internal.core_siwx_nonces VALUES ('0xold', 'n', now() - interval '1 hour')")
        alice("GET", "/projects/v1")
        rows = conn.execute("SELECT wallet FROM internal.core_siwx_nonces").fetchall()
    assert rows == [(address(ALICE).lower(),)]


def test_one_header_sent_many_times_at_once_counts_once(client: httpx.Client, live: Live) -> None:
    value = {"SIGN-IN-WITH-X": header(ALICE, f"{live.base_url}/projects/v1")}
    with ThreadPoolExecutor(6) as pool:
        statuses = list(pool.map(lambda _: client.get("/projects/v1", headers=value).status_code, range(6)))
    assert sorted(statuses) == [200, 401, 401, 401, 401, 401]


def test_an_expired_header_is_refused_and_so_is_one_from_the_future(client: httpx.Client, live: Live) -> None:
    uri, now = f"{live.base_url}/projects/v1", datetime.now(UTC)
    refused(client, header(ALICE, uri, issued_at=now - timedelta(minutes=6)), "SIWX_EXPIRED")
    refused(client, header(ALICE, uri, issued_at=now - timedelta(minutes=6), lifetime=None), "SIWX_EXPIRED")
    assert "clock" in refused(client, header(ALICE, uri, issued_at=now + timedelta(minutes=6)))
    assert "hour" in refused(client, header(ALICE, uri, lifetime=timedelta(days=1)))
    fresh = header(ALICE, uri, lifetime=None)
    assert client.get("/projects/v1", headers={"SIGN-IN-WITH-X": fresh}).status_code == 200


def test_the_header_must_be_for_this_request(client: httpx.Client, live: Live) -> None:
    base = live.base_url
    for uri in (
        f"{base}/projects/v1/prj_other",
        f"{base}/projects/v1?limit=1",
        f"{base}1/projects/v1",
        base.replace("http:", "https:") + "/projects/v1",
    ):
        refused(client, header(ALICE, uri, domain="127.0.0.1"))
    assert "host" in refused(client, header(ALICE, f"{base}/projects/v1", domain="api.run402.com"))
    assert "host" in refused(client, header(ALICE, "https://api.run402.com/projects/v1"))


@pytest.mark.parametrize(
    "changes",
    [
        {"statement": "Claim wallet-owned org"},
        {"chain_id": "eip155:8453"},
        {"chain_id": "eip155:1"},
        {"resources": ["https://run402.com/x"]},
        {"nonce": "short"},
        {"nonce": "a b c d e f g h"},
    ],
    ids=str,
)
def test_a_signature_made_for_another_purpose_is_refused(
    client: httpx.Client, live: Live, changes: dict[str, Any]
) -> None:
    refused(client, header(ALICE, f"{live.base_url}/projects/v1", **changes))


def test_a_signature_of_another_key_is_refused(client: httpx.Client, live: Live) -> None:
    uri = f"{live.base_url}/projects/v1"
    assert "not signed by" in refused(client, header(ALICE, uri, address=address(BOB)))
    for name, value in {"nonce": "fedcba9876543210", "issuedAt": "2099-01-01T00:00:00.000Z"}.items():
        refused(client, encoded({**decoded(header(ALICE, uri)), name: value}))
    without_end = decoded(header(ALICE, uri))
    del without_end["expirationTime"]
    refused(client, encoded(without_end))


@pytest.mark.parametrize(
    "value",
    [
        "",
        "{}",
        "AAAA",
        base64.b64encode(b"[" * 20_000).decode(),
        encoded([]),
        encoded({}),
        encoded({"domain": 1}),
        "=" * 40,
        "x" * 30_000,
    ],
    ids=lambda value: value[:12] or "empty",
)
def test_rubbish_is_refused_and_the_gateway_lives(client: httpx.Client, value: str) -> None:
    refused(client, value)
    assert client.get("/projects/v1").status_code == 200


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("signature", "0x"),
        ("signature", "0x" + "00" * 65),
        ("signature", "0x" + "ff" * 64 + "1b"),
        ("signature", "0x" + "11" * 64 + "7f"),
        ("signature", None),
        ("address", "0x12"),
        ("address", "\ud800"),
        ("domain", "127.0.0.1\nevil"),
        ("issuedAt", "yesterday"),
        ("issuedAt", "2026-13-45T99:99:99Z"),
        ("expirationTime", None),
        ("expirationTime", 5),
        ("uri", "http://[::1/x"),
        ("version", "2"),
        ("type", "eip1271"),
    ],
    ids=str,
)
def test_damaged_fields_are_refused(client: httpx.Client, live: Live, name: str, value: Any) -> None:
    refused(client, encoded({**decoded(header(ALICE, f"{live.base_url}/projects/v1")), name: value}))


def test_a_message_of_the_siwe_library_signs_in(client: httpx.Client, live: Live) -> None:
    """Text by siwe, signature by eth-account: neither is ours."""
    from siwe import SiweMessage  # compiles a grammar for a second

    now = datetime.now(UTC)
    stamp, end = (
        moment.isoformat(timespec="milliseconds").replace("+00:00", "Z") for moment in (now, now + timedelta(minutes=5))
    )
    uri = f"{live.base_url}/projects/v1"
    message = SiweMessage(
        domain="127.0.0.1",
        address=address(BOB),
        statement="Sign in to Run402",
        uri=uri,
        version="1",
        chain_id=84532,
        nonce="0123456789abcdef",
        issued_at=stamp,
        expiration_time=end,
    )
    signature = Account.sign_message(encode_defunct(text=message.prepare_message()), BOB).signature.hex()
    fields = {
        "domain": "127.0.0.1",
        "address": address(BOB),
        "statement": "Sign in to Run402",
        "uri": uri,
        "version": "1",
        "chainId": "eip155:84532",
        "type": "eip191",
        "nonce": "0123456789abcdef",
        "issuedAt": stamp,
        "expirationTime": end,
        "signature": "0x" + signature.removeprefix("0x"),
    }
    answer = client.post("/projects/v1", json={}, headers={"SIGN-IN-WITH-X": encoded(fields)})
    assert answer.status_code == 201, answer.text
    assert answer.json()["project_id"] in Person(client, BOB).listed()
    assert answer.json()["project_id"] not in Person(client, ALICE).listed()


def test_the_other_form_of_a_signature_is_none() -> None:
    """r, n - s and the other v recover the same key; accepting both would let one signature pass as two."""
    digest = personal_digest("text")
    good = Account.sign_message(encode_defunct(text="text"), ALICE).signature
    assert signer_of(digest, "0x" + bytes(good).hex()) == address(ALICE).lower()
    flipped = (ORDER - int.from_bytes(good[32:64], "big")).to_bytes(32, "big")
    twin = bytes(good[:32]) + flipped + bytes([27 + 28 - good[64]])
    assert Account.recover_message(encode_defunct(text="text"), signature=good) == address(ALICE)
    assert signer_of(digest, "0x" + twin.hex()) is None
