"""Which host serves what: an origin for each project, and the gateway's own host, where nothing of a project has one."""

from __future__ import annotations

import json
from typing import Any

import deploy_kit
import httpx
import pytest
from functions_kit import Functions, handler
from storage_kit import Storage

NAVIGATE = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document", "Sec-Fetch-Site": "none"}
FRAME = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe", "Sec-Fetch-Site": "cross-site"}
OLD_BROWSER = {"User-Agent": "Mozilla/5.0 (old)", "Accept": "text/html,*/*"}
SCRIPT = {"Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "script", "Sec-Fetch-Site": "cross-site"}
PAGE = b"<h1>a page</h1>"


@pytest.fixture
def origin(client: httpx.Client, project: dict[str, Any]) -> str:
    files = {"index.html": PAGE, "docs/index.html": PAGE, "app.js": b"1"}
    spec = {"project_id": project["project_id"], "site": {"replace": deploy_kit.site(files)}}
    done = deploy_kit.deploy(client, spec, *files.values())
    url = str(done["urls"]["origin"])
    assert url == f"http://{project['public_id']}.localhost:{client.base_url.port}/"
    assert done["urls"]["site"] == f"{client.base_url}/projects/v1/{project['project_id']}/static/".replace("1//", "1/")
    assert client.get(f"/projects/v1/{project['project_id']}").json()["endpoints"]["origin"] == url
    return url


@pytest.fixture
def asset(client: httpx.Client, project: dict[str, Any]) -> str:
    # Immutable, so that it has all three kinds of address.
    Storage(client, project).put("pages/a.html", PAGE, content_type="text/html", immutable=True)
    return f"/projects/v1/{project['project_id']}/storage/public/pages/a.html"


def at(url: str) -> dict[str, str]:
    return {"Host": httpx.URL(url).netloc.decode()}


@pytest.mark.parametrize("headers", [NAVIGATE, FRAME, OLD_BROWSER], ids=["page", "frame", "old"])
@pytest.mark.parametrize("path", ["", "/", "/docs", "/docs/", "/app.js", "/nope%20here?a=1&b=%2F"])
def test_a_browser_is_sent_on_to_the_origin(
    client: httpx.Client, project: dict[str, Any], origin: str, headers: dict[str, str], path: str
) -> None:
    answer = client.get(f"/projects/v1/{project['project_id']}/static{path}", headers=headers)
    assert (answer.status_code, answer.headers["location"]) == (307, origin + path.lstrip("/"))
    assert answer.headers["cache-control"] == "no-store"


def test_a_form_keeps_its_method_on_the_way(client: httpx.Client, project: dict[str, Any], origin: str) -> None:
    path = f"/projects/v1/{project['project_id']}/static/sign"
    answer = client.post(path, headers={**NAVIGATE, "Origin": "null"}, data={"a": "1"})
    assert (answer.status_code, answer.headers["location"]) == (307, f"{origin}sign")


def test_the_way_leads_nowhere_else(client: httpx.Client, project: dict[str, Any], origin: str) -> None:
    base = f"/projects/v1/{project['project_id']}/static"
    for path in ("//evil.example/", "/%2F%2Fevil.example", "/\\evil.example", "/@evil.example"):
        answer = client.get(base + path, headers=NAVIGATE)
        assert answer.headers["location"].startswith(origin), path


def test_a_program_gets_the_file_by_its_path(client: httpx.Client, project: dict[str, Any], origin: str) -> None:
    for headers in ({}, {"User-Agent": "curl/8"}, {"User-Agent": "node", "Sec-Fetch-Mode": "cors"}, SCRIPT):
        answer = client.get(f"/projects/v1/{project['project_id']}/static/", headers=headers)
        assert (answer.status_code, answer.content) == (200, PAGE)
        # Whatever shows it has no origin there.
        assert "sandbox" in answer.headers.get_list("content-security-policy")
        assert answer.headers["x-content-type-options"] == "nosniff"


def test_the_origin_serves_the_site_and_what_a_page_may_call(
    client: httpx.Client, project: dict[str, Any], origin: str, asset: str
) -> None:
    here = {**at(origin), "Origin": origin.rstrip("/"), "Sec-Fetch-Site": "same-origin"}
    answer = client.get("/", headers={**here, **NAVIGATE})
    assert (answer.status_code, answer.content) == (200, PAGE)
    assert "content-security-policy" not in answer.headers
    assert client.get("/app.js", headers=here).content == b"1"
    for path in ("/static/docs/", "/static/app.js"):
        assert client.get(f"/projects/v1/{project['project_id']}{path}", headers=here).status_code == 200
    assert client.get(asset, headers={**here, **NAVIGATE}).content == PAGE
    assert client.get("/health", headers=here).status_code == 200
    rest = client.get("/rest/v1/nope", headers={**here, "apikey": project["anon_key"]})
    assert rest.json()["code"] == "PGRST205"


def test_stored_pages_are_shown_at_the_origin_too(
    client: httpx.Client, project: dict[str, Any], service: dict[str, str], origin: str, asset: str
) -> None:
    signed = client.post("/storage/v1/blob/pages/a.html/sign", headers=service).json()["signed_url"]
    sha256 = deploy_kit.sha256(PAGE)
    for path in (asset, asset.replace("/public/", f"/immutable/{sha256}/"), signed):
        path = httpx.URL(path).raw_path.decode()
        answer = client.get(path, headers=NAVIGATE)
        assert (answer.status_code, answer.headers["location"]) == (307, origin + path.lstrip("/"))
        assert client.get(path, headers={**at(origin), **NAVIGATE}).content == PAGE
        assert client.get(path).content == PAGE


def test_no_project_has_pages_at_the_host_of_another(
    client: httpx.Client, project: dict[str, Any], origin: str, asset: str
) -> None:
    other = client.post("/projects/v1", json={"name": "other"}).json()
    elsewhere = {"Host": f"{other['public_id']}.localhost:4020"}
    for path in (
        asset,
        f"/projects/v1/{project['project_id']}/static/",
        f"/projects/v1/{project['project_id']}/static",
    ):
        for headers in (elsewhere, {**elsewhere, **NAVIGATE}):
            answer = client.get(path, headers=headers)
            assert (answer.status_code, answer.json()["error"]) == (421, "misdirected_request")
            assert project["public_id"] in answer.json()["url"]
    nobody = client.get(asset, headers={"Host": "nobody.localhost"})
    assert nobody.status_code == 421


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/projects/v1"),
        ("POST", "/projects/v1"),
        ("GET", "/projects/v1/{id}"),
        ("POST", "/projects/v1/admin/{id}/sql"),
        ("GET", "/_run402/"),
        ("GET", "/_run402/mail"),
        ("GET", "/status"),
        ("POST", "/auth/v1/dev-tokens"),
        ("GET", "/mailboxes/v1/outbox"),
        ("GET", "/functions/v1/runs"),
        ("POST", "/apply/v1/plans"),
    ],
)
def test_the_gateway_itself_is_at_no_site_host(
    client: httpx.Client, project: dict[str, Any], service: dict[str, str], origin: str, method: str, path: str
) -> None:
    path = path.format(id=project["project_id"])
    for host in (at(origin), {"Host": "nobody.localhost"}):
        for headers in ({}, service, NAVIGATE, {"Origin": origin.rstrip("/"), **service}):
            # The client has the control token.
            answer = client.request(method, path, headers={**host, **headers})
            assert (answer.status_code, answer.json()["error"]) == (421, "misdirected_request")
            assert answer.json()["url"] == f"{str(client.base_url).rstrip('/')}{path}"
    assert "next_actions" in answer.json()


