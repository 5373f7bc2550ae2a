"""A web page in the user's browser must not drive the gateway; local programs must not notice the guard."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from starlette.datastructures import Headers
from starlette.requests import Request

from run402_cli.core.app import create_app
from run402_cli.core.callers.guard import refusal
from run402_cli.core.callers.surfaces import CONTROL_PLANE
from run402_cli.core.gateway import Gateway
from run402_cli.core.sites.routes import HostRoute

Send = Callable[..., httpx.Response]

CONTROL_REQUESTS: list[tuple[str, str, dict[str, Any] | None]] = [
    ("POST", "/projects/v1", {"name": "evil"}),
    ("GET", "/projects/v1", None),
    ("GET", "/projects/v1/{id}", None),
    ("PATCH", "/projects/v1/{id}", {"name": "evil"}),
    ("POST", "/auth/v1/dev-tokens", {"project_id": "prj_x"}),
    ("POST", "/apply/v1/plans", {"spec": {}}),
    ("POST", "/projects/v1/{id}/content", {}),
    ("POST", "/content/v1/plans", {}),
    ("GET", "/status", None),
]
PAGE_HEADERS = [
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://127.0.0.1:9999"},
    {"Origin": "http://blog.localhost:4020"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "same-origin"},
    {"Host": "evil.example"},
    {"Host": "evil.example:4020"},
    {"Host": "localhost.evil.example"},
    {"Host": "127.0.0.1.evil.example"},
    {"Host": "0.0.0.0:4020"},
    {"Host": "192.168.1.5:4020"},
    {"Host": ""},
]


@pytest.mark.parametrize("headers", PAGE_HEADERS, ids=str)
def test_a_page_cannot_reach_the_control_plane(
    client: httpx.Client, project: dict[str, Any], headers: dict[str, str]
) -> None:
    before = client.get("/projects/v1").json()
    for method, path, body in CONTROL_REQUESTS:
        response = client.request(method, path.format(id=project["project_id"]), json=body, headers=headers)
        assert response.status_code == 403, (method, path)
        assert response.json()["error"] == "origin_forbidden"
        assert "access-control-allow-origin" not in response.headers
    assert client.get("/projects/v1").json() == before


def test_the_gateways_own_origin_does_not_open_the_control_plane_to_deployed_pages(
    client: httpx.Client, project: dict[str, Any]
) -> None:
    headers = {"Origin": str(client.base_url).rstrip("/"), "Sec-Fetch-Site": "same-origin"}
    assert client.get(f"/projects/v1/{project['project_id']}", headers=headers).status_code == 403
    assert client.post("/projects/v1", json={}, headers=headers).status_code == 403


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
def test_a_form_post_from_a_page_is_refused(client: httpx.Client, content_type: str) -> None:
    response = client.post(
        "/projects/v1",
        content='{"name": "evil"}',
        headers={"Origin": "https://evil.example", "Content-Type": content_type},
    )
    assert response.status_code == 403
    assert client.get("/projects/v1").json()["projects"] == []


def test_a_preflight_for_the_control_plane_is_refused(client: httpx.Client) -> None:
    headers = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    response = client.options("/projects/v1", headers=headers)
    assert response.status_code == 403
    assert not [name for name in response.headers if name.startswith("access-control")]


def test_a_rejected_key_does_not_open_the_guard_but_the_service_key_does(
    client: httpx.Client, project: dict[str, Any]
) -> None:
    path = f"/projects/v1/{project['project_id']}"
    for headers in PAGE_HEADERS:
        for key in ["nonsense", project["anon_key"]]:
            assert client.get(path, headers={**headers, "apikey": key}).status_code == 403
        assert client.get(path, headers={**headers, "apikey": project["service_key"]}).status_code == 200


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.0.0.1:4020", "localhost", "LOCALHOST:1", "localhost.", "[::1]:4020", "[::1]"]
)
def test_local_programs_pass(client: httpx.Client, host: str) -> None:
    assert client.get("/projects/v1", headers={"Host": host}).status_code == 200


def test_an_address_typed_in_the_browser_passes(client: httpx.Client) -> None:
    assert client.get("/projects/v1", headers={"Sec-Fetch-Site": "none"}).status_code == 200


@pytest.mark.parametrize("headers", PAGE_HEADERS, ids=str)
def test_public_surfaces_answer_pages(client: httpx.Client, project: dict[str, Any], headers: dict[str, str]) -> None:
    assert client.get("/health", headers=headers).status_code == 200
    static = client.get(f"/projects/v1/{project['project_id']}/static/", headers=headers)
    assert static.json()["error"] != "origin_forbidden"
    rest = client.get("/rest/v1/nope", headers={**headers, "apikey": project["anon_key"]})
    assert rest.json().get("error") != "origin_forbidden"
    assert rest.headers["access-control-allow-origin"] == "*"


@pytest.mark.parametrize("path", ["/rest/v1/notes", "/rest/v1/rpc/f", "/auth/v1/token"])
def test_a_page_may_send_rest_and_sign_in_the_headers_that_it_asks_for(client: httpx.Client, path: str) -> None:
    def allowed(asked: str, path: str = path) -> str:
        headers = {"Origin": "https://app.example", "Access-Control-Request-Method": "GET"}
        return str(
            client.options(path, headers={**headers, "Access-Control-Request-Headers": asked}).headers[
                "access-control-allow-headers"
            ]
        )

    assert allowed("apikey,x-mine, X-Retry-Count") == "authorization, apikey, x-mine, x-retry-count"
    assert allowed("x-supabase-api-version") == "authorization, x-supabase-api-version"
    assert allowed("a b, c") == allowed("") == "authorization"
    assert "x-mine" not in allowed("x-mine", "/functions/v1/api")
    exposed = client.get(path, headers={"Origin": "https://app.example"}).headers["access-control-expose-headers"]
    assert {"Content-Range", "Preference-Applied", "Content-Encoding", "Content-Type", "Date", "Server"} <= set(
        exposed.split(", ")
    )


def test_rest_answers_a_preflight_and_reads_across_origins(
    client: httpx.Client, project: dict[str, Any], service: dict[str, str]
) -> None:
    preflight = client.options(
        "/rest/v1/notes",
        headers={
            "Origin": "https://app.example",
            "Access-Control-Request-Method": "PATCH",
            "Access-Control-Request-Headers": "apikey,authorization,prefer,content-type,range",
        },
    )
    assert preflight.status_code == 204
    assert preflight.headers["access-control-allow-origin"] == "*"
    assert "PATCH" in preflight.headers["access-control-allow-methods"]
    allowed = preflight.headers["access-control-allow-headers"].split(", ")
    assert {"apikey", "authorization", "prefer", "content-type", "range"} <= set(allowed)

    sql = "create table notes (id int); insert into notes values (1)"
    base = f"/projects/v1/admin/{project['project_id']}"
    assert client.post(f"{base}/sql", content=sql, headers=service).status_code == 200
    manifest = {
        "version": "1",
        "tables": [
            {
                "name": "notes",
                "expose": True,
                "policy": "public_read_write_UNRESTRICTED",
                "i_understand_this_is_unrestricted": True,
            }
        ],
    }
    assert client.post(f"{base}/expose", json=manifest, headers=service).status_code == 200
    page = {"Origin": "https://app.example", "Sec-Fetch-Site": "cross-site", "apikey": project["anon_key"]}
    answer = client.get("/rest/v1/notes", headers=page)
    assert answer.json() == [{"id": 1}]
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "Content-Range" in answer.headers["access-control-expose-headers"]
    assert client.post("/rest/v1/notes", json={"id": 2}, headers=page).status_code == 201


def test_rest_errors_reach_pages_with_cors_headers(client: httpx.Client) -> None:
    answer = client.get("/rest/v1/notes", headers={"Origin": "https://app.example"})
    assert answer.status_code == 401
    assert answer.headers["access-control-allow-origin"] == "*"


def test_a_request_without_a_host_is_refused(client: httpx.Client) -> None:
    address = urlsplit(str(client.base_url))
    with socket.create_connection((str(address.hostname), int(address.port or 0)), timeout=10) as raw:
        raw.sendall(b"GET /projects/v1 HTTP/1.0\r\n\r\n")
        answer = b""
        while chunk := raw.recv(65536):
            answer += chunk
    assert b" 403 " in answer.splitlines()[0]


def test_every_route_of_the_gateway_counts_as_control_plane_on_a_site_host(gateway: Gateway) -> None:
    for route in create_app(gateway).routes:
        if isinstance(route, HostRoute):
            continue
        path = str(getattr(route, "path", ""))
        assert CONTROL_PLANE.fullmatch(path.replace("{path:path}", "x")), path


def test_a_site_host_serves_its_own_paths_to_pages_but_no_control_plane() -> None:
    def verdict(path: str) -> str | None:
        headers = Headers({"host": "blog.localhost:4020", "origin": "http://blog.localhost:4020"})
        return refusal(Request({"type": "http", "method": "GET", "path": path, "headers": headers.raw, "server": None}))

    assert verdict("/index.html") is None
    assert verdict("/auth/login.html") is None
    assert verdict("/rest/v1/notes") is None
    assert verdict("/projects/v1") is not None
    assert verdict("/auth/v1/dev-tokens") is not None
