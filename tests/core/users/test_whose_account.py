"""An account that a stranger made with an address of somebody else: whose it is, and what is left to the stranger."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import jwt
import psycopg
import pytest
from gateway_kit import Live

from run402_cli.core.users import passwords

EMAIL, PASSWORD = "boss@corp.com", "attacker-pw1"
BACK = "http://localhost:3000/in"


class App:
    """An application, its owner, and a stranger who holds the anon key."""

    def __init__(self, client: httpx.Client, project: dict[str, Any]) -> None:
        self.client, self.id = client, project["project_id"]
        self.anon = {"apikey": project["anon_key"]}
        self.owner = {**self.anon, "Authorization": f"Bearer {project['service_key']}"}

    def post(self, path: str, headers: dict[str, str], **body: Any) -> httpx.Response:
        return self.client.post(path, headers=headers, json=body)

    def sign_up(self, *, owner: bool = False) -> httpx.Response:
        headers = self.owner if owner else self.anon
        return self.post("/auth/v1/signup", headers, email=EMAIL, password=PASSWORD)

    def token(self, grant: str = "password", **body: Any) -> httpx.Response:
        return self.post(f"/auth/v1/token?grant_type={grant}", self.anon, **body)

    def by_password(self, password: str = PASSWORD) -> httpx.Response:
        return self.token(email=EMAIL, password=password)

    def by_link(self) -> httpx.Response:
        asked = self.post("/auth/v1/magic-link", self.anon, email=EMAIL, redirect_url=BACK)
        assert asked.status_code == 200, asked.text
        outbox = self.client.get("/mailboxes/v1/outbox", headers=self.owner).json()["messages"]
        return self.token("magic_link", token=outbox[0]["body_text"].partition("token=")[2].split()[0])

    def user(self, session: dict[str, Any]) -> dict[str, str]:
        return {**self.anon, "Authorization": f"Bearer {session['access_token']}"}

    def rest(self, session: dict[str, Any]) -> int:
        return self.client.get("/rest/v1/things", headers=self.user(session)).status_code

    def role(self, email: str, action: str = "promote") -> httpx.Response:
        return self.post(f"/projects/v1/admin/{self.id}/{action}-user", self.owner, email=email)

    def settings(self, **settings: Any) -> None:
        assert self.client.patch("/auth/v1/settings", headers=self.owner, json=settings).status_code == 200


@pytest.fixture
def app(client: httpx.Client, project: dict[str, Any]) -> App:
    app = App(client, project)
    sql = "CREATE TABLE things (id int PRIMARY KEY)"
    path = f"/projects/v1/admin/{app.id}"
    assert app.post(f"{path}/sql", app.owner, sql=sql).status_code == 200
    manifest = {
        "version": "1",
        "tables": [{"name": "things", "expose": True, "policy": "public_read_authenticated_write"}],
    }
    answer = app.post(f"{path}/expose", app.owner, **manifest)
    assert answer.status_code == 200, answer.text
    return app


def role_of(session: dict[str, Any]) -> str:
    return str(jwt.decode(session["access_token"], options={"verify_signature": False})["role"])


def assert_out(app: App, session: dict[str, Any]) -> None:
    """Neither the stranger's password nor any token of the session opens anything."""
    assert app.by_password().json()["code"] == "R402_AUTH_INVALID_CREDENTIALS"
    assert app.token("refresh_token", refresh_token=session["refresh_token"]).status_code == 401
    assert app.client.get("/auth/v1/user", headers=app.user(session)).status_code == 401
    assert app.rest(session) == 401
    alone = app.client.get("/rest/v1/things", headers={"apikey": session["access_token"]})
    assert (alone.status_code, alone.json()["error"]) == (401, "authentication_required")


WAYS = {
    "promote-user": lambda app: app.role(EMAIL),
    "create-user": lambda app: app.post("/auth/v1/admin/users", app.owner, email=EMAIL),
    "create-user --admin": lambda app: app.post("/auth/v1/admin/users", app.owner, email=EMAIL, is_admin=True),
    "create-user --admin --invite": lambda app: app.post(
        "/auth/v1/admin/users", app.owner, email=EMAIL, is_admin=True, send_invite=True, redirect_url=BACK
    ),
    "magic-link --intent invite": lambda app: app.post(
        "/auth/v1/magic-link", app.owner, email=EMAIL, redirect_url=BACK, intent="invite"
    ),
}


@pytest.mark.parametrize("way", WAYS)
def test_what_a_stranger_prepared_ends_when_the_owner_vouches_for_the_address(app: App, way: str) -> None:
    app.sign_up()
    session = app.by_password().json()
    assert app.rest(session) == 200
    answer = WAYS[way](app)
    assert (answer.status_code, answer.json()["password_removed"]) == (200, True)
    assert f"run402 auth magic-link --email {EMAIL}" in answer.json()["note"]
    assert_out(app, session)
    assert app.sign_up().status_code == 409
    found = app.by_link().json()
    assert (found["user"]["id"], role_of(found)) == (
        session["user"]["id"],
        "project_admin" if "admin" in way or "promote" in way else "authenticated",
    )
    new = {"new_password": "the boss's own"}
    assert app.client.post("/auth/v1/user/password", headers=app.user(found), json=new).status_code == 200
    again = WAYS[way](app)
    assert "password_removed" not in again.json()
    assert app.by_password("the boss's own").status_code == 200


