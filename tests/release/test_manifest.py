from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from run402_cli.release.errors import ReleaseError
from run402_cli.release.manifest import NormalizedManifest, manifest_project, normalize, printable

P = "prj_demo"


def _normalize(manifest: Any, base_dir: Path = Path("/base")) -> NormalizedManifest:
    return normalize(manifest, base_dir=base_dir, project=P)


def _refused(manifest: Any, base_dir: Path = Path("/base")) -> ReleaseError:
    with pytest.raises(ReleaseError) as caught:
        _normalize(manifest, base_dir)
    return caught.value


def test_print_order_and_what_is_left_out(tmp_path: Path) -> None:
    manifest = {
        "$schema": "https://run402.com/schemas/release-spec.v1.json",
        "x-run402-omitted_features": ["x"],
        "verify": {"http": [{"id": "home", "path": "/", "expected_status": 200}]},
        "assets": {"delete": ["old"]},
        "site": {"replace": {"index.html": {"path": "site/index.html"}}},
        "functions": {"replace": {}},
        "database": {"zero_downtime": True, "expose": {"tables": []}, "migrations": []},
        "i18n": None,
        "checks": [],
        "routes": None,
        "secrets": {"require": ["K"]},
        "subdomains": {"set": ["a"]},
        "base": {"release": "current"},
        "idempotency_key": "k1",
        "project_id": P,
    }
    normal = _normalize(manifest, tmp_path)
    assert list(normal.spec) == [
        *("project", "base", "subdomains", "secrets", "routes", "checks", "i18n", "database", "functions"),
        *("site", "assets"),
    ]
    assert list(normal.spec["database"]) == ["expose", "zero_downtime", "migrations"]
    assert normal.idempotency_key == "k1"
    assert normal.verify == {"http": [{"id": "home", "path": "/", "expect": {"status": 200}}]}
    assert normal.spec["site"]["replace"] == {
        "index.html": {"__source": "fs-file", "path": os.path.join(tmp_path, "site", "index.html")}  # noqa: PTH118
    }


@pytest.mark.parametrize(
    ("entry", "normal"),
    [
        ("text", "text"),
        ({"data": "text"}, "text"),
        ({"data": "text", "encoding": "utf-8", "content_type": "a/b"}, {"data": "text", "contentType": "a/b"}),
        ({"data": "iVBO", "encoding": "base64"}, b"\x89PN"),
        ({"data": "iVBO", "encoding": "base64", "contentType": "a/b"}, {"data": b"\x89PN", "contentType": "a/b"}),
        ({"path": "a.txt", "contentType": "a/b"}, {"__source": "fs-file", "path": "/base/a.txt", "contentType": "a/b"}),
        ({"__source": "fs-file", "path": "sub/../a.txt"}, {"__source": "fs-file", "path": "/base/a.txt"}),
        ({"path": "/base/b.txt"}, {"__source": "fs-file", "path": "/base/b.txt"}),
        ({"data": "x", "path": "a.txt"}, "x"),
        ({"sha256": "aa", "size": 1, "integrity": "i"}, {"sha256": "aa", "size": 1, "integrity": "i"}),
        ({"data": {"sha256": "aa", "size": 1}}, {"sha256": "aa", "size": 1}),
        (5, 5),
        ({"data": 5}, {"data": 5}),
        ({"path": 5}, {"path": 5}),
        ({"__source": "local-dir", "path": "x"}, {"__source": "local-dir", "path": "x"}),
    ],
    ids=repr,
)
@pytest.mark.skipif(os.name == "nt", reason="expects POSIX absolute paths")
def test_file_entries(entry: Any, normal: Any) -> None:
    spec = _normalize({"site": {"replace": {"f": entry}}}).spec
    assert spec["site"]["replace"]["f"] == normal


@pytest.mark.skipif(os.name == "nt", reason="expects POSIX absolute paths")
def test_a_directory_marker_gets_an_absolute_path() -> None:
    marker = {"__source": "local-dir", "path": "dist", "prefix": "p", "ignore": ["x"], "includeSensitive": True}
    assert _normalize({"site": {"patch": {"put": marker}}}).spec["site"]["patch"]["put"] == {
        **marker,
        "path": "/base/dist",
    }


def test_printed_bytes_are_an_object_of_index_to_byte() -> None:
    spec = _normalize({"site": {"replace": {"a": {"data": "iVA=", "encoding": "base64"}, "b": "t"}}}).spec
    assert printable(spec)["site"]["replace"] == {"a": {"0": 137, "1": 80}, "b": "t"}
    json.dumps(printable(spec))


def test_function_aliases_become_camel_case() -> None:
    function = {
        "source": "x",
        "config": {"timeout_seconds": 5, "memoryMb": 128},
        "require_auth": True,
        "require_role": {"table": "t", "id_column": "i", "roleColumn": "r", "allowed": [], "cache_ttl": 1},
        "schedule": None,
        "runtime": "node22",
    }
    normal = _normalize({"functions": {"patch": {"set": {"api": function}, "delete": ["old"]}}}).spec["functions"][
        "patch"
    ]
    assert list(normal["set"]["api"]) == ["runtime", "source", "config", "schedule", "requireAuth", "requireRole"]
    assert normal["set"]["api"]["config"] == {"timeoutSeconds": 5, "memoryMb": 128}
    assert normal["set"]["api"]["requireRole"] == {
        "table": "t",
        "idColumn": "i",
        "roleColumn": "r",
        "allowed": [],
        "cacheTtl": 1,
    }
    assert normal["delete"] == ["old"]


