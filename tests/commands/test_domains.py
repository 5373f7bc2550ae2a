"""run402 domains, as typed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pytest_httpx import HTTPXMock
from run_kit import BASE, Run

DOMAIN = f"{BASE}/projects/v1/prj_1/domains/example.com"


def desired(run: Run, httpx_mock: HTTPXMock, *flags: str) -> Any:
    """What `connect` asks for."""
    httpx_mock.add_response(method="POST", url=DOMAIN, json={"domain": "example.com"})
    assert run("domains", "connect", "example.com", *flags).json == {"domain": "example.com"}
    return json.loads(httpx_mock.get_requests()[-1].content)["desired"]


@pytest.mark.parametrize(
    ("flags", "web"),
    [
        (("--web",), {"enabled": True, "target": "production", "role": "primary"}),
        (("--web-target", "preview"), {"enabled": True, "target": "preview", "role": "primary"}),
        (("--primary-web", "--web-alias"), {"enabled": True, "target": "production", "role": "alias"}),
    ],
)
def test_connect_for_the_web(
    run: Run, wallet: Path, httpx_mock: HTTPXMock, flags: tuple[str, ...], web: dict[str, Any]
) -> None:
    assert desired(run, httpx_mock, *flags) == {"web": web}


def test_connect_for_mail_sends_every_wish(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    flags = "--email-send --email-receive --receive-strategy full-mx --mail-subdomain mail --confirm-mx-takeover fp"
    flags += " --mailbox-addresses alias --create-mailboxes --activation manual --authority hosted-zone"
    assert desired(run, httpx_mock, *flags.split(), "--addresses", " hello, ,support ") == {
        "authority": "hosted_dns_zone",
        "email": {
            "send": {"enabled": True},
            "receive": {
                "enabled": True,
                "strategy": "full_receive_takeover",
                "mail_subdomain": "mail",
                "observed_mx_fingerprint": "fp",
            },
            "mailbox_addresses": {
                "mode": "alias",
                "addresses": [
                    {"local_part": "hello", "mailbox_slug": "hello", "create_mailbox": True},
                    {"local_part": "support", "mailbox_slug": "support", "create_mailbox": True},
                ],
            },
            "activation": "manual",
        },
    }


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ("auto", "auto"),
        ("forwarding", "forwarding_mode"),
        ("subdomain_mode", "subdomain_mode"),
        ("outbound-only", "outbound_only"),
    ],
)
def test_receive_strategies_in_either_spelling(
    run: Run, wallet: Path, httpx_mock: HTTPXMock, given: str, sent: str
) -> None:
    wish = desired(run, httpx_mock, "--email-receive", "--receive-strategy", given)
    assert wish == {"email": {"receive": {"enabled": True, "strategy": sent}}}


def test_flags_of_mail_mean_nothing_without_mail(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    wish = desired(run, httpx_mock, "--web", "--receive-strategy", "odd", "--activation", "odd", "--addresses", "a")
    assert list(wish) == ["web"]


@pytest.mark.parametrize(
    ("flags", "code", "details"),
    [
        ((), "BAD_USAGE", None),
        (("--authority", "manual-dns"), "BAD_USAGE", None),
        (("--create-mailboxes", "--no-create-mailboxes"), "BAD_FLAG", None),
        (("--web", "--authority", "me"), "BAD_FLAG", {"flag": "--authority", "value": "me"}),
        (
            ("--mailbox-addresses", "a,b"),
            "BAD_FLAG",
            {"flag": "--mailbox-addresses", "value": "a,b", "replacement_flag": "--addresses"},
        ),
        (
            ("--email-receive", "--receive-strategy", "x"),
            "BAD_FLAG",
            {"flag": "--receive-strategy", "value": "x"},
        ),
        (("--mailbox-addresses", "primary"), "BAD_FLAG", {"flag": "--addresses", "domain": "example.com"}),
    ],
)
def test_connect_refuses_before_any_request(
    run: Run, wallet: Path, flags: tuple[str, ...], code: str, details: Any
) -> None:
    error = run("domains", "connect", "example.com", *flags).error
    assert error["code"] == code
    if details is not None:
        assert error["details"] == details


def test_an_unknown_activation_is_a_bad_flag(run: Run, wallet: Path) -> None:
    error = run("domains", "connect", "example.com", "--email-send", "--activation", "soon").error
    assert (error["code"], error["details"]["flag"], error["details"]["value"]) == ("BAD_FLAG", "--activation", "soon")


@pytest.mark.parametrize(("status", "told"), [("awaiting_delegation", True), ("delegated", False)])
def test_a_hosted_zone_names_its_servers_on_stderr(
    run: Run, wallet: Path, httpx_mock: HTTPXMock, status: str, told: bool
) -> None:
    zone = {"status": status, "ns_assigned": ["ns1.example.net"], "imported_records": [{}, {}]}
    httpx_mock.add_response(method="POST", url=DOMAIN, json={"hosted_zone": zone})
    outcome = run("domains", "connect", "example.com", "--web")
    assert outcome.json == {"hosted_zone": zone}
    assert ("ns1.example.net" in outcome.err) is told
    assert ("2 existing" in outcome.err) is told


def test_each_action_has_its_route(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(json={"status": "active"}, is_reusable=True)
    for action in ("check", "apply", "repair", "activate", "status"):
        run("domains", action, "exa/mple")
    run("domains", "test-receive", "example.com", "--to", "hello")
    run("domains", "list", "--include-managed", "--project", "prj_2")
    run("domains", "disconnect", "example.com", "--confirm")
    base = "/projects/v1/prj_1/domains"
    assert [(r.method, r.url.raw_path.decode(), r.content.decode()) for r in httpx_mock.get_requests()] == [
        ("POST", f"{base}/exa%2Fmple/actions/check", ""),
        ("POST", f"{base}/exa%2Fmple/actions/apply", ""),
        ("POST", f"{base}/exa%2Fmple/actions/repair", ""),
        ("POST", f"{base}/exa%2Fmple/actions/activate_mailbox_addresses", ""),
        ("GET", f"{base}/exa%2Fmple", ""),
        ("POST", f"{base}/example.com/actions/test_receive", '{"to":"hello"}'),
        ("GET", "/projects/v1/prj_2/domains", ""),
        ("DELETE", f"{base}/example.com", ""),
    ]
    assert all("sign-in-with-x" in r.headers and "apikey" not in r.headers for r in httpx_mock.get_requests())


@pytest.mark.parametrize("action", ["connect", "check", "apply", "repair", "activate", "dns", "disconnect", "wait"])
def test_without_a_domain_the_domain_is_asked_for(run: Run, action: str) -> None:
    assert run("domains", action).error["code"] == "BAD_USAGE"


def test_status_and_list_want_the_project_first(run: Run) -> None:
    assert run("domains", "status").error["code"] == "PROJECT_REQUIRED"
    assert run("domains", "list", "more").error["code"] == "PROJECT_REQUIRED"
    for args in (("status",), ("status", "a", "b"), ("list", "more")):
        assert run("domains", *args, "--project", "prj_1").error["code"] == "BAD_USAGE"


def test_a_receive_test_needs_an_address(run: Run, wallet: Path) -> None:
    error = run("domains", "test-receive", "example.com").error
    assert (error["code"], error["details"]) == ("BAD_FLAG", {"flag": "--to"})


def test_disconnect_wants_confirmation_before_a_project(run: Run) -> None:
    error = run("domains", "disconnect", "example.com").error
    assert (error["code"], error["details"]) == ("CONFIRMATION_REQUIRED", {"domain": "example.com"})


@pytest.mark.parametrize(
    ("extra", "actions"),
    [({"next_actions": [{"type": "a"}]}, [{"type": "a"}]), ({"next_action": {"type": "b"}}, [{"type": "b"}]), ({}, [])],
)
def test_dns_shows_records_checks_and_actions(
    run: Run, wallet: Path, httpx_mock: HTTPXMock, extra: dict[str, Any], actions: list[Any]
) -> None:
    rows = [{"id": "1", "bind": "example.com. CNAME edge."}, {"id": "2"}, {"id": "3", "bind": "mail MX 10 mx."}]
    answer = {"domain": "example.com", "status": "waiting", "dns_records": rows, "checks": [{"id": "c"}], **extra}
    httpx_mock.add_response(url=DOMAIN, json=answer, is_reusable=True)
    assert run("domains", "dns", "example.com").json == {
        "domain": "example.com",
        "dns_records": rows,
        "checks": [{"id": "c"}],
        "next_actions": actions,
    }
    assert run("domains", "dns", "example.com", "--format", "bind").out == "example.com. CNAME edge.\nmail MX 10 mx.\n"


def test_dns_knows_two_formats(run: Run, wallet: Path) -> None:
    assert run("domains", "dns", "example.com", "--format", "xml").error["code"] == "BAD_FLAG"


WAIT = ("domains", "wait", "example.com", "--interval-ms", "1", "--timeout-ms")
OPEN = [{"id": "mx", "blocking": True, "status": "pending"}, {"id": "spf", "blocking": False, "status": "failed"}]
PASSED = [{"id": "mx", "blocking": True, "status": "passed"}, OPEN[1]]


@pytest.mark.parametrize(
    ("until", "before", "after"),
    [
        ("active", {"status": "waiting"}, {"status": "active"}),
        ("safe", {"checks": OPEN}, {"checks": PASSED}),
        (
            "receive-active",
            {"status": "active", "effective": {"email": {"receive": {"active": False}}}},
            {"effective": {"email": {"receive": {"active": True}}}},
        ),
    ],
)
def test_wait_checks_until_the_condition_holds(
    run: Run, wallet: Path, httpx_mock: HTTPXMock, until: str, before: dict[str, Any], after: dict[str, Any]
) -> None:
    for answer in (before, before, after):
        httpx_mock.add_response(method="POST", url=f"{DOMAIN}/actions/check", json=answer)
    assert run(*WAIT, "60000", "--until", until).json == after


def test_wait_gives_up_with_what_is_open(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    answer = {"status": "waiting", "checks": OPEN}
    httpx_mock.add_response(url=f"{DOMAIN}/actions/check", json=answer, is_reusable=True)
    error = run(*WAIT, "5").error
    assert (error["code"], error["category"]) == ("DOMAIN_WAIT_TIMEOUT", "local")
    assert error["details"] == {
        "project_id": "prj_1",
        "domain": "example.com",
        "until": "active",
        "last_status": "waiting",
        "checks": OPEN,
    }
    assert error["next_actions"] == [
        {
            "type": "check",
            "command": "run402 domains check example.com --project prj_1",
            "argv": ["run402", "domains", "check", "example.com", "--project", "prj_1"],
        }
    ]


def test_wait_ends_at_the_first_refusal(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(status_code=403, json={"code": "STEP_UP_REQUIRED"})
    assert run(*WAIT, "60000").error["code"] == "STEP_UP_REQUIRED"
    assert len(httpx_mock.get_requests()) == 1


@pytest.mark.parametrize(
    "flags", [("--until", "soon"), ("--timeout-ms", "0"), ("--interval-ms", "x"), ("--timeout-ms", "1.5")]
)
def test_wait_checks_its_flags(run: Run, wallet: Path, flags: tuple[str, ...]) -> None:
    assert run("domains", "wait", "example.com", *flags).error["code"] == "BAD_FLAG"
