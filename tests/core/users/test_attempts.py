"""Wrong passwords, codes and links have a limit, which keeps nobody out for good and tells nothing."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from gateway_kit import Live

from run402_cli.core import attempts
from run402_cli.core.attempts import Attempts, Guesser
from run402_cli.core.errors import GatewayError

ADA, BOB, NOBODY = "ada@example.com", "bob@example.com", "nobody@example.com"
PASSWORD = "a good password"


class App:
    """Sign-in as a page does it, from this machine's usual address or another one."""

    def __init__(self, client: httpx.Client, project: dict[str, Any]) -> None:
        self.client, self.project = client, project
        self.headers = {"apikey": project["anon_key"]}

    def token(self, grant: str, client: httpx.Client | None = None, **body: Any) -> httpx.Response:
        sender = client or self.client
        return sender.post("/auth/v1/token", params={"grant_type": grant}, headers=self.headers, json=body)

    def password(self, email: str = ADA, password: str = "wrong", client: httpx.Client | None = None) -> httpx.Response:
        return self.token("password", client, email=email, password=password)

    def mailed(self, pattern: str, delivery: str = "link") -> tuple[str, str]:
        """The challenge and what its mail says."""
        body = {"email": ADA, "redirect_url": "http://localhost:3000/", "delivery": delivery}
        asked = self.client.post("/auth/v1/magic-link", headers=self.headers, json=body)
        assert asked.status_code == 200, asked.text
        outbox = self.client.get("/mailboxes/v1/outbox", headers={"apikey": self.project["service_key"]}).json()
        found = re.search(pattern, outbox["messages"][0]["body_text"])
        assert found is not None
        return asked.json().get("challenge_id", ""), found[1]

    def link(self) -> httpx.Response:
        return self.token("magic_link", token=self.mailed(r"token=(\S+)")[1])


