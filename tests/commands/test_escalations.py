"""run402 escalations, as typed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pytest_httpx import HTTPXMock
from run_kit import BASE, Run

from run402_cli.services import escalations

ORG = "/orgs/v1/o%2F1"
RAISED = {"escalation_id": "esc_1", "status": "open", "delivery": {"level": 1, "will_page": [{"email": "a@b.c"}]}}

CALLS: list[tuple[tuple[str, ...], str, str, Any]] = [
    (("raise", "help"), "POST", "/escalations", {"reason": "help"}),
    (
        ("raise", "help", "--severity=high", "--presence-name=Ada", "--idempotency-key=k", "--project=prj_9"),
        "POST",
        "/escalations",
        {
            "reason": "help",
            "severity": "high",
            "project_id": "prj_9",
            "presence_name": "Ada",
            "idempotency_key": "k",
        },
    ),
    (("raise", "help", "--poll-seconds", "nonsense"), "POST", "/escalations", {"reason": "help"}),
    (("list",), "GET", "/escalations", None),
    (
        ("list", "--status", "open", "--limit", "200", "--cursor", "c"),
        "GET",
        "/escalations?status=open&limit=200&cursor=c",
        None,
    ),
    (("get", "e/1"), "GET", "/escalations/e%2F1", None),
    (("get", "e1", "--delivery"), "GET", "/escalations/e1?include=delivery", None),
    (("ack", "e1"), "POST", "/escalations/e1/ack", {}),
    (("resolve", "e1"), "POST", "/escalations/e1/resolve", {"note": None}),
    (("resolve", "e1", "--note", "n"), "POST", "/escalations/e1/resolve", {"note": "n"}),
    (("contacts", "list"), "GET", "/escalation-contacts", None),
    (("contacts", "add", "a@b.c"), "POST", "/escalation-contacts", {"email": "a@b.c"}),
    (
        ("contacts", "add", "a@b.c", "--level", "10", "--name", "Ada"),
        "POST",
        "/escalation-contacts",
        {"email": "a@b.c", "display_name": "Ada", "level": 10},
    ),
    (("contacts", "remove", "c1"), "DELETE", "/escalation-contacts/c1", None),
]


@pytest.mark.parametrize(("args", "method", "path", "body"), CALLS, ids=lambda value: str(value)[:50])
def test_each_command_sends_one_signed_request_and_prints_its_answer(
    run: Run, wallet: Path, httpx_mock: HTTPXMock, args: tuple[str, ...], method: str, path: str, body: Any
) -> None:
    httpx_mock.add_response(json={"changed": True, "more": 1})
    outcome = run("escalations", *args, "--org", "o/1")
    assert outcome.json == {"changed": True, "more": 1}
    assert outcome.err == ""
    (request,) = httpx_mock.get_requests()
    assert (request.method, request.url.raw_path.decode()) == (method, ORG + path)
    assert (json.loads(request.content) if request.content else None) == body
    assert "sign-in-with-x" in request.headers


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (("raise",), "BAD_USAGE"),
        (("raise", "a", "b"), "BAD_USAGE"),
        (("raise", "a", "--severity", "low"), "BAD_FLAG"),
        (("raise", " ", "--org", "o"), "LOCAL_ERROR"),
        (("raise", "a", "--wait", "--poll-seconds", "4", "--org", "o"), "BAD_FLAG"),
        (("raise", "a", "--wait", "--timeout-seconds", "59", "--org", "o"), "BAD_FLAG"),
        (("list", "--status", "closed"), "BAD_FLAG"),
        (("list", "--limit", "201"), "BAD_FLAG"),
        (("get",), "BAD_USAGE"),
        (("contacts", "add"), "BAD_USAGE"),
        (("contacts", "add", "a@b.c", "--level", "11"), "BAD_FLAG"),
        (("contacts", "frobnicate"), "UNKNOWN_SUBCOMMAND"),
    ],
)
def test_what_cannot_work_is_refused_before_any_request(
    run: Run, wallet: Path, args: tuple[str, ...], code: str
) -> None:
    assert run("escalations", *args).error["code"] == code


def test_the_environment_names_the_organization(
    run: Run, wallet: Path, httpx_mock: HTTPXMock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUN402_ORG", " o/1 ")
    httpx_mock.add_response(url=f"{BASE}{ORG}/escalations", json={"escalations": []})
    assert run("escalations", "list").exit == 0


def test_the_owner_of_the_project_is_looked_up_last(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(url=f"{BASE}/projects/v1/prj_1", json={"org_id": "o/1"})
    httpx_mock.add_response(method="POST", url=f"{BASE}{ORG}/escalations", json=RAISED)
    assert run("escalations", "raise", "help").json == RAISED
    assert json.loads(httpx_mock.get_requests()[1].content) == {"reason": "help"}


def test_warnings_go_to_stderr(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(json={"warnings": ["no contact", {"code": "X", "message": "not verified"}]})
    outcome = run("escalations", "contacts", "add", "a@b.c", "--org", "o")
    assert outcome.err.splitlines() == ["warning: no contact", "warning: not verified"]


def test_an_acknowledgement_that_changes_nothing_says_who_was_first(
    run: Run, wallet: Path, httpx_mock: HTTPXMock
) -> None:
    httpx_mock.add_response(json={"changed": False, "acknowledged": {"by_email": "ada@b.c"}})
    assert "ada@b.c" in run("escalations", "ack", "e1", "--org", "o").err


class Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(escalations, "time", clock)
    return clock


WAIT = ("raise", "help", "--org", "o", "--wait", "--poll-seconds", "25", "--timeout-seconds", "60")


def test_waiting_ends_when_somebody_takes_over(run: Run, wallet: Path, httpx_mock: HTTPXMock, clock: Clock) -> None:
    taken = {"escalation_id": "esc_1", "status": "acknowledged", "acknowledged": {"by_email": "ada@b.c"}}
    for value in (RAISED, RAISED, taken):
        httpx_mock.add_response(json=value)
    outcome = run("escalations", *WAIT)
    assert outcome.json == taken
    assert "ada@b.c" in outcome.err
    assert clock.now == 25


def test_waiting_in_vain_exits_2_with_the_last_state(
    run: Run, wallet: Path, httpx_mock: HTTPXMock, clock: Clock
) -> None:
    httpx_mock.add_response(json=RAISED, is_reusable=True)
    outcome = run("escalations", *WAIT)
    assert (outcome.exit, json.loads(outcome.out)) == (2, RAISED)
    assert "not consent" in outcome.err
    # Raised, then looked at after 0, 25 and 50 seconds; the next look would be after the end.
    assert len(httpx_mock.get_requests()) == 4
    assert clock.now == 50


def test_a_failed_look_is_an_error(run: Run, wallet: Path, httpx_mock: HTTPXMock, clock: Clock) -> None:
    httpx_mock.add_response(json=RAISED)
    httpx_mock.add_response(status_code=503, json={"message": "down"})
    assert run("escalations", *WAIT).error["http"] == 503


def test_what_is_taken_over_already_is_not_waited_for(
    run: Run, wallet: Path, httpx_mock: HTTPXMock, clock: Clock
) -> None:
    httpx_mock.add_response(json={**RAISED, "status": "resolved", "deduplicated": True})
    assert run("escalations", *WAIT).json["status"] == "resolved"
    assert len(httpx_mock.get_requests()) == 1
