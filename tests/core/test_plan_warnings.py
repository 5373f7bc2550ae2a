"""Warnings of a plan: each for what it is about, and none for a release that is fine."""

from __future__ import annotations

from typing import Any

import pytest
from deploy_kit import migration, site

from run402_cli.core.releases.diffs import compare, plan_warnings
from run402_cli.core.releases.migration_scripts import Migration
from run402_cli.release.state import materialize

FILES = {"index.html": b"i", "events.html": b"e", "docs/index.html": b"d", "api/data.json": b"j", "login.html": b"l"}
FUNCTION = {"runtime": "node22", "source": {"sha256": "a" * 64, "size": 1}}
FUNCTIONS = {"api": FUNCTION, "login": FUNCTION}


def spec(*routes: dict[str, Any], **sections: Any) -> dict[str, Any]:
    made = {"site": {"replace": site(FILES)}, "functions": {"replace": FUNCTIONS}, **sections}
    return {**made, "routes": {"replace": list(routes)}}


def function(pattern: str, name: str = "api", *methods: str) -> dict[str, Any]:
    target = {"pattern": pattern, "target": {"type": "function", "name": name}}
    return {**target, "methods": list(methods)} if methods else target


def alias(pattern: str, file: str) -> dict[str, Any]:
    return {"pattern": pattern, "methods": ["GET", "HEAD"], "target": {"type": "static", "file": file}}


def codes(
    document: dict[str, Any], base: dict[str, Any] | None = None, sql: str | None = None
) -> dict[str, dict[str, Any]]:
    before = materialize(None, base) if base is not None else None
    after = materialize(before, document)
    pending = [(Migration.from_wire(migration("m", sql)), sql)] if sql else []
    return {w["code"]: w for w in plan_warnings(before, after, compare(before, after), pending)}


def test_a_tidy_release_has_no_warnings() -> None:
    assert codes(spec()) == {}


def test_a_table_that_does_not_change_is_not_judged_again() -> None:
    wanted = spec(function("/api/*"), alias("/news", "events.html"))
    assert codes(wanted, base=wanted) == {}


@pytest.mark.parametrize(
    ("route", "code", "affected"),
    [
        (function("/hook"), "PUBLIC_ROUTED_FUNCTION", ["/hook"]),
        (function("/events.html", "api", "GET"), "ROUTE_SHADOWS_STATIC_PATH", ["/events.html"]),
        (function("/docs", "api"), "ROUTE_SHADOWS_STATIC_PATH", ["/docs/"]),
        (function("/api/*"), "WILDCARD_ROUTE_SHADOWS_STATIC_PATHS", ["/api/data.json"]),
        (
            function("/login.html", "login", "POST"),
            "METHOD_SPECIFIC_ROUTE_ALLOWS_GET_STATIC_FALLBACK",
            ["/login.html"],
        ),
        (alias("/docs", "events.html"), "STATIC_ALIAS_SHADOWS_STATIC_PATH", ["/docs"]),
        (alias("/events", "events.html"), "STATIC_ALIAS_DUPLICATE_CANONICAL_URL", ["/events"]),
        (alias("/docs", "docs/index.html"), "STATIC_ALIAS_REDUNDANT_PUBLIC_PATH", ["/docs"]),
        (alias("/a/b", "events.html"), "STATIC_ALIAS_RELATIVE_ASSET_RISK", ["/a/b"]),
        (alias("/data", "api/data.json"), "STATIC_ALIAS_EXTENSIONLESS_NON_HTML", ["/data"]),
    ],
)
def test_questionable_routes_are_pointed_out(route: dict[str, Any], code: str, affected: list[str]) -> None:
    found = codes(spec(route))
    assert code in found
    assert (found[code]["affected"], found[code]["requires_confirmation"]) == (affected, False)


