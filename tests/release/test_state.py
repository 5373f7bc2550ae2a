from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from run402_cli.release.errors import ReleaseError
from run402_cli.release.state import empty_state, materialize, normalize_state, state_digest
from run402_cli.release.static_manifest import cache_control, classify, normalize_public_path, static_manifest_sha256

VECTORS = {
    vector["name"]: vector for vector in json.loads((Path(__file__).parent / "digest_vectors.json").read_text("utf-8"))
}
A, B, C = ("a" * 64, "b" * 64, "c" * 64)


def _site(**files: str) -> dict[str, Any]:
    return {"site": {"replace": {path: {"sha256": sha, "size": 3} for path, sha in files.items()}}}


def _html(path: str, sha: str = A) -> dict[str, Any]:
    return {"site": {"replace": {path: {"sha256": sha, "size": 3}}}}


def _materialized(name: str) -> dict[str, Any]:
    vector = VECTORS[name]
    base = _materialized("site_only") if vector["base"] != "empty" else None
    return materialize(base, vector["spec"])


@pytest.mark.parametrize("name", ["site_only", "functions_routes_on_top", "migrations_explicit_paths"])
def test_published_states_and_digests(name: str) -> None:
    vector, state = VECTORS[name], _materialized(name)
    assert state == vector["state"]
    assert state_digest(state) == vector["materialized_digest"]
    assert static_manifest_sha256(state["static_manifest"]) == vector["static_manifest_sha256"]
    assert state["routes"]["manifest_sha256"] == vector["route_manifest_sha256"]


def test_the_cloud_spelling_gives_the_same_state() -> None:
    spec = {
        "functions": {
            "replace": {
                "api": {
                    "runtime": "node22",
                    "source": {"sha256": A, "size": 1},
                    "config": {"timeout_seconds": 5, "memory_mb": 256},
                    "require_auth": True,
                    "require_role": {"table": "t", "id_column": "i", "role_column": "r", "allowed": ["b", "a"]},
                }
            }
        },
        "site": {"replace": {"x": {"sha256": B, "size": 1, "content_type": "text/css"}}},
        "i18n": {"default_locale": "en", "locales": ["en"]},
    }
    camel = json.loads(
        json.dumps(spec)
        .replace("timeout_seconds", "timeoutSeconds")
        .replace("memory_mb", "memoryMb")
        .replace("require_auth", "requireAuth")
        .replace("require_role", "requireRole")
        .replace("id_column", "idColumn")
        .replace("role_column", "roleColumn")
        .replace("content_type", "contentType")
        .replace("default_locale", "defaultLocale")
    )
    assert materialize(None, spec) == materialize(None, camel)
    function = materialize(None, spec)["functions"][0]
    assert (function["timeout_seconds"], function["memory_mb"], function["require_auth"]) == (5, 256, True)
    assert function["require_role"] == {"table": "t", "idColumn": "i", "roleColumn": "r", "allowed": ["a", "b"]}


def test_applying_the_same_spec_again_changes_nothing() -> None:
    for name in ("site_only", "functions_routes_on_top", "migrations_explicit_paths"):
        state = _materialized(name)
        assert state_digest(materialize(state, VECTORS[name]["spec"])) == state_digest(state)
        assert state_digest(materialize(state, {})) == state_digest(state)


def test_patches_add_and_remove() -> None:
    base = materialize(None, {**_site(**{"a.html": A, "b.html": B}), "functions": {"replace": {"f": {}, "g": {}}}})
    state = materialize(
        base,
        {
            "site": {"patch": {"put": {"c.html": {"sha256": C, "size": 1}}, "delete": ["a.html", "absent"]}},
            "functions": {"patch": {"set": {"h": {}}, "delete": ["f"]}},
            "secrets": {"require": ["K", "L"]},
            "subdomains": {"set": ["one"]},
        },
    )
    assert [entry["path"] for entry in state["site"]["paths"]] == ["b.html", "c.html"]
    assert [entry["name"] for entry in state["functions"]] == ["g", "h"]
    after = materialize(
        state, {"secrets": {"require": ["M"], "delete": ["K"]}, "subdomains": {"add": ["two"], "remove": ["one"]}}
    )
    assert after["secrets"]["keys"] == ["L", "M"]
    assert after["subdomains"]["names"] == ["two"]


