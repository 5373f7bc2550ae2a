"""Whatever the routes for users, mail, jobs, errors and events are sent, they answer; nothing is an internal error."""

from __future__ import annotations

import json
from typing import Any

import httpx

ODD = ["", "\x00", "\ud800", -1, 10**30, [], {"a": "\x00"}, "x" * 70_000, [{"filename": "\ud800"}]]
QUERIES = ["", "x", "%00", "-1", "9" * 30, "%ff", "evc_ffffffffffffffff", "erc_99999999999999999999_fp_" + "a" * 24]


def test_odd_bodies_are_refused(client: httpx.Client, project: dict[str, Any], service: dict[str, str]) -> None:
    anon = {"apikey": project["anon_key"]}
    owner, who = {**anon, **service}, {"email": "a@b.co", "password": "long enough"}
    mailbox = client.post("/mailboxes/v1", headers=service, json={"slug": "news"}).json()["mailbox_id"]
    client.post("/auth/v1/signup", headers=anon, json=who)
    token = client.post("/auth/v1/token", headers=anon, json=who).json()["access_token"]
    user = {**anon, "Authorization": f"Bearer {token}"}
    job = {"job_type": "demo.word_count", "input": {"input_json": {"text": "a"}}, "max_cost_usd_micros": 1}
    letter = {"to": "a@b.co", "subject": "s", "html": "h", "in_reply_to": None, "attachments": []}
    link = {"redirect_url": "http://localhost", "client_state": "s"}
    project_path = f"/projects/v1/{project['project_id']}"
    routes: list[tuple[str, str, dict[str, str], dict[str, Any]]] = [
        ("POST", "/auth/v1/signup", anon, {**who, "data": {}}),
        ("POST", "/auth/v1/token", anon, who),
        ("POST", "/auth/v1/token?grant_type=magic_link", anon, {"token": "x"}),
        ("POST", "/auth/v1/token?grant_type=email_code", anon, {"challenge_id": "x", "code": "123456"}),
        ("POST", "/auth/v1/token?grant_type=refresh_token", anon, {"refresh_token": "x"}),
        ("POST", "/auth/v1/logout", anon, {"refresh_token": "x"}),
        ("POST", "/auth/v1/magic-link", owner, {"email": "c@b.co", "delivery": "both", **link}),
        (
            "POST",
            "/auth/v1/otp?redirect_to=%00",
            anon,
            {"email": "e@b.co", "create_user": True, "data": {}, "phone": None},
        ),
        ("POST", "/auth/v1/recover", anon, {"email": "e@b.co"}),
        ("POST", "/auth/v1/admin/users", owner, {"email": "d@b.co", "is_admin": True, "send_invite": True, **link}),
        ("PATCH", "/auth/v1/settings", owner, {"public_signup": "open", "allowed_email_domains": []}),
        ("PATCH", "/auth/v1/user", user, {"data": {}}),
        ("PUT", "/auth/v1/user", user, {"data": {}, "password": "long enough", "current_password": "x", "email": None}),
        ("POST", "/auth/v1/user/password", user, {"new_password": "long enough", "current_password": "x"}),
        ("POST", "/mailboxes/v1", service, {"slug": "x"}),
        ("PATCH", "/mailboxes/v1/settings", service, {"auth_sender_mailbox_id": None}),
        ("POST", f"/mailboxes/v1/{mailbox}/messages", service, letter),
        ("POST", f"/mailboxes/v1/{mailbox}/webhooks", service, {"url": "https://a.b", "events": ["bounced"]}),
        ("POST", "/jobs/v1/runs", service, {**job, "callback_url": "x"}),
        ("POST", f"{project_path}/events", service, {"event_type": "abc", "payload": {}, "idempotency_key": "k"}),
        ("POST", f"/projects/v1/admin/{project['project_id']}/promote-user", service, {"email": "a@b.co"}),
    ]
    broken = []
    for method, path, headers, body in routes:
        bodies = [json.dumps({**body, field: odd}) for field in body for odd in ODD]
        for content in (*bodies, "", "[]", "null", "{", '"x"'):
            answer = client.request(method, path, headers=headers, content=content)
            if answer.status_code >= 500:
                broken.append((method, path, content[:200], answer.text))
    assert broken == []


def test_odd_queries_and_paths_are_refused(
    client: httpx.Client, project: dict[str, Any], service: dict[str, str]
) -> None:
    mailbox = client.post("/mailboxes/v1", headers=service, json={"slug": "news"}).json()["mailbox_id"]
    project_path = f"/projects/v1/{project['project_id']}"
    routes = {
        f"{project_path}/events": ("cursor", "limit", "source", "event_type"),
        f"{project_path}/errors": ("since", "until", "function", "kind", "fingerprint", "new_in", "limit", "cursor"),
        f"/mailboxes/v1/{mailbox}/messages": ("limit", "after", "direction"),
        f"/mailboxes/v1/{mailbox}/webhooks/deliveries": ("status", "limit", "after"),
        "/jobs/v1/runs/job_x/logs": ("tail", "since"),
    }
    paths = [f"{path}?{name}={text}" for path, names in routes.items() for name in names for text in QUERIES]
    for parent in (f"{project_path}/errors", f"/mailboxes/v1/{mailbox}/messages", "/jobs/v1/runs", "/_run402/mail"):
        paths += [f"{parent}/%00", f"{parent}/%ed%a0%80"]
    headers = {"apikey": project["service_key"]}
    broken = [(path, answer.text) for path in paths if (answer := client.get(path, headers=headers)).status_code >= 500]
    assert broken == []