def test_of_two_spellings_the_camel_case_one_wins_unless_null() -> None:
    def read(**fields: Any) -> Any:
        return (
            _normalize({"functions": {"replace": {"f": fields}}}).spec["functions"]["replace"]["f"].get("requireAuth")
        )

    assert read(requireAuth=True, require_auth=False) is True
    assert read(requireAuth=None, require_auth=False) is False
    assert read(require_auth=True) is True


def test_language_keys_are_read_in_either_spelling_mixed_too() -> None:
    i18n = {"default_locale": "en", "locales": ["en"], "unknownLocalePolicy": "reject"}
    assert _normalize({"i18n": i18n}).spec["i18n"] == {
        "defaultLocale": "en",
        "locales": ["en"],
        "unknownLocalePolicy": "reject",
    }


def test_sql_files_are_read_during_normalization(tmp_path: Path) -> None:
    (tmp_path / "a.sql").write_bytes("\ufeffselect '\xff'".encode())
    migrations = [
        {"id": "1", "sql_path": "a.sql"},
        {"name": "n", "sql_file": "a.sql", "sql": "select 2", "transaction": "none", "checksum": "c"},
        {"id": "3", "sql_path": "absent.sql", "sql": "select 3"},
        {"id": "4", "sql_ref": {"sha256": "aa", "size": 1}, "sql": "ignored"},
    ]
    assert _normalize({"database": {"migrations": migrations}}, tmp_path).spec["database"]["migrations"] == [
        {"id": "1", "sql": "\ufeffselect '\xff'"},
        {"name": "n", "checksum": "c", "sql": "select 2", "transaction": "none"},
        {"id": "3", "sql": "select 3"},
        {"id": "4", "sql_ref": {"sha256": "aa", "size": 1}},
    ]
    error = _refused({"database": {"migrations": [{"id": "1", "sql_path": "absent.sql"}]}}, tmp_path)
    assert error.code == "ENOENT"


def test_falsy_exposure_and_odd_flags_are_left_out() -> None:
    spec = _normalize({"database": {"expose": None, "zero_downtime": "yes"}}).spec
    assert spec["database"] == {}
    assert _normalize({"database": {"expose": {}}}).spec["database"] == {"expose": {}}
    assert _normalize({"database": {"expose": []}}).spec["database"] == {"expose": []}  # the spec layer refuses it


def _migrations(*entries: Any) -> dict[str, Any]:
    return {"database": {"migrations": list(entries)}}


def _function(**fields: Any) -> dict[str, Any]:
    return {"functions": {"replace": {"f": fields}}}


def _file(entry: Any) -> dict[str, Any]:
    return {"site": {"replace": {"f": entry}}}


def _asset(**fields: Any) -> dict[str, Any]:
    return {"assets": {"put": [fields]}}


