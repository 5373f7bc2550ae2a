"""A function for users with a role, built from what `auth scaffold-roles` prints, called by real users."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from e2e_kit import Cli

pytestmark = pytest.mark.e2e

REPORT = """
export default async (req) => Response.json({
  user: req.headers.get("x-run402-user-id"),
  role: req.headers.get("x-run402-user-role"),
});
"""


def sign_in(http: httpx.Client, base: str, anon: dict[str, str], email: str) -> tuple[str, dict[str, str]]:
    """Id and request headers of a new user."""
    known = {"email": email, "password": "correct horse battery"}
    http.post(f"{base}/auth/v1/signup", headers=anon, json=known).raise_for_status()
    session = http.post(f"{base}/auth/v1/token", headers=anon, json=known).raise_for_status().json()
    return session["user"]["id"], {"authorization": f"Bearer {session['access_token']}"}


def test_only_users_with_the_role_reach_the_function(
    cli: Cli, gateway: dict[str, Any], project: dict[str, Any], http: httpx.Client
) -> None:
    roles = cli.ok("auth", "scaffold-roles", "--roles", "operator,viewer", "--cache-ttl", "0")
    gate = roles["gate"] | {"allowed": ["operator"]}
    manifest = {
        "database": {"migrations": [{"name": "roles", "sql": roles["migration"]}]},
        "functions": {"replace": {"report": {"runtime": "node22", "source": {"data": REPORT}, "requireRole": gate}}},
        "routes": {"replace": [{"pattern": "/report", "target": {"type": "function", "name": "report"}}]},
    }
    site = cli.ok("deploy", "apply", "--manifest", "-", stdin=json.dumps(manifest))["urls"]["site"].rstrip("/")
    anon = {"apikey": project["anon_key"]}
    ada, as_ada = sign_in(http, gateway["url"], anon, "ada@example.com")
    bob, as_bob = sign_in(http, gateway["url"], anon, "bob@example.com")
    (cli.cwd / "bootstrap.sql").write_text(roles["bootstrap"].replace("<FIRST_OPERATOR_USER_ID>", ada))
    cli.ok("projects", "sql", "--file", "bootstrap.sql")
    cli.ok("projects", "sql", f"insert into app_roles values ('{bob}', 'viewer')")

    assert http.get(f"{site}/report").status_code == 401
    allowed = http.get(f"{site}/report", headers=as_ada)
    assert (allowed.status_code, allowed.json()) == (200, {"user": ada, "role": "operator"})
    refused = http.get(f"{site}/report", headers=as_bob | {"x-run402-user-role": "operator"})
    assert (refused.status_code, refused.json()["code"]) == (403, "ROLE_FORBIDDEN")
    by_name = http.get(f"{gateway['url']}/functions/v1/report", headers=anon | as_bob)
    assert by_name.status_code == 403

    cli.ok("projects", "sql", f"update app_roles set role = 'operator' where user_id = '{bob}'")
    assert http.get(f"{site}/report", headers=as_bob).json() == {"user": bob, "role": "operator"}
    cli.ok("projects", "sql", f"delete from app_roles where user_id = '{ada}'")
    assert http.get(f"{site}/report", headers=as_ada).status_code == 403
