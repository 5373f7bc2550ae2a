"""The `assets` section of a release: put, delete, sync with prune, in both dialects."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from deploy_kit import commit, plan, site, stage, upload
from storage_kit import Storage, asset, sha256

A, B, C = b"alpha", b"beta", b"gamma"


def release(storage: Storage, spec: dict[str, Any], *contents: bytes) -> httpx.Response:
    planned = plan(storage.client, spec)
    assert planned.status_code in (200, 201), planned.text
    if contents:
        upload(storage.client, storage.project, *contents)
    return commit(storage.client, planned.json())


@pytest.mark.parametrize("core", [False, True])
def test_a_release_of_assets_alone_is_valid(storage: Storage, core: bool) -> None:
    spec = storage.spec(core=core, put=[asset("a.txt", A), asset("b.txt", B, visibility="private", immutable=False)])
    done = release(storage, spec, A, B)
    assert done.json()["status"] == ("committed" if core else "ready")
    assert storage.get("public/a.txt").content == A
    assert storage.get(f"immutable/{sha256(A)}/a.txt").content == A
    assert storage.get("public/b.txt").status_code == 404
    assert storage.keys() == ["a.txt", "b.txt"]


def test_the_cloud_plan_describes_each_entry(storage: Storage) -> None:
    spec = storage.spec(put=[asset("a.txt", A), asset("same.txt", A), asset("b.txt", B, immutable=False)])
    stage(storage.client, storage.project, B)
    answer = plan(storage.client, spec).json()
    assert [entry["status"] for entry in answer["asset_entries"]] == ["upload_pending", "satisfied_by_plan", "present"]
    assert answer["missing_content"] == sorted(
        [
            {"sha256": sha256(A), "size": len(A), "present": False},
            {"sha256": sha256(B), "size": len(B), "present": True},
        ],
        key=lambda entry: str(entry["sha256"]),
    )
    ref = answer["asset_entries"][0]["asset_ref"]
    assert ref["url"].endswith("/storage/public/a.txt")
    assert ref["cdn_immutable_url"].endswith(f"/storage/immutable/{sha256(A)}/a.txt")
    assert answer["asset_entries"][2]["asset_ref"]["immutable_url"] is None
    assert (answer["is_noop"], answer["summary"]) == (False, "assets: 3 put")
    assert answer["cost"]["asset_keys_after_commit"] == 3


def test_the_core_plan_lists_the_effects(storage: Storage) -> None:
    storage.put("old.txt", C)
    spec = storage.spec(core=True, put=[asset("a.txt", A)], delete=["old.txt", "never.txt"])
    effects = plan(storage.client, spec).json()["storage_effects"]
    assert [put["key"] for put in effects["puts"]] == ["a.txt"]
    assert (effects["deletes"], effects["sync_prune"], effects["noop"]) == (["old.txt"], None, False)


def test_unchanged_assets_make_a_noop(storage: Storage) -> None:
    spec = storage.spec(put=[asset("a.txt", A)])
    first = release(storage, spec, A).json()
    again = plan(storage.client, spec).json()
    assert (again["is_noop"], again["asset_entries"][0]["status"]) == (True, "present")
    assert commit(storage.client, again).json()["release_id"] == first["release_id"]
    changed = storage.spec(put=[asset("a.txt", A, content_type="text/markdown")])
    assert plan(storage.client, changed).json()["is_noop"] is False
    with_metadata = storage.spec(put=[asset("a.txt", A, metadata={"tags": ["x"]})])
    assert plan(storage.client, with_metadata).json()["is_noop"] is False


def test_assets_do_not_touch_the_site_and_the_site_does_not_touch_assets(storage: Storage) -> None:
    index = b"<h1>hi</h1>"
    page = {"project_id": storage.project["project_id"], "site": {"replace": site({"index.html": index})}}
    assert release(storage, page, index).status_code == 200
    assert release(storage, storage.spec(put=[asset("a.txt", A)]), A).status_code == 200
    home = f"/projects/v1/{storage.project['project_id']}/static/"
    assert storage.client.get(home).content == index
    assert release(storage, page).status_code == 200
    assert storage.keys() == ["a.txt"]


def test_a_commit_without_the_bytes_stores_nothing(storage: Storage) -> None:
    refused = release(storage, storage.spec(put=[asset("a.txt", A)]))
    assert refused.json()["error"] == "content_digest_missing"
    assert storage.keys() == []


def test_sync_prunes_what_is_below_the_prefix_and_not_put(storage: Storage) -> None:
    for key in ("img/keep.txt", "img/old.txt", "img/older.txt", "other.txt"):
        storage.put(key, key.encode())
    spec = storage.spec(put=[asset("img/keep.txt", A)], sync={"prefix": "img/", "prune": True})
    shown = plan(storage.client, spec).json()
    sync = shown["asset_sync"]
    assert (sync["expected_delete_count"], sync["sample_keys"]) == (2, ["img/old.txt", "img/older.txt"])
    upload(storage.client, storage.project, A)
    unconfirmed = commit(storage.client, shown).json()
    assert unconfirmed["code"] == "PRUNE_CONFIRMATION_REQUIRED"
    assert len(storage.keys()) == 4
    spec["assets"]["sync"]["confirm"] = unconfirmed["details"]["confirm"]
    assert release(storage, spec).json()["status"] == "ready"
    assert storage.keys() == ["img/keep.txt", "other.txt"]
    assert storage.get("public/img/keep.txt").content == A


def test_a_confirmed_sync_stops_when_the_prefix_has_changed(storage: Storage) -> None:
    storage.put("img/old.txt", A)
    spec = storage.spec(sync={"prefix": "img/", "prune": True})
    sync = plan(storage.client, spec).json()["asset_sync"]
    confirm = {key: sync[key] for key in ("base_revision", "delete_set_digest", "expected_delete_count")}
    spec["assets"]["sync"]["confirm"] = confirm
    planned = plan(storage.client, spec).json()
    storage.put("img/new.txt", B)
    assert plan(storage.client, spec).json()["code"] == "ASSET_SYNC_DRIFT"
    assert commit(storage.client, planned).json()["code"] == "ASSET_SYNC_DRIFT"
    assert storage.keys() == ["img/new.txt", "img/old.txt"]


def test_a_core_sync_stops_when_the_prefix_has_changed_since_the_plan(storage: Storage) -> None:
    storage.put("img/old.txt", A)
    spec = storage.spec(core=True, sync={"prefix": "img/", "prune": True})
    stale, fresh = plan(storage.client, spec).json(), None
    assert stale["storage_effects"]["sync_prune"]["planned_delete_keys"] == ["img/old.txt"]
    storage.put("img/new.txt", B)
    refused = commit(storage.client, stale)
    assert (refused.status_code, refused.json()["code"]) == (409, "ASSET_SYNC_DRIFT")
    fresh = plan(storage.client, spec).json()
    assert commit(storage.client, fresh).json()["status"] == "committed"
    assert storage.keys() == []


@pytest.mark.parametrize(
    ("assets", "status", "error"),
    [
        ({}, 409, "asset_spec_empty"),
        ({"put": [asset("a", A), asset("a", B)]}, 409, "asset_duplicate_key"),
        ({"put": [asset("a", A)], "delete": ["a"]}, 409, "asset_key_conflict"),
        ({"sync": {"prefix": "a/"}}, 409, "asset_sync_prune_required"),
        ({"put": [asset("../a", A)]}, 400, "invalid_storage_key"),
        ({"delete": ["a//b"]}, 400, "invalid_storage_key"),
        ({"put": [asset("a", A, size_bytes=0)]}, 400, "invalid_size"),
        ({"put": [asset("a", A, sha256="x")]}, 400, "invalid_sha256"),
        ({"put": [asset("a", A, visibility="none")]}, 400, "invalid_visibility"),
        ({"put": [asset("a", A, content_type="plain")]}, 400, "invalid_content_type"),
        ({"put": [asset("a", A, metadata={"a": {"b": 1}})]}, 400, "invalid_asset_metadata"),
        ({"put": [asset("a", A, metadata={"a": "x" * 5000})]}, 400, "invalid_asset_metadata"),
        ({"put": [asset("a", A, exif_policy="some")]}, 400, "invalid_exif_policy"),
        ({"puts": []}, 400, "invalid_release_spec"),
        ({"put": [asset("a", A, immutable="yes")]}, 400, "invalid_release_spec"),
    ],
)
def test_a_bad_section_is_refused(storage: Storage, assets: dict[str, Any], status: int, error: str) -> None:
    answer = plan(storage.client, storage.spec(**assets))
    assert (answer.status_code, answer.json()["error"]) == (status, error), answer.text


def test_promoting_an_older_release_leaves_assets_alone(storage: Storage) -> None:
    project = {"project_id": storage.project["project_id"]}
    one = release(storage, {**project, "site": {"replace": site({"index.html": A})}}, A).json()
    release(storage, {**project, "site": {"replace": site({"index.html": B})}}, B)
    release(storage, storage.spec(put=[asset("c.txt", C)]), C)
    body = {"project": storage.project["project_id"], "allow_warning_codes": []}
    assert storage.client.post(f"/apply/v1/releases/{one['release_id']}/promote", json=body).status_code == 200
    assert storage.get("public/c.txt").content == C
