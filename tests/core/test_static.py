"""Serving sites: which file answers, with which headers, and what a hostile path gets."""

from __future__ import annotations

import base64
import hashlib
import http.client
from typing import Any

import httpx
import pytest
from deploy_kit import deploy, ref, sha256, site

from run402_cli.core.gateway import Gateway
from run402_cli.core.sites.lookup import Site, look_up
from run402_cli.release.state import materialize

FILES = {
    "index.html": b"<h1>home</h1>",
    "about.html": b"<h1>about</h1>",
    "docs/index.html": b"<h1>docs</h1>",
    "style.css": b"body{}",
    "app-1a2b3c4d5e.js": b"1;",
    "Ünï.txt": b"unicode",
    "dir.with.dots/page.html": b"dots",
}


@pytest.fixture
def root(client: httpx.Client, project: dict[str, Any]) -> str:
    routes = {"replace": [{"pattern": "/login", "target": {"type": "static", "file": "about.html"}}]}
    spec = {"project": project["project_id"], "site": {"replace": site(FILES, core=True)}, "routes": routes}
    deploy(client, spec, *FILES.values())
    return f"/projects/v1/{project['project_id']}/static"


class TestFiles:
    def test_paths_that_answer(self, client: httpx.Client, root: str) -> None:
        cases = [
            ("", "index.html"),
            ("/", "index.html"),
            ("/index.html", "index.html"),
            ("/about", "about.html"),
            ("/about/", "about.html"),
            ("/docs", "docs/index.html"),
            ("/docs/", "docs/index.html"),
            ("/docs/index.html", "docs/index.html"),
            ("/style.css?v=1", "style.css"),
            ("/%C3%9Cn%C3%AF.txt", "Ünï.txt"),
            ("/U%CC%88ni%CC%88.txt", "Ünï.txt"),
            ("/login", "about.html"),
            ("/login/", "about.html"),
        ]
        for path, name in cases:
            answer = client.get(root + path, follow_redirects=True)
            assert (answer.status_code, answer.content) == (200, FILES[name])

    def test_paths_that_do_not(self, client: httpx.Client, root: str) -> None:
        cases = ["/nope", "/about.htm", "/docs/nope", "/dir.with.dots", "/dir.with.dots/pag"]
        for path in cases:
            answer = client.get(root + path)
            assert (answer.status_code, answer.json()["error"]) == (404, "static_not_found")

    def test_hostile_paths_are_refused(self, client: httpx.Client, root: str) -> None:
        cases = [
            "/a%2fb",
            "/%2e%2e/%2e%2e/etc/passwd",
            "/..%2f..%2fetc/passwd",
            "/a%5cb",
            "/_cas/x",
            "/_run402/x",
            "/a//b",
            "/%zz",
            "/%00",
            "/%252e%252e/x",
            "/%ff",
        ]
        for path in cases:
            line = http.client.HTTPConnection(client.base_url.host, client.base_url.port)
            line.putrequest("GET", root + path, skip_accept_encoding=True)
            line.endheaders()
            answer = line.getresponse()
            answer.read()
            line.close()
            assert answer.status == 400

    def test_headers(self, client: httpx.Client, root: str) -> None:
        answer = client.get(f"{root}/style.css")
        digest = base64.b64encode(hashlib.sha256(FILES["style.css"]).digest()).decode()
        assert answer.headers["content-type"] == "text/css; charset=utf-8"
        assert answer.headers["content-length"] == "6"
        assert answer.headers["etag"] == f'"sha256-{sha256(FILES["style.css"])}"'
        assert answer.headers["x-run402-content-sha256"] == sha256(FILES["style.css"])
        assert answer.headers["content-digest"] == f"sha-256=:{digest}:"
        assert answer.headers["cache-control"] == "public, max-age=0, must-revalidate"
        hashed = client.get(f"{root}/app-1a2b3c4d5e.js")
        assert hashed.headers["cache-control"] == "public, max-age=31536000, immutable"

    def test_head_has_the_headers_of_get_and_no_body(self, client: httpx.Client, root: str) -> None:
        get, head = client.get(f"{root}/about"), client.head(f"{root}/about")
        assert (head.status_code, head.content) == (200, b"")
        skipped = ("date",)
        assert {k: v for k, v in head.headers.items() if k not in skipped} == {
            k: v for k, v in get.headers.items() if k not in skipped
        }

    def test_other_methods_get_405_with_allow(self, client: httpx.Client, root: str) -> None:
        cases = ["/index.html", "/login", "/about"]
        for path in cases:
            for method in ("POST", "PUT", "DELETE", "PATCH"):
                answer = client.request(method, root + path, content=b"x")
                assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")
                assert answer.json()["error"] == "method_not_allowed"

    def test_conditional_requests(self, client: httpx.Client, root: str) -> None:
        etag = client.get(f"{root}/style.css").headers["etag"]
        for header in (etag, f"W/{etag}", f'"x", {etag}', "*"):
            answer = client.get(f"{root}/style.css", headers={"If-None-Match": header})
            assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", etag)
        assert client.get(f"{root}/style.css", headers={"If-None-Match": '"x"'}).status_code == 200

    def test_ranges(self, client: httpx.Client, root: str) -> None:
        cases = [
            ("bytes=0-3", 206, b"body", "bytes 0-3/6"),
            ("bytes=4-", 206, b"{}", "bytes 4-5/6"),
            ("bytes=-2", 206, b"{}", "bytes 4-5/6"),
            ("bytes=2-99", 206, b"dy{}", "bytes 2-5/6"),
            ("bytes=6-", 416, b"", "bytes */6"),
            ("bytes=-0", 416, b"", "bytes */6"),
            ("bytes=3-1", 200, b"body{}", None),
            ("bytes=0-1,3-4", 200, b"body{}", None),
            ("bytes=-", 200, b"body{}", None),
            ("lines=1-2", 200, b"body{}", None),
        ]
        for header, status, body, span in cases:
            answer = client.get(f"{root}/style.css", headers={"Range": header})
            assert (answer.status_code, answer.content) == (status, body)
            assert answer.headers.get("content-range") == span

    @pytest.mark.parametrize("accept", ["text/html,application/xhtml+xml", "*/*"])
    @pytest.mark.parametrize("path", ["", "/docs"])
    def test_a_directory_sends_to_its_slash_so_that_relative_links_work(
        self, client: httpx.Client, root: str, path: str, accept: str
    ) -> None:
        for method in ("GET", "HEAD"):
            answer = client.request(method, f"{root}{path}?a=1&b=%2F", headers={"Accept": accept})
            assert (answer.status_code, answer.headers["location"]) == (308, f"{root}{path}/?a=1&b=%2F")
        followed = client.get(f"{root}{path}/", headers={"Accept": accept})
        assert (followed.status_code, followed.headers["content-type"]) == (200, "text/html; charset=utf-8")

    def test_a_page_that_is_no_directory_stays_where_it_is(self, client: httpx.Client, root: str) -> None:
        assert client.get(f"{root}/style.css").status_code == 200

    def test_big_files_are_streamed_whole(self, client: httpx.Client, project: dict[str, Any]) -> None:
        data = bytes(range(256)) * 5000
        spec = {"project": project["project_id"], "site": {"replace": {"big.bin": ref(data)}}}
        deploy(client, spec, data)
        url = f"/projects/v1/{project['project_id']}/static/big.bin"
        assert client.get(url).content == data
        part = client.get(url, headers={"Range": "bytes=1000-900999"})
        assert part.content == data[1000:901000]

    def test_lost_bytes_are_reported(self, client: httpx.Client, root: str, gateway: Gateway) -> None:
        gateway.store.path(sha256(FILES["style.css"])).unlink()
        answer = client.get(f"{root}/style.css")
        assert (answer.status_code, answer.json()["error"]) == (409, "content_digest_missing")

    def test_unknown_project_and_project_without_release(self, client: httpx.Client, project: dict[str, Any]) -> None:
        missing = client.get("/projects/v1/prj_0000000000000000/static/")
        assert (missing.status_code, missing.json()["error"]) == (404, "project_not_found")
        empty = client.get(f"/projects/v1/{project['project_id']}/static/")
        assert (empty.status_code, empty.json()["error"]) == (404, "static_not_found")