def test_a_password_that_the_owner_set_stays(app: App) -> None:
    assert app.sign_up(owner=True).status_code == 201
    session = app.by_password().json()
    assert "password_removed" not in app.role(EMAIL).json()
    assert role_of(app.by_password().json()) == "project_admin"
    assert app.rest(session) == 200
    assert app.role(EMAIL, "demote").status_code == 200
    assert role_of(app.by_password().json()) == "authenticated"


def test_to_take_a_role_away_vouches_for_nobody(app: App) -> None:
    app.sign_up()
    assert app.role(EMAIL, "demote").status_code == 200
    assert app.post("/auth/v1/admin/users", app.owner, email=EMAIL, is_admin=False).status_code == 200
    assert app.by_password().status_code == 200


def test_an_admin_of_an_older_version_counts_when_the_address_is_proven(app: App, database_url: str) -> None:
    app.sign_up()
    with psycopg.connect(database_url, autocommit=True) as db:
        db.execute("UPDATE internal.core_auth_users SET role = 'project_admin'")
    session = app.by_password().json()
    assert (role_of(session), session["user"]["is_admin"]) == ("authenticated", False)
    assert role_of(app.by_link().json()) == "project_admin"
    assert_out(app, session)


@pytest.mark.parametrize("step", ["matches", "hashed"])
def test_neither_a_sign_in_nor_a_new_password_slips_past_the_owner(
    app: App, live: Live, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    app.sign_up()
    session = app.by_password().json()
    right = getattr(passwords, step)

    async def meanwhile(*given: Any) -> Any:
        result = await right(*given)
        monkeypatch.setattr(passwords, step, right)
        assert (await asyncio.to_thread(app.role, EMAIL)).status_code == 200
        return result

    monkeypatch.setattr(passwords, step, meanwhile)
    if step == "matches":
        refused = app.by_password()
    else:
        body = {"current_password": PASSWORD, "new_password": "attacker-pw2"}
        refused = app.client.post("/auth/v1/user/password", headers=app.user(session), json=body)
    assert refused.status_code == 401, refused.text
    assert_out(app, session)
    assert app.by_password("attacker-pw2").status_code == 401


def test_the_proof_of_an_address_ends_every_token_of_whoever_came_before(app: App) -> None:
    app.sign_up()
    session = app.by_password().json()
    assert app.rest(session) == 200
    found = app.by_link().json()
    assert_out(app, session)
    assert app.rest(found) == 200


def test_signing_out_ends_the_access_token_everywhere(app: App) -> None:
    app.sign_up()
    session, other = app.by_password().json(), app.by_password().json()
    assert app.client.post("/auth/v1/logout", headers=app.user(session), json={}).status_code == 200
    assert (app.rest(session), app.rest(other)) == (401, 200)
    app.client.post("/auth/v1/logout", params={"scope": "global"}, headers=app.user(other), json={})
    assert app.rest(other) == 401


def test_a_domain_is_proven_before_a_password_of_it_opens_anything(app: App) -> None:
    app.sign_up()
    before = app.by_password().json()
    app.settings(allowed_email_domains=["corp.com"])
    refused = app.by_password()
    assert (refused.status_code, refused.json()["code"]) == (403, "R402_AUTH_DOMAIN_NOT_ALLOWED")
    assert "POST /auth/v1/magic-link" in refused.json()["message"]
    assert app.by_password("wrong password").status_code == 401
    refreshed = app.token("refresh_token", refresh_token=before["refresh_token"])
    assert refreshed.json()["code"] == "R402_AUTH_DOMAIN_NOT_ALLOWED"
    ghost = {"email": "ghost@corp.com", "password": PASSWORD}
    assert app.post("/auth/v1/signup", app.anon, **ghost).status_code == 201
    assert app.post("/auth/v1/token", app.anon, **ghost).status_code == 403
    session = app.by_link().json()
    new = {"new_password": "the boss's own"}
    assert app.client.post("/auth/v1/user/password", headers=app.user(session), json=new).status_code == 200
    assert app.by_password("the boss's own").status_code == 200


def test_a_refresh_that_waits_for_proof_uses_nothing_up(app: App) -> None:
    app.sign_up()
    session = app.by_password().json()
    app.settings(allowed_email_domains=["corp.com"])
    assert app.token("refresh_token", refresh_token=session["refresh_token"]).status_code == 403
    app.settings(allowed_email_domains=[])
    assert app.token("refresh_token", refresh_token=session["refresh_token"]).status_code == 200


def test_an_account_that_the_owner_made_needs_no_proof_of_its_domain(app: App) -> None:
    app.settings(allowed_email_domains=["elsewhere.example"])
    assert app.sign_up(owner=True).status_code == 201
    assert app.by_password().status_code == 200
