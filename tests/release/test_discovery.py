from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from run402_cli import global_options
from run402_cli.release.discovery import (
    Origin,
    check_no_secret_values,
    discover,
    is_app_manifest,
    load_apply_manifest,
    load_manifest_text,
    load_up_manifest,
    require_content,
    require_deployable,
)
from run402_cli.release.errors import ReleaseError

SPEC = Origin("spec")


@pytest.mark.parametrize("text", ["{bad", "", "NaN", '{"a": Infinity}', "[" * 100_000, '{"a": 1, "a": 1}', "{} x"])
def test_text_that_is_not_json_is_bad_usage_with_its_source(text: str) -> None:
    with pytest.raises(ReleaseError) as caught:
        load_manifest_text(text, Origin("stdin"))
    assert caught.value.code == "BAD_USAGE"
    assert caught.value.details is not None
    assert caught.value.details["source"] == "stdin"
    assert caught.value.details["parse_error"]


def test_apply_reads_any_extension_and_forgives_a_byte_order_mark(tmp_path: Path) -> None:
    file = tmp_path / "manifest.txt"
    file.write_bytes(b'\xef\xbb\xbf{"project_id": "p"}')
    assert load_apply_manifest(str(file)) == {"project_id": "p"}


def test_an_unreadable_manifest_is_bad_usage_in_apply_and_the_system_error_in_up(tmp_path: Path) -> None:
    with pytest.raises(ReleaseError) as caught:
        load_apply_manifest(str(tmp_path / "absent.json"))
    assert caught.value.code == "BAD_USAGE"
    assert caught.value.details == {"flag": "--manifest", "path": str(tmp_path / "absent.json")}
    with pytest.raises(ReleaseError) as caught:
        load_up_manifest(tmp_path / "absent.json")
    assert caught.value.code == "ENOENT"


@pytest.mark.parametrize(("name", "code"), [("app.json", "LOCAL_ERROR"), ("run402.json", "APP_SPEC_INVALID")])
def test_up_names_bad_json_by_the_kind_of_manifest(tmp_path: Path, name: str, code: str) -> None:
    (tmp_path / name).write_text("{")
    with pytest.raises(ReleaseError) as caught:
        load_up_manifest(tmp_path / name)
    assert caught.value.code == code


def test_up_takes_json_files_only(tmp_path: Path) -> None:
    with pytest.raises(ReleaseError) as caught:
        load_up_manifest(tmp_path / "manifest.yaml")
    assert caught.value.code == "UNSUPPORTED_DEPLOY_MANIFEST_EXTENSION"
    assert caught.value.details == {"path": str(tmp_path / "manifest.yaml"), "extension": ".yaml"}


def test_manifests_are_found_in_order(tmp_path: Path) -> None:
    for name in ("run402.deploy.ts", "app.json", "run402.deploy.json", "run402.json"):
        (tmp_path / name).write_text("{}")
        if name != "run402.deploy.ts":
            assert discover(tmp_path).name == name


def test_a_lone_program_must_be_named(tmp_path: Path) -> None:
    (tmp_path / "run402.deploy.mjs").write_text("")
    with pytest.raises(ReleaseError) as caught:
        discover(tmp_path)
    assert caught.value.code == "EXECUTABLE_CONFIG_REQUIRES_EXPLICIT_MANIFEST"
    assert caught.value.details is not None
    assert caught.value.details["manifest_path"] == str(tmp_path / "run402.deploy.mjs")
    assert caught.value.details["next_actions"][0]["argv"][:3] == ["run402", "up", "--manifest"]


