"""Sign-up, sign-in, sessions and passwords of a project's users."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import jwt
import psycopg
import pytest

from run402_cli.core.users import passwords

EMAIL, PASSWORD = "ada@example.com", "correct horse battery"


@pytest.fixture
def anon(project: dict[str, Any]) -> dict[str, str]:
    return {"apikey": project["anon_key"]}


def sign_up(client: httpx.Client, anon: dict[str, str], email: str = EMAIL, **more: Any) -> httpx.Response:
    return client.post("/auth/v1/signup", headers=anon, json={"email": email, "password": PASSWORD, **more})


def token(client: httpx.Client, anon: dict[str, str], grant: str = "password", **body: Any) -> httpx.Response:
    return client.post("/auth/v1/token", params={"grant_type": grant}, headers=anon, json=body)


@pytest.fixture
def session(client: httpx.Client, anon: dict[str, str]) -> dict[str, Any]:
    assert sign_up(client, anon).status_code == 201
    answer = token(client, anon, email=EMAIL, password=PASSWORD)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def bearer(session: dict[str, Any]) -> dict[str, str]:
    return {"Authorization": f"Bearer {session['access_token']}"}


def test_signing_up_makes_a_user_and_tells_nothing_secret(client: httpx.Client, anon: dict[str, str]) -> None:
    answer = sign_up(client, anon, email=" Ada@Example.com ", data={"name": "Ada"})
    assert answer.status_code == 201
    user = answer.json()
    assert (user["email"], user["role"], user["data"]) == (EMAIL, "authenticated", {"name": "Ada"})
    assert user["email_verified_at"] is None
    assert not {"password", "password_hash", "access_token"} & set(user)


def test_an_address_signs_up_once_in_any_letter_case(client: httpx.Client, anon: dict[str, str]) -> None:
    sign_up(client, anon)
    answer = sign_up(client, anon, email=EMAIL.upper())
    assert (answer.status_code, answer.json()["code"]) == (409, "USER_EXISTS")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"email": "ada", "password": PASSWORD}, "INVALID_EMAIL"),
        ({"email": "a\x00da@example.com", "password": PASSWORD}, "INVALID_EMAIL"),
        ({"password": PASSWORD}, "INVALID_EMAIL"),
        ({"email": EMAIL, "password": "short"}, "R402_AUTH_WEAK_PASSWORD"),
        ({"email": EMAIL, "password": "x" * 257}, "R402_AUTH_WEAK_PASSWORD"),
        ({"email": EMAIL, "password": 12345678}, "R402_AUTH_WEAK_PASSWORD"),
        ({"email": EMAIL}, "R402_AUTH_WEAK_PASSWORD"),
    ],
)
def test_bad_sign_ups_are_refused(client: httpx.Client, anon: dict[str, str], body: dict[str, Any], code: str) -> None:
    answer = client.post("/auth/v1/signup", headers=anon, json=body)
    assert (answer.status_code, answer.json()["code"]) == (400, code)


@pytest.mark.parametrize("data", [[], "x", {"a": "\x00"}, {"a": "x" * 20_000}])
def test_data_that_cannot_be_kept_is_refused(client: httpx.Client, anon: dict[str, str], data: Any) -> None:
    answer = client.post(
        "/auth/v1/signup",
        headers={**anon, "content-type": "application/json"},
        content=json.dumps({"email": EMAIL, "password": PASSWORD, "data": data}),
    )
    assert (answer.status_code, answer.json().get("field")) == (400, "data")


def test_every_route_needs_a_key(client: httpx.Client) -> None:
    for path in ("signup", "token", "magic-link"):
        answer = client.post(f"/auth/v1/{path}", json={})
        assert answer.status_code == 401, path
    assert client.get("/auth/v1/providers").status_code == 401
    assert client.get("/auth/v1/user").status_code == 401


def test_the_session_has_a_token_that_names_the_user(
    session: dict[str, Any], project: dict[str, Any], client: httpx.Client
) -> None:
    claims = jwt.decode(session["access_token"], options={"verify_signature": False})
    assert (session["token_type"], session["expires_in"]) == ("bearer", 3600)
    assert claims["sub"] == session["user"]["id"]
    assert (claims["role"], claims["project_id"], claims["email"]) == ("authenticated", project["project_id"], EMAIL)
    assert claims["exp"] - claims["iat"] == 3600
    assert client.get("/auth/v1/user", headers=bearer(session)).json()["id"] == session["user"]["id"]


@pytest.mark.parametrize("email", [EMAIL, "nobody@example.com"])
def test_a_wrong_password_and_an_unknown_user_look_the_same(
    client: httpx.Client, anon: dict[str, str], email: str
) -> None:
    sign_up(client, anon)
    answer = token(client, anon, email=email, password="wrong password")
    assert (answer.status_code, answer.json()["code"]) == (401, "R402_AUTH_INVALID_CREDENTIALS")


def test_users_of_one_project_are_unknown_to_another(client: httpx.Client, session: dict[str, Any]) -> None:
    other = client.post("/projects/v1", json={"name": "other"}).json()
    headers = {"apikey": other["anon_key"]}
    assert token(client, headers, email=EMAIL, password=PASSWORD).status_code == 401
    assert token(client, headers, "refresh_token", refresh_token=session["refresh_token"]).status_code == 401
    mixed = client.get("/auth/v1/user", headers={**headers, **bearer(session)})
    assert (mixed.status_code, mixed.json()["code"]) == (403, "PROJECT_TOKEN_MISMATCH")


def test_refreshing_gives_new_tokens_each_time(
    client: httpx.Client, anon: dict[str, str], session: dict[str, Any]
) -> None:
    seen = {session["refresh_token"]}
    for _ in range(3):
        session = token(client, anon, "refresh_token", refresh_token=session["refresh_token"]).json()
        assert session["refresh_token"] not in seen
        seen.add(session["refresh_token"])
        assert client.get("/auth/v1/user", headers=bearer(session)).status_code == 200


def test_a_refresh_token_that_comes_twice_ends_the_session(
    client: httpx.Client, anon: dict[str, str], session: dict[str, Any]
) -> None:
    renewed = token(client, anon, "refresh_token", refresh_token=session["refresh_token"]).json()
    again = token(client, anon, "refresh_token", refresh_token=session["refresh_token"])
    assert (again.status_code, again.json()["code"]) == (401, "R402_AUTH_REFRESH_TOKEN_REUSED")
    assert token(client, anon, "refresh_token", refresh_token=renewed["refresh_token"]).status_code == 401
    assert client.get("/auth/v1/user", headers=bearer(renewed)).status_code == 401


def test_signing_out_ends_this_session_only(
    client: httpx.Client, anon: dict[str, str], session: dict[str, Any]
) -> None:
    other = token(client, anon, email=EMAIL, password=PASSWORD).json()
    assert client.post("/auth/v1/logout", headers=bearer(session)).json() == {"signed_out": True, "sessions": 1}
    assert client.get("/auth/v1/user", headers=bearer(session)).status_code == 401
    assert token(client, anon, "refresh_token", refresh_token=session["refresh_token"]).status_code == 401
    assert client.get("/auth/v1/user", headers=bearer(other)).status_code == 200


def test_signing_out_everywhere_ends_all_sessions(
    client: httpx.Client, anon: dict[str, str], session: dict[str, Any]
) -> None:
    other = token(client, anon, email=EMAIL, password=PASSWORD).json()
    answer = client.post("/auth/v1/logout", params={"scope": "global"}, headers=bearer(session))
    assert answer.json()["sessions"] == 2
    assert client.get("/auth/v1/user", headers=bearer(other)).status_code == 401


def test_signing_out_with_the_refresh_token_works_without_an_access_token(
    client: httpx.Client, anon: dict[str, str], session: dict[str, Any]
) -> None:
    body = {"refresh_token": session["refresh_token"]}
    assert client.post("/auth/v1/logout", headers=anon, json=body).json()["sessions"] == 1
    assert client.post("/auth/v1/logout", headers=anon, json=body).json()["sessions"] == 0


def test_a_user_changes_its_data_and_nothing_else(client: httpx.Client, session: dict[str, Any]) -> None:
    changed = client.patch("/auth/v1/user", headers=bearer(session), json={"data": {"theme": "dark"}})
    assert changed.json()["data"] == {"theme": "dark"}
    refused = client.patch("/auth/v1/user", headers=bearer(session), json={"role": "project_admin"})
    assert refused.status_code == 400
    assert client.get("/auth/v1/user", headers=bearer(session)).json()["role"] == "authenticated"


def test_a_password_change_needs_the_old_one_and_ends_other_sessions(
    client: httpx.Client, anon: dict[str, str], session: dict[str, Any]
) -> None:
    other = token(client, anon, email=EMAIL, password=PASSWORD).json()
    path, new = "/auth/v1/user/password", "a better password"

    def change(**body: str) -> httpx.Response:
        return client.post(path, headers=bearer(session), json=body)

    assert change(new_password=new).json()["code"] == "R402_AUTH_CURRENT_PASSWORD_REQUIRED"
    assert change(new_password=new, current_password="wrong").json()["code"] == "R402_AUTH_INVALID_CREDENTIALS"
    assert change(new_password="short", current_password=PASSWORD).json()["code"] == "R402_AUTH_WEAK_PASSWORD"
    assert change(new_password=new, current_password=PASSWORD).json()["password_set"] is True
    assert token(client, anon, email=EMAIL, password=PASSWORD).status_code == 401
    assert token(client, anon, email=EMAIL, password=new).status_code == 200
    assert client.get("/auth/v1/user", headers=bearer(other)).status_code == 401
    assert client.get("/auth/v1/user", headers=bearer(session)).status_code == 200


def test_an_unknown_grant_names_the_known_ones(client: httpx.Client, anon: dict[str, str]) -> None:
    answer = token(client, anon, "implicit")
    assert answer.status_code == 400
    assert "magic_link" in answer.json()["message"]


def test_neither_passwords_nor_tokens_are_stored_readably(
    session: dict[str, Any], database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    with psycopg.connect(database_url) as db:
        tables = ("core_auth_users", "core_auth_sessions", "core_auth_refresh_tokens")
        stored = "\n".join(str(db.execute(f"SELECT t::text FROM internal.{table} t").fetchall()) for table in tables)
    assert EMAIL in stored
    for secret in (PASSWORD, session["access_token"], session["refresh_token"]):
        assert secret not in stored
        assert secret not in caplog.text


def test_a_stored_hash_costs_what_the_docs_say() -> None:
    stored = asyncio.run(passwords.hashed(PASSWORD))
    assert stored.startswith("scrypt$14$8$5$")
    assert asyncio.run(passwords.matches(PASSWORD, stored))


def test_a_token_of_the_user_opens_its_own_rows_only(
    client: httpx.Client,
    anon: dict[str, str],
    session: dict[str, Any],
    project: dict[str, Any],
    service: dict[str, str],
) -> None:
    own_rows(client, project, service)
    user = session["user"]["id"]
    headers = {**anon, **bearer(session)}
    made = client.post("/rest/v1/notes", headers=headers, json={"owner": user, "body": "mine"})
    assert made.status_code == 201, made.text
    foreign = client.post("/rest/v1/notes", headers=headers, json={"owner": "somebody", "body": "theirs"})
    assert foreign.status_code == 403
    sign_up(client, anon, email="bob@example.com")
    bob = token(client, anon, email="bob@example.com", password=PASSWORD).json()
    assert client.get("/rest/v1/notes", headers={**anon, **bearer(bob)}).json() == []
    assert [row["body"] for row in client.get("/rest/v1/notes", headers=headers).json()] == ["mine"]
    as_key = client.get("/rest/v1/notes", headers={"apikey": session["access_token"]})
    assert [row["body"] for row in as_key.json()] == ["mine"]


def own_rows(client: httpx.Client, project: dict[str, Any], service: dict[str, str]) -> None:
    sql = "CREATE TABLE notes (id serial PRIMARY KEY, owner text NOT NULL, body text NOT NULL)"
    path = f"/projects/v1/admin/{project['project_id']}"
    assert client.post(f"{path}/sql", headers=service, json={"sql": sql}).status_code == 200
    manifest = {
        "version": "1",
        "tables": [{"name": "notes", "expose": True, "policy": "user_owns_rows", "owner_column": "owner"}],
    }
    answer = client.post(f"{path}/expose", headers=service, json=manifest)
    assert answer.status_code == 200, answer.text


def test_promoting_makes_an_admin_and_demoting_counts_at_once(
    client: httpx.Client, anon: dict[str, str], project: dict[str, Any], service: dict[str, str]
) -> None:
    own_rows(client, project, service)
    assert sign_up(client, {**anon, **service}).status_code == 201
    session = token(client, anon, email=EMAIL, password=PASSWORD).json()
    path = f"/projects/v1/admin/{project['project_id']}"
    sql = "CREATE FUNCTION who() RETURNS json LANGUAGE sql STABLE AS $$ SELECT json_build_array(auth.role(), uid()) $$"
    assert client.post(f"{path}/sql", headers=service, json={"sql": sql}).status_code == 200
    manifest = {"version": "1", "rpcs": [{"name": "who", "signature": "()", "grant_to": ["project_admin"]}]}
    assert client.post(f"{path}/expose", headers=service, json=manifest).status_code == 200

    def who(token_of: dict[str, Any]) -> httpx.Response:
        return client.post("/rest/v1/rpc/who", headers={**anon, **bearer(token_of)}, json={})

    assert who(session).status_code == 403
    assert client.post(f"{path}/promote-user", headers=service, json={"email": EMAIL}).status_code == 200
    admin = token(client, anon, email=EMAIL, password=PASSWORD).json()
    assert admin["user"]["is_admin"] is True
    assert who(admin).json() == ["project_admin", admin["user"]["id"]]
    assert client.post(f"{path}/demote-user", headers=service, json={"email": EMAIL}).status_code == 200
    assert who(admin).status_code == 403
    client.post("/auth/v1/logout", params={"scope": "global"}, headers=bearer(session))
    assert who(admin).status_code == 401


def test_pages_may_sign_in_but_not_administrate(client: httpx.Client, anon: dict[str, str]) -> None:
    page = {**anon, "Origin": "http://blog.localhost:4020"}
    signed = client.post("/auth/v1/signup", headers=page, json={"email": EMAIL, "password": PASSWORD})
    assert signed.status_code == 201
    assert signed.headers["access-control-allow-origin"] == "*"
    preflight = client.options("/auth/v1/token", headers={**page, "Access-Control-Request-Method": "POST"})
    assert preflight.status_code == 204
    for path, body in (
        ("/auth/v1/admin/users", {"email": EMAIL}),
        ("/auth/v1/dev-tokens", {"project_id": "prj_0123456789abcdef"}),
    ):
        assert client.post(path, headers=page, json=body).json()["code"] == "ORIGIN_FORBIDDEN"


def test_a_branch_knows_the_users_but_not_their_sessions(
    client: httpx.Client,
    anon: dict[str, str],
    session: dict[str, Any],
    project: dict[str, Any],
    service: dict[str, str],
) -> None:
    made = client.post(f"/projects/v1/{project['project_id']}/branches", headers=service, json={"name": "try"})
    assert made.status_code in (200, 201), made.text
    branch = client.get(f"/projects/v1/{made.json()['branch_project_id']}").json()
    headers = {"apikey": branch["anon_key"]}
    assert token(client, headers, "refresh_token", refresh_token=session["refresh_token"]).status_code == 401
    there = token(client, headers, email=EMAIL, password=PASSWORD).json()
    assert there["user"]["id"] == session["user"]["id"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "signup"),
        ("POST", "magic-link"),
        ("POST", "user/password"),
        ("PATCH", "settings"),
        ("POST", "admin/users"),
    ],
)
def test_who_may_not_call_learns_nothing_about_the_body(client: httpx.Client, method: str, path: str) -> None:
    answer = client.request(method, f"/auth/v1/{path}", content=b"no JSON")
    assert (answer.status_code, answer.json()["error"]) == (401, "authentication_required")


@pytest.mark.parametrize(
    ("given", "form"),
    [
        ("Ada@Example.com", "ada@example.com"),
        ("\uff21da@example\uff0ecom", "ada@example.com"),
        ("o\ufb03ce@example.com", "office@example.com"),
        ("jose\u0301@example.com", "jos\u00e9@example.com"),
        ("ada@xn--bcher-kva.example", "ada@b\u00fccher.example"),
        ("ada@B\u00dcCHER.example", "ada@b\u00fccher.example"),
        ("\u0438\u0432\u0430\u043d@example.com", "\u0438\u0432\u0430\u043d@example.com"),
        ("\u5c71\u7530\u30bf\u30edtaro@example.com", "\u5c71\u7530\u30bf\u30edtaro@example.com"),
    ],
)
def test_an_address_has_one_form(client: httpx.Client, anon: dict[str, str], given: str, form: str) -> None:
    made = client.post("/auth/v1/signup", headers=anon, json={"email": given, "password": PASSWORD})
    assert (made.status_code, made.json().get("email")) == (201, form), made.text
    again = client.post("/auth/v1/signup", headers=anon, json={"email": form, "password": PASSWORD})
    assert again.json()["error"] == "user_exists"
    for spelling in (given, form):
        assert token(client, anon, email=spelling, password=PASSWORD).status_code == 200


@pytest.mark.parametrize(
    "email",
    [
        "\u0430da@example.com",  # a Cyrillic a
        "ad\u03b1@example.com",  # a Greek alpha
        "ada@ex\u0430mple.com",
        "ada@example.c\u043em",
        "ada@xn--exmple-4nf.com",  # the same domain as machines write it
        "ada\u200b@example.com",
        "\u0561da@example.com",  # Armenian
    ],
)
def test_an_address_of_mixed_alphabets_is_refused(client: httpx.Client, anon: dict[str, str], email: str) -> None:
    for path, more in (("/auth/v1/signup", {"password": PASSWORD}), ("/auth/v1/magic-link", {"delivery": "code"})):
        answer = client.post(path, headers=anon, json={"email": email, **more})
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_email"), answer.text