@pytest.mark.parametrize(
    "host", ["x.{own}", "x.y.{own}:1", "x.victim.localhost", "localhost.localhost.localhost", "x!.localhost"]
)
def test_a_name_below_a_site_answers_nothing(
    client: httpx.Client, functions: Functions, origin: str, service: dict[str, str], host: str
) -> None:
    functions.deploy_routed(
        handler("return new Response('ran', { headers: { 'set-cookie': 'a=1; Domain=victim.localhost' } });")
    )
    below = {"Host": host.format(own=httpx.URL(origin).host)}
    static = f"/projects/v1/{functions.id}/static"
    for path in (
        "/projects/v1",
        "/_run402/mail",
        "/",
        "/health",
        f"{static}/api/x",
        f"{static}/",
        "/rest/v1/t",
        "/functions/v1/api",
    ):
        for headers in ({}, service, NAVIGATE, SCRIPT):
            answer = client.get(path, headers={**below, **headers})
            assert (answer.status_code, answer.json()["error"]) == (421, "misdirected_request"), path
            assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    "host", ["0.0.0.0:4020", "127.0.0.2", "rebound.example", "app.trycloudflare.com", "localhost:"]
)
def test_under_another_name_nothing_of_a_project_has_an_origin_either(functions: Functions, host: str) -> None:
    functions.deploy_routed(
        handler("return new Response(req.headers.get('cookie') ?? 'none', { headers: { 'set-cookie': 'a=1' } });")
    )
    path = f"/projects/v1/{functions.id}/static/api/x"
    seen = functions.client.get(path, headers={"Host": host, "Cookie": "sid=1", **SCRIPT})
    assert (seen.text, seen.headers.get_list("set-cookie")) == ("none", [])
    assert seen.headers.get_list("content-security-policy") == ["sandbox"]
    worker = functions.client.get(path, headers={"Host": host, "Service-Worker": "script"})
    assert worker.status_code == 403


