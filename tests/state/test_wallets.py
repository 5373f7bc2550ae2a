"""Named wallets on disk: create, rename (default with all of its files), remove, select, bind."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from run402_cli.errors import CommandError, EnvironmentFault
from run402_cli.state import wallets
from run402_cli.state.keys import KeyCache
from run402_cli.state.profile import Profile, Selection

ADDRESS = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"
KEY = "0x" + "ab" * 32
POSIX = pytest.mark.skipif(os.name != "posix", reason="file modes and symlinks")


def create(name: str, key: str = KEY) -> None:
    wallets.create(name, address=ADDRESS, private_key=key, rail="x402")


def load(path: Path) -> Any:
    return json.loads(path.read_bytes())


def put(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))


def tree(folder: Path) -> set[str]:
    return {str(p.relative_to(folder)) for p in folder.rglob("*") if not p.is_dir()}


def test_a_new_wallet_has_key_and_meta(config_dir: Path) -> None:
    create("alpha")
    folder = config_dir / "profiles" / "alpha"
    assert tree(folder) == {"allowance.json", "meta.json"}
    allowance = load(folder / "allowance.json")
    assert (allowance["address"], allowance["privateKey"], allowance["funded"]) == (ADDRESS, KEY, False)
    assert load(folder / "meta.json") == {
        "name": "alpha",
        "address": ADDRESS,
        "label": "alpha",
        "rail": "x402",
        "created": allowance["created"],
    }


@POSIX
def test_profile_directories_are_private_even_when_they_existed(config_dir: Path) -> None:
    (config_dir / "profiles").mkdir(mode=0o755)
    create("alpha")
    assert (config_dir / "profiles").stat().st_mode & 0o777 == 0o700
    assert (config_dir / "profiles" / "alpha").stat().st_mode & 0o777 == 0o700


def test_a_second_wallet_of_the_same_name_is_refused_and_the_key_stays(config_dir: Path) -> None:
    create("alpha")
    with pytest.raises(CommandError) as caught:
        create("alpha", "0x" + "cd" * 32)
    assert (caught.value.code, caught.value.details) == ("WALLET_EXISTS", {"name": "alpha"})
    assert load(config_dir / "profiles" / "alpha" / "allowance.json")["privateKey"] == KEY


def test_creating_never_writes_to_the_explicit_allowance_of_the_active_wallet(
    config_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    explicit = tmp_path / "a.json"
    put(explicit, {"address": ADDRESS, "privateKey": "0x" + "ee" * 32})
    monkeypatch.setenv("RUN402_ALLOWANCE_PATH", str(explicit))
    create("alpha")
    assert load(explicit)["privateKey"] == "0x" + "ee" * 32
    assert load(config_dir / "profiles" / "alpha" / "allowance.json")["privateKey"] == KEY


def test_names_lists_default_first_and_skips_what_is_no_wallet_directory(config_dir: Path) -> None:
    assert wallets.names() == []
    for name in ("beta", "alpha"):
        create(name)
    for odd in ("Bad Name", ".trash", "default"):
        (config_dir / "profiles" / odd).mkdir()
    (config_dir / "profiles" / "file").write_text("")
    assert wallets.names() == ["alpha", "beta"]
    put(config_dir / "allowance.json", {})
    assert wallets.names() == ["default", "alpha", "beta"]


def test_describe_prefers_meta_and_survives_a_damaged_allowance(config_dir: Path) -> None:
    folder = config_dir / "profiles" / "alpha"
    put(folder / "allowance.json", {"address": ADDRESS, "privateKey": KEY})
    assert wallets.describe("alpha") == wallets.Wallet("alpha", ADDRESS, None, None)
    put(folder / "meta.json", {"address": "0xmeta", "label": "shop", "rail": "mpp"})
    assert wallets.describe("alpha") == wallets.Wallet("alpha", "0xmeta", "shop", "mpp")
    put(folder / "allowance.json", {"broken": True})
    (folder / "meta.json").unlink()
    found = wallets.describe("alpha")
    assert (found.address, [fault.path.name for fault in found.faults]) == (None, ["allowance.json"])


def test_selecting_keeps_other_settings(config_dir: Path) -> None:
    create("alpha")
    put(config_dir / "config.json", {"theme": 1})
    wallets.select_default("alpha")
    assert load(config_dir / "config.json") == {"theme": 1, "active_wallet": "alpha"}
    wallets.select_default("default")
    assert load(config_dir / "config.json")["active_wallet"] == "default"
    with pytest.raises(CommandError) as caught:
        wallets.select_default("none")
    assert caught.value.code == "WALLET_NOT_FOUND"


def test_a_damaged_config_is_not_overwritten(config_dir: Path) -> None:
    create("alpha")
    (config_dir / "config.json").write_text("oops")
    with pytest.raises(EnvironmentFault):
        wallets.select_default("alpha")
    assert (config_dir / "config.json").read_text() == "oops"


def test_rename_moves_everything_and_the_configured_wallet_follows(config_dir: Path) -> None:
    create("alpha")
    wallets.select_default("alpha")
    KeyCache(config_dir / "profiles" / "alpha", wallet="alpha").upsert("prj_1", {"service_key": "s"})
    wallets.rename("alpha", "beta")
    assert not (config_dir / "profiles" / "alpha").exists()
    assert KeyCache(config_dir / "profiles" / "beta", wallet="beta").require("prj_1")["service_key"] == "s"
    meta = load(config_dir / "profiles" / "beta" / "meta.json")
    assert (meta["name"], meta["label"], meta["address"]) == ("beta", "beta", ADDRESS)
    assert load(config_dir / "config.json")["active_wallet"] == "beta"
    assert not [p for p in config_dir.rglob("*") if p.name.endswith(".lock")]


def test_rename_leaves_another_configured_wallet_alone(config_dir: Path) -> None:
    create("alpha")
    create("other")
    wallets.select_default("other")
    wallets.rename("alpha", "beta")
    assert load(config_dir / "config.json")["active_wallet"] == "other"


def test_rename_to_itself_moves_nothing(config_dir: Path) -> None:
    create("alpha")
    wallets.rename("alpha", "alpha")
    assert wallets.names() == ["alpha"]


@pytest.mark.parametrize("empty", [True, False])
def test_rename_onto_an_existing_directory_is_refused(config_dir: Path, empty: bool) -> None:
    create("alpha")
    if empty:
        (config_dir / "profiles" / "beta").mkdir()
    else:
        create("beta", "0x" + "cd" * 32)
    with pytest.raises(CommandError) as caught:
        wallets.rename("alpha", "beta")
    assert (caught.value.code, caught.value.details) == ("WALLET_RENAME_FAILED", {"from": "alpha", "to": "beta"})
    assert wallets.exists("alpha")


OWN = {
    "allowance.json": {"address": ADDRESS, "privateKey": KEY},
    "meta.json": {"label": "old"},
    "state.json": {"active_project_id": "prj_1"},
    "target.json": {"api_base": "http://127.0.0.1:4020"},
    "projects.json": {"projects": {}},
    "credentials/project-keys.v1.json": {"version": 1, "projects": {"prj_1": {"service_key": "s"}}},
    "payment-attempts/pat_1.json": {"state": "completed"},
    "gitvault/identity.json": {"version": 1},
    "cli-update-check.json": {},
    "diagnostic-events-v1.json": {},
}
SHARED = ("operator-session.json", "control-plane-session.json", "write-auth-session.json", "notes.txt")


def default_wallet(config_dir: Path) -> None:
    for name, value in OWN.items():
        put(config_dir / name, value)
    for name in SHARED:
        put(config_dir / name, {"shared": name})


def test_renaming_default_moves_all_of_its_files_and_none_of_the_shared_ones(config_dir: Path) -> None:
    default_wallet(config_dir)
    create("other")
    wallets.rename("default", "beta")
    assert tree(config_dir / "profiles" / "beta") == {str(Path(name)) for name in OWN}
    left = {p.name for p in config_dir.iterdir()}
    assert left == {*SHARED, "config.json", "profiles"}
    assert load(config_dir / "config.json") == {"active_wallet": "beta"}
    assert wallets.names() == ["beta", "other"]
    renamed = Profile(Selection("beta", "config", None))
    assert renamed.keys.require("prj_1")["service_key"] == "s"
    assert renamed.active.get() == "prj_1"
    assert renamed.target.api_base == "http://127.0.0.1:4020"


def test_active_projects_follow_a_renamed_wallet(config_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUN402_API_BASE", "http://127.0.0.1:4020")
    put(config_dir / "allowance.json", OWN["allowance.json"])
    Profile(Selection("default", "default", None)).active.set("prj_scoped")
    state = load(config_dir / "state.json")
    put(config_dir / "state.json", {**state, "active_project_id": "prj_elsewhere", "odd": 1})
    wallets.rename("default", "beta")
    renamed = Profile(Selection("beta", "config", None))
    assert renamed.active.get() == "prj_scoped"
    moved = load(config_dir / "profiles" / "beta" / "state.json")
    assert [entry["profile"] for entry in moved["active_projects"].values()] == ["beta"]
    assert moved["odd"] == 1


def test_a_rename_of_default_that_fails_half_way_is_undone(config_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    default_wallet(config_dir)
    before = tree(config_dir)
    rename = Path.rename

    def broken(self: Path, target: Path) -> Path:
        if self.name == "allowance.json":
            raise OSError(18, "Invalid cross-device link")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", broken)
    with pytest.raises(CommandError) as caught:
        wallets.rename("default", "beta")
    assert caught.value.code == "WALLET_RENAME_FAILED"
    assert "cross-device" in caught.value.message
    assert tree(config_dir) == before
    assert not (config_dir / "profiles" / "beta").exists()


def test_a_rename_of_default_that_was_cut_off_can_be_run_again(config_dir: Path) -> None:
    default_wallet(config_dir)
    (config_dir / "profiles" / "beta").mkdir(parents=True)
    (config_dir / "credentials").rename(config_dir / "profiles" / "beta" / "credentials")
    wallets.rename("default", "beta")
    assert tree(config_dir / "profiles" / "beta") == {str(Path(name)) for name in OWN}


def test_rename_of_a_wallet_that_is_not_there(config_dir: Path) -> None:
    with pytest.raises(CommandError) as caught:
        wallets.rename("none", "beta")
    assert (caught.value.code, caught.value.details) == ("WALLET_NOT_FOUND", {"name": "none"})


def test_remove_deletes_the_directory_and_resets_the_configured_wallet(config_dir: Path) -> None:
    create("alpha")
    wallets.select_default("alpha")
    KeyCache(config_dir / "profiles" / "alpha", wallet="alpha").upsert("prj_1", {"service_key": "s"})
    wallets.remove("alpha")
    assert not (config_dir / "profiles" / "alpha").exists()
    assert load(config_dir / "config.json")["active_wallet"] == "default"


@POSIX
def test_remove_does_not_follow_symlinks(config_dir: Path, tmp_path: Path) -> None:
    create("alpha")
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "keep").write_text("")
    (config_dir / "profiles" / "alpha" / "link").symlink_to(outside)
    (config_dir / "profiles" / "linked").symlink_to(config_dir / "profiles" / "alpha")
    wallets.remove("linked")
    assert wallets.names() == ["alpha"]
    wallets.remove("alpha")
    assert (outside / "keep").exists()


def test_a_removal_that_was_cut_off_can_be_run_again(config_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    create("alpha")
    unlink = Path.unlink

    def broken(self: Path, missing_ok: bool = False) -> None:
        if self.name == "meta.json":
            raise PermissionError(13, "Permission denied", str(self))
        unlink(self, missing_ok=missing_ok)

    monkeypatch.setattr(Path, "unlink", broken)
    with pytest.raises(EnvironmentFault):
        wallets.remove("alpha")
    assert wallets.exists("alpha")
    monkeypatch.undo()
    monkeypatch.setenv("RUN402_CONFIG_DIR", str(config_dir))
    wallets.remove("alpha")
    assert wallets.names() == []


def test_bind_writes_the_shared_file_and_unbind_removes_it(tmp_path: Path) -> None:
    wallets.bind(tmp_path, "alpha")
    assert (tmp_path / ".run402.json").read_text() == '{\n  "wallet": "alpha"\n}\n'
    assert wallets.unbind(tmp_path) is True
    assert wallets.unbind(tmp_path) is False


def test_a_private_key_given_as_a_name_is_not_repeated() -> None:
    with pytest.raises(CommandError) as caught:
        wallets.checked_name(KEY)
    assert caught.value.code == "BAD_WALLET_NAME"
    assert KEY not in json.dumps(caught.value.envelope())
