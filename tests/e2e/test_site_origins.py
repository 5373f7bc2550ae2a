"""What a page of one project can do to another project and to the gateway, tried in a real browser. Needs Chromium."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import chromium
import httpx
import pytest
from chromium import Page
from e2e_kit import Cli

pytestmark = pytest.mark.e2e

WORKER = """
addEventListener('install', () => skipWaiting());
addEventListener('activate', (event) => event.waitUntil(
  registration.navigationPreload.enable().then(() => clients.claim())));
addEventListener('fetch', (event) => event.respondWith((async () => {
  const answer = (await event.preloadResponse) || (await fetch(event.request));
  const text = await answer.clone().text();
  for (const each of await clients.matchAll({ includeUncontrolled: true })) each.postMessage(text);
  return answer;
})()));
"""
INDEX = "<!doctype html><title>site</title><h1>NAME</h1>"


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Page]:
    program = chromium.find()
    if program is None:
        pytest.skip("no Chromium on this machine; on Debian: apt-get install chromium")
    with chromium.browser(program, tmp_path / "profile") as page:
        yield page


def deployed(cli: Cli, name: str) -> dict[str, Any]:
    """A project with a page, a worker, and a function that wants the whole host."""
    project = cli.ok("projects", "provision", "--name", name)["project_id"]
    headers = {
        "content-type": "text/javascript",
        "service-worker-allowed": "/",
        "set-cookie": "all=1; Domain=localhost",
    }
    code = f"export default async () => new Response({json.dumps(WORKER)}, {{ headers: {json.dumps(headers)} }});"
    manifest = {
        "project_id": project,
        "site": {"replace": {"index.html": {"data": INDEX.replace("NAME", name)}, "sw.js": {"data": WORKER}}},
        "functions": {"replace": {"wide": {"source": {"data": code}}}},
        "routes": {"replace": [{"pattern": "/wide.js", "target": {"type": "function", "name": "wide"}}]},
    }
    done = cli.ok("deploy", "apply", "--manifest", "-", stdin=json.dumps(manifest))
    return {"project_id": project, **done["urls"]}


@pytest.fixture
def two(cli: Cli, gateway: dict[str, Any]) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    made = [deployed(cli, name) for name in ("mine", "theirs")]
    yield made[0], made[1]
    for each in made:
        cli.ok("projects", "delete", each["project_id"], "--confirm")


def shows(page: Page, name: str) -> None:
    page.until(f"document.querySelector('h1')?.innerText === {json.dumps(name)}")


def outcome(page: Page, script: str) -> Any:
    """The value of a promise, or the name of its error."""
    return page.value(f"(async () => {{ try {{ {script} }} catch (error) {{ return error.name }} }})()")


def test_the_address_of_a_deploy_leads_to_an_origin_of_its_own(page: Page, two: tuple[dict[str, Any], ...]) -> None:
    for each, name in zip(two, ("mine", "theirs"), strict=True):
        page.open(each["site"])
        shows(page, name)
        assert page.value("location.href") == each["origin"]
        # The browser keeps it there.
        page.value("localStorage.setItem('session', 'REFRESH-TOKEN')")
    page.open(two[0]["origin"])
    shows(page, "mine")
    assert page.value("location.host") != httpx.URL(two[1]["origin"]).netloc.decode()


def test_no_frame_window_or_cookie_reaches_the_other_project(page: Page, two: tuple[dict[str, Any], ...]) -> None:
    mine, theirs = two
    page.open(theirs["origin"])
    shows(page, "theirs")
    page.value("localStorage.setItem('session', 'REFRESH-TOKEN'); document.cookie = 'theirs=1'")
    page.open(mine["origin"])
    shows(page, "mine")
    assert page.value("localStorage.getItem('session')") is None
    for url in (theirs["site"], theirs["origin"], theirs["site"] + "index.html"):
        for tag, source in (("iframe", "src"), ("object", "data"), ("embed", "src")):
            reached = outcome(
                page,
                f"const it = document.createElement('{tag}'); it.{source} = {json.dumps(url)}; const loaded = new Promise("
                "(done) => { it.onload = done; setTimeout(done, 3000) }); document.body.append(it); await loaded;"
                " const inside = it.contentWindow ?? it.getSVGDocument?.()?.defaultView; it.remove;"
                " return inside ? inside.localStorage.getItem('session') : 'nothing'",
            )
            assert reached in ("SecurityError", "nothing"), (url, tag)
    page.value("for (const at of ['localhost', '.localhost', '']) document.cookie = 'mine=1; path=/; domain=' + at")
    page.value("fetch('/wide.js')")
    page.open(theirs["origin"])
    shows(page, "theirs")
    assert page.value("document.cookie") == "theirs=1"


def test_a_page_reads_and_drives_nothing_of_the_gateway(
    page: Page, cli: Cli, gateway: dict[str, Any], two: tuple[dict[str, Any], ...]
) -> None:
    mine, theirs = two
    base, port = gateway["url"], httpx.URL(gateway["url"]).port
    page.open(mine["origin"])
    shows(page, "mine")
    for host in (base, f"http://localhost:{port}"):
        for path in ("/projects/v1", f"/projects/v1/{theirs['project_id']}", "/_run402/mail", "/_run402/", "/status"):
            assert outcome(page, f"return (await fetch({json.dumps(host + path)})).status") == "TypeError", path
    for path in ("/projects/v1", "/_run402/mail", "/_run402/", "/status", "/mailboxes/v1/outbox"):
        assert outcome(page, f"return (await fetch({json.dumps(path)})).status") == 421, path
    assert outcome(page, "return (await fetch('/projects/v1', { method: 'POST', body: '{}' })).status") == 421
    before = len(cli.ok("projects", "list")["projects"])
    page.value(
        f"(() => {{ const form = document.createElement('form'); form.method = 'post'; form.action = '{base}/projects/v1';"
        " document.body.append(form); form.submit() })()"
    )
    page.until("document.body.innerText.includes('origin_forbidden')")
    assert len(cli.ok("projects", "list")["projects"]) == before


def test_a_worker_sees_its_own_site_only(
    page: Page, cli: Cli, gateway: dict[str, Any], two: tuple[dict[str, Any], ...]
) -> None:
    cli.ok(
        "auth",
        "magic-link",
        "--project",
        two[1]["project_id"],
        "--email",
        "ada@example.com",
        "--redirect",
        "http://localhost:3000/",
    )
    page.open(two[0]["origin"])
    shows(page, "mine")
    started = "await navigator.serviceWorker.register('/wide.js', { scope: '/' }); await navigator.serviceWorker.ready;"
    assert outcome(page, f"{started} return 'runs'") == "runs"
    page.open(two[0]["origin"])
    page.until("navigator.serviceWorker.controller !== null")
    page.value("globalThis.seen = []; navigator.serviceWorker.onmessage = (event) => seen.push(event.data); 1")
    for address in (
        "/_run402/mail",
        f"{gateway['url']}/_run402/mail",
        two[1]["origin"],
        two[1]["site"],
        cli.ok("open")["url"],
    ):
        page.value(f"open({json.dumps(address)}, '_blank'); 1") if address.startswith("/") else None
        framed = f"const it = document.createElement('iframe'); it.src = {json.dumps(address)};"
        page.value(f"new Promise((done) => {{ {framed} it.onload = done; document.body.append(it) }})")
    page.until("seen.some((text) => text.includes('misdirected_request'))")
    heard = page.value("seen.join()")
    assert "ada@example.com" not in heard
    assert "theirs" not in heard
    # And it lets nobody replace a page of the gateway.
    page.open(cli.ok("open")["url"])
    page.until("document.querySelector('h1')?.innerText === 'Projects'")


def test_nothing_at_the_gateways_own_host_has_its_origin(
    page: Page, gateway: dict[str, Any], two: tuple[dict[str, Any], ...]
) -> None:
    for path in ("/health", "/capabilities/v1", "/rest/v1/", "/nothing"):
        page.open(gateway["url"] + path)
        page.until("document.readyState === 'complete'")
        assert page.value("window.origin") == "null", path
        assert outcome(page, "return localStorage.length") == "SecurityError"
        assert outcome(page, "return document.cookie") == "SecurityError"
    script = f"/projects/v1/{two[0]['project_id']}/static/wide.js"
    assert outcome(page, f"return (await navigator.serviceWorker.register('{script}')).scope") != script