def test_a_patch_of_settings_keeps_the_code() -> None:
    base = materialize(None, {"functions": {"replace": {"f": {"source": {"sha256": A, "size": 1}}}}})
    state = materialize(base, {"functions": {"patch": {"set": {"f": {"config": {"timeoutSeconds": 3}}}}}})
    assert state["functions"][0]["code_hash"] == A
    assert state["functions"][0]["timeout_seconds"] == 3


def test_migrations_are_appended_once_and_a_new_checksum_is_a_new_entry() -> None:
    migration = {"id": "001", "checksum": A, "sql": "select 1"}
    state = materialize(None, {"database": {"migrations": [migration, migration]}})
    state = materialize(state, {"database": {"migrations": [migration, {**migration, "checksum": B}]}})
    assert [(entry["migration_id"], entry["checksum_hex"]) for entry in state["migrations"]] == [("001", A), ("001", B)]


def test_null_clears_languages_and_absence_keeps_them() -> None:
    state = materialize(None, {"i18n": {"defaultLocale": "en", "locales": ["en"]}})
    assert state["i18n"]["detect"] == ["accept-language"]
    assert state["i18n"]["unknownLocalePolicy"] == "reject"
    assert materialize(state, {})["i18n"] == state["i18n"]
    assert materialize(state, {"i18n": None})["i18n"] is None


@pytest.mark.parametrize(
    "target", [{"type": "function", "name": "absent"}, {"type": "static", "file": "absent.html"}], ids=["fn", "file"]
)
def test_a_route_to_nothing_is_refused(target: dict[str, str]) -> None:
    with pytest.raises(ReleaseError, match="absent") as caught:
        materialize(None, {**_html("index.html"), "routes": {"replace": [{"pattern": "/x", "target": target}]}})
    assert (caught.value.code, caught.value.resource) == ("INVALID_SPEC", "routes")


def test_a_file_with_a_fingerprinted_name_may_not_change() -> None:
    base = materialize(None, _html("app-1a2b3c4d.js", A))
    with pytest.raises(ReleaseError) as caught:
        materialize(base, _html("app-1a2b3c4d.js", B))
    assert caught.value.code == "STATIC_IMMUTABLE_PATH_CHANGED"
    assert materialize(base, _html("app-ffffffff.js", B))["static_manifest"]["files"].keys() == {"/app-ffffffff.js"}


@pytest.mark.parametrize(
    ("path", "content_type", "declared", "expected"),
    [
        ("/a.html", "x/y", None, ("html", "inferred_html")),
        ("/a", "text/html; charset=utf-8", "immutable_versioned", ("html", "inferred_html")),
        ("/a-deadbeef.js", "text/javascript", None, ("immutable_versioned", "inferred_sha_filename")),
        ("/a-deadbeef.js", "text/javascript", "immutable_versioned", ("immutable_versioned", "declared")),
        ("/a-deadbee.js", "text/javascript", None, ("revalidating_asset", "downgraded")),
        ("/a.js", "text/javascript", "immutable_versioned", ("revalidating_asset", "downgraded")),
        ("/a.js", "text/javascript", "revalidating_asset", ("revalidating_asset", "declared")),
        ("/a.bin", "x/y", "html", ("html", "declared")),
        ("/chunk.0123456789ab", "x/y", None, ("immutable_versioned", "inferred_sha_filename")),
        ("/chunk.0123456789", "x/y", None, ("revalidating_asset", "downgraded")),
        ("/deadbeef/a.js", "x/y", None, ("revalidating_asset", "downgraded")),
        ("/xdeadbeef.js", "x/y", None, ("revalidating_asset", "downgraded")),
    ],
)
def test_cache_classes(path: str, content_type: str, declared: str | None, expected: tuple[str, str]) -> None:
    assert classify(path, content_type, declared) == expected


