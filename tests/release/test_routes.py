from __future__ import annotations

from typing import Any

import pytest

from run402_cli.release.errors import ReleaseError
from run402_cli.release.fields import MANIFEST, SPEC
from run402_cli.release.routes import check_routes, readonly_wildcard_warning, route_table

FUNCTION = {"type": "function", "name": "api"}
STATIC = {"type": "static", "file": "docs/index.html"}
PRICING = {"mode": "always", "amount_usd_micros": 1000, "pay_to": "org_default_payout"}


def _route(**fields: Any) -> dict[str, Any]:
    return {"pattern": "/api/*", "target": FUNCTION, **fields}


BAD_TABLES = [
    [],
    "x",
    {},
    {"/api": "fn"},
    {"replace": {}},
    {"replace": [], "extra": 1},
    {"replace": ["x"]},
]
BAD_ROUTES = [
    {"target": FUNCTION},
    _route(pattern=""),
    _route(pattern=5),
    _route(methods=[]),
    _route(methods=["FETCH"]),
    _route(methods=["get"]),
    _route(methods=["GET", "GET"]),
    _route(methods="GET"),
    _route(target=None),
    _route(target={"function": "api"}),
    _route(target={"static": "x.html"}),
    _route(target={"type": "other", "name": "x"}),
    _route(target={"type": "function"}),
    _route(target={"type": "function", "name": ""}),
    _route(target={"type": "function", "name": "a", "file": "b"}),
    _route(extra=1),
    _route(target=STATIC),
    {"pattern": "/a", "target": STATIC, "methods": ["POST"]},
    {"pattern": "/a", "target": STATIC, "methods": ["HEAD"]},
    {"pattern": "/a", "target": STATIC, "methods": ["GET"], "pricing": PRICING},
    *(
        {"pattern": "/a", "target": {"type": "static", "file": file}, "methods": ["GET"]}
        for file in ("/a.html", "a/", "a//b", "./a", "../a", "a/../b", "a?b", "a#b", "a\\b")
    ),
    _route(acknowledge_readonly=True),
    _route(acknowledge_readonly=False, methods=["GET"]),
    _route(acknowledge_readonly=True, methods=["GET", "POST"]),
    _route(acknowledge_readonly=True, methods=["GET"], pattern="/api"),
]
BAD_PRICING = [
    {},
    {**PRICING, "mode": "sometimes"},
    {**PRICING, "amount_usd_micros": 0},
    {**PRICING, "amount_usd_micros": 1.5},
    {**PRICING, "amount_usd_micros": 2**53},
    {**PRICING, "amount_usd_micros": True},
    {**PRICING, "pay_to": "me"},
    {**PRICING, "networks": []},
    {**PRICING, "networks": ["mainnet", "mainnet"]},
    {**PRICING, "networks": ["moon"]},
    {**PRICING, "receipt": "later"},
    {**PRICING, "extra": 1},
]


@pytest.mark.parametrize("table", [*BAD_TABLES, *({"replace": [route]} for route in BAD_ROUTES)], ids=repr)
def test_both_layers_refuse_the_same_tables_with_their_own_code(table: Any) -> None:
    with pytest.raises(ReleaseError) as caught:
        check_routes(table, MANIFEST, pricing=False)
    assert (caught.value.code, caught.value.fix) == ("LOCAL_ERROR", None)
    with pytest.raises(ReleaseError) as caught:
        check_routes(table, SPEC, pricing=True)
    assert (caught.value.code, caught.value.phase) == ("INVALID_SPEC", "validate")
    assert caught.value.fix is not None
    assert caught.value.fix["action"] == "set_field"
    assert caught.value.fix["path"] == "routes.replace"
    check_routes(caught.value.fix["example"]["routes"], SPEC, pricing=True)


@pytest.mark.parametrize("pricing", BAD_PRICING, ids=repr)
def test_pricing_is_checked_in_the_spec_layer_only(pricing: Any) -> None:
    table = {"replace": [_route(pricing=pricing)]}
    check_routes(table, MANIFEST, pricing=False)
    with pytest.raises(ReleaseError) as caught:
        check_routes(table, SPEC, pricing=True)
    assert caught.value.code == "INVALID_SPEC"
    assert caught.value.resource is not None
    assert caught.value.resource.startswith("routes.replace[0].pricing")


