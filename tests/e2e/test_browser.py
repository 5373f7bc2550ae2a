"""A real browser signs in to the deployed guestbook, adds an entry and removes it. Needs the program chromium."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import chromium
import guestbook_kit
import httpx
import pytest
from chromium import Page
from e2e_kit import Cli
from guestbook_kit import PASSWORD, Guestbook

pytestmark = pytest.mark.e2e
FIRST = "run402: Hello from a real PostgreSQL."


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Page]:
    program = chromium.find()
    if program is None:
        pytest.skip("no Chromium on this machine; on Debian: apt-get install chromium")
    with chromium.browser(program, tmp_path / "profile") as page:
        yield page


@pytest.fixture
def guestbook(cli: Cli, gateway: dict[str, Any], project: dict[str, Any], http: httpx.Client) -> Guestbook:
    return guestbook_kit.deploy(cli, http, gateway["url"], project)


def entries_become(page: Page, *wanted: str) -> None:
    """Wait until the page shows these entries, newest first; their times and buttons do not count."""
    shown = "[...document.querySelectorAll('#entries li')].map((item) => item.firstChild.data)"
    page.until(f"JSON.stringify({shown}) === {json.dumps(json.dumps(list(wanted), separators=(',', ':')))}")


def sign_in(page: Page, *, button: str, **fields: str) -> None:
    page.click("#signed-out a")
    page.shown("#login")
    for name, text in fields.items():
        page.type(f"[name={name}]", text)
    page.click(f"[value={button}]")


def test_a_visitor_signs_up_and_adds_and_removes_an_entry(page: Page, guestbook: Guestbook) -> None:
    page.open(guestbook.site)
    entries_become(page, FIRST)
    assert page.value("document.querySelector('#sign').checkVisibility()") is False
    sign_in(page, button="sign-up", email="ada@example.com", password=PASSWORD, name="Ada")
    page.shown("#sign")
    assert page.text("#who") == "Ada"
    message = "<b>Hi</b> from a browser"
    page.type("#sign [name=message]", message)
    page.click("#sign button")
    entries_become(page, f"Ada: {message}", FIRST)
    assert guestbook.messages()[-1] == message
    # Only the own entry has a button.
    assert page.value("document.querySelectorAll('#entries button').length") == 1
    page.click("#entries button")
    entries_become(page, FIRST)
    assert len(guestbook.messages()) == 1
    assert page.problems == []


def test_a_wrong_password_is_told_and_the_right_one_signs_in(page: Page, guestbook: Guestbook) -> None:
    guestbook.sign(guestbook.sign_up("Bob"), "by Bob")
    page.open(guestbook.site)
    page.shown("#signed-out")
    sign_in(page, button="sign-in", email="bob@example.com", password="not the password")
    page.until("document.querySelector('#problem').innerText.includes('wrong')")
    page.value("document.querySelector('[name=password]').value = ''")
    page.type("[name=password]", PASSWORD)
    page.click("[value=sign-in]")
    page.shown("#signed-in")
    assert page.text("#who") == "Bob"
    entries_become(page, "Bob: by Bob", FIRST)
    page.type("#sign [name=message]", "see https://example.com")
    page.click("#sign button")
    page.until("document.querySelector('#problem').innerText.includes('no links')")
    page.click("#sign-out")
    page.shown("#signed-out")
    assert page.value("sessionStorage.length") == 0
    assert page.value("document.querySelectorAll('#entries button').length") == 0


def test_an_expired_access_token_is_renewed_without_a_word(page: Page, guestbook: Guestbook) -> None:
    page.open(guestbook.site)
    page.shown("#signed-out")
    sign_in(page, button="sign-up", email="eve@example.com", password=PASSWORD, name="Eve")
    page.shown("#sign")
    page.value(
        "for (const [key, text] of Object.entries(sessionStorage))"
        " sessionStorage[key] = JSON.stringify({ ...JSON.parse(text), access_token: 'a.b.c' })"
    )
    page.type("#sign [name=message]", "an hour later")
    page.click("#sign button")
    entries_become(page, "Eve: an hour later", FIRST)


def test_the_page_works_on_the_sites_own_host(
    page: Page, cli: Cli, gateway: dict[str, Any], guestbook: Guestbook
) -> None:
    cli.ok("deploy", "apply", "--manifest", "-", stdin=json.dumps({"subdomains": {"set": ["guestbook"]}}))
    page.open(f"http://guestbook.localhost:{httpx.URL(gateway['url']).port}/")
    entries_become(page, FIRST)
    sign_in(page, button="sign-up", email="dan@example.com", password=PASSWORD, name="Dan")
    page.shown("#sign")
    page.type("#sign [name=message]", "from another origin")
    page.click("#sign button")
    entries_become(page, "Dan: from another origin", FIRST)
    assert page.problems == []
