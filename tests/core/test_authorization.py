"""Every route with every kind of credential, on a live gateway: it opens with what its policy declares, and with no other."""

from __future__ import annotations

import functools
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from deploy_kit import migration, plan
from eth_account import Account
from gateway_kit import CONTROL, Live
from starlette.routing import BaseRoute, Match

from run402_cli.client import siwx
from run402_cli.core.app import ROUTES
from run402_cli.core.callers.auth import sign_token
from run402_cli.core.callers.kinds import Kind
from run402_cli.core.settings import LOCAL_ORG_ID
from run402_cli.core.web.routing import Policy, Route

OWNER, OTHER, UNKNOWN = "0x" + "11" * 32, "0x" + "22" * 32, "0x" + "33" * 32
# What is asked of the request beyond who sends it, so that the answer is 401 or 403 for those too who may call.
ASKS_MORE = {
    ("POST", "/auth/v1/logout"): "a refresh token",
    ("POST", "/ci/v1/bindings"): "a delegation that a wallet signed; tests/core/test_ci_bindings.py",
    ("POST", "/ci/v1/token-exchange"): "a workflow's token; tests/core/test_ci_bindings.py",
    ("GET", "/storage/v1/blobs/diagnose"): "the address of an asset",
}


@dataclass(frozen=True)
class Sender:
    """Somebody with a credential; `proves` is what it is for the project that the requests name."""

    name: str
    headers: dict[str, str] = field(default_factory=dict)
    proves: frozenset[Kind] = frozenset()
    wallet: str | None = None
    # Of another project, which some routes answer about instead.
    elsewhere: frozenset[Kind] = frozenset()


@dataclass(frozen=True)
class World:
    base: str
    project: dict[str, Any]
    senders: list[Sender]
    values: dict[str, str]


@functools.cache
def address(key: str) -> str:
    return str(Account.from_key(key).address)


def signed(key: str, url: str) -> dict[str, str]:
    value = siwx.header(key, address(key), domain=httpx.URL(url).host, uri=url)
    return {"SIGN-IN-WITH-X": value}


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def by(client: httpx.Client, key: str, path: str, **body: Any) -> dict[str, Any]:
    answer = client.post(path, json=body, headers=signed(key, f"{str(client.base_url).rstrip('/')}{path}"))
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def user_of(client: httpx.Client, project: dict[str, Any]) -> str:
    body = {"email": "who@example.com", "password": "correct horse battery"}
    anon = {"apikey": project["anon_key"]}
    assert client.post("/auth/v1/signup", json=body, headers=anon).status_code == 201
    answer = client.post("/auth/v1/token", json=body, headers=anon)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["access_token"])


def credential(client: httpx.Client, project: dict[str, Any], name: str) -> dict[str, Any]:
    answer = client.post(f"/projects/v1/{project['project_id']}/credentials", json={"kind": "service", "name": name})
    return dict(answer.json())


@pytest.fixture
def world(live: Live, client: httpx.Client) -> World:
    own, other = by(client, OWNER, "/projects/v1", name="own"), by(client, OTHER, "/projects/v1", name="other")
    gone = by(client, OTHER, "/projects/v1", name="gone")
    user, others_user, gone_user = (user_of(client, each) for each in (own, other, gone))
    revoked = credential(client, own, "revoked")
    client.delete(f"/projects/v1/{own['project_id']}/credentials/{revoked['credential_id']}")
    client.delete(f"/projects/v1/{gone['project_id']}", headers={"apikey": gone["service_key"]})
    claims = {"iss": "run402-core", "project_id": own["project_id"], "role": "authenticated", "sub": "x"}
    expired = sign_token(live.gateway.settings, {**claims, "exp": int(time.time()) - 60})
    anon = {"apikey": own["anon_key"]}
    anon_kind, service, token = frozenset({Kind.ANON_KEY}), frozenset({Kind.SERVICE_KEY}), frozenset({Kind.USER_TOKEN})
    wallets = frozenset({Kind.ADMITTED_WALLET})
    senders = [
        Sender("nobody"),
        Sender("a forged control token", {"Run402-Control-Token": "0" * 64}),
        Sender("an empty control token", {"Run402-Control-Token": ""}),
        Sender("a forged key", {"apikey": "r402_service_" + "0" * 48}),
        Sender("a forged key as bearer", bearer("r402_service_" + "0" * 48)),
        Sender("the key of a deleted project", {"apikey": gone["service_key"]}),
        Sender("the key of a deleted project as bearer", bearer(gone["service_key"])),
        Sender("a revoked key", {"apikey": revoked["secret"]}),
        Sender("another project's service key", {"apikey": other["service_key"]}, elsewhere=service),
        Sender("another project's service key as bearer", bearer(other["service_key"]), elsewhere=service),
        Sender("another project's anon key", {"apikey": other["anon_key"]}, elsewhere=anon_kind),
        Sender(
            "another project's user", {"apikey": other["anon_key"], **bearer(others_user)}, elsewhere=anon_kind | token
        ),
        Sender("the user of a deleted project", bearer(gone_user)),
        Sender("an expired user", bearer(expired)),
        Sender("a forged user", bearer(user[:-6] + ("AAAAAA" if user[-6:] != "AAAAAA" else "BBBBBB"))),
        Sender("an unknown wallet", wallet=UNKNOWN),
        Sender("another wallet", wallet=OTHER, elsewhere=wallets),
        Sender("another wallet with the token", CONTROL, wallet=OTHER, elsewhere=wallets | {Kind.CONTROL_TOKEN}),
        Sender("the anon key", anon, anon_kind),
        Sender("a user", {**anon, **bearer(user)}, anon_kind | token),
        Sender("the service key", {"apikey": own["service_key"]}, service),
        Sender("the owner's wallet", {}, wallets, wallet=OWNER),
        Sender("the token", CONTROL, frozenset({Kind.CONTROL_TOKEN})),
    ]
    return World(live.base_url, own, senders, things(client, own))


