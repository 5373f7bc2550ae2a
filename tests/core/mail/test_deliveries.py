"""Deliveries of webhooks: one deadline for a whole call, and one project's receivers hold up no other project."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import httpx
import psycopg
import pytest
from functions_kit import Functions, handler

from run402_cli.core.mail import webhooks
from run402_cli.core.web import outbound
from run402_cli.core.web.outbound import post_json

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


@contextmanager
def receiver(answer: Callable[[socket.socket], None]) -> Iterator[tuple[str, list[bytes]]]:
    """An address where each connection gets `answer` once its request has come; the bodies of the requests."""
    seen: list[bytes] = []

    def talk(conn: socket.socket) -> None:
        with conn, suppress(OSError):
            head, _, body = conn.recv(65536).partition(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length:")[2].split()[0])
            while len(body) < length:
                body += conn.recv(65536)
            seen.append(body)
            answer(conn)

    def accept(server: socket.socket) -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=talk, args=(server.accept()[0],), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=accept, args=(server,), daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/hook?a=b", seen


def drip(start: bytes) -> Callable[[socket.socket], None]:
    """An answer that goes on, one byte after the other, each in time."""

    def answer(conn: socket.socket) -> None:
        conn.sendall(start)
        while True:
            time.sleep(0.05)
            conn.sendall(b"a")

    return answer


def interim(conn: socket.socket) -> None:
    while True:
        time.sleep(0.05)
        conn.sendall(b"HTTP/1.1 103 Early Hints\r\n\r\n")


NEVER = {
    "a header that drips": drip(b"HTTP/1.1 200 OK\r\nX-A: "),
    "a status that drips": drip(b"HTTP/1.1 200 "),
    "hints without end": interim,
    "nothing": lambda _: time.sleep(5),
}


@pytest.mark.parametrize("what", NEVER)
def test_a_call_has_one_deadline(monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    monkeypatch.setattr(outbound, "TIMEOUT_SECONDS", 0.5)
    with receiver(NEVER[what]) as (url, _):
        started = time.monotonic()
        assert asyncio.run(post_json(url, {}, {})) == (None, "no answer within 0.5 seconds")
    assert time.monotonic() - started < 2


ANSWERS: dict[str, tuple[bytes, int | None, str | None]] = {
    "an answer": (OK, 200, None),
    "an answer after hints": (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204\r\n\r\n", 204, None),
    "a redirect": (b"HTTP/1.0 302 Found\r\nLocation: http://127.0.0.1:1/\r\n\r\n", 302, None),
    "no HTTP": (b"hello\r\n", None, "the answer is not HTTP"),
    "no status": (b"HTTP/1.1 999 Odd\r\n\r\n", None, "the answer is not HTTP"),
    "nothing": (b"", None, "the receiver hung up without an answer"),
    "headers without end": (b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 20_000, None, "more than 65536 bytes"),
    "a line without end": (b"HTTP/1.1 200 OK\r\n" + b"a" * 200_000, None, "limit"),
}


@pytest.mark.parametrize("what", ANSWERS)
def test_what_counts_as_an_answer(what: str) -> None:
    data, status, reason = ANSWERS[what]
    with receiver(lambda conn: conn.sendall(data)) as (url, seen):
        got, why = asyncio.run(post_json(url, {"a": "\u00fc"}, {"X-B": "c"}))
    assert (got, why is None) == (status, reason is None)
    assert (reason or "") in (why or "")
    assert [json.loads(body) for body in seen] == [{"a": "\u00fc"}]


def test_nobody_there_is_a_reason() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://localhost:{server.getsockname()[1]}/"
    status, why = asyncio.run(post_json(url, {}, {}))
    assert (status, bool(why)) == (None, True)
    assert asyncio.run(post_json(url, {}, {"X-A": "b\r\nc: d"})) == (None, "a header has a line break")


class Box:
    """A mailbox of a project, with a webhook for each of some addresses."""

    def __init__(self, client: httpx.Client, project: dict[str, Any], *urls: str) -> None:
        self.client, self.headers = client, {"Authorization": f"Bearer {project['service_key']}"}
        made = self.call("POST", "", {"slug": "news"})
        self.path = f"/{made['mailbox_id']}"
        for url in urls:
            self.call("POST", f"{self.path}/webhooks", {"url": url, "events": ["delivery", "reply_received"]})

    def call(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        answer = self.client.request(method, f"/mailboxes/v1{path}", headers=self.headers, json=body)
        assert answer.status_code < 300, answer.text
        return dict(answer.json())

    def send(self, subject: str, to: str = "ada@example.com") -> None:
        self.call("POST", f"{self.path}/messages", {"to": to, "subject": subject, "html": "<p>Hi</p>"})

    def deliveries(self) -> list[dict[str, Any]]:
        return list(self.call("GET", f"{self.path}/webhooks/deliveries")["deliveries"])


def until(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 8
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_receiver_that_drips_holds_up_no_other_project(client: httpx.Client, project: dict[str, Any]) -> None:
    other = client.post("/projects/v1", json={"name": "attacker"}).json()
    with (
        receiver(NEVER["a header that drips"]) as (slow, begun),
        receiver(lambda conn: conn.sendall(OK)) as (url, seen),
    ):
        bad = Box(client, other, *[slow] * (webhooks.SHARE + 2))
        bad.send("one")
        bad.send("two")
        until(lambda: len(begun) == webhooks.SHARE)
        good = Box(client, project, url)
        good.send("hello")
        until(lambda: seen)
        until(lambda: good.deliveries()[0]["status"] == "delivered")
        assert len(begun) == webhooks.SHARE


def test_deliveries_to_a_webhook_come_in_order(client: httpx.Client, project: dict[str, Any]) -> None:
    def slowly(conn: socket.socket) -> None:
        time.sleep(0.2)
        conn.sendall(OK)

    with receiver(slowly) as (url, seen):
        box = Box(client, project, url)
        for number in range(5):
            box.send(str(number))
        until(lambda: len(seen) == 5)
    assert [json.loads(body)["payload"]["subject"] for body in seen] == ["0", "1", "2", "3", "4"]


def test_a_delivery_that_fails_in_the_gateway_holds_up_no_other(
    client: httpx.Client, project: dict[str, Any], database_url: str
) -> None:
    other = client.post("/projects/v1", json={"name": "attacker"}).json()
    with receiver(lambda conn: conn.sendall(OK)) as (url, seen):
        Box(client, other, url).send("one")
        until(lambda: seen)
        with psycopg.connect(database_url, autocommit=True) as db:
            # A time that Python does not have: the row cannot even be read.
            db.execute(
                "UPDATE internal.core_webhook_deliveries SET status = 'pending', created_at = 'infinity',"
                " next_attempt_at = now() - interval '1 minute'"
            )
        Box(client, project, url).send("two")
        until(lambda: len(seen) == 2)


def test_a_broken_mail_trigger_keeps_no_mail_away(
    client: httpx.Client, project: dict[str, Any], database_url: str
) -> None:
    functions = Functions(client, project)
    box = Box(client, project)
    run = {"event_type": "mail_came"}
    triggers = [
        {"id": name, "type": "email", "mailbox": "news", "events": ["reply_received"], "run": run}
        for name in ("broken", "good")
    ]
    functions.deploy({"inbox": handler("return new Response('ok');")}, settings={"inbox": {"triggers": triggers}})
    with psycopg.connect(database_url, autocommit=True) as db:
        db.execute(
            "CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS"
            " $$BEGIN IF NEW.source->>'trigger_id' = 'broken' THEN RAISE 'refused'; END IF; RETURN NEW; END$$"
        )
        db.execute(
            "CREATE TRIGGER refuse BEFORE INSERT ON internal.core_function_runs"
            " FOR EACH ROW EXECUTE FUNCTION public.refuse()"
        )
    sender = Box(client, client.post("/projects/v1", json={"name": "sender"}).json())
    address = box.call("GET", box.path)["address"]
    sender.send("hello", to=address)
    url = "/functions/v1/inbox/runs"
    until(lambda: client.get(url, headers=functions.service).json()["runs"])
    runs = client.get(url, headers=functions.service).json()["runs"]
    assert [run["source"]["trigger_id"] for run in runs] == ["good"]
