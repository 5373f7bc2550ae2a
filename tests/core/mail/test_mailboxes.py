"""Mailboxes, messages, the outbox, and what is told about them."""

from __future__ import annotations

import base64
import email
import email.policy
import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import httpx
import psycopg
import pytest
from functions_kit import Functions
from gateway_kit import CONTROL
from schema_kit import problems

from run402_cli.client import Client, own_gateway
from run402_cli.local_gateway import CONTROL_HEADER
from run402_cli.services.email import outbox

LETTER = {"to": "ada@example.com", "subject": "Hello", "html": "<p>Hi <b>Ada</b> &amp; all</p>"}


class Mail:
    """The mail routes of one project."""

    def __init__(self, client: httpx.Client, project: dict[str, Any]) -> None:
        self.client, self.project = client, project
        self.headers = {"Authorization": f"Bearer {project['service_key']}"}

    def call(self, method: str, path: str = "", body: Any = None, **query: Any) -> httpx.Response:
        return self.client.request(method, f"/mailboxes/v1{path}", headers=self.headers, json=body, params=query)

    def create(self, slug: str = "news") -> dict[str, Any]:
        answer = self.call("POST", "", {"slug": slug})
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    def send(self, mailbox: dict[str, Any], **letter: Any) -> httpx.Response:
        return self.call("POST", f"/{mailbox['mailbox_id']}/messages", {**LETTER, **letter})

    def messages(self, mailbox: dict[str, Any], **query: Any) -> list[dict[str, Any]]:
        return list(self.call("GET", f"/{mailbox['mailbox_id']}/messages", **query).json()["messages"])

    def inbound(self, mailbox: dict[str, Any]) -> dict[str, Any]:
        return self.messages(mailbox, direction="inbound")[0]


@pytest.fixture
def mail(client: httpx.Client, project: dict[str, Any]) -> Mail:
    return Mail(client, project)


def until(condition: Callable[[], Any]) -> Any:
    for _ in range(400):
        if found := condition():
            return found
        time.sleep(0.05)
    raise AssertionError("it did not happen")


def test_the_first_mailbox_becomes_the_default(mail: Mail) -> None:
    assert mail.call("GET").json()["next_actions"][0]["type"] == "create_mailbox"
    first, second = mail.create("news"), mail.create("bookings")
    listed = mail.call("GET").json()
    assert listed["mailbox_settings"]["default_outbound_mailbox_id"] == first["mailbox_id"]
    assert [(row["slug"], row["is_default_outbound"]) for row in listed["mailboxes"]] == [
        ("news", True),
        ("bookings", False),
    ]
    assert listed["provider_readiness"]["status"] == "configured"
    assert second["address"].startswith("bookings@")
    assert second["address"].endswith(".mail.localhost")


@pytest.mark.parametrize("slug", ["ab", "x" * 64, "-news", "news-", "ne--ws", "News", "ne ws", "admin", 7, None])
def test_slugs_that_cannot_be_are_refused(mail: Mail, slug: Any) -> None:
    assert mail.call("POST", "", {"slug": slug}).status_code == 400


def test_a_slug_is_given_out_once_in_a_project_and_again_in_another(mail: Mail) -> None:
    made = mail.create()
    assert mail.call("POST", "", {"slug": "news"}).json()["code"] == "SLUG_ALREADY_IN_USE"
    mail.call("DELETE", f"/{made['mailbox_id']}")
    assert mail.call("POST", "", {"slug": "news"}).json()["code"] == "SLUG_ALREADY_IN_USE"
    other = Mail(mail.client, mail.client.post("/projects/v1", json={}).json())
    assert other.create()["address"] != made["address"]


def test_a_project_has_at_most_five_mailboxes(mail: Mail) -> None:
    for number in range(5):
        mail.create(f"box-{number}")
    assert mail.call("POST", "", {"slug": "one-more"}).json()["code"] == "MAILBOX_LIMIT_REACHED"


def test_mailboxes_are_for_the_service_key_of_their_project(mail: Mail, project: dict[str, Any]) -> None:
    made = mail.create()
    assert mail.client.get("/mailboxes/v1").status_code == 401
    assert mail.client.get("/mailboxes/v1", headers={"apikey": project["anon_key"]}).status_code == 401
    other = Mail(mail.client, mail.client.post("/projects/v1", json={}).json())
    assert other.call("GET", f"/{made['mailbox_id']}").json()["code"] == "MAILBOX_FORBIDDEN"
    missing = other.call("GET", "/mbx_00").json()
    assert (missing["error"], missing["code"]) == ("mailbox_not_found", "MAILBOX_NOT_FOUND")


