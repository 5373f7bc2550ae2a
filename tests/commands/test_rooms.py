"""run402 rooms and claims, as typed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pytest_httpx import HTTPXMock
from run_kit import BASE, Run

from run402_cli.state import files

ROOM = "/orgs/v1/org_1/rooms/prj_1"
KEY = "org_1/prj_1"
LATER, EARLIER = "2099-01-01T00:00:00.000Z", "2001-01-01T00:00:00.000Z"
EXPIRED = {"code": "PRESENCE_EXPIRED", "message": "gone"}


@pytest.fixture
def owner(wallet: Path, httpx_mock: HTTPXMock) -> Path:
    httpx_mock.add_response(
        url=f"{BASE}/projects/v1/prj_1", json={"org_id": "org_1"}, is_optional=True, is_reusable=True
    )
    return wallet


def remembered(key: str = KEY) -> dict[str, Any]:
    path = Path(".run402/messaging.json")
    entry = json.loads(path.read_text())["rooms"].get(key, {}) if path.exists() else {}
    assert isinstance(entry, dict)
    return entry


def remember(**entry: Any) -> None:
    Path(".run402").mkdir(exist_ok=True)
    Path(".run402/messaging.json").write_text(json.dumps({"rooms": {KEY: entry, "other/room": {"cursor": "c"}}}))


def calls(httpx_mock: HTTPXMock) -> list[str]:
    return [f"{r.method} {r.url.raw_path.decode().replace(ROOM, '')}" for r in httpx_mock.get_requests()][1:]


def bodies(httpx_mock: HTTPXMock) -> list[Any]:
    return [json.loads(r.content) for r in httpx_mock.get_requests() if r.content]


def answer(httpx_mock: HTTPXMock, method: str, path: str, value: Any, status: int = 200) -> None:
    httpx_mock.add_response(method=method, url=f"{BASE}{ROOM}{path}", json=value, status_code=status)


# -- which room ---------------------------------------------------------------------------------------------------------


def test_a_named_room_needs_no_look_at_the_project(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(json={"message_id": "m"})
    run("rooms", "get", "m/1", "--org", "o/1", "--room", "r/1")
    (request,) = httpx_mock.get_requests()
    assert request.url.raw_path == b"/orgs/v1/o%2F1/rooms/r%2F1/messages/m%2F1"
    assert "sign-in-with-x" in request.headers


def test_the_environment_names_a_room(
    run: Run, wallet: Path, httpx_mock: HTTPXMock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUN402_ROOM", " o1/r1/x ")
    httpx_mock.add_response(json={"claims": []})
    run("claims", "list", "--org", "ignored-without-room")
    assert httpx_mock.get_requests()[0].url.raw_path == b"/orgs/v1/o1/rooms/r1%2Fx/claims?include_inactive=false"


@pytest.mark.parametrize("value", ["o1", "/r1", "o1/", "o1/r1/"])
def test_a_malformed_room_in_the_environment_is_bad_usage(
    run: Run, wallet: Path, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("RUN402_ROOM", value)
    error = run("rooms", "list").error
    assert (error["code"], error["details"]) == ("BAD_USAGE", {"value": value})


def test_a_room_without_an_organization_is_bad_usage(run: Run, wallet: Path) -> None:
    assert run("rooms", "list", "--room", "r1").error["code"] == "BAD_USAGE"


def test_a_project_without_a_known_owner_is_a_local_error(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(json={"project_id": "prj_1"})
    assert run("rooms", "list").error["code"] == "LOCAL_ERROR"


def test_a_refused_look_at_the_project_keeps_its_own_error(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(status_code=403, json={"code": "NOT_AUTHORIZED", "message": "no"})
    error = run("rooms", "who").error
    assert (error["code"], error["http"]) == ("NOT_AUTHORIZED", 403)


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (("rooms", "who", "word"), "BAD_USAGE"),
        (("rooms", "send"), "BAD_USAGE"),
        (("rooms", "send", "a", "b"), "BAD_USAGE"),
        (("rooms", "send", "a", "--importance", "low"), "BAD_FLAG"),
        (("rooms", "get"), "BAD_USAGE"),
        (("rooms", "ack"), "BAD_USAGE"),
        (("claims", "create"), "BAD_USAGE"),
        (("claims", "create", "x", "--mode", "mine"), "BAD_FLAG"),
        (("claims", "create", "x", "--ttl", "86401"), "BAD_FLAG"),
        (("claims", "release"), "BAD_USAGE"),
    ],
)
def test_what_cannot_work_is_refused_before_any_request(
    run: Run, wallet: Path, args: tuple[str, ...], code: str
) -> None:
    assert run(*args).error["code"] == code


@pytest.mark.parametrize(("args", "code"), [(("list", "--limit", "201"), "BAD_FLAG"), (("send", ""), "LOCAL_ERROR")])
def test_what_is_checked_after_the_room_is_known(run: Run, owner: Path, args: tuple[str, ...], code: str) -> None:
    assert run("rooms", *args).error["code"] == code


# -- presence -----------------------------------------------------------------------------------------------------------


def test_entering_remembers_the_granted_and_the_wanted_name(run: Run, owner: Path, httpx_mock: HTTPXMock) -> None:
    answer(httpx_mock, "POST", "/presences", {"presence_id": "p1", "name": "Ada-2", "expires_at": LATER})
    answer(httpx_mock, "GET", "/presences?include_expired=true", {"presences": [{"name": "Ada-2"}], "more": 1})
    outcome = run("rooms", "who", "--name", "Ada", "--task", "t", "--all")
    assert outcome.json == {
        "org_id": "org_1",
        "room_key": "prj_1",
        "you": {"presence_id": "p1", "name": "Ada-2", "expires_at": LATER, "registered": True},
        "presences": [{"name": "Ada-2"}],
        "more": 1,
    }
    assert "Ada-2" in outcome.err
    assert bodies(httpx_mock) == [{"requested_name": "Ada", "task": "t"}]
    assert remembered() == {"presence_id": "p1", "name": "Ada-2", "requested_name": "Ada"}


@pytest.mark.parametrize(("expires", "registered"), [(LATER, False), (EARLIER, True), (None, True), ("soon", True)])
def test_a_presence_is_used_again_while_it_lives(
    run: Run, owner: Path, httpx_mock: HTTPXMock, expires: str | None, registered: bool
) -> None:
    remember(presence_id="p1", name="Ada-2", requested_name="Ada", cursor="c1")
    answer(httpx_mock, "GET", "/presences/p1", {"presence_id": "p1", "expires_at": expires})
    if registered:
        answer(httpx_mock, "POST", "/presences", {"presence_id": "p2", "name": "Ada"})
    answer(httpx_mock, "GET", "/presences?include_expired=false", {"presences": []})
    assert run("rooms", "who").json["you"]["registered"] is registered
    assert bodies(httpx_mock) == ([{"requested_name": "Ada"}] if registered else [])
    assert remembered()["presence_id"] == ("p2" if registered else "p1")
    assert remembered()["cursor"] == "c1"
    assert remembered("other/room") == {"cursor": "c"}


def test_a_presence_that_cannot_be_read_is_replaced(run: Run, owner: Path, httpx_mock: HTTPXMock) -> None:
    remember(presence_id="p1")
    answer(httpx_mock, "GET", "/presences/p1", {"message": "x"}, status=500)
    answer(httpx_mock, "POST", "/presences", {"presence_id": "p2", "name": "N"})
    answer(httpx_mock, "GET", "/presences?include_expired=false", None)
    assert run("rooms", "who").json["presences"] == []


CALLS: list[tuple[tuple[str, ...], str, str]] = [
    (("rooms", "send", "hi"), "POST", "/messages"),
    (("rooms", "list"), "GET", "/messages?presence_id={}"),
    (("rooms", "ack", "m1"), "POST", "/messages/m1/ack"),
    (("claims", "create", "deploy"), "POST", "/claims"),
]


@pytest.mark.parametrize(("args", "method", "path"), CALLS)
def test_an_expired_presence_is_replaced_once(
    run: Run, owner: Path, httpx_mock: HTTPXMock, args: tuple[str, ...], method: str, path: str
) -> None:
    remember(presence_id="p1", name="Ada-7", requested_name="Ada")
    answer(httpx_mock, method, path.format("p1"), EXPIRED, status=410)
    answer(httpx_mock, "POST", "/presences", {"presence_id": "p2", "name": "Ada-8"})
    answer(httpx_mock, method, path.format("p2"), {"done": True})
    outcome = run(*args)
    assert outcome.json == {"done": True}
    assert "Ada-8" in outcome.err
    assert {"requested_name": "Ada"} in bodies(httpx_mock)
    assert remembered() == {"presence_id": "p2", "name": "Ada-8", "requested_name": "Ada"}
    sent = [body.get("presence_id") for body in bodies(httpx_mock)]
    assert sent == (["p1", None, "p2"] if method == "POST" else [None])


def test_a_presence_that_expires_twice_is_reported(run: Run, owner: Path, httpx_mock: HTTPXMock) -> None:
    remember(presence_id="p1")
    answer(httpx_mock, "POST", "/messages/m1/ack", EXPIRED, status=410)
    answer(httpx_mock, "POST", "/presences", {"presence_id": "p2"})
    answer(httpx_mock, "POST", "/messages/m1/ack", EXPIRED, status=410)
    assert run("rooms", "ack", "m1").error["code"] == "PRESENCE_EXPIRED"


def test_without_a_presence_expiry_is_an_error_like_any_other(run: Run, owner: Path, httpx_mock: HTTPXMock) -> None:
    answer(httpx_mock, "POST", "/messages/m1/ack", EXPIRED, status=410)
    assert run("rooms", "ack", "m1").error["http"] == 410
    assert bodies(httpx_mock) == [{}]


def test_a_presence_of_the_environment_comes_first(
    run: Run, owner: Path, httpx_mock: HTTPXMock, monkeypatch: pytest.MonkeyPatch
) -> None:
    remember(presence_id="p1")
    monkeypatch.setenv("RUN402_PRESENCE_ID", " p9 ")
    answer(httpx_mock, "POST", "/messages/m1/ack", {})
    run("rooms", "ack", "m1")
    assert bodies(httpx_mock) == [{"presence_id": "p9"}]


# -- messages -----------------------------------------------------------------------------------------------------------


def test_a_message_carries_what_was_said_and_remembers_the_sender(run: Run, owner: Path, httpx_mock: HTTPXMock) -> None:
    remember(presence_id="p1", name="Ada", cursor="c1")
    sender = {"presence_id": "p1", "name": "Ada-2"}
    answer(httpx_mock, "POST", "/messages", {"message_id": "m", "sender_presence": sender})
    flags = ("--to", "Ada, Grace,", "--cc=Bob", "--ack", "--thread=t", "--importance=high", "--idempotency-key=k")
    assert run("rooms", "send", "hi there", *flags, "--name", "Ada", "--task", "x").json["message_id"] == "m"
    assert bodies(httpx_mock) == [
        {
            "body": "hi there",
            "to": ["Ada", "Grace"],
            "cc": ["Bob"],
            "ack_required": True,
            "thread_id": "t",
            "importance": "high",
            "idempotency_key": "k",
            "presence_id": "p1",
            "requested_name": "Ada",
            "task": "x",
        }
    ]
    assert remembered() == {"presence_id": "p1", "name": "Ada-2", "cursor": "c1", "requested_name": "Ada"}


@pytest.mark.parametrize(
    ("flags", "query", "cursor"),
    [
        ((), "?cursor=c1", "c2"),
        (("--cursor", "c0"), "?cursor=c0", "c2"),
        (("--before", "c9"), "?order=desc&before=c9", "c1"),
        (
            ("--unread", "--thread", "t", "--limit", "2"),
            "?cursor=c1&thread_id=t&addressed_to=me&unread=true&limit=2",
            "c2",
        ),
    ],
)
def test_reading_goes_on_where_this_directory_stopped(
    run: Run, owner: Path, httpx_mock: HTTPXMock, flags: tuple[str, ...], query: str, cursor: str
) -> None:
    remember(cursor="c1")
    answer(httpx_mock, "GET", f"/messages{query}", {"messages": [], "cursor": "c2", "reset": False})
    assert run("rooms", "list", *flags).json["cursor"] == "c2"
    assert remembered()["cursor"] == cursor


def test_a_dry_run_does_not_move_the_point_of_reading(run: Run, owner: Path, httpx_mock: HTTPXMock) -> None:
    remember(cursor="c1")
    answer(httpx_mock, "GET", "/messages?cursor=c1", {"messages": [], "cursor": "c2"})
    assert run("rooms", "list", "--dry-run").json["files"] == [str(Path(".run402/messaging.json"))]
    assert remembered()["cursor"] == "c1"


@pytest.mark.parametrize("content", ["{damaged", "[]", '{"rooms": []}', '{"rooms": {"org_1/prj_1": 5}}'])
def test_a_damaged_session_file_is_an_error_before_any_request(
    run: Run, owner: Path, httpx_mock: HTTPXMock, content: str
) -> None:
    Path(".run402").mkdir()
    Path(".run402/messaging.json").write_text(content)
    error = run("rooms", "list").error
    assert error["code"] == "BAD_ENV"
    assert "messaging.json" in error["message"]
    assert httpx_mock.get_requests() == []
    assert Path(".run402/messaging.json").read_text() == content


def test_a_session_file_that_cannot_be_written_hinders_nothing(
    run: Run, owner: Path, httpx_mock: HTTPXMock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "_LOCK_TRIES", 1)
    Path(".run402/messaging.json.lock").mkdir(parents=True)
    answer(httpx_mock, "GET", "/messages", {"messages": [], "cursor": "c2"})
    assert run("rooms", "list").json["cursor"] == "c2"


# -- claims -------------------------------------------------------------------------------------------------------------


def test_conflicts_are_told_and_the_command_succeeds(run: Run, owner: Path, httpx_mock: HTTPXMock) -> None:
    remember(presence_id="p1")
    answer(httpx_mock, "POST", "/claims", {"claim_id": "c", "conflicts": [{"holder": "Ada"}, {"holder": "Bob"}]})
    outcome = run("claims", "create", "repo:src/**", "--mode", "shared", "--ttl", "60", "--note", "n")
    assert outcome.json["claim_id"] == "c"
    assert all(word in outcome.err for word in ("2 ", "Ada, Bob", "rooms send"))
    assert bodies(httpx_mock) == [
        {"resource": "repo:src/**", "mode": "shared", "ttl_seconds": 60, "note": "n", "presence_id": "p1"}
    ]
    assert remembered() == {"presence_id": "p1"}


def test_a_claim_is_released_without_a_presence(run: Run, owner: Path, httpx_mock: HTTPXMock) -> None:
    remember(presence_id="p1")
    answer(httpx_mock, "DELETE", "/claims/c%2F1", {"claim_id": "c/1", "already_released": False})
    assert run("claims", "release", "c/1").json["claim_id"] == "c/1"
    assert bodies(httpx_mock) == []


def test_all_claims_include_those_that_ended(run: Run, owner: Path, httpx_mock: HTTPXMock) -> None:
    answer(httpx_mock, "GET", "/claims?include_inactive=true", {"claims": []})
    assert run("claims", "list", "--all").json == {"claims": []}
    assert calls(httpx_mock) == ["GET /claims?include_inactive=true"]