@pytest.mark.parametrize(
    ("route", "code"),
    [
        (function("/login.html", "login", "POST"), "ROUTE_SHADOWS_STATIC_PATH"),
        (function("/apis/*"), "WILDCARD_ROUTE_SHADOWS_STATIC_PATHS"),
        (alias("/news", "events.html"), "STATIC_ALIAS_SHADOWS_STATIC_PATH"),
        (alias("/news", "events.html"), "STATIC_ALIAS_RELATIVE_ASSET_RISK"),
        (alias("/data.txt", "api/data.json"), "STATIC_ALIAS_EXTENSIONLESS_NON_HTML"),
    ],
)
def test_routes_that_are_fine_are_not(route: dict[str, Any], code: str) -> None:
    assert code not in codes(spec(route))


def test_a_private_file_behind_an_alias_has_one_address() -> None:
    explicit = {"replace": site(FILES), "public_paths": {"mode": "explicit", "replace": {}}}
    found = codes(spec(alias("/events", "events.html"), site=explicit))
    assert "STATIC_ALIAS_DUPLICATE_CANONICAL_URL" not in found


def test_full_tables_are_pointed_out() -> None:
    assert "ROUTE_TABLE_NEAR_LIMIT" in codes(spec(*[function(f"/f{n}") for n in range(90)]))
    assert "ROUTE_TABLE_NEAR_LIMIT" not in codes(spec(*[function(f"/f{n}") for n in range(89)]))
    assert "STATIC_ALIAS_TABLE_NEAR_LIMIT" in codes(spec(*[alias(f"/a{n}", "events.html") for n in range(50)]))


def test_a_route_that_keeps_its_old_function_is_mentioned() -> None:
    base = spec(function("/api/*"), function("/login", "login", "POST"))
    changed = {**FUNCTION, "source": {"sha256": "b" * 64, "size": 1}}
    found = codes({"functions": {"patch": {"set": {"login": changed}}}}, base=base)
    assert found["ROUTE_TARGET_CARRIED_FORWARD"]["affected"] == ["/api/*"]


def test_losing_the_entry_page_or_the_last_subdomain_is_mentioned() -> None:
    base = spec(subdomains={"set": ["shop"]})
    found = codes({"site": {"patch": {"delete": ["index.html"]}}, "subdomains": {"set": []}}, base=base)
    assert {"RUN402_CORE_SITE_ENTRYPOINT_REMOVED", "RUN402_CORE_ZERO_SUBDOMAINS_AFTER"} <= found.keys()
    assert found["RUN402_CORE_DESTRUCTIVE_SUBDOMAIN_REMOVAL"]["requires_confirmation"] is True


CONFIRMED = {
    "functions": ({"functions": {"replace": {"api": FUNCTION}}}, "RUN402_CORE_DESTRUCTIVE_FUNCTION_REMOVAL", ["login"]),
    "a function": ({"functions": {"patch": {"delete": ["api"]}}}, "RUN402_CORE_DESTRUCTIVE_FUNCTION_REMOVAL", ["api"]),
    "subdomains": ({"subdomains": {"set": ["b"]}}, "RUN402_CORE_DESTRUCTIVE_SUBDOMAIN_REMOVAL", ["a"]),
    "secrets": ({"secrets": {"delete": ["KEY"]}}, "RUN402_CORE_DESTRUCTIVE_SECRET_REMOVAL", ["KEY"]),
    "files": (
        {"site": {"patch": {"delete": ["events.html"]}}},
        "RUN402_CORE_DESTRUCTIVE_SITE_BULK_REMOVAL",
        ["events.html"],
    ),
    "the first page": (
        {"site": {"patch": {"delete": ["index.html"]}}},
        "RUN402_CORE_SITE_ENTRYPOINT_REMOVED",
        ["index.html"],
    ),
    "all files": ({"site": {"replace": {}}}, "RUN402_CORE_ZERO_SITE_FILES_AFTER", sorted(FILES)),
    "all functions": ({"functions": {"replace": {}}}, "RUN402_CORE_ZERO_FUNCTIONS_AFTER", []),
}


