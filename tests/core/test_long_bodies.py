"""Every route that reads a body is sent long ones of hostile shapes; the event loop is not kept from everybody else."""

from __future__ import annotations

import inspect
import json
import re
import sys
from typing import Any

import httpx
import pytest
from gateway_kit import CONTROL, Live
from heartbeat import heartbeat

from run402_cli.core.app import ROUTES
from run402_cli.core.web.body_limit import MIB
from run402_cli.core.web.routing import Route

# No measure of speed: what this catches takes tens of seconds.
BOUND = 2.0
READ = re.compile(r'(?:\.get\(|\[|_of\(body, |, )"([a-z_]{2,40})"')
TEXTS = ("a@a.", "<script>", "/../", "%2f", " ", "-", "\n", "é", "a,", "(", "&#1", "$a", "'", "--", "{", "*", "0", "::")
# What is sent to each route; below, the longest that there may be.
BYTES = 300_000


def _routes() -> list[tuple[str, str, str]]:
    """(method, path, module) of what takes a body."""
    return sorted(
        (method, route.path, route.endpoint.__module__)
        for route in ROUTES
        if isinstance(route, Route)
        for method in (route.methods or set()) & {"POST", "PUT", "PATCH"}
    )


def _fields(module: str) -> list[str]:
    """The words that may be names of fields: those that a module asks for."""
    return sorted(set(READ.findall(inspect.getsource(sys.modules[module]))))[:60] or ["name"]


@pytest.fixture
def headers(project: dict[str, Any]) -> dict[str, str]:
    return {**CONTROL, "Authorization": f"Bearer {project['service_key']}", "Content-Type": "application/json"}


@pytest.fixture
def ids(client: httpx.Client, project: dict[str, Any], headers: dict[str, str]) -> dict[str, str]:
    """What stands in addresses for what is there; `x` is there nowhere."""
    made = client.post("/mailboxes/v1", json={"slug": "long-mail"}, headers=headers)
    return {"project_id": project["project_id"], "mailbox_id": made.json()["mailbox_id"]}


def _path(path: str, ids: dict[str, str]) -> str:
    return re.sub(r"\{(\w+)[^}]*\}", lambda name: ids.get(name[1], "x"), path)


def test_no_route_is_kept_busy_by_a_body(
    live: Live, client: httpx.Client, ids: dict[str, str], headers: dict[str, str]
) -> None:
    slow = {}
    with heartbeat(live) as pulse:
        for number, (method, path, module) in enumerate(_routes()):
            fields = _fields(module)
            share = BYTES // len(fields)
            body: dict[str, Any] = {}
            for at, field in enumerate(fields):
                text = TEXTS[(number + at) % len(TEXTS)]
                body[field] = [{}] * (share // 60) if at % 3 == 2 else text * (share // len(text))
            if "project_id" in fields:
                body["project_id"] = body["project"] = ids["project_id"]
            pulse.longest = 0
            answer = client.request(method, _path(path, ids), headers=headers, content=json.dumps(body))
            assert answer.status_code < 500, (path, answer.text[:500])
            if pulse.longest > BOUND:
                slow[path] = pulse.longest
    assert not slow


SIGN_UP, MAIL, SQL, PLAN = (
    ("/auth/v1/signup", 8),
    ("/mailboxes/v1/{mailbox_id}/messages", 16),
    ("/projects/v1/admin/{project_id}/sql", 32),
    ("/apply/v1/plans", 64),
)
SHAPES = {"nested": b'{"a":' + b"[", "objects": b"{},", "texts": b'"",', "escapes": b"\\n"}


@pytest.mark.parametrize(
    ("route", "shape"),
    [
        *((SIGN_UP, shape) for shape in SHAPES),
        *((MAIL, shape) for shape in ("objects", "escapes")),
        *((SQL, shape) for shape in ("nested", "texts")),
        *((PLAN, shape) for shape in ("objects", "escapes")),
    ],
    ids=str,
)
def test_the_largest_body_of_each_kind(
    live: Live,
    client: httpx.Client,
    ids: dict[str, str],
    headers: dict[str, str],
    route: tuple[str, int],
    shape: str,
) -> None:
    path, size = route
    begin, end = (b'{"a":"', b'"}') if shape == "escapes" else (b'{"a":[', b"1]}")
    unit = SHAPES[shape]
    body = begin + unit * ((size - 1) * MIB // len(unit)) + end
    with heartbeat(live) as pulse:
        answer = client.post(_path(path, ids), headers=headers, content=body)
    assert 400 <= answer.status_code < 500, answer.text[:500]
    assert pulse.longest < BOUND