class TestPublicPaths:
    def test_explicit_mode_serves_only_what_is_declared(self, client: httpx.Client, project: dict[str, Any]) -> None:
        paths = {"mode": "explicit", "replace": {"/home": {"asset": "index.html"}}}
        spec = {"project": project["project_id"], "site": {"replace": site(FILES), "public_paths": paths}}
        deploy(client, spec, *FILES.values())
        root = f"/projects/v1/{project['project_id']}/static"
        codes = [client.get(root + path).status_code for path in ("/home", "/home/", "/", "/index.html", "/about")]
        assert codes == [200, 200, 404, 404, 404]
        deploy(client, {"project": project["project_id"], "site": {"public_paths": {"mode": "implicit"}}})
        assert client.get(f"{root}/about").status_code == 200


class TestHosts:
    def test_a_subdomain_serves_the_site_and_its_rest(self, client: httpx.Client, project: dict[str, Any]) -> None:
        spec = {"project_id": project["project_id"], "site": {"replace": site(FILES)}, "subdomains": {"set": ["blog"]}}
        done = deploy(client, spec, *FILES.values())
        port = client.base_url.port
        assert done["urls"]["subdomain"] == f"http://blog.localhost:{port}/"
        assert [binding["host"] for binding in done["subdomain_bindings"]] == ["blog.localhost"]
        host = {"Host": f"blog.localhost:{port}"}
        assert client.get("/", headers=host).content == FILES["index.html"]
        assert client.get("/about", headers=host).content == FILES["about.html"]
        assert client.get("/style.css", headers=host).headers["content-type"].startswith("text/css")
        by_id = {"Host": f"{project['public_id']}.localhost:{port}"}
        assert client.get("/docs/", headers=by_id).content == FILES["docs/index.html"]
        assert client.get("/", headers={"Host": f"nobody.localhost:{port}"}).json()["error"] == "host_not_found"

    def test_a_taken_subdomain_is_refused_and_freed_by_removal(
        self, client: httpx.Client, project: dict[str, Any]
    ) -> None:
        other = client.post("/projects/v1", json={"name": "other"}).json()
        deploy(client, {"project_id": project["project_id"], "subdomains": {"set": ["shop"]}})
        spec = {"project_id": other["project_id"], "subdomains": {"add": ["shop"]}}
        refused = client.post("/apply/v1/plans", json={"spec": spec})
        assert (refused.status_code, refused.json()["code"]) == (409, "SUBDOMAIN_TAKEN")
        deploy(client, {"project_id": project["project_id"], "subdomains": {"remove": ["shop"]}})
        deploy(client, spec)

    def test_other_hosts_keep_their_404(self, client: httpx.Client) -> None:
        assert client.get("/nothing-here").json()["error"] == "not_found"
        assert client.put("/health").status_code == 405