@pytest.mark.parametrize(("method", "path"), [("POST", ""), ("PATCH", "/settings"), ("POST", "/mbx_00/messages")])
def test_who_may_not_call_learns_nothing_about_the_body(mail: Mail, method: str, path: str) -> None:
    answer = mail.client.request(method, f"/mailboxes/v1{path}", content=b"no JSON")
    assert (answer.status_code, answer.json()["error"]) == (401, "authentication_required")


def test_defaults_are_changed_and_cleared(mail: Mail) -> None:
    made = mail.create()
    settings = mail.call("PATCH", "/settings", {"auth_sender_mailbox_id": made["mailbox_id"]}).json()
    assert settings["mailbox_settings"] == {
        "default_outbound_mailbox_id": made["mailbox_id"],
        "auth_sender_mailbox_id": made["mailbox_id"],
    }
    cleared = mail.call("PATCH", "/settings", {"default_outbound_mailbox_id": None}).json()
    assert cleared["mailbox_settings"]["default_outbound_mailbox_id"] is None
    assert mail.call("PATCH", "/settings", {"default_outbound_mailbox_id": "mbx_nope"}).status_code == 404
    assert mail.call("PATCH", "/settings", {}).status_code == 400


def test_sign_in_mails_come_from_the_auth_sender(mail: Mail, project: dict[str, Any]) -> None:
    made = mail.create("login")
    mail.call("PATCH", "/settings", {"auth_sender_mailbox_id": made["mailbox_id"]})
    wish = {"email": "ada@example.com", "delivery": "code"}
    mail.client.post("/auth/v1/magic-link", headers={"apikey": project["anon_key"]}, json=wish)
    sent = mail.messages(made)
    assert [(row["from_address"], row["subject"]) for row in sent] == [(made["address"], "Sign in to test")]


def test_a_message_lands_in_the_outbox(mail: Mail) -> None:
    made = mail.create()
    sent = mail.send(made, from_name="Büro").json()
    assert (sent["status"], sent["to"], sent["from_address"]) == ("sent", "ada@example.com", made["address"])
    assert sent["body_text"] == "Hi Ada & all"
    found = mail.call("GET", f"/{made['mailbox_id']}/messages/{sent['message_id']}").json()
    assert (found["subject"], found["replies"]) == ("Hello", [])
    assert [row["id"] for row in mail.call("GET", "/outbox").json()["messages"]] == [sent["message_id"]]
    assert mail.call("GET", f"/{made['mailbox_id']}").json()["sends_today"] == 1


@pytest.mark.parametrize("to", ["a..b@example.com", "o'hara@example.com", "jürgen@example.com", "[x@example.com"])
def test_unusual_addresses_are_written_to(mail: Mail, to: str) -> None:
    assert mail.send(mail.create(), to=to, from_name='Büro "7", <x>').json()["to"] == to


def test_a_footer_is_added_when_the_mailbox_says_so(mail: Mail) -> None:
    made = mail.create()
    assert "Run402" not in mail.send(made).json()["body_html"]
    assert mail.call("PATCH", f"/{made['mailbox_id']}", {"footer_policy": "nothing"}).status_code == 400
    mail.call("PATCH", f"/{made['mailbox_id']}", {"footer_policy": "run402_transparency"})
    assert "Run402" in mail.send(made).json()["body_html"]


@pytest.mark.parametrize(
    ("letter", "field"),
    [
        ({"to": "ada"}, "to"),
        ({"to": "a@example.com\r\nBcc: b@example.com"}, "to"),
        ({"subject": "Hi\r\nBcc: b@example.com"}, "subject"),
        ({"subject": "Hi\u2028Bcc: b@example.com"}, "subject"),
        ({"subject": "x" * 999}, "subject"),
        ({"html": ""}, "html"),
        ({"html": "x" * (1024**2 + 1)}, "html"),
        ({"from_name": "x" * 79}, "from_name"),
        ({"template": "poem"}, "template"),
        ({"template": "notification", "variables": {}}, "template"),
        ({"attachments": [{"filename": "a", "content_base64": "*"}]}, "attachments[0].content_base64"),
        ({"attachments": [{"filename": "a\n", "content_base64": ""}]}, "attachments[0].filename"),
        (
            {"attachments": [{"filename": "a", "content_base64": "", "content_type": "x"}]},
            "attachments[0].content_type",
        ),
        ({"attachments": [{"filename": "a", "content_base64": ""}] * 6}, "attachments"),
    ],
)
def test_letters_that_cannot_be_are_refused(mail: Mail, letter: dict[str, Any], field: str) -> None:
    made = mail.create()
    answer = mail.send(made, **letter)
    assert (answer.status_code, answer.json()["field"]) == (400, field)
    assert mail.messages(made) == []