@pytest.mark.parametrize(
    "table",
    [
        None,
        {"replace": []},
        {"replace": [_route()]},
        {"replace": [_route(pattern="api*x")]},
        {"replace": [_route(methods=["GET", "HEAD"], acknowledge_readonly=True)]},
        {"replace": [_route(pricing={**PRICING, "networks": ["testnet"], "receipt": "on_fulfillment"})]},
        {"replace": [{"pattern": "/a", "target": STATIC}]},
        {"replace": [{"pattern": "/a", "target": STATIC, "methods": ["HEAD", "GET"]}]},
    ],
    ids=repr,
)
def test_what_the_client_accepts(table: Any) -> None:
    check_routes(table, MANIFEST, pricing=False)
    check_routes(table, SPEC, pricing=True)


def test_exact_routes_come_first_then_longer_prefixes_then_patterns() -> None:
    patterns = ["/api/*", "/z", "/api/v1/*", "/a", "/web/*"]
    table = route_table([_route(pattern=pattern) for pattern in patterns])
    assert [entry["pattern"] for entry in table["entries"]] == ["/a", "/z", "/api/v1/*", "/api/*", "/web/*"]


def test_an_entry_is_completed() -> None:
    table = route_table([_route(methods=["POST", "GET"], pricing=PRICING), {"pattern": "/a", "target": STATIC}])
    static, function = table["entries"]
    assert static == {
        "pattern": "/a",
        "kind": "exact",
        "prefix": None,
        "methods": ["GET", "HEAD"],
        "target": STATIC,
    }
    assert list(function) == ["pattern", "kind", "prefix", "methods", "target", "pricing"]
    assert function["prefix"] == "/api/"
    assert function["methods"] == ["GET", "POST"]
    assert function["pricing"]["networks"] == ["mainnet"]


def test_no_routes_have_no_digest() -> None:
    assert route_table([]) == {"manifest_sha256": None, "entries": []}


@pytest.mark.parametrize("pattern", ["api", "/a?b", "/%zz", "/%4", "/*", "/a*", "/a/*/b", "/*/a", "/" + "x" * 256])
def test_patterns_that_no_gateway_can_serve(pattern: str) -> None:
    with pytest.raises(ReleaseError) as caught:
        route_table([_route(pattern=pattern)])
    assert caught.value.code == "INVALID_SPEC"


@pytest.mark.parametrize(
    ("first", "second", "clash"),
    [
        ({"pattern": "/a"}, {"pattern": "/a/"}, True),
        ({"pattern": "/a", "methods": ["GET"]}, {"pattern": "/a", "methods": ["HEAD"]}, True),
        ({"pattern": "/a", "methods": ["GET"]}, {"pattern": "/a", "methods": ["POST"]}, False),
        ({"pattern": "/a"}, {"pattern": "/a", "methods": ["POST"]}, True),
        ({"pattern": "/a"}, {"pattern": "/a/*"}, False),
    ],
)
def test_two_routes_may_not_answer_the_same_request(first: Any, second: Any, clash: bool) -> None:
    routes = [_route(**first), _route(**second)]
    if clash:
        with pytest.raises(ReleaseError, match="Two routes"):
            route_table(routes)
    else:
        assert len(route_table(routes)["entries"]) == 2


def test_at_most_a_hundred_routes() -> None:
    routes = [_route(pattern=f"/r{index}") for index in range(101)]
    assert len(route_table(routes[:100])["entries"]) == 100
    with pytest.raises(ReleaseError, match="limit is 100"):
        route_table(routes)


def test_readonly_wildcards_are_warned_about_once_with_sorted_patterns() -> None:
    routes = [
        _route(pattern="/z/*", methods=["GET"]),
        _route(pattern="/b/*", methods=["GET", "HEAD"]),
        _route(pattern="/ok/*", methods=["GET"], acknowledge_readonly=True),
        _route(pattern="/all/*"),
        _route(pattern="/post/*", methods=["GET", "POST"]),
        _route(pattern="/exact", methods=["GET"]),
    ]
    warning = readonly_wildcard_warning({"routes": {"replace": routes}})
    assert warning is not None
    assert warning["affected"] == ["/b/*", "/z/*"]
    assert warning["requires_confirmation"] is True
    assert warning["details"]["missing_common_methods"] == ["POST", "PUT", "PATCH", "DELETE"]


@pytest.mark.parametrize("spec", [{}, {"routes": None}, {"routes": {"replace": [_route()]}}])
def test_no_warning_without_readonly_wildcards(spec: Any) -> None:
    assert readonly_wildcard_warning(spec) is None
