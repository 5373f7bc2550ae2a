"""The key cache: entries, legacy import, redaction, damage."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from run402_cli.errors import CommandError, EnvironmentFault
from run402_cli.state.keys import KeyCache

TEXT = st.text(max_size=30)
IDS = st.from_regex("[A-Za-z0-9][A-Za-z0-9_-]{0,30}", fullmatch=True)
ENTRY = {"anon_key": "anon_test_key", "service_key": "svc_test_key"}


@pytest.fixture
def keys(config_dir: Path) -> KeyCache:
    return KeyCache(config_dir, wallet="default")


def test_an_entry_comes_back_with_the_time_it_was_cached(keys: KeyCache) -> None:
    keys.upsert("prj_1", ENTRY)
    found = keys.require("prj_1")
    assert found["service_key"] == "svc_test_key"
    assert found["cached_at"].endswith("Z")


def test_the_file_has_the_shared_shape_and_is_private(keys: KeyCache) -> None:
    keys.upsert("prj_1", {**ENTRY, "site_url": None, "cached_at": "then"})
    assert json.loads(keys.path.read_bytes()) == {
        "version": 1,
        "source": "local_cache",
        "projects": {"prj_1": {**ENTRY, "cached_at": "then"}},
    }
    if os.name == "posix":
        assert keys.path.stat().st_mode & 0o777 == 0o600
        assert keys.path.parent.stat().st_mode & 0o077 == 0


def test_lease_fields_are_dropped_on_read_and_other_keys_are_kept(keys: KeyCache) -> None:
    keys.path.parent.mkdir()
    stale = {**ENTRY, "tier": "hobby", "lease_expires_at": "x", "expires_at": "y", "mailbox_id": "m"}
    keys.path.write_text(json.dumps({"projects": {"prj_1": stale}}))
    assert keys.all() == {"prj_1": {**ENTRY, "mailbox_id": "m"}}


def test_update_merges_into_an_existing_entry_only(keys: KeyCache) -> None:
    keys.update("prj_1", {"org_id": "o"})
    assert not keys.path.exists()
    keys.upsert("prj_1", {**ENTRY, "cached_at": "then"})
    keys.update("prj_1", {"org_id": "o"})
    assert keys.require("prj_1") == {**ENTRY, "cached_at": "then", "org_id": "o"}


@pytest.mark.parametrize("bad", ["prj_$(id)", "prj 1", "", "-x", "prj_1\n", "../x", "prj_\u00e9"])
def test_what_is_no_id_gets_no_entry_and_an_old_one_can_go(keys: KeyCache, bad: str) -> None:
    with pytest.raises(CommandError) as caught:
        keys.upsert(bad, ENTRY)
    assert caught.value.code == "BAD_PROJECT_ID"
    with pytest.raises(CommandError):
        keys.rewrite(bad, lambda _old: ENTRY)
    assert not keys.path.exists()
    keys.path.parent.mkdir(exist_ok=True)
    keys.path.write_text(json.dumps({"projects": {bad: ENTRY}}))  # of an older version
    keys.update(bad, {"org_id": "o"})
    assert keys.remove(bad) is True
    assert keys.all() == {}


def test_rewrite_sees_the_old_entry(keys: KeyCache) -> None:
    keys.upsert("prj_1", ENTRY)
    keys.rewrite("prj_1", lambda old: {**(old or {}), "service_key": "new"})
    assert keys.require("prj_1")["service_key"] == "new"
    assert keys.require("prj_1")["anon_key"] == "anon_test_key"


def test_remove_says_whether_the_entry_existed(keys: KeyCache) -> None:
    keys.upsert("prj_1", ENTRY)
    assert keys.remove("prj_1") is True
    assert keys.remove("prj_1") is False
    assert keys.all() == {}


def test_a_miss_names_the_cache_and_the_way_out(keys: KeyCache) -> None:
    with pytest.raises(CommandError) as caught:
        keys.require("prj_none")
    error = caught.value
    assert error.code == "PROJECT_CREDENTIAL_NOT_FOUND"
    assert error.details == {
        "project_id": "prj_none",
        "source": "local_cache",
        "cache_path": str(keys.path),
        "wallet": "default",
        "profile": "default",
    }
    assert [action["argv"][3:4] + action["argv"][-1:] for action in error.next_actions] == [
        ["--kind", "--save"],
        ["import", "--service-key-stdin"],
        ["status", "prj_none"],
    ]


@pytest.mark.parametrize("content", ["oops", "[]", "{", "7", ""])
def test_a_damaged_cache_is_an_error_and_is_never_overwritten(keys: KeyCache, content: str) -> None:
    keys.path.parent.mkdir()
    keys.path.write_text(content)
    for read in (keys.all, keys.ensure_writable):
        with pytest.raises(EnvironmentFault) as caught:
            read()
        assert str(keys.path) in caught.value.message
    with pytest.raises(EnvironmentFault) as caught:
        keys.upsert("prj_1", ENTRY)
    assert "svc_test_key" not in json.dumps(caught.value.envelope())
    assert keys.path.read_text() == content
    assert [p.name for p in keys.path.parent.iterdir()] == [keys.path.name]


def test_legacy_object_is_imported_once_with_its_active_project(keys: KeyCache, config_dir: Path) -> None:
    legacy = config_dir / "projects.json"
    content = {"active_project_id": "prj_1", "projects": {"prj_1": {**ENTRY, "tier": "hobby"}}}
    legacy.write_text(json.dumps(content))
    assert keys.all() == {"prj_1": ENTRY}
    store = json.loads(keys.path.read_bytes())
    assert store["migrated_from"] == str(legacy)
    state = json.loads((config_dir / "state.json").read_bytes())
    assert state["active_project_id"] == "prj_1"
    assert state["migrations"]["projects_json_import"]["project_count"] == 1
    assert json.loads(legacy.read_bytes()) == content
    keys.remove("prj_1")
    assert keys.all() == {}
    assert json.loads(keys.path.read_bytes())["migrated_from"] == str(legacy)


def test_legacy_list_is_imported(keys: KeyCache, config_dir: Path) -> None:
    rows = [{"project_id": "prj_1", **ENTRY, "noise": 1}, {"no": "id"}, 7]
    (config_dir / "projects.json").write_text(json.dumps(rows))
    assert set(keys.all()) == {"prj_1"}
    assert keys.require("prj_1")["source"] == "legacy_projects_json"
    assert "noise" not in keys.require("prj_1")


def test_a_damaged_legacy_file_is_an_error_and_nothing_is_made_of_it(keys: KeyCache, config_dir: Path) -> None:
    (config_dir / "projects.json").write_text("oops")
    with pytest.raises(EnvironmentFault, match=r"projects\.json"):
        keys.all()
    assert [path.name for path in config_dir.rglob("*")] == ["projects.json"]


def test_redaction_shows_prefix_and_fingerprint_only(keys: KeyCache) -> None:
    keys.upsert("prj_1", {"anon_key": "short", "service_key": "svc_very_secret_key"})
    shown = keys.redacted("prj_1")
    assert shown["configured"] is True
    assert shown["anon_key_prefix"] == "short"
    assert shown["service_key_prefix"] == "svc_very..."
    assert shown["service_key_fingerprint"] == hashlib.sha256(b"svc_very_secret_key").hexdigest()[:16]
    assert "svc_very_secret_key" not in json.dumps(shown)
    missing = keys.redacted("prj_2")
    assert missing["configured"] is False
    assert missing["service_key_prefix"] is None


def test_huge_values_survive(keys: KeyCache) -> None:
    keys.upsert("prj_big", {"anon_key": "a", "service_key": "k" * 5_000_000})
    keys.upsert("prj_2", ENTRY)
    assert len(keys.require("prj_big")["service_key"]) == 5_000_000


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.dictionaries(
        IDS,
        st.dictionaries(TEXT.filter(lambda k: k not in ("tier", "lease_expires_at", "expires_at")), TEXT, max_size=4),
        max_size=5,
    )
)
def test_any_text_comes_back_as_it_was(keys: KeyCache, entries: dict[str, dict[str, str]]) -> None:
    keys.path.unlink(missing_ok=True)
    for project_id, entry in entries.items():
        keys.upsert(project_id, {**entry, "cached_at": "t"})
    assert keys.all() == {project_id: {**entry, "cached_at": "t"} for project_id, entry in entries.items()}