def test_templates_are_filled_in_with_harmless_text(mail: Mail) -> None:
    made = mail.create()
    body = {"to": "ada@example.com", "template": "notification"}
    path = f"/{made['mailbox_id']}/messages"
    variables = {"project_name": "Guestbook", "message": "<script>alert(1)</script>"}
    sent = mail.call("POST", path, {**body, "variables": variables}).json()
    assert sent["template"] == "notification"
    assert sent["subject"] == "A message from Guestbook"
    assert "<script>" not in sent["body_html"]
    assert mail.call("POST", path, {**body, "variables": {"message": "x"}}).json()["field"] == "variables"
    bad = {"project_name": "P", "invite_url": "javascript:1"}
    refused = mail.call("POST", path, {**body, "template": "project_invite", "variables": bad})
    assert refused.json()["field"] == "variables.invite_url"


def test_mail_to_a_mailbox_of_this_gateway_is_received_and_answered_in_its_thread(mail: Mail) -> None:
    news, desk = mail.create("news"), mail.create("desk")
    attachment = {"filename": "a.bin", "content_base64": base64.b64encode(b"\x00\xff").decode()}
    question = mail.send(news, to=desk["address"].upper(), attachments=[attachment]).json()
    received = mail.inbound(desk)
    assert (received["from"], received["status"]) == (news["address"], "received")
    assert received["attachments_meta"][0] == {
        "filename": "a.bin",
        "content_type": "application/octet-stream",
        "size_bytes": 2,
    }
    raw = mail.call("GET", f"/{desk['mailbox_id']}/messages/{received['id']}/raw")
    assert raw.headers["content-type"] == "message/rfc822"
    parsed = email.message_from_bytes(raw.content, policy=email.policy.default)
    assert parsed["Subject"] == "Hello"
    assert [part.get_content() for part in parsed.iter_attachments()] == [b"\x00\xff"]
    mail.send(desk, to=news["address"], subject="Re: Hello", in_reply_to=received["id"], html="<p>Yes</p>")
    thread = mail.call("GET", f"/{news['mailbox_id']}/messages/{question['id']}").json()
    assert [(row["from"], row["body"]) for row in thread["replies"]] == [(desk["address"], "Yes")]


def test_a_sent_message_has_no_raw_bytes_and_unknown_ones_are_not_found(mail: Mail) -> None:
    made = mail.create()
    sent = mail.send(made).json()
    path = f"/{made['mailbox_id']}/messages"
    assert mail.call("GET", f"{path}/{sent['id']}/raw").json()["code"] == "RAW_MESSAGE_NOT_FOUND"
    assert mail.call("GET", f"{path}/msg_1").json()["code"] == "MESSAGE_NOT_FOUND"
    assert mail.send(made, in_reply_to="msg_1").json()["code"] == "MESSAGE_NOT_FOUND"


def test_messages_come_in_pages_newest_first(mail: Mail) -> None:
    made = mail.create()
    for number in range(5):
        mail.send(made, subject=str(number))
    path = f"/{made['mailbox_id']}/messages"
    first = mail.call("GET", path, limit=2).json()
    assert ([row["subject"] for row in first["messages"]], first["has_more"]) == (["4", "3"], True)
    rest = mail.call("GET", path, limit=9, after=first["next_cursor"]).json()
    assert ([row["subject"] for row in rest["messages"]], rest["has_more"]) == (["2", "1", "0"], False)
    assert mail.call("GET", path, limit=0).status_code == 400
    assert mail.call("GET", path, direction="sideways").status_code == 400


def test_deleting_a_mailbox_takes_its_messages_along(mail: Mail) -> None:
    made = mail.create()
    mail.send(made)
    assert mail.call("DELETE", f"/{made['mailbox_id']}").json()["address"] == made["address"]
    assert mail.call("GET").json()["mailboxes"] == []
    assert mail.call("GET", "/outbox").json()["messages"] == []
    assert mail.call("GET", f"/{made['mailbox_id']}").status_code == 404