@pytest.fixture
def app(client: httpx.Client, project: dict[str, Any]) -> App:
    made = App(client, project)
    for email in (ADA, BOB):
        body = {"email": email, "password": PASSWORD}
        assert client.post("/auth/v1/signup", headers=made.headers, json=body).status_code == 201
    return made


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Moves the clock of the limit."""
    real = time.monotonic

    def move(seconds: float) -> None:
        monkeypatch.setattr(attempts, "time", SimpleNamespace(monotonic=lambda: real() + seconds))

    return move


def without_digits(answer: httpx.Response) -> str:
    return re.sub(r"req_\w+|\d+", "#", answer.text)


def test_wrong_passwords_end_in_429_that_says_when_to_come_back(app: App, later: Callable[[float], None]) -> None:
    assert [app.password().status_code for _ in range(attempts.OF_ACCOUNT)] == [401] * attempts.OF_ACCOUNT
    refused = app.password(password=PASSWORD)
    body = refused.json()
    assert (refused.status_code, body["error"], body["code"]) == (429, "rate_limited", "R402_AUTH_RATE_LIMITED")
    assert 0 < body["retry_after_seconds"] <= attempts.WINDOW_SECONDS
    assert body["retryable"] is True
    assert f"Wait {body['retry_after_seconds']} seconds" in body["message"]
    assert app.password(BOB, PASSWORD).status_code == 200
    later(body["retry_after_seconds"] + 60)
    assert app.password(password=PASSWORD).status_code == 200


def test_the_limit_does_not_tell_who_has_an_account(app: App) -> None:
    tries = range(attempts.OF_ACCOUNT + 1)
    known, unknown = [app.password() for _ in tries], [app.password(NOBODY) for _ in tries]
    assert [answer.status_code for answer in known] == [answer.status_code for answer in unknown]
    assert list(map(without_digits, known)) == list(map(without_digits, unknown))


def test_another_spelling_of_the_address_is_the_same_account(app: App) -> None:
    spellings = (ADA, "ADA@example.com", " ada@EXAMPLE.com ", "\uff41da@example.com")
    codes = [app.password(spellings[number % 4]).status_code for number in range(attempts.OF_ACCOUNT + 1)]
    assert codes == [401] * attempts.OF_ACCOUNT + [429]


def test_the_right_link_gets_in_and_ends_the_limit(app: App) -> None:
    for _ in range(attempts.OF_ACCOUNT + 1):
        last = app.password()
    assert last.status_code == 429
    assert app.link().status_code == 200
    assert app.password().status_code == 401


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have one loopback address")
def test_this_machine_has_one_address(app: App, live: Live) -> None:
    """Whoever is on it could take another of its addresses for each guess."""
    for _ in range(attempts.OF_ACCOUNT + 1):
        last = app.password()
    assert last.status_code == 429
    elsewhere = httpx.HTTPTransport(local_address="127.0.0.2")
    with httpx.Client(base_url=live.base_url, transport=elsewhere, timeout=30) as other:
        assert app.password(password=PASSWORD, client=other).status_code == 429


def test_a_stranger_locks_nobody_out_at_another_address() -> None:
    kept, stranger, owner = Attempts(), Guesser("prj", "192.0.2.7"), Guesser("prj", "192.0.2.8")
    for _ in range(attempts.OF_ACCOUNT):
        kept.begin(stranger, ADA)
    with pytest.raises(GatewayError, match="for this account from this address"):
        kept.begin(stranger, ADA)
    kept.begin(owner, ADA)
    kept.right(owner, ADA)
    # That the owner is there says nothing about the stranger.
    with pytest.raises(GatewayError, match="for this account from this address"):
        kept.begin(stranger, ADA)


def test_many_at_once_are_counted_too(app: App) -> None:
    with ThreadPoolExecutor(20) as threads:
        answers = list(threads.map(lambda _: app.password().status_code, range(30)))
    assert sorted(answers) == [401] * attempts.OF_ACCOUNT + [429] * 20


def test_codes_count_with_the_passwords_of_their_account(app: App) -> None:
    for _ in range(2):
        challenge, right = app.mailed(r"code: (\d{6})", "code")
        wrong = "000000" if right != "000000" else "111111"
        for _ in range(5):
            assert app.token("email_code", challenge_id=challenge, code=wrong).status_code == 401
    challenge, right = app.mailed(r"code: (\d{6})", "code")
    assert app.token("email_code", challenge_id=challenge, code=right).status_code == 429
    assert app.password(password=PASSWORD).status_code == 429
    assert app.link().status_code == 200
    assert app.token("email_code", challenge_id=challenge, code=right).status_code == 200


def test_one_address_may_be_wrong_so_often_about_all_accounts(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempts, "OF_ADDRESS", 6)
    for number in range(2):
        assert app.password(f"user{number}@example.com").status_code == 401
        assert app.token("email_code", challenge_id=f"c{number}", code="123456").status_code == 401
        assert app.token("magic_link", token=f"r402_link_{number}").status_code == 401
    for answer in (
        app.password(BOB, PASSWORD),
        app.token("magic_link", token="r402_link_x"),
        app.token("email_code", challenge_id="c", code="123456"),
    ):
        assert (answer.status_code, answer.json()["error"]) == (429, "rate_limited")
    assert app.link().status_code == 200


def test_right_ones_do_not_count(app: App) -> None:
    for _ in range(attempts.OF_ACCOUNT + 5):
        assert app.password(password=PASSWORD).status_code == 200


def test_the_old_password_of_a_change_counts_as_well(app: App) -> None:
    access = app.password(password=PASSWORD).json()["access_token"]
    headers = {**app.headers, "Authorization": f"Bearer {access}"}
    body = {"new_password": "another password", "current_password": "wrong"}
    url = "/auth/v1/user/password"
    codes = [app.client.post(url, headers=headers, json=body).status_code for _ in range(attempts.OF_ACCOUNT + 1)]
    assert codes == [403] * attempts.OF_ACCOUNT + [429]


def test_it_forgets_the_oldest_when_there_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempts, "MAX_KEPT", 50)
    kept = Attempts()
    for number in range(500):
        kept.begin(Guesser("prj", f"10.0.0.{number}"), ADA)
    assert len(kept._times) == 50
    for _ in range(attempts.OF_ACCOUNT - 1):
        kept.begin(Guesser("prj", "10.0.0.499"), ADA)
    with pytest.raises(GatewayError, match="for this account from this address"):
        kept.begin(Guesser("prj", "10.0.0.499"), ADA)
    kept.begin(Guesser("other", "10.0.0.499"), ADA)