@pytest.mark.parametrize("what", CONFIRMED)
def test_whatever_is_removed_needs_confirmation(what: str) -> None:
    change, code, affected = CONFIRMED[what]
    base = spec(subdomains={"set": ["a", "b"]}, secrets={"require": ["KEY"]})
    found = codes(change, base=base)[code]
    assert (sorted(found["affected"]), found["requires_confirmation"]) == (affected, True)


@pytest.mark.parametrize(
    ("old", "new", "asks"),
    [
        ("assets/app-3f9ac2d1.js", "assets/app-77ab12cd.js", False),
        ("assets/index-BxYz12_a.css", "assets/index-Cx-012_b.css", False),
        ("app.3f9ac2d1.js.map", "app.00ffac21.js.map", False),
        ("assets/app-3f9ac2d1.js", "assets/other-77ab12cd.js", True),
        ("assets/app-3f9ac2d1.js", "assets/app-77ab12cd.css", True),
        ("contact-us-page.html", "contact-me-page.html", True),
    ],
)
def test_a_new_version_of_a_file_named_by_its_content_is_no_removal(old: str, new: str, asks: bool) -> None:
    base = spec(site={"replace": site({"index.html": b"i", old: b"1"})})
    found = codes(spec(site={"replace": site({"index.html": b"i", new: b"2"})}), base=base)
    assert ("RUN402_CORE_DESTRUCTIVE_SITE_BULK_REMOVAL" in found) is asks


def test_one_successor_stands_for_one_file() -> None:
    base = spec(site={"replace": site({"index.html": b"i", "a-11111111.js": b"1", "a-22222222.js": b"2"})})
    found = codes(spec(site={"replace": site({"index.html": b"i", "a-33333333.js": b"3"})}), base=base)
    assert len(found["RUN402_CORE_DESTRUCTIVE_SITE_BULK_REMOVAL"]["affected"]) == 1


@pytest.mark.parametrize("base", [None, {"site": {"replace": site({"index.html": b"i"})}}])
def test_a_site_without_pages_is_a_loss_only_where_there_were_pages(base: dict[str, Any] | None) -> None:
    found = codes({"site": {"replace": site({"a.txt": b"a"})}}, base=base)
    assert found["SITE_NO_REACHABLE_HTML"]["requires_confirmation"] is (base is not None)


def test_making_private_files_public_needs_confirmation() -> None:
    explicit = {"replace": site(FILES), "public_paths": {"mode": "explicit", "replace": {}}}
    found = codes({"site": {"public_paths": {"mode": "implicit"}}}, base=spec(site=explicit))
    assert found["RUN402_CORE_PUBLIC_PATH_MODE_WIDENS_TO_IMPLICIT"]["requires_confirmation"] is True


def test_a_long_list_of_files_is_cut_and_says_so() -> None:
    many = {f"f{n}.txt": b"x" for n in range(1001)}
    assert "RUN402_CORE_DIFF_TRUNCATED" in codes(spec(site={"replace": site(many)}))


@pytest.mark.parametrize(
    ("sql", "code", "confirm"),
    [
        ("create index i on t (n)", "MIGRATION_LOCK_RISK", False),
        ("create unique index i on t (n)", "MIGRATION_LOCK_RISK", False),
        (
            "create function f() returns int security definer language sql as 'select 1'",
            "MIGRATION_SECURITY_DEFINER",
            True,
        ),
    ],
)
def test_risky_migrations_are_pointed_out(sql: str, code: str, confirm: bool) -> None:
    found = codes({}, sql=sql)
    assert found[f"RUN402_CORE_{code}"]["requires_confirmation"] is confirm


def test_an_index_that_is_built_concurrently_is_fine() -> None:
    assert codes({}, sql="create index concurrently i on t (n)") == {}