def things(client: httpx.Client, project: dict[str, Any]) -> dict[str, str]:
    """One of each thing that a path can name without its project."""
    service = {"apikey": project["service_key"]}
    spec = {"project": project["project_id"], "database": {"migrations": [migration("1", "create table t (id int)")]}}
    planned = plan(client, spec).json()
    committed = client.post(f"/apply/v1/plans/{planned['plan_id']}/commit", json={}).json()
    assert committed["status"] == "committed", committed
    box = client.post("/mailboxes/v1", json={"slug": "box"}, headers=service).json()
    return {
        "project_id": project["project_id"],
        "plan_id": planned["plan_id"],
        "operation_id": committed["operation_id"],
        "release_id": committed["release_id"],
        "mailbox_id": box["mailbox_id"],
        "address": address(OWNER).lower(),
        "org_id": LOCAL_ORG_ID,
        "tier": "prototype",
        "part": "1",
        "sha256": "0" * 64,
    }


def routes() -> Iterator[tuple[str, Route]]:
    """What a method and a path lead to; what deletes comes last, the project itself at the very end."""
    found = [
        (method, route)
        for route in ROUTES
        if isinstance(route, Route)
        for method in sorted((route.methods or set()) - {"HEAD", "OPTIONS"})
        if len(route.methods or ()) < 5 or method in ("GET", "POST")
    ]
    deletes = ("DELETE", "/projects/v1/{project_id}")
    found = [(method, route) for method, route in found if first(method, route) is route]
    yield from sorted(found, key=lambda each: (each[0] == "DELETE", (each[0], each[1].path) == deletes))


def first(method: str, route: Route) -> BaseRoute | None:
    """The route that answers at an address of this one: one that stands before it may take it."""
    path = re.sub(r"{(\w+)(?::(\w+))?}", lambda match: "1" if match[2] == "int" else "x", route.path)
    scope = {"type": "http", "method": method, "path": path, "headers": []}
    return next((each for each in ROUTES if each.matches(scope)[0] is Match.FULL), None)


def opens(who: Policy, sender: Sender) -> bool:
    if Kind.NOTHING in who.opened_by:
        return True
    return bool(who.opened_by & (sender.proves | (sender.elsewhere if who.of_the_caller else frozenset())))


def send(session: httpx.Client, world: World, sender: Sender, method: str, route: Route) -> httpx.Response:
    values = {"tail": "x", **world.values}
    path = re.sub(r"{(\w+)(?::\w+)?}", lambda match: values.get(match[1], "x"), route.path)
    project_id = world.project["project_id"]
    url = f"{world.base}{path}?project_id={project_id}&project={project_id}&host=127.0.0.1&path=/&from=empty&to=active"
    headers = sender.headers | (signed(sender.wallet, url) if sender.wallet else {})
    body = {"project_id": project_id, "project": project_id, "content": [], "function_name": "x"}
    if route.path == "/apply/v1/plans":
        body = {"spec": {"project_id": project_id, "database": {}}}
    session.cookies.clear()
    return session.request(method, url, json=None if method == "GET" else body, headers=headers)


def test_every_route_opens_with_what_it_declares_and_with_nothing_else(world: World) -> None:
    wrong = []
    session = httpx.Client(trust_env=False, timeout=60)
    for method, route in routes():
        if (method, route.path) in ASKS_MORE:
            continue
        for sender in world.senders:
            answer = send(session, world, sender, method, route)
            # What is not there is closed too: some policies have to look it up first.
            shut = (401, 403) if opens(route.who, sender) else (200, 201, 202, 204, 400, 409, 422)
            if answer.status_code in shut or answer.status_code == 500:
                said = f"{answer.status_code} {answer.text[:90]}"
                wrong.append(f"{method} {route.path} ({route.who.name}) for {sender.name}: {said}")
    session.close()
    assert not wrong, "\n".join(wrong)
