"""Users, mail, jobs, errors and events with the real command line and gateway."""

from __future__ import annotations

import json
import re
import time
from typing import Any

import httpx
import pytest
from e2e_kit import Cli

EMAIL = "ada@example.com"


@pytest.fixture
def keys(cli: Cli, project: dict[str, Any], gateway: dict[str, Any]) -> dict[str, str]:
    return {"url": gateway["url"], "anon": project["anon_key"], "service": project["service_key"]}


def newest_mail(keys: dict[str, str]) -> str:
    headers = {"apikey": keys["service"]}
    answer = httpx.get(f"{keys['url']}/mailboxes/v1/outbox", headers=headers, timeout=30)
    return str(answer.json()["messages"][0]["body_text"])


def test_a_user_signs_in_with_a_link_and_with_a_code(cli: Cli, keys: dict[str, str]) -> None:
    asked = cli.ok("auth", "magic-link", "--email", EMAIL, "--redirect", "http://localhost:3000/in", "--state", "s1")
    assert asked["accepted"] is True
    link = re.search(r"token=(\S+)", newest_mail(keys))
    assert link is not None
    session = cli.ok("auth", "verify", "--token", link[1])
    assert (session["user"]["email"], session["magic_link"]["client_state"]) == (EMAIL, "s1")
    used = cli("auth", "verify", "--token", link[1]).envelope
    assert (used["code"], used["http"]) == ("R402_AUTH_INVALID_TOKEN", 401)

    challenge = cli.ok("auth", "magic-link", "--email", EMAIL, "--delivery", "code")["challenge_id"]
    code = re.search(r"\b\d{6}\b", newest_mail(keys))
    assert code is not None
    again = cli.ok("auth", "verify", "--challenge-id", challenge, "--code", code[0])
    assert again["user"]["id"] == session["user"]["id"]


def test_the_owner_manages_users_and_settings(cli: Cli, keys: dict[str, str]) -> None:
    made = cli.ok("auth", "create-user", "--email", EMAIL)
    assert (made["created"], made["is_admin"]) == (True, False)
    assert cli.ok("projects", "promote-user", EMAIL)["promoted"] is True
    assert cli.ok("auth", "create-user", "--email", EMAIL)["is_admin"] is True
    assert cli.ok("projects", "demote-user", EMAIL)["demoted"] is True
    assert cli("projects", "promote-user", "nobody@example.com").envelope["code"] == "USER_NOT_FOUND"
    stranger = {"email": "eve@example.com", "password": "set by a stranger"}
    headers = {"apikey": keys["anon"]}
    assert httpx.post(f"{keys['url']}/auth/v1/signup", headers=headers, json=stranger, timeout=30).status_code == 201
    told = cli.ok("projects", "promote-user", "eve@example.com")
    assert (told["promoted"], told["password_removed"]) == (True, True)
    assert "run402 auth magic-link --email eve@example.com" in told["note"]
    invited = cli.ok("auth", "invite-user", "--email", "bob@example.com", "--redirect", "http://localhost:3000/in")
    assert invited["invite_sent"] is True
    assert "invited" in newest_mail(keys)
    settings = cli.ok("auth", "settings", "--allow-password-set", "true", "--public-signup", "known_email")
    assert (settings["allow_password_set"], settings["public_signup"]) == (True, "known_email")
    assert cli.ok("auth", "providers")["magic_link"]["deliveryModes"] == ["link", "code", "both"]
    link = re.search(r"token=(\S+)", newest_mail(keys))
    assert link is not None
    token = cli.ok("auth", "verify", "--token", link[1])["access_token"]
    assert cli.ok("auth", "set-password", "--token", token, "--new", "a good password")["password_set"] is True
    signed = httpx.post(
        f"{keys['url']}/auth/v1/token",
        headers={"apikey": keys["anon"]},
        json={"email": "bob@example.com", "password": "a good password"},
        timeout=30,
    )
    assert signed.status_code == 200
    passkeys = cli("auth", "passkeys", "--token", token).envelope
    assert passkeys["http"] == 422