def test_cache_headers() -> None:
    assert cache_control("immutable_versioned") == "public, max-age=31536000, immutable"
    assert cache_control("html") == cache_control("anything") == "public, max-age=0, must-revalidate"


def test_explicit_paths_are_inherited_until_their_file_goes() -> None:
    spec = _site(**{"index.html": A, "old.txt": B})
    spec["site"]["public_paths"] = {
        "mode": "explicit",
        "replace": {"/": {"asset": "index.html"}, "/o": {"asset": "old.txt"}},
    }
    base = materialize(None, spec)
    state = materialize(base, {"site": {"patch": {"delete": ["old.txt"]}}})
    assert state["static_manifest"]["public_path_mode"] == "explicit"
    assert state["static_manifest"]["files"].keys() == {"/"}
    implicit = materialize(state, {"site": {"public_paths": {"mode": "implicit"}}})
    assert implicit["static_manifest"]["files"].keys() == {"/", "/index.html"}
    assert "public_path_mode" not in implicit["static_manifest"]


def test_a_public_path_needs_its_asset() -> None:
    spec = _html("index.html")
    spec["site"]["public_paths"] = {"mode": "explicit", "replace": {"/x": {"asset": "nope"}}}
    with pytest.raises(ReleaseError) as caught:
        materialize(None, spec)
    assert caught.value.resource == "site.public_paths"


@pytest.mark.parametrize(
    "path",
    [
        *("a", "/a?b", "/a#b", "/a\\b", "/a\x00", "//a", "/a//b", "/../a", "/a/./b", "/%2e%2e/a", "/a%2fb", "/a%5Cb"),
        *("/%zz", "/%ff", "/%252e%252e/a", "/_cas/x", "/_run402", "/%5fcas/x", "/a%00"),
    ],
)
def test_public_paths_that_are_not_unambiguous_are_refused(path: str) -> None:
    with pytest.raises(ReleaseError):
        normalize_public_path(path)


@pytest.mark.parametrize(
    ("path", "stored"),
    [("/a%20b", "/a b"), ("/caf%C3%A9", "/café"), ("/cafe\u0301", "/café"), ("/_casual", "/_casual")],
)
def test_public_paths_are_stored_decoded_and_composed(path: str, stored: str) -> None:
    assert normalize_public_path(path) == stored


def test_a_route_alias_gives_way_and_takes_over_as_documented() -> None:
    files = _site(**{"index.html": A, "docs/index.html": A, "other.html": B})

    def routed(pattern: str, file: str) -> dict[str, Any]:
        route = {"pattern": pattern, "target": {"type": "static", "file": file}}
        manifest = materialize(None, {**files, "routes": {"replace": [route]}})["static_manifest"]
        entry: dict[str, Any] = manifest["files"][pattern]
        return entry

    assert routed("/docs/", "other.html")["authority"] == "route_static_alias"
    assert routed("/docs/", "docs/index.html")["authority"] == "implicit_file_path"
    with pytest.raises(ReleaseError) as caught:
        routed("/other.html", "index.html")
    assert caught.value.resource == "site.public_paths"


def test_a_state_with_its_lists_in_any_order_has_one_digest() -> None:
    state = _materialized("functions_routes_on_top")
    shuffled = json.loads(json.dumps(state))
    shuffled["site"]["paths"].reverse()
    shuffled["secrets"]["keys"].reverse()
    shuffled["functions"][0]["require_role"]["allowed"].reverse()
    assert shuffled != state
    assert state_digest(shuffled) == state_digest(state)
    assert normalize_state(shuffled) == state


def test_applying_nothing_to_nothing_is_the_empty_state() -> None:
    assert materialize(None, {}) == empty_state()