def test_no_manifest_offers_one_that_works(tmp_path: Path) -> None:
    with pytest.raises(ReleaseError) as caught:
        discover(tmp_path)
    assert caught.value.code == "UP_MANIFEST_REQUIRED"
    assert caught.value.details is not None
    retry = caught.value.details["next_actions"][-1]
    assert retry["argv"] == ["run402", "up", str(tmp_path), "--yes"]
    global_options.remember(["up", "--name", "brand new", "-y"])
    with pytest.raises(ReleaseError) as again:
        discover(tmp_path)
    assert again.value.details is not None
    assert again.value.details["next_actions"][-1]["command"] == "run402 up --name 'brand new' -y"
    details = caught.value.details
    assert details is not None
    assert details["candidates"] == ["run402.json", "run402.deploy.json", "app.json"]
    assert len(details["executable_candidates"]) == 6
    create = details["next_actions"][0]
    require_content(json.loads(create["content"]), SPEC)


@pytest.mark.parametrize(
    ("document", "app"),
    [
        ({"$schema": "https://run402.com/schemas/run402-app.v1.schema.json"}, True),
        ({"spec_version": 1}, True),
        ({"release": {}}, True),
        ({"site": {}}, False),
        ([], False),
    ],
)
def test_app_manifests_are_told_apart(document: Any, app: bool) -> None:
    assert is_app_manifest(document) is app


@pytest.mark.parametrize(
    ("secrets", "details"),
    [
        ([{"key": "A", "value": "hunter2"}], {"field": "secrets", "legacy_shape": "array"}),
        ({"set": {"A": "hunter2"}}, {"field": "secrets.set"}),
        ({"replace_all": {}}, {"field": "secrets.replace_all"}),
    ],
)
def test_secret_values_are_refused_and_never_repeated(secrets: Any, details: dict[str, str]) -> None:
    with pytest.raises(ReleaseError) as caught:
        check_no_secret_values({"secrets": secrets}, Origin("manifest", "app.json"))
    assert caught.value.code == "UNSAFE_SECRET_MANIFEST"
    assert caught.value.details == {"source": "manifest", "path": "app.json", **details}
    assert "hunter2" not in f"{caught.value} {caught.value.details}"


@pytest.mark.parametrize("manifest", [{}, {"secrets": []}, {"secrets": {"require": ["A"]}}, [], None])
def test_secret_names_are_fine(manifest: Any) -> None:
    check_no_secret_values(manifest, SPEC)


@pytest.mark.parametrize(
    "manifest",
    [
        *(
            [],
            "x",
            None,
            {},
            {"project_id": "p"},
            {"site": None},
            {"site": {"replace": {}}},
            {"site": {"replace": {"a": ""}}},
        ),
        *({"routes": None}, {"database": {"migrations": [], "expose": None}}, {"checks": []}, {"assets": {"put": []}}),
        {"verify": {"http": [1]}},
    ],
    ids=repr,
)
def test_empty_manifests(manifest: Any) -> None:
    with pytest.raises(ReleaseError) as caught:
        require_content(manifest, Origin("manifest", "app.json"))
    assert caught.value.code == "MANIFEST_EMPTY"
    assert caught.value.details is not None
    assert list(caught.value.details) == ["field", "path", "meaningful_keys"]


@pytest.mark.parametrize(
    "manifest",
    [
        *({"routes": {"replace": []}}, {"i18n": None}, {"assets": {"delete": ["x"]}}, {"checks": [{}]}),
        *({"database": {"zero_downtime": False}}, {"site": {"replace": {"a": 0}}}, {"secrets": {"require": ["K"]}}),
    ],
    ids=repr,
)
def test_manifests_with_content(manifest: Any) -> None:
    require_content(manifest, SPEC)


def test_up_counts_null_and_assets_as_content() -> None:
    for spec in ({"routes": None}, {"i18n": None}, {"assets": {"delete": ["x"]}}):
        require_deployable(spec, None)
    with pytest.raises(ReleaseError) as caught:
        require_deployable({"project": "p", "site": {"replace": {}}}, "/m.json")
    assert caught.value.details == {"manifest_path": "/m.json"}


def test_a_very_deep_manifest_is_checked_without_running_out_of_stack() -> None:
    value: Any = []
    for _ in range(50_000):
        value = {"a": value}
    with pytest.raises(ReleaseError, match="deploys nothing"):
        require_content({"site": value}, SPEC)