class Receiver(HTTPServer):
    """A webhook receiver that answers `status` and keeps what came."""

    status = 200

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.seen: list[tuple[dict[str, str], dict[str, Any]]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/hook"


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.seen.append(({name.lower(): value for name, value in self.headers.items()}, body))
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        return


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    server = Receiver()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


def test_webhooks_are_told_about_mail(mail: Mail, receiver: Receiver) -> None:
    made = mail.create()
    path = f"/{made['mailbox_id']}/webhooks"
    hook = mail.call("POST", path, {"url": receiver.url, "events": ["delivery"]})
    assert hook.status_code == 201, hook.text
    sent = mail.send(made).json()
    headers, body = until(lambda: receiver.seen)[0]
    assert (body["type"], body["payload"]["message_id"]) == ("delivery", sent["message_id"])
    assert headers["x-run402-webhook-idempotency-key"] == body["idempotency_key"]

    def delivered() -> list[dict[str, Any]]:
        return list(mail.call("GET", f"{path}/deliveries", status="delivered").json()["deliveries"])

    assert until(delivered)[0]["attempts"] == 1
    changed = mail.call("PATCH", f"{path}/{hook.json()['webhook_id']}", {"events": ["bounced"]}).json()
    assert changed["events"] == ["bounced"]
    mail.send(made)
    assert mail.call("DELETE", f"{path}/{hook.json()['webhook_id']}").status_code == 200
    assert mail.call("GET", path).json()["webhooks"] == []
    assert len(mail.call("GET", f"{path}/deliveries").json()["deliveries"]) == 1


def test_a_delivery_that_was_given_up_can_be_sent_again(mail: Mail, receiver: Receiver, database_url: str) -> None:
    receiver.status = 500
    made = mail.create()
    path = f"/{made['mailbox_id']}/webhooks"
    mail.call("POST", path, {"url": receiver.url, "events": ["delivery"]})
    mail.send(made)

    def listed(status: str, **wanted: Any) -> dict[str, Any] | None:
        found = mail.call("GET", f"{path}/deliveries", status=status).json()["deliveries"]
        return next((dict(row) for row in found if wanted.items() <= row.items()), None)

    waiting = until(lambda: listed("pending", attempts=1))
    assert waiting["last_status"] == 500
    this = {"delivery_id": waiting["delivery_id"]}
    redrive = f"{path}/deliveries/{waiting['delivery_id']}/redrive"
    assert mail.call("POST", redrive).json()["code"] == "WEBHOOK_DELIVERY_NOT_FAILED"
    with psycopg.connect(database_url, autocommit=True) as db:
        db.execute("UPDATE internal.core_webhook_deliveries SET attempts = 7, next_attempt_at = now()")
    mail.send(made, to="wake@example.com")
    until(lambda: listed("failed_permanent", **this))
    receiver.status = 204
    assert mail.call("POST", redrive).json()["status"] == "requeued"
    until(lambda: listed("delivered", **this))
    assert mail.call("POST", f"{path}/deliveries/whd_x/redrive").status_code == 404


@pytest.mark.parametrize(
    "body",
    [
        {"url": "http://example.com/hook", "events": ["delivery"]},
        {"url": "ftp://localhost/hook", "events": ["delivery"]},
        {"url": "https://exa mple.com/", "events": ["delivery"]},
        {"url": "https://example.com/", "events": []},
        {"url": "https://example.com/", "events": ["party"]},
        {"events": ["delivery"]},
    ],
)
def test_bad_webhooks_are_refused(mail: Mail, body: dict[str, Any]) -> None:
    made = mail.create()
    assert mail.call("POST", f"/{made['mailbox_id']}/webhooks", body).status_code == 400


def test_mail_starts_the_functions_that_wait_for_it(mail: Mail, project: dict[str, Any]) -> None:
    functions = Functions(mail.client, project)
    news, desk = mail.create("news"), mail.create("desk")
    source = "export default async (req) => { const run = await req.json(); console.log('got', run.payload.message.subject) }"
    run = {"event_type": "mail_came", "payload": {"fixed": 1}}
    trigger = {"id": "mail", "type": "email", "mailbox": "desk", "events": ["reply_received"], "run": run}
    functions.deploy({"inbox": source}, settings={"inbox": {"triggers": [trigger]}})
    mail.send(news, to=desk["address"], subject="Question 7")
    until(lambda: "got Question 7" in functions.messages("inbox"))
    runs = mail.client.get("/functions/v1/inbox/runs", headers=functions.service).json()["runs"]
    assert [(run["event_type"], run["source"]["type"]) for run in runs] == [("mail_came", "email")]


CLICK = {
    "Sec-Fetch-Site": "cross-site",
    "Sec-Fetch-Mode": "navigate",
    "Sec-Fetch-Dest": "document",
    "Sec-Fetch-User": "?1",
}
PAGE = {"Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}


def test_the_page_shows_mails_and_runs_nothing_of_them(mail: Mail, project: dict[str, Any]) -> None:
    made = mail.create()
    evil = '<script>alert(1)</script><a href="https://app.example/?token=abc&amp;x=1">Go</a>'
    sent = mail.send(made, subject="<img src=x onerror=alert(1)>", html=evil).json()
    listed = mail.client.get("/_run402/mail", headers=PAGE)
    assert listed.status_code == 200
    assert "&lt;img src=x" in listed.text
    assert "<img" not in listed.text
    shown = mail.client.get(f"/_run402/mail/{sent['id']}", headers=CLICK)
    assert '<a href="https://app.example/?token=abc&amp;x=1" target="_blank"' in shown.text
    assert "<script>" not in shown.text
    assert "sandbox" in shown.headers["content-security-policy"]
    assert shown.headers["cross-origin-opener-policy"] == "same-origin"
    assert mail.client.get("/_run402/mail/msg_1", headers=PAGE).status_code == 404


def test_a_program_reads_the_links_and_codes_of_a_mail(mail: Mail, project: dict[str, Any]) -> None:
    anon = {"apikey": project["anon_key"]}
    for delivery in ("link", "code"):
        wish = {"email": f"{delivery}@example.com", "delivery": delivery, "redirect_url": "http://localhost:3000/in"}
        asked = mail.client.post("/auth/v1/magic-link", headers=anon, json=wish)
        assert asked.status_code == 200, asked.text
        assert "`run402 email outbox`" in asked.json()["message"]
    program = {"Accept": "application/json"}
    shown = mail.client.get("/_run402/mail?to=CODE@example.com", headers=program).json()["messages"]
    assert [(m["to"], m["links"], m["project_id"]) for m in shown] == [("code@example.com", [], project["project_id"])]
    assert len(shown[0]["codes"]) == 1
    assert shown[0]["codes"][0] in shown[0]["text"]
    (linked,) = mail.client.get("/_run402/mail?to=link@example.com", headers=program).json()["messages"]
    assert (linked["codes"], linked["links"][0].startswith("http://localhost:3000/in?")) == ([], True)
    assert mail.client.get(linked["url"], headers=PAGE).status_code == 200
    assert mail.client.get("/_run402/mail?to=nobody@example.com", headers=program).json() == {"messages": []}
    page = {**program, "Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"}
    assert mail.client.get("/_run402/mail", headers=page).status_code == 403


def test_the_command_reads_what_would_have_been_sent(mail: Mail, monkeypatch: pytest.MonkeyPatch) -> None:
    box = mail.create()
    mail.send(box, to=box["address"], subject="to itself")
    mail.send(box, subject="Your code", html="<p>Code 271828</p><a href='https://app.example/in?t=1'>in</a>")
    monkeypatch.setenv("RUN402_API_BASE", str(mail.client.base_url).rstrip("/"))
    monkeypatch.setattr(own_gateway, "token_for", lambda url, profile: CONTROL[CONTROL_HEADER])
    with Client() as client:
        shown = outbox(client)["messages"]
        assert [(m["subject"], m["direction"]) for m in shown] == [("Your code", "outbound"), ("to itself", "outbound")]
        assert (shown[0]["codes"], shown[0]["links"]) == (["271828"], ["https://app.example/in?t=1"])
        assert outbox(client, to=box["address"].upper())["messages"] == shown[1:]
        assert outbox(client, limit=1)["messages"] == shown[:1]
    assert problems(["email", "outbox"], 0, json.dumps({"messages": shown})) == []


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://blog.localhost:4020"},
        {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"},
        {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"},
        {"Host": "mail.example.com"},
    ],
)
def test_scripts_and_frames_do_not_get_the_page(client: httpx.Client, headers: dict[str, str]) -> None:
    answer = client.get("/_run402/mail", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (403, "ORIGIN_FORBIDDEN")
