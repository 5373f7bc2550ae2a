from __future__ import annotations

import hashlib
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from run402_cli.release.errors import ContentChangedError, ReleaseError
from run402_cli.release.manifest import normalize, printable
from run402_cli.release.sources import FileSource
from run402_cli.release.wire import (
    INLINE_PLAN_BYTES,
    Dialect,
    WireRelease,
    is_oversized,
    manifest_object,
    oversized_error,
    plan_bytes,
    to_wire,
)

PNG = bytes([0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A])
INDEX_SHA = "e7fbb6fbbf4ce294913eb62b53ff03a7546649cfdc0d824d9e3a2b4541502f7f"
PNG_SHA = "823ceb99fcef5252333ede1b2202341c3b287b6d47571963e6b0ddf393a24f82"
SELECT_SHA = "822ae07d4783158bc1912bb623e5107cc9002d519e1143a9c200ed6ee18b6d0f"


def _sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _wire(manifest: Any, base_dir: Path = Path(), dialect: Dialect = Dialect.CLOUD) -> WireRelease:
    return to_wire(normalize(manifest, base_dir=base_dir, project="prj_demo").spec, dialect)


def _section(name: str, manifest: Any, base_dir: Path = Path(), dialect: Dialect = Dialect.CLOUD) -> Any:
    return _wire({name: manifest}, base_dir, dialect).spec[name]


def _same(found: Any, expected: Any) -> None:
    """Equal, and with the keys in the same order."""
    assert json.dumps(found, indent=1) == json.dumps(expected, indent=1)


def _refused(manifest: Any, base_dir: Path = Path()) -> ReleaseError:
    with pytest.raises(ReleaseError) as caught:
        _wire(manifest, base_dir)
    return caught.value


