"""The sign-in calls as supabase-js sends them, extra keys and all."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import psycopg
import pytest
from database_kit import owner_of
from outbox_kit import Outbox

EMAIL, PASSWORD = "ada@example.com", "correct horse battery"
EXTRA = {"code_challenge": None, "code_challenge_method": None, "gotrue_meta_security": {"captcha_token": None}}


class App(Outbox):
    def __init__(self, client: httpx.Client, project: dict[str, Any]) -> None:
        self.client, self.project = client, project
        self.anon = {"apikey": project["anon_key"]}

    def post(self, path: str, body: dict[str, Any], **more: Any) -> httpx.Response:
        return self.client.post(f"/auth/v1/{path}", headers={**self.anon, **more.pop("headers", {})}, json=body, **more)

    def signed_in(self, email: str = EMAIL, password: str = PASSWORD) -> dict[str, Any]:
        self.post("signup", {"email": email, "password": password})
        answer = self.post("token", {"email": email, "password": password})
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def change(self, session: dict[str, Any], body: dict[str, Any], method: str = "PUT") -> httpx.Response:
        headers = {**self.anon, "Authorization": f"Bearer {session['access_token']}"}
        return self.client.request(method, "/auth/v1/user", headers=headers, json=body)

    def by_link(self) -> dict[str, Any]:
        given = parse_qs(urlsplit(self.link()).query)["token"][0]
        answer = self.post("token?grant_type=magic_link", {"token": given})
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def set(self, **settings: Any) -> None:
        headers = {**self.anon, "Authorization": f"Bearer {self.project['service_key']}"}
        assert self.client.patch("/auth/v1/settings", headers=headers, json=settings).status_code == 200


@pytest.fixture
def app(client: httpx.Client, project: dict[str, Any]) -> App:
    return App(client, project)


def test_put_merges_data_and_null_takes_a_key_out(app: App) -> None:
    session = app.signed_in()
    assert app.change(session, {"data": {"a": 1, "b": 2}, **EXTRA}).json()["data"] == {"a": 1, "b": 2}
    changed = app.change(session, {"data": {"b": None, "c": {"d": None}}, **EXTRA})
    assert (changed.status_code, changed.json()["data"]) == (200, {"a": 1, "c": {"d": None}})
    assert app.change(session, {"data": {"z": 1}}, "PATCH").json()["data"] == {"z": 1}


def test_data_does_not_grow_beyond_its_bound_by_merging(app: App) -> None:
    session = app.signed_in()
    assert app.change(session, {"data": {"a": "x" * 9000}}).status_code == 200
    assert app.change(session, {"data": {"b": "x" * 9000}}).status_code == 400


@pytest.mark.parametrize("body", [{"email": "b@example.com"}, {"phone": "1"}, {}, {"role": "project_admin"}, EXTRA])
def test_what_a_user_cannot_change_is_refused(app: App, body: dict[str, Any]) -> None:
    session = app.signed_in()
    assert app.change(session, body).status_code == 400
    assert app.change(session, {**body, "email": "c@example.com", "data": {}}).status_code == 400


def test_put_sets_a_password_soon_after_the_sign_in_with_the_old_one(app: App, database_url: str) -> None:
    other, session = app.signed_in(), app.signed_in()
    changed = app.change(session, {"password": "another password", "data": {"a": 1}, **EXTRA})
    assert (changed.status_code, changed.json()["data"]) == (200, {"a": 1})
    assert app.post("token", {"email": EMAIL, "password": PASSWORD}).status_code == 401
    assert app.post("token", {"email": EMAIL, "password": "another password"}).status_code == 200
    assert app.change(other, {"data": {}}).status_code == 401
    assert app.change(session, {"password": "short"}).json()["code"] == "R402_AUTH_WEAK_PASSWORD"
    with psycopg.connect(database_url) as db:
        db.execute("UPDATE internal.core_auth_sessions SET signed_in_at = signed_in_at - interval '6 minutes'")
    late = app.change(session, {"password": "a third password", "data": {"a": 2}})
    assert late.json()["code"] == "R402_AUTH_CURRENT_PASSWORD_REQUIRED"
    assert app.client.get("/auth/v1/user", headers={"Authorization": f"Bearer {session['access_token']}"}).json()[
        "data"
    ] == {"a": 1}
    proven = app.change(session, {"password": "a third password", "current_password": "another password"})
    assert proven.status_code == 200


def test_a_fresh_sign_in_is_no_proof_for_the_other_ways_to_a_password(app: App) -> None:
    session = app.signed_in()
    assert app.change(session, {"password": "another password"}, "PATCH").status_code == 403
    headers = {**app.anon, "Authorization": f"Bearer {session['access_token']}"}
    answer = app.client.post("/auth/v1/user/password", headers=headers, json={"new_password": "another password"})
    assert answer.json()["code"] == "R402_AUTH_CURRENT_PASSWORD_REQUIRED"


def test_a_refresh_makes_no_sign_in_fresh(app: App, database_url: str) -> None:
    session = app.signed_in()
    with psycopg.connect(database_url) as db:
        db.execute("UPDATE internal.core_auth_sessions SET signed_in_at = signed_in_at - interval '6 minutes'")
    renewed = app.post("token?grant_type=refresh_token", {"refresh_token": session["refresh_token"]}).json()
    assert app.change(renewed, {"password": "another password"}).status_code == 403


def test_otp_mails_a_link_and_its_data_go_into_the_account_that_it_makes(app: App) -> None:
    body = {"email": EMAIL, "create_user": True, "data": {"name": "Ada"}, **EXTRA}
    answer = app.post("otp?redirect_to=http://localhost:3000/in", body)
    assert (answer.status_code, answer.json()) == (200, {})
    assert app.link().startswith("http://localhost:3000/in?token=")
    user = app.by_link()["user"]
    assert (user["email"], user["data"], user["is_anonymous"]) == (EMAIL, {"name": "Ada"}, False)
    app.post("otp", {**body, "data": {"name": "Eve"}})
    assert app.by_link()["user"]["data"] == {"name": "Ada"}


def test_a_link_never_leads_to_somebody_else(app: App) -> None:
    for wanted in ("https://evil.example/", "javascript:alert(1)", "//evil.example", "http://a@localhost/", "x"):
        app.post("otp", {"email": f"u{len(wanted)}@example.com"}, params={"redirect_to": wanted})
        assert urlsplit(app.link()).hostname == f"{app.project['public_id']}.localhost"
    app.post("recover", {"email": "u1@example.com"}, headers={"Origin": "https://evil.example"})
    app.post("otp", {"email": "page@example.com"}, headers={"Origin": "http://localhost:5173"})
    assert app.link().startswith("http://localhost:5173?token=")


def test_otp_and_recover_do_not_tell_who_has_an_account(app: App) -> None:
    app.signed_in()
    for path, body in (("otp", {"create_user": False}), ("recover", {})):
        before = len(app.mails())
        told = [app.post(path, {"email": who, **body, **EXTRA}) for who in ("nobody@example.com", EMAIL)]
        assert [(answer.status_code, answer.json()) for answer in told] == [(200, {}), (200, {})]
        assert [mail["to"] for mail in app.mails()[: len(app.mails()) - before]] == [EMAIL]


def test_a_recovery_mail_lets_the_user_set_a_new_password(app: App) -> None:
    app.signed_in()
    app.post("recover?redirect_to=http://localhost:3000/", {"email": EMAIL, **EXTRA})
    session = app.by_link()
    # The first proof of the address took the stranger's password out, so this is a first one.
    app.set(allow_password_set=True)
    assert app.change(session, {"password": "a new password"}).status_code == 200
    app.post("recover", {"email": EMAIL})
    assert app.change(app.by_link(), {"password": "the next password"}).status_code == 200


def test_otp_and_recover_share_the_mails_of_an_address_with_magic_links(app: App) -> None:
    answers = [app.post("otp", {"email": EMAIL}).status_code for _ in range(3)]
    answers += [app.post("recover", {"email": EMAIL}).status_code for _ in range(3)]
    assert answers == [200] * 5 + [429]
    unknown = [app.post("recover", {"email": "nobody@example.com"}).status_code for _ in range(6)]
    assert unknown == [200] * 5 + [429]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("otp", {"phone": "+1"}),
        ("otp", {"email": "ada"}),
        ("otp", {"email": EMAIL, "create_user": "no"}),
        ("otp", {"email": EMAIL, "data": [1]}),
        ("recover", {}),
        ("recover", {"email": 1}),
        ("signup", {"phone": "+1"}),
        ("signup", {"data": "x"}),
    ],
)
def test_bad_bodies_are_refused(app: App, path: str, body: dict[str, Any]) -> None:
    assert app.post(path, body).status_code == 400


def test_anonymous_users_have_a_session_and_nothing_to_sign_in_with(app: App) -> None:
    answer = app.post("signup", {"data": {"cart": 1}, **EXTRA})
    assert answer.status_code == 200, answer.text
    session = answer.json()
    user = session["user"]
    assert (user["is_anonymous"], user["email"], user["role"]) == (True, None, "authenticated")
    assert user["data"] == {"cart": 1}
    assert {"access_token", "refresh_token", "token_type", "expires_in"} <= set(session)
    assert app.post("signup", {}).json()["user"]["id"] != user["id"]
    renewed = app.post("token?grant_type=refresh_token", {"refresh_token": session["refresh_token"]}).json()
    assert renewed["user"]["id"] == user["id"]
    assert app.change(renewed, {"data": {"cart": 2}}).json()["data"] == {"cart": 2}
    app.set(allow_password_set=True)
    assert app.change(renewed, {"password": "a new password"}).status_code == 400
    for email in ("", None):
        assert app.post("token", {"email": email, "password": ""}).status_code == 400


@pytest.mark.parametrize(
    "settings",
    [{"public_signup": "invite_only"}, {"public_signup": "known_email"}, {"allowed_email_domains": ["a.example"]}],
)
def test_nobody_is_anonymous_where_not_everybody_may_sign_up(app: App, settings: dict[str, Any]) -> None:
    before = app.post("signup", {}).json()
    app.set(**settings)
    assert app.post("signup", {"data": {}}).json()["code"] == "R402_AUTH_SIGNUP_NOT_ALLOWED"
    renewed = app.post("token?grant_type=refresh_token", {"refresh_token": before["refresh_token"]})
    assert renewed.status_code == (403 if "allowed_email_domains" in settings else 200)


def test_a_policy_knows_anonymous_users(app: App, database_url: str) -> None:
    slot = app.project["schema_slot"]
    with psycopg.connect(owner_of(database_url, slot)) as db:
        db.execute(
            f"CREATE FUNCTION {slot}.who() RETURNS text LANGUAGE sql STABLE AS $$ SELECT auth.jwt_claim('is_anonymous') $$;"
            f"GRANT EXECUTE ON FUNCTION {slot}.who() TO anon, authenticated"
        )
    told = []
    for session in (app.post("signup", {}).json(), app.signed_in()):
        headers = {**app.anon, "Authorization": f"Bearer {session['access_token']}"}
        told.append(app.client.get("/rest/v1/rpc/who", headers=headers).json())
    assert told == ["true", None]
