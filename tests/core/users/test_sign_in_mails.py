"""Magic links, codes, invitations, resets, and who may sign in with them."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import psycopg
import pytest
from outbox_kit import Outbox

EMAIL = "ada@example.com"
BACK = "http://localhost:3000/signed-in?next=/inbox"


class App(Outbox):
    """An application and its outbox."""

    def __init__(self, client: httpx.Client, project: dict[str, Any]) -> None:
        self.client, self.project = client, project
        self.anon = {"apikey": project["anon_key"]}
        self.owner = {"apikey": project["anon_key"], "Authorization": f"Bearer {project['service_key']}"}

    def ask(self, email: str = EMAIL, *, owner: bool = False, **more: Any) -> httpx.Response:
        body = {"email": email, "redirect_url": BACK, "delivery": "link", **more}
        headers = self.owner if owner else self.anon
        return self.client.post("/auth/v1/magic-link", headers=headers, json=body)

    def link_token(self) -> str:
        return parse_qs(urlsplit(self.link()).query)["token"][0]

    def code(self) -> str:
        found = re.search(r"Your code: (\d{6})", self.mails()[0]["body_text"])
        assert found is not None
        return found[1]

    def token(self, grant: str, **body: Any) -> httpx.Response:
        return self.client.post("/auth/v1/token", params={"grant_type": grant}, headers=self.anon, json=body)

    def signed_in(self, **wish: Any) -> dict[str, Any]:
        assert self.ask(**wish).status_code == 200
        answer = self.token("magic_link", token=self.link_token())
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def set(self, **settings: Any) -> httpx.Response:
        return self.client.patch("/auth/v1/settings", headers=self.owner, json=settings)

    def password(self, session: dict[str, Any], **body: str) -> httpx.Response:
        headers = {**self.anon, "Authorization": f"Bearer {session['access_token']}"}
        return self.client.post("/auth/v1/user/password", headers=headers, json=body)


@pytest.fixture
def app(client: httpx.Client, project: dict[str, Any]) -> App:
    return App(client, project)


def test_a_link_goes_to_the_outbox_and_back_to_the_application(app: App) -> None:
    assert "challenge_id" not in app.ask().json()
    link = urlsplit(app.link())
    assert f"{link.scheme}://{link.netloc}{link.path}" == "http://localhost:3000/signed-in"
    assert parse_qs(link.query)["next"] == ["/inbox"]
    assert app.mails()[0]["to"] == EMAIL


def test_a_link_signs_in_once_and_makes_the_user(app: App) -> None:
    session = app.signed_in(client_state="cart-7")
    assert session["user"]["email_verified_at"] is not None
    assert session["magic_link"] == {
        "intent": "signin",
        "client_state": "cart-7",
        "state_source": "anonymous",
        "state_trusted": False,
        "delivery": "link",
        "verified_with": "link",
    }
    again = app.token("magic_link", token=app.link_token())
    assert (again.status_code, again.json()["code"]) == (401, "R402_AUTH_INVALID_TOKEN")


def test_a_second_link_belongs_to_the_same_user(app: App) -> None:
    assert app.signed_in()["user"]["id"] == app.signed_in(email="ADA@example.com")["user"]["id"]


def test_an_expired_link_is_refused(app: App, database_url: str) -> None:
    app.ask()
    with psycopg.connect(database_url, autocommit=True) as db:
        db.execute("UPDATE internal.core_auth_challenges SET expires_at = now()")
    assert app.token("magic_link", token=app.link_token()).json()["code"] == "R402_AUTH_INVALID_TOKEN"


def test_a_link_of_one_project_is_nothing_in_another(app: App) -> None:
    app.ask()
    other = App(app.client, app.client.post("/projects/v1", json={}).json())
    assert other.token("magic_link", token=app.link_token()).status_code == 401
    assert app.token("magic_link", token=app.link_token()).status_code == 200


def test_a_code_signs_in_once(app: App) -> None:
    challenge = app.ask(delivery="code", redirect_url=None).json()["challenge_id"]
    code = app.code()
    session = app.token("email_code", challenge_id=challenge.upper(), code=code).json()
    assert session["magic_link"]["verified_with"] == "email_code"
    assert app.token("email_code", challenge_id=challenge, code=code).json()["code"] == "R402_AUTH_INVALID_CODE"


def test_five_wrong_codes_end_the_challenge(app: App) -> None:
    challenge = app.ask(delivery="code").json()["challenge_id"]
    right = app.code()
    wrong = "000000" if right != "000000" else "111111"
    for _ in range(5):
        assert app.token("email_code", challenge_id=challenge, code=wrong).status_code == 401
    assert app.token("email_code", challenge_id=challenge, code=right).status_code == 401


def test_with_both_the_first_use_takes_the_other_along(app: App) -> None:
    challenge = app.ask(delivery="both").json()["challenge_id"]
    code, token = app.code(), app.link_token()
    assert app.token("email_code", challenge_id=challenge, code=code).status_code == 200
    assert app.token("magic_link", token=token).status_code == 401


def test_the_sixth_mail_within_an_hour_is_refused_also_for_unknown_addresses(app: App) -> None:
    app.set(public_signup="invite_only")
    answers = [app.ask() for _ in range(6)]
    assert [answer.status_code for answer in answers] == [200] * 5 + [429]
    assert answers[5].json()["code"] == "R402_AUTH_RATE_LIMITED"
    assert 0 < answers[5].json()["retry_after_seconds"] <= 3600
    assert app.mails() == []
    assert app.ask("bob@example.com").status_code == 200


def age(database_url: str, minutes: int) -> None:
    """All mails were sent so long before."""
    with psycopg.connect(database_url, autocommit=True) as db:
        db.execute(
            "UPDATE internal.core_auth_challenges SET created_at = created_at - make_interval(mins => %(m)s),"
            " expires_at = expires_at - make_interval(mins => %(m)s)",
            {"m": minutes},
        )


@pytest.mark.parametrize("settings", [{}, {"public_signup": "invite_only"}], ids=["known", "unknown"])
def test_beyond_five_mails_one_goes_out_when_no_link_is_good_any_more(
    app: App, database_url: str, settings: dict[str, Any]
) -> None:
    app.set(**settings)
    assert [app.ask().status_code for _ in range(6)] == [200] * 5 + [429]
    assert 600 < app.ask().json()["retry_after_seconds"] <= 900
    for _ in range(3):
        age(database_url, 16)
        answers = [app.ask(), app.ask()]
        assert [answer.status_code for answer in answers] == [200, 429]
        assert 600 < answers[1].json()["retry_after_seconds"] <= 900
    # 48 minutes after the five; at 60 they count no longer.
    age(database_url, 10)
    assert 60 < app.ask().json()["retry_after_seconds"] <= 120
    age(database_url, 3)
    assert [app.ask().status_code for _ in range(2)] == [200] * 2


def guess(app: App) -> None:
    """Until the right password is of no use either."""
    wrong = [app.token("password", email=EMAIL, password="wrong password").status_code for _ in range(11)]
    assert wrong == [401] * 10 + [429]


def test_a_stranger_who_uses_up_mails_and_passwords_leaves_a_link_that_works(app: App, database_url: str) -> None:
    assert [app.ask().status_code for _ in range(6)] == [200] * 5 + [429]
    guess(app)
    assert app.token("magic_link", token=app.link_token()).status_code == 200
    guess(app)
    age(database_url, 16)
    assert app.signed_in()["user"]["email"] == EMAIL


def test_mails_of_another_kind_keep_no_link_to_the_project_back(app: App) -> None:
    others = [
        {"delivery": "code"},
        {"delivery": "code"},
        {},
        {"redirect_url": "http://localhost:1/"},
        {"delivery": "both"},
    ]
    assert [app.ask(**wish).status_code for wish in [*others, *others]] == [200] * 5 + [429] * 5
    guess(app)
    site = f"http://{app.project['public_id']}.localhost:{app.client.base_url.port}/in"
    assert app.signed_in(redirect_url=site)["user"]["email"] == EMAIL
    assert app.ask(redirect_url=site).status_code == 429


def test_a_stranger_does_not_use_up_the_mails_of_the_owner(app: App) -> None:
    assert [app.ask().status_code for _ in range(6)] == [200] * 5 + [429]
    answers = [app.ask(owner=True, intent="invite", redirect_url="https://app.example/").status_code for _ in range(6)]
    assert answers == [200] * 5 + [429]


@pytest.mark.parametrize(
    ("wish", "field"),
    [
        ({"email": "ada"}, "email"),
        ({"delivery": "pigeon"}, "delivery"),
        ({"intent": "party"}, "intent"),
        ({"redirect_url": None}, "redirect_url"),
        ({"redirect_url": "javascript:alert(1)"}, "redirect_url"),
        ({"redirect_url": "/relative"}, "redirect_url"),
        ({"redirect_url": "http://a:b@example.com/"}, "redirect_url"),
        ({"redirect_url": 7}, "redirect_url"),
        ({"redirect_url": "https://evil.example/in"}, "redirect_url"),
        ({"redirect_url": "http://blog.localhost:4020/"}, "redirect_url"),
        ({"redirect_url": "http://localhost.evil.example/"}, "redirect_url"),
        ({"redirect_url": "http://x.y.localhost/"}, "redirect_url"),
        ({"client_state": 7}, "client_state"),
    ],
)
def test_bad_wishes_are_refused(app: App, wish: dict[str, Any], field: str) -> None:
    answer = app.ask(**wish)
    assert (answer.status_code, answer.json()["field"]) == (400, field)


def test_only_the_owner_invites(app: App) -> None:
    assert app.ask(intent="invite").status_code == 401
    assert app.ask(intent="invite", owner=True, client_state="vip").status_code == 200
    magic = app.token("magic_link", token=app.link_token()).json()["magic_link"]
    assert (magic["state_source"], magic["state_trusted"], magic["intent"]) == ("service_key", True, "invite")


def test_the_owner_adds_users_and_admins(app: App) -> None:
    path = "/auth/v1/admin/users"
    assert app.client.post(path, headers=app.anon, json={"email": EMAIL}).status_code == 401
    made = app.client.post(path, headers=app.owner, json={"email": EMAIL, "is_admin": True})
    assert (made.status_code, made.json()["created"], made.json()["is_admin"]) == (201, True, True)
    again = app.client.post(path, headers=app.owner, json={"email": EMAIL, "send_invite": False})
    assert (again.status_code, again.json()["created"], again.json()["is_admin"]) == (200, False, True)
    assert app.mails() == []
    invited = app.client.post(
        path, headers=app.owner, json={"email": EMAIL, "is_admin": False, "send_invite": True, "redirect_url": BACK}
    ).json()
    assert (invited["invite_sent"], invited["is_admin"]) == (True, False)
    assert app.token("magic_link", token=app.link_token()).json()["user"]["id"] == made.json()["id"]


def test_known_email_lets_users_in_that_the_owner_added(app: App) -> None:
    app.set(public_signup="known_email")
    assert app.ask().status_code == 200
    assert app.mails() == []
    signup = app.client.post("/auth/v1/signup", headers=app.anon, json={"email": EMAIL, "password": "long enough"})
    assert signup.json()["code"] == "R402_AUTH_SIGNUP_NOT_ALLOWED"
    app.client.post("/auth/v1/admin/users", headers=app.owner, json={"email": EMAIL})
    assert app.signed_in()["user"]["email"] == EMAIL


def test_invite_only_lets_invited_users_in(app: App) -> None:
    app.set(public_signup="invite_only")
    app.client.post("/auth/v1/admin/users", headers=app.owner, json={"email": EMAIL})
    app.ask()
    assert app.mails() == []
    app.client.post(
        "/auth/v1/admin/users", headers=app.owner, json={"email": EMAIL, "send_invite": True, "redirect_url": BACK}
    )
    assert app.token("magic_link", token=app.link_token()).status_code == 200
    assert app.signed_in()["user"]["email"] == EMAIL


def test_only_addresses_of_the_allowed_domains_sign_up(app: App) -> None:
    assert app.set(allowed_email_domains=["Example.org "]).json()["allowed_email_domains"] == ["example.org"]
    app.ask()
    assert app.mails() == []
    assert app.signed_in(email="ada@example.org")["user"]["email"] == "ada@example.org"


def test_a_link_that_settings_have_overtaken_signs_nobody_up(app: App) -> None:
    app.ask()
    app.set(public_signup="invite_only")
    answer = app.token("magic_link", token=app.link_token())
    assert (answer.status_code, answer.json()["code"]) == (403, "R402_AUTH_SIGNUP_NOT_ALLOWED")


def test_recovery_mails_go_to_users_only(app: App) -> None:
    app.ask(intent="recovery")
    assert app.mails() == []
    app.signed_in()
    assert app.ask(intent="recovery").status_code == 200
    assert len(app.mails()) == 2


def test_a_first_password_needs_the_projects_permission(app: App) -> None:
    session = app.signed_in()
    refused = app.password(session, new_password="a good password")
    assert refused.json()["code"] == "R402_AUTH_PASSWORD_SET_DISABLED"
    app.set(allow_password_set=True)
    assert app.password(session, new_password="a good password").json()["mode"] == "set"
    assert app.token("password", email=EMAIL, password="a good password").status_code == 200


def test_a_forgotten_password_is_reset_after_a_sign_in_by_mail(app: App, database_url: str) -> None:
    app.set(allow_password_set=True)
    app.password(app.signed_in(), new_password="the first one")
    session = app.signed_in(intent="recovery")
    assert app.password(session, new_password="the second one").json()["mode"] == "reset"
    with psycopg.connect(database_url, autocommit=True) as db:
        db.execute("UPDATE internal.core_auth_sessions SET signed_in_at = now() - interval '16 minutes'")
    late = app.password(session, new_password="the third one")
    assert late.json()["code"] == "R402_AUTH_CURRENT_PASSWORD_REQUIRED"


def test_a_proven_address_throws_out_whoever_set_a_password_before(app: App) -> None:
    stranger = {"email": EMAIL, "password": "set by a stranger"}
    app.client.post("/auth/v1/signup", headers=app.anon, json=stranger)
    session = app.token("password", **stranger).json()
    app.signed_in()
    assert app.token("password", **stranger).status_code == 401
    assert app.token("refresh_token", refresh_token=session["refresh_token"]).status_code == 401


def test_settings_start_closed_for_passwords_and_open_for_sign_ups(app: App) -> None:
    assert app.client.get("/auth/v1/settings", headers=app.anon).status_code == 401
    assert app.client.get("/auth/v1/settings", headers=app.owner).json() == {
        "allow_password_set": False,
        "preferred_sign_in_method": None,
        "public_signup": "open",
        "require_passkey_for_project_admin": False,
        "allowed_email_domains": [],
    }


def test_settings_keep_what_was_not_sent(app: App) -> None:
    app.set(allow_password_set=True)
    changed = app.set(preferred_sign_in_method="magic_link").json()
    assert (changed["allow_password_set"], changed["preferred_sign_in_method"]) == (True, "magic_link")
    assert app.set(preferred_sign_in_method=None).json()["preferred_sign_in_method"] is None


@pytest.mark.parametrize(
    ("setting", "status"),
    [
        ({}, 400),
        ({"colour": "red"}, 400),
        ({"allow_password_set": "yes"}, 400),
        ({"public_signup": "sometimes"}, 400),
        ({"allowed_email_domains": "example.org"}, 400),
        ({"allowed_email_domains": ["*"]}, 400),
        ({"preferred_sign_in_method": "pigeon"}, 400),
        ({"preferred_sign_in_method": "passkey"}, 422),
        ({"require_passkey_for_project_admin": True}, 422),
    ],
)
def test_bad_settings_change_nothing(app: App, setting: dict[str, Any], status: int) -> None:
    assert app.set(**setting).status_code == status


def test_providers_say_what_works_here(app: App) -> None:
    found = app.client.get("/auth/v1/providers", headers=app.anon).json()
    assert found["magic_link"] == {"enabled": True, "delivery_modes": ["link", "code", "both"]}
    assert found["password"]["enabled"] is True
    assert (found["google"], found["passkey"]) == ({"enabled": False}, {"enabled": False})


@pytest.mark.parametrize(
    ("path", "capability"),
    [
        ("/auth/v1/passkeys/register/options", "auth.passkeys"),
        ("/auth/v1/oauth/google", "auth.hosted-oauth"),
        ("/ai/v1/translate", "ai.helpers"),
        ("/contracts/v1/signers", "contracts"),
        ("/agent/v1/transfers/incoming", "cloud.transfers"),
        ("/faucet/v1", "payments.faucet"),
    ],
)
def test_areas_that_are_not_here_say_so_with_a_next_step(client: httpx.Client, path: str, capability: str) -> None:
    answer = client.post(path, json={})
    body = answer.json()
    assert (answer.status_code, body["error"], body["capability"]) == (422, "unsupported_capability", capability)
    assert body["next_actions"][0]["command"].startswith("run402 ")


def test_an_area_is_not_confused_with_a_path_that_begins_like_it(client: httpx.Client) -> None:
    assert client.get("/ai/v10").status_code == 404


def test_a_link_for_the_anon_key_leads_to_the_project_or_to_this_machine(app: App) -> None:
    base, own = str(app.client.base_url).rstrip("/"), f"/projects/v1/{app.project['project_id']}/static/"
    host = f"http://{app.project['public_id']}.localhost"
    good = [
        f"{base}{own}in",
        f"{host}:{app.client.base_url.port}/in",
        f"{host}/",
        "https://localhost:8443/",
        "http://127.0.0.1:5173/x",
    ]
    other = app.client.post("/projects/v1", json={"name": "other"}).json()
    theirs = own.replace(app.project["project_id"], other["project_id"])
    bad = [
        f"{base}{theirs}",
        f"{base}{own}../../{other['project_id']}/static/",
        f"{base}{own}%2e%2e/x",
        f"{base}/",
        f"{base}{own}/\\x",
    ]
    bad += [
        f"http://{other['public_id']}.localhost:4020/",
        f"{base}@evil.example/",
        "http://0.0.0.0:1/",
        "http://evil.example:3000/",
    ]
    for number, url in enumerate([*good, *bad]):
        answer = app.ask(f"{number}@example.com", redirect_url=url)
        assert (answer.status_code, url) == (200 if url in good else 400, url)
    trusted = app.client.post(
        "/auth/v1/magic-link",
        headers={**app.anon, **app.owner},
        json={"email": EMAIL, "redirect_url": "https://app.example/in", "delivery": "link"},
    )
    assert trusted.status_code == 200
