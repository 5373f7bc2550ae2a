"""The way into the console: a ticket, good once, and the pass that it becomes. Nothing else of a browser opens it."""

from __future__ import annotations

import logging
from html.parser import HTMLParser
from typing import Any

import httpx
import pytest
from gateway_kit import CONTROL, Live

from run402_cli.core import tickets
from run402_cli.core.console.routes import PAGES

ROOT = "/_run402/"
PERSON = {"Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document", "Sec-Fetch-User": "?1"}
CLICK = {**PERSON, "Sec-Fetch-Site": "cross-site"}


class Links(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value or "" for name, value in attrs if name in ("href", "action")]


def issued(client: httpx.Client, page: str = "") -> str:
    answer = client.post(f"{ROOT}tickets", json={"page": page})
    assert answer.status_code == 201, answer.text
    assert answer.json()["expires_in"] == 600
    return str(answer.json()["url"])


def test_a_ticket_leads_a_browser_through_the_whole_console(
    client: httpx.Client, stranger: httpx.Client, project: dict[str, Any]
) -> None:
    entered = stranger.get(issued(client), headers=PERSON)
    assert (entered.status_code, entered.headers["referrer-policy"]) == (303, "no-referrer")
    assert "set-cookie" not in entered.headers
    first = entered.headers["location"]
    waiting, seen = [first], set[str]()
    while waiting:
        path = waiting.pop()
        if path in seen:
            continue
        seen.add(path)
        answer = stranger.get(path, headers=CLICK)
        assert answer.status_code == 200, path
        found = Links(answer.text).found
        # Every link of the console has the pass; no other link does.
        assert [link for link in found if link.startswith(ROOT) and not link.startswith(first)] == []
        assert [link for link in found if not link.startswith(ROOT) and first.split("~")[1][:20] in link] == []
        waiting += [link for link in found if link.startswith(first)]
    assert {f"{first}{name}" for name in ("mail", "payments", f"projects/{project['project_id']}/sql")} <= seen


def test_a_ticket_opens_once_and_at_the_page_that_was_asked_for(
    client: httpx.Client, stranger: httpx.Client, project: dict[str, Any]
) -> None:
    page = f"projects/{project['project_id']}"
    url = issued(client, page)
    assert stranger.get(url, headers=PERSON).headers["location"].endswith(f"/{page}")
    again = stranger.get(url, headers=PERSON)
    assert (again.status_code, again.json()["error"]) == (401, "ticket_invalid")
    assert again.json()["next_actions"][0]["command"] == "run402 open"


@pytest.mark.parametrize("given", ["", "x", "%00", "~", "A" * 5000, "%F0%9F"])
def test_what_is_no_ticket_opens_nothing(client: httpx.Client, stranger: httpx.Client, given: str) -> None:
    issued(client)
    assert stranger.get(f"{ROOT}enter?ticket={given}", headers=PERSON).status_code == 401
    assert stranger.get(f"{ROOT}enter", headers=PERSON).status_code == 401
    assert stranger.get(f"{ROOT}~{given or 'x'}/mail", headers=PERSON).status_code in (401, 404)


def test_a_browser_that_looks_ahead_does_not_use_a_ticket_up(client: httpx.Client, stranger: httpx.Client) -> None:
    url = issued(client)
    for ahead in ({"Sec-Purpose": "prefetch;prerender"}, {"Purpose": "prefetch"}, {"X-Moz": "prefetch"}):
        assert stranger.get(url, headers={**PERSON, **ahead}).status_code == 403
    assert stranger.head(url, headers=PERSON).status_code == 403
    assert stranger.get(url, headers=PERSON).status_code == 303


def test_tickets_and_passes_end() -> None:
    now = [1000.0]
    kept = tickets.Tickets(lambda: now[0])
    late, good = kept.issue(), kept.issue()
    now[0] += tickets.TICKET_SECONDS - 1
    given = kept.redeem(good)
    now[0] += 2
    assert kept.redeem(late) is None
    assert given is not None
    assert kept.admits(given)
    now[0] += tickets.PASS_SECONDS
    assert not kept.admits(given)


