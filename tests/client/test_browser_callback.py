"""The loopback port that waits for a browser: what it takes, what it refuses, and that it never outlives its use."""

from __future__ import annotations

import socket
import subprocess
import sys
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode, urlsplit
from urllib.request import urlopen

import pytest

from run402_cli.client import browser


def visit(callback: browser.Callback, **query: str) -> str:
    with urlopen(f"{callback.redirect_uri}?{urlencode(query)}", timeout=10) as answer:
        assert answer.status == 200
        assert answer.headers["connection"] == "close"
        assert answer.headers["content-type"].startswith("text/html")
        return str(answer.read().decode())


def test_the_code_of_the_first_callback_is_returned() -> None:
    challenge = browser.Challenge()
    with browser.listening(challenge) as callback:
        visit(callback, code="one", state=challenge.state)
        visit(callback, code="two", state=challenge.state)
        assert callback.wait() == "one"


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ({"error": "access_denied", "code": "c"}, "access_denied"),
        ({}, "without a code"),
        ({"code": "c"}, "state"),
        ({"code": "c", "state": "foreign\u00e9"}, "state"),
    ],
)
def test_other_callbacks_fail_and_their_text_is_not_shown_in_the_page(query: dict[str, str], reason: str) -> None:
    with browser.listening(browser.Challenge()) as callback:
        page = visit(callback, **query, extra="<script>")
        assert "<script>" not in page
        with pytest.raises(browser.CallbackFailed, match=reason):
            callback.wait()


def test_other_paths_are_not_found_and_do_not_count() -> None:
    challenge = browser.Challenge()
    with browser.listening(challenge) as callback:
        with pytest.raises(HTTPError) as caught:
            urlopen(callback.redirect_uri.replace("/callback", "/favicon.ico"), timeout=10)
        assert caught.value.code == 404
        visit(callback, code="c", state=challenge.state)
        assert callback.wait() == "c"


def test_an_idle_connection_holds_nothing_up_and_the_port_closes() -> None:
    challenge = browser.Challenge()
    with browser.listening(challenge) as callback:
        port = urlsplit(callback.redirect_uri).port
        assert port is not None
        idle = socket.create_connection(("127.0.0.1", port))
        visit(callback, code="c", state=challenge.state)
        assert callback.wait() == "c"
    with pytest.raises(URLError):
        urlopen(callback.redirect_uri, timeout=10)
    idle.close()


def test_the_wait_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(browser, "WAIT_S", 0.05)
    with (
        browser.listening(browser.Challenge()) as callback,
        pytest.raises(browser.CallbackFailed, match="nobody answered"),
    ):
        callback.wait()


def test_a_challenge_is_that_of_rfc_7636() -> None:
    verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    assert browser.Challenge(verifier=verifier).code_challenge == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
    one, other = browser.Challenge(), browser.Challenge()
    assert len({one.verifier, other.verifier, one.state, other.state, one.nonce, other.nonce}) == 6
    assert (len(one.verifier), len(one.state), len(one.nonce)) == (43, 22, 22)
    assert one.verifier not in repr(one)


@pytest.mark.parametrize(
    "value",
    [None, 7, "", "ftp://a.test", "javascript:alert(1)", "--help", "https://", "https://a.test/\x1b[2J", "http://a b"],
)
def test_what_is_no_web_address_is_neither_printed_nor_opened(value: object) -> None:
    assert browser.web_address(value) is None


def test_a_browser_is_opened_at_a_terminal_only(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    monkeypatch.setattr(browser, "hand_over", opened.append)
    browser.show("https://a.test/1", "Sign in at", may_open=True)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    browser.show("https://a.test/2", "Sign in at", may_open=False)
    assert opened == []
    browser.show("https://a.test/3", "Sign in at", may_open=True)
    assert opened == ["https://a.test/3"]
    assert capfd.readouterr().err.count("Sign in at: https://a.test/") == 3


def test_a_machine_without_a_desktop_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: object, **_kwargs: object) -> None:
        raise FileNotFoundError("xdg-open")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    monkeypatch.setenv("DISPLAY", ":0")
    assert browser.hand_over("https://a.test") is False
