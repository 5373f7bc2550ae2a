"""A person clicks through the console in a real browser; a deployed page tries to get at it. Needs the program chromium."""

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
from guestbook_kit import Guestbook

pytestmark = pytest.mark.e2e


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


def heading(page: Page, text: str) -> None:
    page.until(f"document.querySelector('h1')?.innerText === {json.dumps(text)}")


def test_links_and_the_sql_form_work(
    page: Page, cli: Cli, gateway: dict[str, Any], project: dict[str, Any], guestbook: Guestbook
) -> None:
    cli.ok("auth", "magic-link", "--email", "ada@example.com", "--redirect", "http://localhost:3000/in")
    page.open(gateway["console_url"])
    page.until("document.body.innerText.includes('run402 open')")
    page.problems.clear()
    page.open(cli.ok("open")["url"])
    heading(page, "Projects")
    page.click(f'a[href$="{project["project_id"]}"]')
    page.click('nav a[href$="/tables"]')
    heading(page, "Tables")
    page.click('a[href$="name=entries"]')
    heading(page, "entries")
    assert "Hello from a real PostgreSQL." in page.text("table")
    page.click('nav a[href$="/sql"]')
    heading(page, "SQL")
    page.type("textarea", "select 40 + 2 as answer, author from entries")
    page.click("form button")
    page.until("document.querySelector('td')?.innerText === '42'")
    page.click('header a[href$="/mail"]')
    heading(page, "Local mail")
    page.click("td a")
    page.until("document.querySelector('h2')?.innerText === 'Links'")
    assert "token=" in page.text("ul")
    page.click('header a[href$="/"]')
    heading(page, "Projects")
    # The style was let through, and nothing else was asked for.
    assert page.value("getComputedStyle(document.querySelector('header')).display") == "flex"
    assert [each for each in page.problems if "favicon" not in each] == []