def test_only_so_many_are_kept() -> None:
    kept = tickets.Tickets()
    made = [kept.issue() for _ in range(tickets.MAX_KEPT + 1)]
    assert kept.redeem(made[0]) is None
    assert kept.redeem(made[1]) is not None
    assert not kept.admits(made[2])


def test_nobody_else_gets_in(stranger: httpx.Client, project: dict[str, Any], service: dict[str, str]) -> None:
    paths = [path.replace("{project_id}", project["project_id"]) for path in PAGES if "name" not in path]
    for path in [*paths, "mail", "mail/msg_1"]:
        for headers in (PERSON, {}, {"Accept": "application/json"}, CLICK, {"Cookie": "pass=1"}, service):
            answer = stranger.get(ROOT + path.replace("{rest:path}", "x"), headers=headers)
            assert (answer.status_code, answer.json()["error"]) == (401, "ticket_required"), path
            assert answer.json()["next_actions"][0]["command"] == "run402 open"


def test_only_the_holder_of_the_token_gets_a_ticket(
    client: httpx.Client, stranger: httpx.Client, project: dict[str, Any], service: dict[str, str]
) -> None:
    assert stranger.post(f"{ROOT}tickets", json={}).status_code == 401
    assert stranger.post(f"{ROOT}tickets", json={}, headers=service).status_code == 403
    page = {"Origin": "http://x.localhost:4020", **service, **CONTROL}
    assert client.post(f"{ROOT}tickets", json={}, headers=page).status_code in (401, 403)
    for page_asked in ("//evil.example", "../x", "a b", "https://evil.example", "~x", 1, None, "a/" * 9):
        answer = client.post(f"{ROOT}tickets", json={"page": page_asked})
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
    ticket = issued(client).partition("ticket=")[2]
    for bent in ("//evil.example", "..%2F..%2Fx", "%0d%0aX: 1"):
        location = stranger.get(f"{ROOT}enter?ticket={ticket}&page={bent}", headers=PERSON).headers["location"]
        assert location.startswith(f"{ROOT}~")
        assert location.endswith("/")
        ticket = issued(client).partition("ticket=")[2]


def test_a_pass_opens_no_other_route_and_stands_in_no_log(
    client: httpx.Client, stranger: httpx.Client, live: Live, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger="run402.core"):
        url = issued(client)
        place = stranger.get(url, headers=PERSON).headers["location"]
        assert stranger.get(f"{place}mail", headers=PERSON).status_code == 200
        assert stranger.get(f"{place}../projects/v1").status_code in (401, 404)
        assert stranger.get(f"/{place}mail", headers=PERSON).status_code in (200, 404)
        assert stranger.get(f"/x{place}mail", headers=PERSON).status_code == 404
        assert stranger.post(f"{place}tickets", json={}).status_code == 401
        assert stranger.get(f"{ROOT}mail", headers=PERSON).status_code == 401
    assert "/_run402/mail" in caplog.text
    for secret in (place.split("~")[1].strip("/"), url.partition("ticket=")[2]):
        assert secret not in caplog.text


def test_pages_with_a_pass_are_shut_to_scripts_and_other_hosts(client: httpx.Client, stranger: httpx.Client) -> None:
    place = stranger.get(issued(client), headers=PERSON).headers["location"]
    for headers, status in (
        ({"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"}, 403),
        ({**PERSON, "Sec-Fetch-Dest": "iframe"}, 403),
        ({"Origin": "null"}, 403),
        ({"Host": "blog.localhost"}, 421),
        ({"Host": "rebound.example"}, 403),
    ):
        assert stranger.get(f"{place}mail", headers=headers).status_code == status
    assert stranger.get(f"{place}mail", headers=CLICK).status_code == 200
