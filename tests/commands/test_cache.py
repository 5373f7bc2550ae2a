"""run402 cache, as typed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pytest_httpx import HTTPXMock
from run_kit import BASE, Run

from run402_cli.services import cache


@pytest.mark.parametrize(
    ("url", "host", "path"),
    [
        ("https://Example.COM", "example.com", "/"),
        ("https://example.com:443/a?b=c&d=%20#e", "example.com", "/a?b=c&d=%20"),
        ("http://example.com:443/a", "example.com:443", "/a"),
        ("https://user:pw@example.com:8443/a b/ü", "example.com:8443", "/a%20b/%C3%BC"),
        ("https://bücher.example/?q=ü", "xn--bcher-kva.example", "/?q=%C3%BC"),
        ("http://[::1]:3000/x", "[::1]:3000", "/x"),
        ("https://example.com?", "example.com", "/"),
    ],
)
def test_a_page_is_host_and_path_as_a_browser_sends_them(url: str, host: str, path: str) -> None:
    assert cache.page(url) == (host, path)


@pytest.mark.parametrize(
    "url", ["", "/a", "example.com/a", "ftp://example.com/", "http://", "https://:80/", "http://[x"]
)
def test_no_other_text_is_a_page(url: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        cache.page(url)


def test_inspect_adds_the_url_to_the_answer(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    url = f"{BASE}/cache/v1/inspect?host=example.com&path=%2Fa%3Fb%3Dc&locale=de&release_id=rel_1"
    httpx_mock.add_response(url=url, json={"status": "MISS"})
    page = "https://Example.com/a?b=c#d"
    outcome = run("cache", "inspect", page, "--release-id", "rel_1", "--locale", "de")
    assert outcome.json == {"status": "MISS", "url": page}
    assert "sign-in-with-x" in httpx_mock.get_requests()[0].headers


@pytest.mark.parametrize(
    ("args", "body"),
    [
        (("https://Example.com/a?b",), {"kind": "exact", "host": "example.com", "path": "/a?b"}),
        (("--prefix", "/blog", "--host", "Example.com"), {"kind": "prefix", "host": "example.com", "prefix": "/blog"}),
        (("--all", "--host=X.com", "--prefix", "odd", "not a url"), {"kind": "all", "host": "x.com"}),
        (("--prefix", "/", "--host", "x.com", "not a url"), {"kind": "prefix", "host": "x.com", "prefix": "/"}),
        (("https://x.com/", "--host", "y.com"), {"kind": "exact", "host": "x.com", "path": "/"}),
    ],
)
def test_invalidate_has_three_forms_in_this_order(
    run: Run, httpx_mock: HTTPXMock, args: tuple[str, ...], body: dict[str, str]
) -> None:
    httpx_mock.add_response(method="POST", url=f"{BASE}/cache/v1/invalidate", json={"deleted": 1})
    assert run("cache", "invalidate", *args).json == {"deleted": 1}
    assert json.loads(httpx_mock.get_requests()[0].content) == body


@pytest.mark.parametrize(
    ("args", "actions"),
    [
        (("inspect",), 1),
        (("inspect", "example.com"), 1),
        (("inspect", "http://"), 1),
        (("invalidate",), 3),
        (("invalidate", "--host", "x.com"), 3),
        (("invalidate", "--all"), 1),
        (("invalidate", "--prefix", "/a"), 1),
        (("invalidate", "--prefix", "a", "--host", "x.com"), 1),
        (("invalidate", "/a"), 1),
        (("invalidate", "https://x.com/", "https://y.com/"), 1),
    ],
)
def test_usage_errors_show_the_right_forms(run: Run, args: tuple[str, ...], actions: int) -> None:
    error = run("cache", *args).error
    assert error["code"] == "BAD_USAGE"
    assert [action["type"] for action in error["next_actions"]] == ["edit_request"] * actions


def test_somebody_elses_host_keeps_the_gateways_code(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    code = "R402_CACHE_INVALIDATION_HOST_FORBIDDEN"
    httpx_mock.add_response(status_code=403, json={"code": code})
    error = run("cache", "invalidate", "https://other.example/").error
    assert (error["code"], error["http"]) == (code, 403)
