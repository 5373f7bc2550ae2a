"""The event feed: what the gateway did, what the application says, and reading it with a cursor."""

from __future__ import annotations

from typing import Any

import deploy_kit
import httpx
import psycopg
import pytest

ORG = "00000000-0000-4000-8000-000000000402"


class Feed:
    def __init__(self, client: httpx.Client, project: dict[str, Any]) -> None:
        self.client, self.project = client, project
        self.path = f"/projects/v1/{project['project_id']}/events"

    def emit(self, event_type: Any = "booking_created", **more: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.project['service_key']}"}
        return self.client.post(self.path, headers=headers, json={"event_type": event_type, **more})

    def read(self, **query: Any) -> dict[str, Any]:
        answer = self.client.get(self.path, params=query)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())


@pytest.fixture
def feed(client: httpx.Client, project: dict[str, Any]) -> Feed:
    return Feed(client, project)


def types(page: dict[str, Any]) -> list[str]:
    return [event["event_type"] for event in page["events"]]


def test_an_emitted_event_is_in_the_feed_as_it_was_answered(feed: Feed) -> None:
    answer = feed.emit(payload={"id": 7})
    assert answer.status_code == 201
    event = answer.json()
    assert event.pop("deduplicated") is False
    assert (event["class"], event["source"], event["payload"]) == ("app", "app", {"id": 7})
    assert feed.read()["events"] == [event]


def test_an_idempotency_key_stands_for_one_event(feed: Feed) -> None:
    first = feed.emit(payload={"n": 1}, idempotency_key="sig:1")
    again = feed.emit(payload={"n": 2}, idempotency_key="sig:1")
    assert (again.status_code, again.json()["deduplicated"]) == (200, True)
    assert again.json()["id"] == first.json()["id"]
    assert [event["payload"] for event in feed.read()["events"]] == [{"n": 1}]


def test_a_long_payload_is_cut(feed: Feed) -> None:
    event = feed.emit(payload={"a": 1, "b": "x" * 9000, "c": 2}).json()
    assert (event["payload"], event["payload_truncated"]) == ({"a": 1}, True)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"event_type": "Booking"}, "INVALID_EVENT_TYPE"),
        ({"event_type": "a.b.c"}, "INVALID_EVENT_TYPE"),
        ({"event_type": None}, "INVALID_EVENT_TYPE"),
        ({"event_type": "deploy_activated"}, "RESERVED_EVENT_TYPE"),
        ({"payload": []}, "INVALID_REQUEST"),
        ({"payload": {"a": "\x00"}}, "INVALID_REQUEST"),
        ({"idempotency_key": ""}, "INVALID_REQUEST"),
    ],
)
def test_bad_events_are_refused(feed: Feed, body: dict[str, Any], code: str) -> None:
    answer = feed.emit(**body)
    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert feed.read()["events"] == []


def test_only_the_projects_own_service_key_emits(feed: Feed) -> None:
    assert feed.client.post(feed.path, json={"event_type": "booking_created"}).status_code == 401
    # Who calls is looked at before what is asked for.
    assert feed.client.post(feed.path, content=b"{").status_code == 401
    anon = {"apikey": feed.project["anon_key"]}
    assert feed.client.post(feed.path, headers=anon, json={"event_type": "booking_created"}).status_code == 403
    other = feed.client.post("/projects/v1", json={}).json()
    answer = feed.client.post(feed.path, headers={"apikey": other["service_key"]}, json={"event_type": "abc"})
    assert (answer.status_code, answer.json()["code"]) == (403, "FORBIDDEN")


def test_deploys_and_nothing_else_are_events_of_the_platform(feed: Feed) -> None:
    page = b"<p>hi</p>"
    spec = {
        "project_id": feed.project["project_id"],
        "site": {"replace": {"index.html": deploy_kit.ref(page, "text/html")}},
    }
    plan = deploy_kit.plan(feed.client, spec).json()
    deploy_kit.stage(feed.client, feed.project, page)
    release = deploy_kit.commit(feed.client, plan).json()["release_id"]
    feed.emit()
    events = feed.read()["events"]
    assert [(event["event_type"], event["source"]) for event in events] == [
        ("deploy_activated", "platform"),
        ("booking_created", "app"),
    ]
    assert events[0]["payload"] == {"release_id": release, "previous_release_id": None}
    assert release in events[0]["next_actions"][0]["command"]
    assert types(feed.read(source="platform")) == ["deploy_activated"]
    assert types(feed.read(event_type="booking_created,other")) == ["booking_created"]


def test_a_cursor_goes_on_where_the_last_page_ended(feed: Feed) -> None:
    for name in ("one_event", "two_events", "three_events"):
        feed.emit(name)
    first = feed.read(limit=2)
    assert (types(first), first["has_more"], first["reset"]) == (["one_event", "two_events"], True, False)
    rest = feed.read(limit=2, cursor=first["cursor"])
    assert (types(rest), rest["has_more"]) == (["three_events"], False)
    empty = feed.read(cursor=rest["cursor"])
    assert (empty["events"], empty["cursor"], empty["reset"]) == ([], rest["cursor"], False)
    by_id = feed.read(cursor=first["events"][0]["id"])
    assert types(by_id) == ["two_events", "three_events"]


def test_a_filter_does_not_make_the_cursor_stand_still(feed: Feed) -> None:
    feed.emit("one_event")
    page = feed.read(event_type="other_event")
    assert (page["events"], types(feed.read(cursor=page["cursor"]))) == ([], [])


@pytest.mark.parametrize("cursor", ["evc_ffffff", "nonsense", "evc_zz", "evt_0123"])
def test_a_cursor_that_is_none_starts_again(feed: Feed, cursor: str) -> None:
    feed.emit()
    page = feed.read(cursor=cursor)
    assert (page["reset"], types(page)) == (True, ["booking_created"])
    again = feed.read(cursor=page["earliest_cursor"])
    assert (again["reset"], types(again)) == (False, ["booking_created"])


def test_a_cursor_older_than_the_feed_starts_again(feed: Feed, database_url: str) -> None:
    old = feed.emit("old_event").json()
    cursor = feed.read()["cursor"]
    feed.emit("missed_event")
    with psycopg.connect(database_url, autocommit=True) as db:
        db.execute("UPDATE internal.core_project_events SET occurred_at = now() - interval '91 days'")
    feed.emit("new_event")
    page = feed.read(cursor=cursor)
    assert (page["reset"], types(page)) == (True, ["new_event"])
    assert old["id"] not in str(page)


def test_the_organization_sees_all_projects(feed: Feed) -> None:
    other = Feed(feed.client, feed.client.post("/projects/v1", json={}).json())
    feed.emit("one_event")
    other.emit("two_events")
    page = feed.client.get(f"/orgs/v1/{ORG}/events").json()
    assert types(page) == ["one_event", "two_events"]
    assert types(other.read()) == ["two_events"]
    assert feed.client.get("/orgs/v1/00000000-0000-4000-8000-000000000403/events").status_code == 403


@pytest.mark.parametrize("query", [{"limit": "0"}, {"limit": "x"}, {"source": "moon"}])
def test_bad_questions_are_refused(feed: Feed, query: dict[str, str]) -> None:
    assert feed.client.get(feed.path, params=query).status_code == 400