def test_a_key_of_another_project_does_not_act_at_a_sites_host(
    client: httpx.Client, functions: Functions, origin: str
) -> None:
    functions.deploy(
        {"api": handler("return new Response('<script>1</script>', { headers: { 'content-type': 'text/html' } });")}
    )
    own = {"Host": f"{functions.project['public_id']}.localhost:4020"}
    other = client.post("/projects/v1", json={"name": "other"}).json()
    elsewhere = {"Host": f"{other['public_id']}.localhost:4020"}
    key = functions.anon
    assert client.get("/functions/v1/api", headers={**own, **key}).status_code == 200
    for path in ("/functions/v1/api", "/rest/v1/t", "/auth/v1/providers"):
        for host in (elsewhere, {"Host": "nobody.localhost"}):
            answer = client.get(path, headers={**host, **key})
            assert (answer.status_code, answer.json()["error"]) == (421, "misdirected_request")
    assert client.get("/rest/v1/t", headers=elsewhere).status_code == 401


def test_a_users_token_of_another_project_does_not_act_at_a_sites_host(
    client: httpx.Client, project: dict[str, Any], origin: str
) -> None:
    other = client.post("/projects/v1", json={"name": "other"}).json()
    elsewhere = {"Host": f"{other['public_id']}.localhost:4020"}
    made = client.post("/auth/v1/dev-tokens", json={"project_id": project["project_id"], "role": "authenticated"})
    anon, user = {"apikey": project["anon_key"]}, {"email": "ada@example.com", "password": "correct horse"}
    assert client.post("/auth/v1/signup", headers=anon, json=user).status_code == 201
    session = client.post("/auth/v1/token", headers=anon, json=user).json()
    for token in (made.json()["token"], session["access_token"]):
        bearer = {"Authorization": f"bearer {token}"}
        for headers in ({"apikey": token}, bearer, {"apikey": other["anon_key"], **bearer}, {"apikey": "x", **bearer}):
            for path in ("/rest/v1/t", "/auth/v1/user", "/functions/v1/api"):
                answer = client.get(path, headers={**elsewhere, **headers})
                assert (answer.status_code, answer.json()["error"]) == (421, "misdirected_request"), (path, headers)
        assert client.get("/rest/v1/t", headers={**at(origin), "apikey": token}).json()["code"] == "PGRST205"
    own = client.get("/auth/v1/user", headers={**at(origin), "Authorization": f"Bearer {session['access_token']}"})
    assert own.json()["email"] == "ada@example.com"
    forged = {"Authorization": f"Bearer {session['access_token'][:-3]}AAA"}
    assert client.get("/auth/v1/user", headers={**elsewhere, **forged}).status_code == 401