def test_example_static_files(tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site/index.html").write_bytes(b"<h1>hi</h1>")
    (tmp_path / "site/logo.png").write_bytes(PNG)
    manifest = {
        "$schema": "https://run402.com/schemas/release-spec.v1.json",
        "project_id": "prj_demo",
        "idempotency_key": "k1",
        "site": {"replace": {"index.html": {"path": "site/index.html"}, "logo.png": {"path": "site/logo.png"}}},
    }
    normal = normalize(manifest, base_dir=tmp_path, project=None)
    files = {
        name: {"__source": "fs-file", "path": str(tmp_path / "site" / name)} for name in ("index.html", "logo.png")
    }
    _same(printable(normal.spec), {"project": "prj_demo", "site": {"replace": files}})
    release = to_wire(normal.spec)
    _same(
        release.spec,
        {
            "project_id": "prj_demo",
            "site": {
                "replace": {
                    "index.html": {"sha256": INDEX_SHA, "size": 11, "content_type": "text/html; charset=utf-8"},
                    "logo.png": {"sha256": PNG_SHA, "size": 6, "content_type": "image/png"},
                }
            },
        },
    )
    assert normal.idempotency_key == "k1"
    assert release.slice_kinds == ["release"]
    assert [item.entry() for item in release.objects.values()] == [
        {"sha256": INDEX_SHA, "size": 11, "content_type": "text/html; charset=utf-8"},
        {"sha256": PNG_SHA, "size": 6, "content_type": "image/png"},
    ]


def test_example_content_tracked_migration() -> None:
    database = {"migrations": [{"name": "seed", "sql": "select 1"}]}
    release = _wire({"database": database})
    _same(
        release.spec["database"]["migrations"],
        [
            {
                "id": "seed_822ae07d4783158b",
                "checksum": SELECT_SHA,
                "sql_ref": {"sha256": SELECT_SHA, "size": 8, "content_type": "application/sql"},
            }
        ],
    )
    assert release.objects[SELECT_SHA].label == "migration:seed"
    core = _wire({"database": {"migrations": [{"id": "001", "sql": "select 1"}]}}, dialect=Dialect.CORE)
    _same(
        core.spec,
        {
            "project": "prj_demo",
            "database": {"migrations": [{"id": "001", "checksum": SELECT_SHA, "sql": "select 1"}]},
        },
    )
    assert core.objects == {}


def test_example_function(tmp_path: Path) -> None:
    (tmp_path / "fn").mkdir()
    (tmp_path / "fn/api.mjs").write_bytes(b"1;")
    functions = {
        "patch": {
            "set": {
                "api": {
                    "source": {"path": "fn/api.mjs", "content_type": "text/javascript"},
                    "config": {"timeout_seconds": 5, "memory_mb": 128},
                    "triggers": [
                        {
                            "id": "z",
                            "type": "email",
                            "mailbox": "m",
                            "events": ["reply_received", "delivery"],
                            "run": {"event_type": "e"},
                        },
                        {"id": "a", "type": "schedule", "cron": "0 * * * *", "run": {"event_type": "t"}},
                    ],
                    "schedule": None,
                    "require_auth": True,
                    "require_role": None,
                }
            },
            "delete": ["old"],
        }
    }
    expected = {
        "patch": {
            "set": {
                "api": {
                    "runtime": "node22",
                    "source": {"sha256": _sha(b"1;"), "size": 2, "content_type": "text/javascript"},
                    "config": {"timeout_seconds": 5, "memory_mb": 128},
                    "triggers": [
                        {
                            "id": "a",
                            "type": "schedule",
                            "cron": "0 * * * *",
                            "timezone": "UTC",
                            "misfire_policy": "skip",
                            "overlap_policy": "allow",
                            "run": {"event_type": "t", "payload": {}},
                        },
                        {
                            "id": "z",
                            "type": "email",
                            "mailbox": "m",
                            "events": ["delivery", "reply_received"],
                            "run": {"event_type": "e", "payload": {}},
                        },
                    ],
                    "schedule": None,
                    "require_auth": True,
                    "require_role": None,
                }
            },
            "delete": ["old"],
        }
    }
    _same(_section("functions", functions, tmp_path), expected)
    text = json.dumps(expected)
    for camel, snake in {
        "contentType": "content_type",
        "timeoutSeconds": "timeout_seconds",
        "memoryMb": "memory_mb",
        "requireAuth": "require_auth",
        "requireRole": "require_role",
    }.items():
        text = text.replace(snake, camel)
    _same(_section("functions", functions, tmp_path, Dialect.CORE), json.loads(text))


def test_example_inline_function_source_has_no_type() -> None:
    code = "export default () => new Response('ok')"
    wire = _section("functions", {"replace": {"f": {"source": code}}})
    _same(wire["replace"]["f"], {"runtime": "node22", "source": {"sha256": _sha(code.encode()), "size": 39}})


def test_example_directory(tmp_path: Path) -> None:
    for name in ("a.txt", "LICENSE", "sub/.env", "sub/k.PEM", "sub/p.HTML"):
        file = tmp_path / "dist" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(name)
    site = {
        "patch": {
            "put": {"__source": "local-dir", "path": "dist", "prefix": "pre", "ignore": ["LICENSE"]},
            "delete": ["gone.html"],
        },
        "public_paths": {"mode": "implicit"},
    }
    _same(
        _section("site", site, tmp_path),
        {
            "patch": {
                "put": {
                    "pre/a.txt": {"sha256": _sha(b"a.txt"), "size": 5, "content_type": "text/plain; charset=utf-8"},
                    "pre/sub/p.HTML": {
                        "sha256": _sha(b"sub/p.HTML"),
                        "size": 10,
                        "content_type": "text/html; charset=utf-8",
                    },
                },
                "delete": ["gone.html"],
            },
            "public_paths": {"mode": "implicit"},
        },
    )


def test_example_assets() -> None:
    assets = {
        "put": [
            {"key": "img/l.png", "source": {"data": "iVBO", "encoding": "base64"}, "visibility": "private"},
            {"key": "w.css", "sha256": "bb", "size_bytes": 4},
        ],
        "delete": ["old.css"],
    }
    release = _wire({"assets": assets})
    sha = _sha(b"\x89PN")
    assert sha.startswith("449ba17f")
    _same(
        release.spec["assets"],
        {
            "put": [
                {
                    "key": "img/l.png",
                    "sha256": sha,
                    "size_bytes": 3,
                    "content_type": "image/png",
                    "visibility": "private",
                    "immutable": True,
                },
                {
                    "key": "w.css",
                    "sha256": "bb",
                    "size_bytes": 4,
                    "content_type": "application/octet-stream",
                    "visibility": "public",
                    "immutable": True,
                },
            ],
            "delete": ["old.css"],
        },
    )
    assert release.objects[sha].label == "assets.put[0] (img/l.png)"
    assert release.slice_kinds == ["asset"]


def test_example_empty_containers() -> None:
    site = {"public_paths": {"mode": "explicit", "replace": {"/e": {"asset": "e.html"}}}}
    manifest = {
        "functions": {"replace": {}},
        "routes": None,
        "secrets": {},
        "checks": [],
        "subdomains": {},
        "database": {"migrations": [], "expose": {}, "zero_downtime": False},
        "site": site,
    }
    _same(
        _wire(manifest).spec,
        {
            "project_id": "prj_demo",
            "database": {"expose": {}, "zero_downtime": False},
            "secrets": {},
            "functions": {"replace": {}},
            "site": site,
            "subdomains": {},
            "routes": None,
            "checks": [],
        },
    )


def test_every_section_in_wire_order() -> None:
    manifest = {
        "i18n": {"default_locale": "en", "locales": ["en"], "unknown_locale_policy": "reject", "detect": []},
        "assets": {"sync": {"prune": True, "prefix": "p"}},
        "checks": [{"name": "c"}],
        "routes": {"replace": []},
        "subdomains": {"set": ["a"]},
        "site": {"patch": {"delete": ["x"]}},
        "functions": {"patch": {"delete": ["f"]}},
        "secrets": {"require": ["K"]},
        "database": {"zero_downtime": True},
        "base": {"release": "empty"},
    }
    wire = _wire(manifest).spec
    assert list(wire) == [
        *("project_id", "base", "database", "secrets", "functions", "site", "subdomains", "routes", "checks"),
        *("assets", "i18n"),
    ]
    _same(wire["i18n"], {"default_locale": "en", "locales": ["en"], "detect": [], "unknown_locale_policy": "reject"})
    _same(wire["assets"], {"sync": {"prefix": "p", "prune": True}})
    core = _wire(manifest, dialect=Dialect.CORE).spec
    assert next(iter(core)) == "project"
    _same(core["i18n"], {"defaultLocale": "en", "locales": ["en"], "detect": [], "unknownLocalePolicy": "reject"})


def test_function_with_everything() -> None:
    function = {
        "capabilities": ["c"],
        "class": "ssr",
        "requireRole": {
            "signInPath": "/in",
            "onDeny": "redirect",
            "cacheTtl": 0,
            "allowed": ["a"],
            "roleColumn": "r",
            "idColumn": "i",
            "table": "t",
        },
        "requireAuth": False,
        "schedule": "0 * * * *",
        "deps": [],
        "entrypoint": "index.mjs",
        "files": {"index.mjs": "x", "data.json": "{}"},
        "runtime": "node22",
    }
    wire = _section("functions", {"replace": {"f": function}})["replace"]["f"]
    assert list(wire) == [
        *("runtime", "files", "entrypoint", "deps", "schedule", "require_auth", "require_role", "class"),
        "capabilities",
    ]
    assert wire["files"]["index.mjs"]["content_type"] == "text/javascript; charset=utf-8"
    _same(
        wire["require_role"],
        {
            "table": "t",
            "id_column": "i",
            "role_column": "r",
            "allowed": ["a"],
            "cache_ttl": 0,
            "on_deny": "redirect",
            "sign_in_path": "/in",
        },
    )


def test_content_refs_pass_through_in_the_dialects_spelling() -> None:
    ref = {"sha256": "aa", "size": 1, "contentType": "a/b", "integrity": "i", "other": 1}
    manifest = {"replace": {"x": ref, "y": {"data": {"sha256": "bb", "size": 2}}}}
    _same(
        _section("site", manifest),
        {
            "replace": {
                "x": {"sha256": "aa", "size": 1, "content_type": "a/b", "integrity": "i"},
                "y": {"sha256": "bb", "size": 2},
            }
        },
    )
    assert _section("site", manifest, dialect=Dialect.CORE)["replace"]["x"]["contentType"] == "a/b"
    assert _wire({"site": manifest}).objects == {}


def test_a_migration_by_ref_keeps_the_ref_on_both_dialects() -> None:
    database = {"migrations": [{"name": "n", "sql_ref": {"sha256": "ab" * 32, "size": 1}, "transaction": "none"}]}
    for dialect in Dialect:
        _same(
            _section("database", database, dialect=dialect)["migrations"],
            [
                {
                    "id": f"n_{'ab' * 8}",
                    "checksum": "ab" * 32,
                    "sql_ref": {"sha256": "ab" * 32, "size": 1},
                    "transaction": "none",
                }
            ],
        )


def test_a_given_checksum_is_sent_unchanged() -> None:
    wire = _section("database", {"migrations": [{"id": "1", "sql": "select 1", "checksum": "given"}]})
    assert wire["migrations"][0]["checksum"] == "given"
    assert wire["migrations"][0]["sql_ref"]["sha256"] == SELECT_SHA


def test_equal_bytes_are_one_object_with_the_first_label_and_first_known_type() -> None:
    release = _wire(
        {
            "functions": {"replace": {"f": {"source": "same"}}},
            "site": {"replace": {"b.txt": "same", "a.css": "same"}},
            "assets": {"put": [{"key": "k", "source": "same"}, {"key": "l", "source": "other"}]},
        }
    )
    same, other = release.objects.values()
    assert (same.label, same.content_type, same.slice_kind) == (
        "function source",
        "text/plain; charset=utf-8",
        "mixed",
    )
    assert (other.label, other.slice_kind) == ("assets.put[1] (l)", "asset")
    assert release.slice_kinds == ["release", "asset"]


def test_a_static_route_without_methods_is_sent_with_get_and_head() -> None:
    routes = {"replace": [{"pattern": "/a", "target": {"type": "static", "file": "a.html"}}]}
    _same(
        _section("routes", routes),
        {"replace": [{"pattern": "/a", "methods": ["GET", "HEAD"], "target": {"type": "static", "file": "a.html"}}]},
    )


def test_asset_types_come_from_the_entry_then_the_source_then_the_key() -> None:
    def content_type(**fields: Any) -> str:
        wire = _section("assets", {"put": [{"key": "a.css", **fields}]})
        return str(wire["put"][0]["content_type"])

    assert content_type(source={"data": "x", "contentType": "a/b"}, content_type="c/d") == "c/d"
    assert content_type(source={"data": "x", "contentType": "a/b"}) == "a/b"
    assert content_type(source="x") == "text/css; charset=utf-8"
    assert content_type(source={"sha256": "aa", "size": 1}) == "text/css; charset=utf-8"


@pytest.mark.parametrize(
    ("manifest", "code", "resource"),
    [
        ({"database": {"migrations": [{"id": "m1"}]}}, "INVALID_SPEC", "database.migrations.m1"),
        ({"database": {"migrations": [{"name": "n"}]}}, "INVALID_SPEC", "database.migrations.n"),
        ({"database": {"migrations": [{"id": "m", "sql_ref": {}}]}}, "INVALID_SPEC", "database.migrations.m"),
        (
            {"database": {"migrations": [{"id": "m", "sql": "x"}, {"id": "m", "sql": "y"}]}},
            "INVALID_SPEC",
            "database.migrations.1.id",
        ),
        (
            {
                "database": {
                    "migrations": [{"name": "seed", "sql": "select 1"}, {"id": "seed_822ae07d4783158b", "sql": "x"}]
                }
            },
            "INVALID_SPEC",
            "database.migrations.1.id",
        ),
        ({"site": {"replace": {"a.txt": 5}}}, "INVALID_SPEC", "a.txt"),
        ({"site": {"replace": {"a.txt": {"data": 5}}}}, "INVALID_SPEC", "a.txt"),
        ({"site": {"replace": {"a.txt": {"__source": "local-dir", "path": "x"}}}}, "INVALID_SPEC", "a.txt"),
        (
            {"functions": {"replace": {"f": {"files": {"__source": "local-dir", "path": "x", "n": None}}}}},
            "INVALID_SPEC",
            "n",
        ),
        ({"functions": {"replace": {"f": {"source": []}}}}, "INVALID_SPEC", "function source"),
        ({"assets": {"put": [{"key": "k", "source": 5}]}}, "INVALID_SPEC", "assets.put[0]"),
        ({"site": {"replace": {"a.png": "text"}}}, "BINARY_CONTENT_REQUIRES_BYTES", "a.png"),
        (
            {"site": {"replace": {"a": {"data": "text", "contentType": "image/png"}}}},
            "BINARY_CONTENT_REQUIRES_BYTES",
            "a",
        ),
        (
            {"functions": {"replace": {"f": {"files": {"x.wasm": "text"}}}}},
            "BINARY_CONTENT_REQUIRES_BYTES",
            "x.wasm",
        ),
        ({"assets": {"put": [{"key": "a.png", "source": "text"}]}}, "BINARY_CONTENT_REQUIRES_BYTES", "assets.put[0]"),
        (
            {"assets": {"put": [{"key": "k", "source": "x"}, {"key": "k", "source": "y"}]}},
            "ASSET_DUPLICATE_KEY_IN_PUT",
            "assets.put[1]",
        ),
        ({"assets": {"put": [{"key": "k", "source": "x"}], "delete": ["k"]}}, "ASSET_KEY_IN_PUT_AND_DELETE", "assets"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_what_is_found_only_when_content_is_read(manifest: Any, code: str, resource: str) -> None:
    error = _refused(manifest)
    assert (error.code, error.phase, error.resource) == (code, "validate", resource)


def test_text_for_binary_says_how_to_fix_it() -> None:
    error = _refused({"site": {"replace": {"a.png": "text"}}})
    assert error.fix == {"action": "use_bytes", "path": "a.png"}
    assert error.details == {"path": "a.png", "content_type": "image/png"}


def test_function_source_may_be_text_whatever_its_name() -> None:
    source = {"data": "x", "contentType": "image/png"}
    wire = _section("functions", {"replace": {"f": {"source": source}}})
    assert wire["replace"]["f"]["source"]["content_type"] == "image/png"


@pytest.mark.parametrize(
    ("option", "code"),
    [
        ({"metadata": {"a": {"b": 1}}}, "INVALID_ASSET_METADATA"),
        ({"metadata": {"a": [1]}}, "INVALID_ASSET_METADATA"),
        ({"metadata": {"a": None}}, "INVALID_ASSET_METADATA"),
        ({"metadata": []}, "INVALID_ASSET_METADATA"),
        ({"metadata": {"a": "x" * 4096}}, "INVALID_ASSET_METADATA"),
        ({"exif_policy": "blur"}, "INVALID_EXIF_POLICY"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_library_callers_asset_options_are_checked(option: dict[str, Any], code: str) -> None:
    with pytest.raises(ReleaseError) as caught:
        to_wire({"project": "p", "assets": {"put": [{"key": "k", "source": "x", **option}]}})
    assert caught.value.code == code


def test_library_callers_asset_options_are_sent() -> None:
    put = {"key": "k", "source": b"x", "metadata": {"a": [], "b": 1.5, "c": True}, "exif_policy": "strip"}
    wire = to_wire({"project": "p", "assets": {"put": [put]}}).spec["assets"]["put"][0]
    assert list(wire)[-2:] == ["metadata", "exif_policy"]


@pytest.mark.parametrize(
    "entry",
    [
        {"site": {"replace": {"a": {"path": "absent"}}}},
        {"site": {"replace": {"__source": "local-dir", "path": "absent"}}},
    ],
)
def test_missing_files_and_directories_have_the_system_error_name(tmp_path: Path, entry: Any) -> None:
    assert _refused(entry, tmp_path).code == "ENOENT"


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX file types")
def test_a_device_or_link_in_a_site_directory(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert _refused({"site": {"replace": {"a": {"path": "pipe"}}}}, tmp_path).code == "LOCAL_ERROR"
    (tmp_path / "dist").mkdir()
    (tmp_path / "dist/link").symlink_to("/etc/passwd")
    site = {"replace": {"__source": "local-dir", "path": "dist"}}
    assert _refused({"site": site}, tmp_path).code == "LOCAL_ERROR"


def test_a_directory_that_leads_out_of_the_release_by_its_prefix(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("x")
    for prefix in ("..", "/abs", "a/../..", "a\\b"):
        site = {"replace": {"__source": "local-dir", "path": ".", "prefix": prefix}}
        assert _refused({"site": site}, tmp_path).code == "INVALID_SPEC"


def test_an_astro_server_tree_is_found_inside_a_directory(tmp_path: Path) -> None:
    file = tmp_path / "run402/server/entry.mjs"
    file.parent.mkdir(parents=True)
    file.write_text("x")
    error = _refused({"site": {"replace": {"__source": "local-dir", "path": "."}}}, tmp_path)
    assert (error.code, error.resource) == ("ASTRO_ADAPTER_TREE_IN_SITE", "site.replace")


def test_a_file_changed_after_planning_is_caught_when_it_is_read_again(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_text("before")
    (content,) = _wire({"site": {"replace": {"a.txt": {"path": "a.txt"}}}}, tmp_path).objects.values()
    assert isinstance(content.source, FileSource)
    with content.source.open() as handle:
        assert handle.read() == b"before"
    found = file.stat()
    file.write_text("later!")
    os.utime(file, ns=(found.st_atime_ns, found.st_mtime_ns + 1))
    with pytest.raises(ContentChangedError):
        content.source.open()


def test_names_that_look_like_places_do_not_collide() -> None:
    wire = _section("functions", {"replace": {"a": {"files": {"b.source": "1"}}, "a.files.b": {"source": "2"}}})[
        "replace"
    ]
    assert wire["a"]["files"]["b.source"]["sha256"] == _sha(b"1")
    assert wire["a.files.b"]["source"]["sha256"] == _sha(b"2")


def test_the_inline_limit_counts_the_bytes_that_are_sent() -> None:
    body = {"spec": {"x": ""}, "idempotency_key": "é"}
    room = INLINE_PLAN_BYTES - len(plan_bytes(body))
    body["spec"]["x"] = "a" * room  # type: ignore[index]
    assert len(plan_bytes(body)) == 5_242_880
    assert not is_oversized(body)
    body["spec"]["x"] += "a"  # type: ignore[index]
    assert is_oversized(body)


def test_an_oversized_spec_becomes_a_content_object() -> None:
    spec = {"project_id": "p", "site": {"replace": {}}}
    content = manifest_object(spec)
    data = b'{"project_id":"p","site":{"replace":{}}}'
    assert content.source.open().read() == data
    assert content.entry() == {
        "sha256": _sha(data),
        "size": len(data),
        "content_type": "application/vnd.run402.deploy-manifest+json",
    }
    error = oversized_error("PLAN_REQUIRES_INLINE_SPEC")
    assert (error.code, error.phase, error.resource) == ("PLAN_REQUIRES_INLINE_SPEC", "validate", "manifest_ref")


def test_odd_text_can_be_sent() -> None:
    release = _wire({"site": {"replace": {"a.txt": "a\ud800b"}}, "checks": [{"id": "\ud800"}]})
    body = plan_bytes({"spec": release.spec})
    assert b"\\ud800" in body
    assert next(iter(release.objects)) == _sha("a�b".encode())


@pytest.mark.parametrize(
    ("manifest", "code"),
    [
        ({"subdomains": {"set": ["a", "b"]}}, "SUBDOMAIN_MULTI_NOT_SUPPORTED"),
        ({"secrets": {"require": ["lower"]}}, "INVALID_SPEC"),
        ({"database": {"migrations": [{"id": "1"}]}}, "INVALID_SPEC"),
        ({"database": {"migrations": [{"id": "1", "sql": "a"}, {"id": "1", "sql": "b"}]}}, "INVALID_SPEC"),
        ({"functions": {"replace": {"f": {"source": "x", "config": {"timeout_seconds": 0}}}}}, "INVALID_SPEC"),
        (
            {
                "functions": {
                    "replace": {
                        "f": {
                            "source": "x",
                            "triggers": [{"id": "a", "type": "schedule", "cron": "* *", "run": {"event_type": "t"}}],
                        }
                    }
                }
            },
            "INVALID_SPEC",
        ),
        ({"site": {"replace": {"a.png": "text"}}}, "BINARY_CONTENT_REQUIRES_BYTES"),
        ({"site": {"replace": {"a.html": {"path": "absent.html"}}}}, "ENOENT"),
        ({"site": {"replace": {"__source": "local-dir", "path": "absent"}}}, "ENOENT"),
        (
            {
                "routes": {
                    "replace": [
                        {"pattern": "/a", "target": {"type": "function", "name": "f"}, "pricing": {"mode": "x"}}
                    ]
                }
            },
            "INVALID_SPEC",
        ),
        ({"i18n": {"default_locale": "de", "locales": ["en"]}}, "INVALID_SPEC"),
        ({"base": {"release": "current", "release_id": "rel_1"}, "checks": [1]}, "INVALID_SPEC"),
        ({"assets": {"put": [{"key": "k", "source": "a"}, {"key": "k", "source": "b"}]}}, "ASSET_DUPLICATE_KEY_IN_PUT"),
    ],
)
def test_what_check_lets_pass_is_still_refused_before_anything_is_sent(
    manifest: dict[str, Any], code: str, tmp_path: Path
) -> None:
    normalize(manifest, base_dir=tmp_path, project="prj_demo")
    assert _refused(manifest, tmp_path).code == code
