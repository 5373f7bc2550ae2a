"""run402 email, as typed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pytest_httpx import HTTPXMock
from run_kit import BASE, Outcome, Run

HELLO = {"mailbox_id": "mbx_1", "slug": "hello", "address": "hello@m.test", "status": "active", "can_send": True}
TWO = {"mailbox_id": "mbx_2", "slug": "two", "address": "two@m.test"}
LIST = f"{BASE}/mailboxes/v1"
SENT = {"message_id": "msg_1", "to": "ada@example.com", "template": None, "status": "sent", "sent_at": "t", "extra": 1}
RAW = ("--subject", "s", "--html", "<p>x</p>")
TO = ("send", "--to", "ada@example.com")


def listing(httpx_mock: HTTPXMock, *mailboxes: dict[str, Any], **more: Any) -> None:
    httpx_mock.add_response(method="GET", url=LIST, json={"mailboxes": list(mailboxes), "dropped": 1, **more})


def cached(wallet: Path) -> dict[str, Any]:
    entry = json.loads((wallet / "credentials" / "project-keys.v1.json").read_bytes())["projects"]["prj_1"]
    return {key: value for key, value in entry.items() if key.startswith("mailbox")}


def calls(httpx_mock: HTTPXMock) -> list[str]:
    return [f"{r.method} {r.url.raw_path.decode()}" for r in httpx_mock.get_requests()]


def body(httpx_mock: HTTPXMock) -> Any:
    return json.loads(httpx_mock.get_requests()[-1].content)


# -- choosing a mailbox -------------------------------------------------------------------------------------------------


def test_the_only_mailbox_is_found_and_remembered(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    listing(httpx_mock, HELLO)
    httpx_mock.add_response(json={"webhooks": []})
    assert run("email", "webhooks", "list").json == {"webhooks": []}
    assert calls(httpx_mock) == ["GET /mailboxes/v1", "GET /mailboxes/v1/mbx_1/webhooks"]
    assert {r.headers["authorization"] for r in httpx_mock.get_requests()} == {"Bearer svc_key_1"}
    assert cached(wallet) == {"mailbox_id": "mbx_1", "mailbox_address": "hello@m.test"}


def test_an_id_costs_no_look_at_the_list_and_is_encoded(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(json={"webhooks": []})
    run("email", "webhooks", "list", "--mailbox", "mbx_a/b")
    assert calls(httpx_mock) == ["GET /mailboxes/v1/mbx_a%2Fb/webhooks"]
    assert cached(wallet) == {}


def test_a_slug_is_looked_up_and_not_remembered(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    listing(httpx_mock, HELLO)
    httpx_mock.add_response(json=[])
    assert run("email", "list", "--mailbox", "hello").json == []
    assert cached(wallet) == {}


@pytest.mark.parametrize(
    ("mailboxes", "selector", "http", "says"),
    [
        ([], (), 404, "email create"),
        ([HELLO, TWO], (), 409, "hello, two"),
        ([HELLO], ("--mailbox", "nope"), 404, "hello"),
    ],
)
def test_no_clear_choice_is_an_api_error_that_names_what_there_is(
    run: Run, wallet: Path, httpx_mock: HTTPXMock, mailboxes: list[Any], selector: tuple[str, ...], http: int, says: str
) -> None:
    listing(httpx_mock, *mailboxes)
    error = run("email", "list", *selector).error
    assert (error["http"], error["code"]) == (http, "API_ERROR")
    assert says in error["message"]


def test_a_dry_run_shows_the_message_and_remembers_nothing(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    listing(httpx_mock, HELLO)
    shown = run("email", *TO, *RAW, "--dry-run").json
    assert shown["requests"][0]["method"] == "POST"
    assert calls(httpx_mock) == ["GET /mailboxes/v1"]
    assert cached(wallet) == {}


# -- mailboxes ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "answer",
    [
        {"id": "mbx_1", "address": "a@m.test", "slug": "abc", "mailbox_settings": {}, "sends_today": 1},
        {"mailbox": {"mailbox_id": "mbx_1", "address": "a@m.test", "slug": "abc"}, "mailbox_settings": {}},
    ],
)
def test_create_flattens_both_answers_and_remembers_the_mailbox(
    run: Run, wallet: Path, httpx_mock: HTTPXMock, answer: dict[str, Any]
) -> None:
    httpx_mock.add_response(method="POST", url=LIST, status_code=201, json=answer)
    shown = {"mailbox_id": "mbx_1", "address": "a@m.test", "slug": "abc", "mailbox_settings": {}, "created": True}
    assert run("email", "create", "abc").json == shown
    assert body(httpx_mock) == {"slug": "abc", "project_id": "prj_1"}
    assert cached(wallet) == {"mailbox_id": "mbx_1", "mailbox_address": "a@m.test"}


@pytest.mark.parametrize("slug", ["ab", "a" * 64, "Abc", "a--b", "ab-", "a_b", "a.b", "äbc"])
def test_an_impossible_slug_is_refused_before_any_request(run: Run, wallet: Path, slug: str) -> None:
    assert run("email", "create", slug).error["code"] == "LOCAL_ERROR"


def test_the_list_keeps_its_four_keys(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    listing(httpx_mock, HELLO, next_actions=[], provider_readiness={}, mailbox_settings={})
    assert set(run("email", "mailboxes").json) == {
        "mailboxes",
        "mailbox_settings",
        "provider_readiness",
        "next_actions",
    }


def test_defaults_take_a_slug_an_id_or_nothing(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    listing(httpx_mock, HELLO)
    httpx_mock.add_response(method="PATCH", url=f"{LIST}/settings", json={"mailboxes": []})
    assert run("email", "defaults", "--outbound", "hello", "--clear-auth-sender").json == {"mailboxes": []}
    assert body(httpx_mock) == {"default_outbound_mailbox_id": "mbx_1", "auth_sender_mailbox_id": None}


def test_an_unknown_slug_for_a_role_lists_the_candidates(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    listing(httpx_mock, HELLO)
    error = run("email", "defaults", "--auth-sender", "nope").error
    assert error["code"] == "MAILBOX_NOT_FOUND"
    assert error["details"]["flag"] == "--auth-sender"
    assert [row["slug"] for row in error["details"]["candidates"]] == ["hello"]
    assert error["next_actions"] == [
        {"type": "list_mailboxes", "command": "run402 email mailboxes", "argv": ["run402", "email", "mailboxes"]}
    ]


@pytest.mark.parametrize(
    "args",
    [
        ("create",),
        ("defaults", "--outbound", "a", "--clear-outbound"),
        ("defaults", "--auth-sender", "a", "--clear-auth-sender"),
        ("update",),
        ("update", "a", "b", "--footer-policy", "none"),
        ("update", "a", "--mailbox", "b", "--footer-policy", "none"),
        ("send", *RAW),
        ("send", "--to", "a@b.c", "--attach", "missing.pdf", *RAW),
        ("send", "--to", "a@b.c", "--template", "t", "--vars", "[1]"),
        ("get",),
        ("get-raw",),
        ("reply", "msg_1"),
        ("webhooks", "get"),
        ("webhooks", "register", "--url", "https://e.com"),
        ("webhooks", "update", "whk_1"),
        ("webhooks", "redrive"),
    ],
)
def test_what_is_missing_or_contradicts_itself_is_bad_usage(run: Run, wallet: Path, args: tuple[str, ...]) -> None:
    error = run("email", *args).error
    assert error["code"] == "BAD_USAGE"
    assert error["hint"]


def test_an_unknown_footer_policy_is_bad_usage_with_its_value(run: Run, wallet: Path) -> None:
    assert run("email", "update", "--footer-policy", "x").error["details"] == {"footer_policy": "x"}


def test_update_takes_the_same_mailbox_twice_and_prints_its_info(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(method="PATCH", url=f"{LIST}/mbx_1", json={**HELLO, "sends_today": 3})
    shown = run("email", "update", "mbx_1", "--mailbox", "mbx_1", "--footer-policy", "none").json
    assert shown == HELLO
    assert body(httpx_mock) == {"footer_policy": "none"}


@pytest.mark.parametrize("word", ["info", "status"])
def test_info_looks_an_id_up_in_the_list_too(run: Run, wallet: Path, httpx_mock: HTTPXMock, word: str) -> None:
    listing(httpx_mock, HELLO, {**TWO, "project_id": "p", "created_at": "t"})
    assert run("email", word, "--mailbox", "mbx_2").json == TWO


def test_delete_wants_a_confirmation_and_forgets_the_mailbox(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    assert run("email", "delete", "mbx_1").error["code"] == "CONFIRMATION_REQUIRED"
    httpx_mock.add_response(method="POST", json=HELLO)
    run("email", "create", "hello")
    httpx_mock.add_response(method="DELETE", url=f"{LIST}/mbx_1", json={"mailbox_id": "mbx_1", "address": "a", "x": 1})
    deleted = run("email", "delete", "mbx_1", "--confirm").json
    assert deleted == {"mailbox_id": "mbx_1", "address": "a", "deleted": True}
    assert cached(wallet) == {}


# -- sending ------------------------------------------------------------------------------------------------------------


def send(run: Run, *args: str) -> Outcome:
    return run("email", *TO, *args, "--mailbox", "mbx_1")


def test_a_raw_message_carries_its_attachments(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    files = ("a.pdf", "b.TXT", "c", "d.bin")
    for name in files:
        Path(name).write_bytes(b"data")
    httpx_mock.add_response(json=SENT)
    specs = [arg for name in (*files[:3], "d.bin:Image/X-Own") for arg in ("--attach", name)]
    shown = send(run, *RAW, "--text", "t", "--from-name", "Me", "--var", "a=b", *specs).json
    assert shown == {**{key: value for key, value in SENT.items() if key != "extra"}, "sent": True}
    sent = body(httpx_mock)
    types = [item["content_type"] for item in sent["attachments"]]
    assert types == ["application/pdf", "text/plain", "application/octet-stream", "image/x-own"]
    assert sent["attachments"][0] == {
        "filename": "a.pdf",
        "content_base64": "ZGF0YQ==",
        "content_type": "application/pdf",
    }
    assert sent.keys() == {"to", "subject", "html", "text", "attachments", "from_name"}


def test_template_variables_are_texts_and_single_ones_win(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(json=SENT)
    objects = ("--vars", '{"a": 1, "b": true, "c": "x", "d": null}', "--vars", '{"c": "y"}')
    send(run, "--template", "notification", *objects, "--var", "a=b=c", "--var", "=no", "--var", "no", "--text", "t")
    assert body(httpx_mock) == {
        "to": "ada@example.com",
        "template": "notification",
        "variables": {"a": "b=c", "b": "true", "c": "y", "d": "null"},
    }


@pytest.mark.parametrize(
    "args",
    [
        ("send", "--to", "nobody", *RAW),
        TO,
        (*TO, "--template", "t", "--subject", "s"),
        (*TO, "--template", "t", "--html", "h"),
        (*TO, "--subject", "s"),
        (*TO, "--html", "h"),
        (*TO, "--template", "t", "--attach", "a.txt"),
        ("list", "--direction", "up"),
        ("webhooks", "register", "--url", "https://e.com", "--events", "delivery,"),
        ("webhooks", "update", "w", "--events", "opened"),
        ("webhooks", "deliveries", "--status", "failed"),
        ("webhooks", "deliveries", "--limit", "0"),
        ("webhooks", "deliveries", "--limit", "x"),
    ],
)
def test_values_that_cannot_work_are_refused_before_any_request(run: Run, wallet: Path, args: tuple[str, ...]) -> None:
    Path("a.txt").write_text("x")
    error = run("email", *args).error
    assert (error["code"], error["category"], error["retryable"]) == ("LOCAL_ERROR", "local", False)
    assert "safe_to_retry" not in error


def test_variables_that_are_no_json_show_where(run: Run, wallet: Path) -> None:
    error = run("email", *TO, "--template", "t", "--vars", "{" + "x" * 50).error
    assert error["code"] == "BAD_JSON_FLAG"
    assert len(error["details"]["value_preview"]) == 32


def test_the_default_outbound_mailbox_sends(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    listing(httpx_mock, HELLO, TWO, mailbox_settings={"default_outbound_mailbox_id": "mbx_2"})
    httpx_mock.add_response(method="POST", url=f"{LIST}/mbx_2/messages", json=SENT)
    assert run("email", *TO, *RAW).json["sent"] is True


def test_a_marked_mailbox_sends_when_the_settings_name_none(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    listing(httpx_mock, HELLO, {**TWO, "is_default_outbound": True}, mailbox_settings={})
    httpx_mock.add_response(method="POST", url=f"{LIST}/mbx_2/messages", json=SENT)
    assert run("email", *TO, *RAW).exit == 0


@pytest.mark.parametrize(
    ("mailboxes", "settings", "code", "http", "reason"),
    [
        ([HELLO], {"default_outbound_mailbox_id": "mbx_9"}, "INVALID", 409, "missing_from_mailbox_list"),
        (
            [{**HELLO, "can_send": False, "send_blocked_reason": "bounces"}],
            {"default_outbound_mailbox_id": "mbx_1"},
            "INVALID",
            409,
            "bounces",
        ),
        ([{**HELLO, "can_send": False}], {"default_outbound_mailbox_id": "mbx_1"}, "INVALID", 409, "send_blocked"),
        ([HELLO, TWO], {"default_outbound_mailbox_id": None}, "REQUIRED", 409, None),
        ([HELLO], {}, "REQUIRED", 400, None),
    ],
)
def test_an_unusable_default_says_how_to_set_one(
    run: Run,
    wallet: Path,
    httpx_mock: HTTPXMock,
    mailboxes: list[Any],
    settings: Any,
    code: str,
    http: int,
    reason: str | None,
) -> None:
    listing(httpx_mock, *mailboxes, mailbox_settings=settings)
    error = run("email", *TO, *RAW).error
    assert (error["code"], error["http"], error["category"]) == (f"DEFAULT_MAILBOX_{code}", http, "email")
    assert error["details"].get("reason") == reason
    assert error["details"]["candidates"][0]["mailbox_id"] == "mbx_1"
    assert error["next_actions"][0]["type"] == "set_mailbox_defaults"
    assert error["next_actions"][0]["command"].endswith("--project prj_1")


# -- reading ------------------------------------------------------------------------------------------------------------


def test_messages_are_an_array_with_both_ids(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    rows = [{"id": "m1"}, {"message_id": "m2", "direction": "inbound", "template": "t"}]
    httpx_mock.add_response(
        url=f"{LIST}/mbx_1/messages?limit=2&after=m0&direction=inbound", json={"messages": rows, "has_more": True}
    )
    shown = run("email", "list", "--mailbox=mbx_1", "--limit=2", "--after=m0", "--direction=inbound").json
    assert shown == [
        {"id": "m1", "message_id": "m1", "direction": "outbound", "template": None},
        {"id": "m2", "message_id": "m2", "direction": "inbound", "template": "t"},
    ]


@pytest.mark.parametrize(("limit", "details"), [("0", {"min": 1, "value": 0}), ("x", {"value": "x"})])
def test_a_page_size_is_a_positive_number(run: Run, wallet: Path, limit: str, details: dict[str, Any]) -> None:
    error = run("email", "list", "--limit", limit).error
    assert (error["code"], error["details"]) == ("BAD_FLAG", {"flag": "--limit", **details})


def test_a_message_has_a_template_and_variables_even_without(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(url=f"{LIST}/mbx_1/messages/m%2F1", json={"message_id": "m/1", "replies": []})
    assert run("email", "get", "m/1", "--mailbox", "mbx_1").json == {
        "id": "m/1",
        "message_id": "m/1",
        "replies": [],
        "template": None,
        "variables": {},
    }


def test_raw_bytes_are_saved_as_they_are(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    data = b"From: a\r\n\r\n\xff\x00\r\n"
    httpx_mock.add_response(content=data, headers={"content-type": "message/rfc822"})
    shown = run("email", "get-raw", "m1", "--output", "m.eml", "--mailbox", "mbx_1").json
    assert shown == {"message_id": "m1", "bytes": len(data), "output": "m.eml", "replaced": False}
    assert Path("m.eml").read_bytes() == data


def test_raw_bytes_without_a_place_are_an_error(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    assert run("email", "get-raw", "m1").error["details"] == {"flag": "--output"}
    httpx_mock.add_response(content=b"x")
    error = run("email", "get-raw", "m1", "--output", "no/such/m.eml", "--mailbox", "mbx_1").error
    assert (error["code"], error["details"]) == ("BAD_ENV", {"path": "no/such/m.eml"})
    assert not Path("no").exists()


# -- replying -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("original", "flags", "subject"),
    [
        ({"from": "a@b.c", "from_address": "x@y.z", "subject": "Hi"}, (), "Re: Hi"),
        ({"from_address": "a@b.c", "sender": "x@y.z", "subject": "RE: Hi"}, (), "RE: Hi"),
        ({"sender": "a@b.c"}, (), "Re: (no subject)"),
        ({"from": "a@b.c", "subject": "Hi"}, ("--subject", "Own"), "Own"),
    ],
)
def test_a_reply_goes_to_the_sender_in_the_thread(
    run: Run, wallet: Path, httpx_mock: HTTPXMock, original: dict[str, Any], flags: tuple[str, ...], subject: str
) -> None:
    httpx_mock.add_response(method="GET", url=f"{LIST}/mbx_1/messages/m1", json=original)
    httpx_mock.add_response(method="POST", url=f"{LIST}/mbx_1/messages", json=SENT)
    shown = run("email", "reply", "m1", "--html", "h", "--text", "t", *flags, "--mailbox", "mbx_1").json
    assert shown == {
        "message_id": "msg_1",
        "to": "a@b.c",
        "subject": subject,
        "in_reply_to": "m1",
        "sent": True,
    }
    assert body(httpx_mock) == {
        "to": "a@b.c",
        "subject": subject,
        "html": "h",
        "text": "t",
        "in_reply_to": "m1",
    }


def test_a_reply_to_nobody_names_the_keys_there_are(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(json={"id": "m1", "subject": "s"})
    error = run("email", "reply", "m1", "--html", "h", "--mailbox", "mbx_1").error
    assert error["code"] == "BAD_USAGE"
    assert "subject" in error["details"]["original_keys"]


def test_a_reply_needs_html_after_all(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(json={"id": "m1", "from": "a@b.c"})
    assert run("email", "reply", "m1", "--text", "t", "--mailbox", "mbx_1").error["code"] == "LOCAL_ERROR"


# -- webhooks -----------------------------------------------------------------------------------------------------------

HOOKS = "/mailboxes/v1/mbx_1/webhooks"
WEBHOOK_CALLS = [
    (("get", "w/1"), "GET", f"{HOOKS}/w%2F1", ""),
    (
        ("register", "--url", "https://e.com/h", "--events", "delivery, bounced"),
        "POST",
        HOOKS,
        '{"url":"https://e.com/h","events":["delivery","bounced"]}',
    ),
    (("update", "w1", "--events", "complained"), "PATCH", f"{HOOKS}/w1", '{"events":["complained"]}'),
    (("update", "w1", "--url", "https://e.com"), "PATCH", f"{HOOKS}/w1", '{"url":"https://e.com"}'),
    (
        ("deliveries", "--status", "pending", "--limit", "5", "--after", "d"),
        "GET",
        f"{HOOKS}/deliveries?status=pending&limit=5&after=d",
        "",
    ),
    (("redrive", "d1"), "POST", f"{HOOKS}/deliveries/d1/redrive", ""),
]


@pytest.mark.parametrize(("args", "method", "path", "content"), WEBHOOK_CALLS)
def test_each_webhook_command_prints_the_answer(
    run: Run, wallet: Path, httpx_mock: HTTPXMock, args: tuple[str, ...], method: str, path: str, content: str
) -> None:
    httpx_mock.add_response(json={"webhook_id": "w1", "more": 1})
    assert run("email", "webhooks", *args, "--mailbox", "mbx_1").json == {"webhook_id": "w1", "more": 1}
    (request,) = httpx_mock.get_requests()
    assert (request.method, request.url.raw_path.decode(), request.content.decode()) == (method, path, content)


def test_deleting_a_webhook_names_the_project(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(method="DELETE", status_code=204)
    shown = run("email", "webhooks", "delete", "w1", "--mailbox", "mbx_1").json
    assert shown == {"webhook_id": "w1", "project_id": "prj_1", "deleted": True}


@pytest.mark.parametrize(
    ("url", "details"),
    [
        ("example.com/h", {}),
        ("https://", {}),
        ("http://e.com/h", {"scheme": "http:"}),
        ("ftp://e.com", {"scheme": "ftp:"}),
    ],
)
def test_a_webhook_needs_an_https_url(run: Run, wallet: Path, url: str, details: dict[str, str]) -> None:
    for args in (("register", "--events", "delivery"), ("update", "w1")):
        error = run("email", "webhooks", *args, "--url", url).error
        assert (error["code"], error["field"]) == ("BAD_WEBHOOK_URL", "--url")
        assert error["details"] == {"flag": "--url", "value": url, **details}


@pytest.mark.parametrize("args", [("mailboxes",), (*TO, *RAW), ("webhooks", "deliveries")])
def test_without_cached_keys_nothing_is_sent(run: Run, args: tuple[str, ...]) -> None:
    assert run("email", *args, "--project", "prj_x").error["code"] == "PROJECT_CREDENTIAL_NOT_FOUND"


# -- the outbox of a local gateway ---------------------------------------------------------------------------------------


def letter(number: int) -> dict[str, Any]:
    return {"message_id": f"msg_{number}", "to": "ada@example.com", "links": [], "codes": ["123456"]}


def test_the_outbox_is_read_as_json_without_a_project(run: Run, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(json={"messages": [letter(2), letter(1)]})
    shown = run("email", "outbox", "--to", "ada@example.com", "--limit", "1").json
    assert shown == {"messages": [letter(2)]}
    assert calls(httpx_mock) == ["GET /_run402/mail?to=ada%40example.com&direction=outbound"]
    (request,) = httpx_mock.get_requests()
    assert request.headers["accept"] == "application/json"
    assert "authorization" not in request.headers


def test_the_cloud_has_no_outbox_and_is_not_asked(
    run: Run, wallet: Path, httpx_mock: HTTPXMock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUN402_API_BASE", "https://api.run402.com")
    error = run("email", "outbox").error
    assert error["code"] == "LOCAL_GATEWAY_REQUIRED"
    assert "https://api.run402.com" in error["message"]
    assert [action["command"] for action in error["next_actions"]] == ["run402 email list --direction outbound"]
    assert "run402 core start --use" in error["hint"]
    assert calls(httpx_mock) == []


@pytest.mark.parametrize("words", [("--limit", "0"), ("--limit", "101"), ("--limit", "x"), ("--to", "nobody")])
def test_a_wrong_wish_for_the_outbox_is_told_before_any_call(
    run: Run, httpx_mock: HTTPXMock, words: tuple[str, str]
) -> None:
    error = run("email", "outbox", *words).error
    assert ("--limit" if words[0] == "--limit" else "nobody") in error["message"]
    assert calls(httpx_mock) == []