@pytest.mark.parametrize("headers", [{"Service-Worker": "script"}, {"Sec-Fetch-Dest": "serviceworker"}], ids=str)
def test_no_worker_starts_at_the_bare_host(
    client: httpx.Client, project: dict[str, Any], service: dict[str, str], origin: str, headers: dict[str, str]
) -> None:
    path = f"/projects/v1/{project['project_id']}/static/app.js"
    for given in (headers, {**headers, **service}):
        answer = client.get(path, headers=given)
        assert (answer.status_code, answer.json()["error"]) == (403, "origin_forbidden")
        # One from before the projects had origins ends here.
        assert answer.headers["clear-site-data"] == '"storage"'
    assert client.get("/app.js", headers={**at(origin), **headers}).content == b"1"


LASTING = {
    "Service-Worker-Allowed": "/",
    "Clear-Site-Data": '"*"',
    "NEL": "{}",
    "Report-To": "{}",
    "Alt-Svc": 'h2=":1"',
    "Content-Security-Policy": "sandbox allow-scripts allow-same-origin",
}


def test_what_a_function_answers_leaves_nothing_at_the_bare_host(functions: Functions) -> None:
    functions.deploy_routed(
        handler(
            f"const h = new Headers({json.dumps(LASTING)}); h.append('set-cookie', 'a=1'); h.append('set-cookie', 'b=2');"
            " return new Response(req.headers.get('cookie') ?? 'none', { headers: h });"
        )
    )
    cookie = {"Cookie": "sid=1"}
    program = functions.get("/api/x", headers=cookie)
    assert (program.text, program.headers.get_list("set-cookie")) == ("sid=1", ["a=1", "b=2"])
    for browser in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "http://x.localhost"}, {"User-Agent": "Mozilla/5.0"}):
        seen = functions.get("/api/x", headers={**cookie, **browser})
        assert (seen.text, seen.headers.get_list("set-cookie")) == ("none", []), browser
    for answer in (program, seen):
        assert not {name.lower() for name in list(LASTING)[:-1]} & set(answer.headers)
        assert answer.headers.get_list("content-security-policy")[-1] == "sandbox"
    host = {"Host": f"{functions.project['public_id']}.localhost:4020"}
    own = functions.client.get("/api/x", headers={**host, **cookie, "Sec-Fetch-Site": "same-origin"})
    assert (own.text, own.headers["service-worker-allowed"]) == ("sid=1", "/")
    assert own.headers.get_list("set-cookie") == ["a=1", "b=2"]


def test_no_site_sets_a_cookie_for_all_sites(functions: Functions) -> None:
    bad = ["a=1; Domain=localhost", "b=1; path=/; domain=.LOCALHOST", "c=1;Domain = localhost", "d=1; Domain=127.0.0.1"]
    good = ["e=1; Domain=x.localhost", "domain=localhost", "g=1; Path=/domain=localhost"]
    lines = "".join(f"h.append('set-cookie', {json.dumps(each)});" for each in bad + good)
    functions.deploy_routed(handler(f"const h = new Headers(); {lines} return new Response('', {{ headers: h }});"))
    host = {"Host": f"{functions.project['public_id']}.localhost:4020"}
    assert functions.client.get("/api/x", headers=host).headers.get_list("set-cookie") == good


def test_a_function_reaches_sites_by_name_whatever_the_resolver_says(functions: Functions) -> None:
    name = f"{functions.project['public_id']}.localhost:{functions.client.base_url.port}"
    functions.deploy_routed(
        handler(
            f"if (new URL(req.url).pathname !== '/api/a') return new Response(req.headers.get('host') ?? req.url);"
            f" return fetch('http://{name}/api/b');"
        )
    )
    assert name in functions.get("/api/a").text