def test_mail_goes_out_comes_back_and_is_answered(cli: Cli, keys: dict[str, str], tmp_path: Any) -> None:
    news = cli.ok("email", "create", "news")
    desk = cli.ok("email", "create", "desk")
    (tmp_path / "note.txt").write_text("hi")
    sent = cli.ok(
        *("email", "send", "--to", desk["address"], "--subject", "Question", "--html", "<p>When?</p>"),
        *("--attach", str(tmp_path / "note.txt")),
    )
    assert (sent["from_address"], sent["sent"]) == (news["address"], True)
    (received,) = cli.ok("email", "list", "--mailbox", "desk", "--direction", "inbound")
    raw = cli.ok("email", "get-raw", received["id"], "--mailbox", "desk", "--output", str(tmp_path / "raw.eml"))
    assert raw["bytes"] == (tmp_path / "raw.eml").stat().st_size
    replied = cli.ok("email", "reply", received["id"], "--mailbox", "desk", "--html", "<p>Now</p>")
    assert (replied["to"], replied["subject"]) == (news["address"], "Re: Question")
    thread = cli.ok("email", "get", sent["message_id"], "--mailbox", "news")
    assert [reply["body"] for reply in thread["replies"]] == ["Now"]
    told = cli.ok(
        *("email", "send", "--to", EMAIL, "--template", "notification"),
        *("--var", "project_name=Guestbook", "--var", "message=A new entry"),
    )
    assert told["template"] == "notification"
    assert cli.ok("email", "defaults", "--auth-sender", "desk")["mailbox_settings"]["auth_sender_mailbox_id"]
    assert cli.ok("email", "info", "--mailbox", "desk")["is_auth_sender"] is True
    assert cli.ok("email", "delete", "desk", "--confirm")["deleted"] is True
    assert "A message from Guestbook" in json.dumps(cli.ok("email", "outbox"))


def test_a_job_is_submitted_followed_and_fetched(cli: Cli, keys: dict[str, str], tmp_path: Any) -> None:
    request = {"job_type": "demo.word_count", "input": {"input_json": {"text": "a b a"}}, "max_cost_usd_micros": 0}
    job = cli.ok("jobs", "submit", "--stdin", stdin=json.dumps(request))
    for _ in range(100):
        job = cli.ok("jobs", "get", job["job_id"])
        if job["status"] == "completed":
            break
        time.sleep(0.1)
    assert sorted(job["artifacts"]) == ["counts.json", "report.txt"]
    fetched = cli.ok("jobs", "artifacts", "get", job["job_id"], "--file", "counts.json", "--output", "out/c.json")
    assert json.loads((cli.cwd / "out" / "c.json").read_text())["counts"] == {"a": 2, "b": 1}
    assert fetched["content_type"] == "application/json"
    assert cli.ok("jobs", "logs", job["job_id"], "--tail", "5")["logs"]
    slow = {**request, "input": {"input_json": {"text": "a", "delay_ms": 60000}}}
    running = cli.ok("jobs", "submit", "--stdin", stdin=json.dumps(slow))
    assert cli.ok("jobs", "cancel", running["job_id"])["status"] == "cancelled"
    assert cli.ok("jobs", "purge")["deleted_jobs"] == 2
    unknown = cli("jobs", "submit", "--stdin", stdin=json.dumps({**request, "job_type": "render"})).envelope
    assert unknown["code"] == "UNKNOWN_JOB_TYPE"


def test_errors_gate_a_release_and_events_tell_of_it(cli: Cli, keys: dict[str, str]) -> None:
    breaks = 'export default async (req) => { throw new TypeError("no total"); }'
    cli.ok("functions", "deploy", "shop", "--file", "-", stdin=breaks)
    assert cli("errors", "--new-in", "active", "--fail-on-new").code == 0
    assert cli("functions", "invoke", "shop").code == 1
    failed = cli("errors", "--new-in", "active", "--fail-on-new")
    assert (failed.code, "TypeError" in failed.out) == (1, True)
    (row,) = cli.ok("errors", "--json")["errors"]
    assert (row["function"], row["kind"]) == ("shop", "uncaught")
    assert "no total" in cli("errors", row["fingerprint_id"]).out
    logs = cli.ok(*row["next_actions"][0]["command"].split()[1:])
    assert "no total" in json.dumps(logs)
    watched = cli("errors", "--new-in", "active", "--watch", "1s", "--fail-on-new")
    assert watched.code == 1
    page = cli.ok("events", "--source", "platform")
    assert [event["event_type"] for event in page["events"]] == ["deploy_activated"]
    assert cli.ok("events", "--cursor", page["cursor"])["events"] == []