@pytest.mark.parametrize(
    "manifest",
    [
        [],
        "text",
        None,
        {"subdomain": "x"},
        {"idempotencyKey": "k"},
        {"idempotency_key": 5},
        {"project": 5},
        {"database": []},
        {"database": {"tables": []}},
        {"database": {"migrations": {}}},
        _migrations("select 1"),
        _migrations({"sql": "x"}),
        _migrations({"id": "a", "name": "b", "sql": "x"}),
        _migrations({"id": " ", "sql": "x"}),
        _migrations({"name": "-bad", "sql": "x"}),
        _migrations({"name": "n" * 65, "sql": "x"}),
        _migrations({"name": "n\n", "sql": "x"}),
        _migrations({"name": "n", "sql": "x"}, {"name": "n", "sql": "y"}),
        _migrations({"id": "a", "sql_path": "a", "sql_file": "b"}),
        _migrations({"id": "a", "sql": 5}),
        _migrations({"id": "a", "sql_path": "a\0b"}),
        _migrations({"id": "a", "extra": 1}),
        {"functions": []},
        {"functions": {"set": {}}},
        {"functions": {"replace": []}},
        {"functions": {"patch": {"delete": "x"}}},
        {"functions": {"patch": {"put": {}}}},
        _function(unknown=1),
        _function(pricing={}),
        _function(config={"schedule": "* * * * *"}),
        _function(requireRole={"column": "x"}),
        _function(capabilities="astro"),
        _function(capabilities=[1]),
        _function(files=[]),
        {"functions": {"replace": {"f": "code"}}},
        {"site": {}},
        {"site": {"replace": {}, "patch": {}}},
        {"site": {"files": {}}},
        {"site": {"replace": []}},
        {"site": {"patch": {"delete": [1]}}},
        {"site": {"public_paths": {"mode": "sideways"}}},
        {"site": {"public_paths": {"mode": "implicit", "replace": {}}}},
        {"site": {"public_paths": {"mode": "explicit"}}},
        {"site": {"public_paths": {"mode": "explicit", "replace": {"/x": {"asset": ""}}}}},
        {"site": {"public_paths": {"mode": "explicit", "replace": {"/x": {"asset": "a", "ttl": 1}}}}},
        _file({"data": "x", "encoding": "hex"}),
        _file({"data": 5, "encoding": "base64"}),
        _file({"path": "a", "contentType": 5}),
        _file({"path": "a", "contentType": "a/b", "content_type": "c/d"}),
        _file({"path": "a\0b"}),
        _file({"path": ""}),
        {"site": {"replace": {"__source": "local-dir"}}},
        {"site": {"replace": {"__source": "local-dir", "path": "x", "ignore": "y"}}},
        {"site": {"replace": {"__source": "local-dir", "path": "x", "glob": "y"}}},
        {"site": {"replace": {"__source": "local-dir", "path": "x", "prefix": 1}}},
        {"site": {"replace": {"__source": "local-dir", "path": "x", "includeSensitive": "yes"}}},
        {"assets": {"set": []}},
        {"assets": {"put": {}}},
        _asset(source="x"),
        _asset(key="k"),
        _asset(key="k", source="x", sha256="aa", size_bytes=1),
        _asset(key="k", sha256="aa"),
        _asset(key="k", source="x", visibility="secret"),
        _asset(key="k", source="x", immutable="yes"),
        _asset(key="k", source="x", metadata={}),
        {"assets": {"delete": "x"}},
        {"assets": {"sync": {"prefix": "", "prune": True}}},
        {"assets": {"sync": {"prefix": "p"}}},
        {"assets": {"sync": {"prefix": "p", "prune": 1}}},
        {"assets": {"sync": {"prefix": "p", "prune": True, "confirm": {"base_revision": "x"}}}},
        {"i18n": []},
        {"i18n": {"default": "en"}},
        {"i18n": {"locale": ["en"]}},
        {"routes": {"/api": "fn"}},
        {"verify": {"checks": []}},
        {"verify": {"http": [{"id": "a", "path": "/", "expected_status": 200, "method": "POST"}]}},
    ],
    ids=lambda manifest: json.dumps(manifest)[:60],
)
def test_malformed_manifests_are_local_errors(manifest: Any) -> None:
    error = _refused(manifest)
    assert (error.code, error.phase) == ("LOCAL_ERROR", None)


@pytest.mark.parametrize(
    "verify",
    [
        [],
        {"http": {}},
        {"http": ["/"]},
        {"http": [{"path": "/", "expected_status": 200}]},
        {"http": [{"id": "a", "expected_status": 200}]},
        {"http": [{"id": "a", "path": "", "expected_status": 200}]},
        {"http": [{"id": "a", "path": "/"}]},
        {"http": [{"id": "a", "path": "/", "expected_status": 99}]},
        {"http": [{"id": "a", "path": "/", "expect": {"status": 200}, "expected_status": 201}]},
        {"http": [{"id": "a", "path": "/", "expect": 200}]},
        {"http": [{"id": "a", "path": "/", "expected_status": 200, "retries": 0}]},
        {"http": [{"id": "a", "path": "/", "expected_status": 200}] * 2},
    ],
    ids=lambda verify: json.dumps(verify)[:60],
)
def test_malformed_checks_name_the_field_and_what_to_write(verify: Any) -> None:
    error = _refused({"verify": verify})
    assert error.code == "INVALID_VERIFY_SPEC"
    assert error.details is not None
    assert set(error.details) == {"field", "hint"}


def test_the_verify_section_is_checked_last() -> None:
    assert _refused({"verify": [], "assets": []}).code == "LOCAL_ERROR"


def test_the_unknown_field_is_named_with_what_to_write_instead() -> None:
    error = _refused({"subdomain": "x"})
    assert "'subdomain'" in error.message
    assert "subdomains" in error.message
    assert '"set"' in error.message


def test_projects_must_agree() -> None:
    assert manifest_project({"project": "a", "project_id": "a"}) == "a"
    assert manifest_project({"project": None, "project_id": "b"}) == "b"
    assert manifest_project({}) is manifest_project([]) is None
    with pytest.raises(ReleaseError) as caught:
        manifest_project({"project": "a", "project_id": "b"})
    assert caught.value.code == "RUN402_PROJECT_CONFLICT"
    assert caught.value.details == {"project": "a", "project_id": "b"}
    error = _refused({"project": "prj_other"})
    assert error.code == "LOCAL_ERROR"
    assert "prj_other" in error.message
    with pytest.raises(ReleaseError, match="No project"):
        normalize({}, base_dir=Path(), project=None)
    assert normalize({"project_id": "prj_x"}, base_dir=Path(), project=None).project == "prj_x"


@pytest.mark.parametrize("path", ["", "a\0b", "\ud800"])
def test_a_path_that_no_file_can_have_is_refused(path: str) -> None:
    with pytest.raises(ReleaseError) as caught:
        _normalize({"site": {"replace": {"a": {"path": path}}}})
    assert caught.value.code == "LOCAL_ERROR"