class TestDiagnosis:
    def test_static_diagnostics_lists_what_is_public(
        self, client: httpx.Client, project: dict[str, Any], root: str, service: dict[str, str]
    ) -> None:
        url = root.removesuffix("static") + "static-diagnostics"
        assert client.get(url).status_code == 401
        body = client.get(url, headers=service).json()
        assert body["release_asset_paths"] == sorted(FILES)
        assert body["non_public_asset_paths"] == []
        by_path = {entry["public_path"]: entry for entry in body["public_paths"]}
        assert by_path["/login"]["authority"] == "route_static_alias"

    def test_resolve_says_what_serving_would_do(self, client: httpx.Client, project: dict[str, Any], root: str) -> None:
        cases = [
            ("/", "GET", "static_index", 200),
            ("/docs/", "GET", "static_index", 200),
            ("/about", "GET", "static_exact", 200),
            ("/login", "GET", "route_static_alias", 200),
            ("/login", "POST", "route_method_miss", 405),
            ("/nope", "GET", "none", 404),
            ("/_cas/x", "GET", "path_error", 400),
        ]
        for path, method, match, result in cases:
            headers = {"apikey": project["anon_key"]}
            host = f"{project['public_id']}.localhost"
            query = {"host": host, "path": path, "method": method}
            body = client.get("/apply/v1/resolve", params=query, headers=headers).json()
            assert (body["match"], body["result"], body["authorized"]) == (match, result, result == 200)
            assert client.request(method, root + path).status_code == result
            by_prefix = {"host": "127.0.0.1", "path": root + path, "method": method}
            assert client.get("/apply/v1/resolve", params=by_prefix, headers=headers).json()["match"] == match

    def test_resolve_of_unbound_hosts_and_lost_bytes(
        self, client: httpx.Client, project: dict[str, Any], root: str, gateway: Gateway
    ) -> None:
        headers = {"apikey": project["anon_key"]}
        unbound = client.get("/apply/v1/resolve", params={"host": "example.com"}, headers=headers).json()
        assert (unbound["match"], unbound["authorized"]) == ("host_missing", False)
        assert "binding_status" not in unbound
        gateway.store.path(sha256(FILES["style.css"])).unlink()
        query = {"host": "localhost", "path": "/style.css"}
        lost = client.get("/apply/v1/resolve", params=query, headers=headers).json()
        assert (lost["authorization_result"], lost["cas_object"]["exists"]) == ("missing_cas_object", False)


def test_a_static_route_wins_over_the_file_and_methods_choose_the_route() -> None:
    base = materialize(None, {"site": {"replace": {name: ref(data) for name, data in FILES.items()}}})
    function = {"name": "f", "code_hash": "", "runtime": "node22"}
    entries = [
        {
            "pattern": "/x",
            "kind": "exact",
            "prefix": None,
            "methods": ["GET"],
            "target": {"type": "function", "name": "a"},
        },
        {
            "pattern": "/x",
            "kind": "exact",
            "prefix": None,
            "methods": ["POST"],
            "target": {"type": "function", "name": "b"},
        },
        {
            "pattern": "/about",
            "kind": "exact",
            "prefix": None,
            "methods": ["POST"],
            "target": {"type": "function", "name": "c"},
        },
        {
            "pattern": "/api/*",
            "kind": "prefix",
            "prefix": "/api/",
            "methods": None,
            "target": {"type": "function", "name": "d"},
        },
    ]
    state = {**base, "functions": [function], "routes": {"manifest_sha256": "0" * 64, "entries": entries}}
    here = Site.of("prj_a", "rel_a", state)

    def name(path: str, method: str) -> object:
        found = look_up(here, path, method)
        return found.route["target"].get("name") if found.kind == "route_function" and found.route else found.kind

    assert [name("/x", method) for method in ("GET", "HEAD", "POST", "PUT")] == ["a", "a", "b", "route_method_miss"]
    assert (name("/about", "GET"), name("/about", "POST")) == ("static_exact", "c")
    assert (name("/api/v1", "DELETE"), name("/api", "GET")) == ("d", "none")
