"""Which wallet is active."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from run402_cli.errors import CommandError, EnvironmentFault
from run402_cli.state import profile


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "a" / "b"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    return folder


def bind(folder: Path, wallet: object, name: str = ".run402.json") -> Path:
    (folder / name).write_text(json.dumps({"wallet": wallet}))
    return folder / name


def configure(config_dir: Path, wallet: object) -> None:
    (config_dir / "config.json").write_text(json.dumps({"active_wallet": wallet}))


def test_default_without_any_choice(here: Path) -> None:
    assert profile.select(None) == profile.Selection("default", "default", None)


def test_order_flag_env_binding_config(here: Path, config_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    configure(config_dir, "from-config")
    assert profile.select(None).source == "config"
    file = bind(here, "from-binding")
    assert (profile.select(None).name, profile.select(None).detail) == ("from-binding", str(file))
    monkeypatch.setenv("RUN402_WALLET", "from-env")
    assert (profile.select(None).name, profile.select(None).detail) == ("from-env", "RUN402_WALLET")
    chosen = profile.select(("--profile", "from-flag"))
    assert (chosen.name, chosen.source, chosen.detail) == ("from-flag", "flag", "--profile")


def test_the_older_variable_counts_only_when_the_newer_is_undefined(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUN402_PROFILE", " old ")
    assert profile.select(None).name == "old"
    assert profile.select(None).detail == "RUN402_WALLET"
    monkeypatch.setenv("RUN402_WALLET", " ")
    assert profile.select(None).source == "default"


def test_the_nearest_binding_wins_and_the_personal_file_beats_the_shared_one(here: Path) -> None:
    bind(here.parent, "outer")
    assert profile.select(None).name == "outer"
    bind(here, "shared")
    assert profile.select(None).name == "shared"
    bind(here, " mine ", ".run402.local.json")
    assert profile.select(None).name == "mine"


@pytest.mark.parametrize("content", ["oops", "[]", '{"wallet": ""}', '{"wallet": 7}', "{}"])
def test_an_unusable_binding_leaves_the_wallet_open_unless_a_flag_decides(here: Path, content: str) -> None:
    bind(here.parent, "outer")
    (here / ".run402.json").write_text(content)
    unknown = profile.Profile(profile.select(None))
    for ask in (lambda: unknown.name, lambda: unknown.dir, lambda: unknown.target, lambda: unknown.allowance):
        with pytest.raises(EnvironmentFault, match=r"\.run402\.json"):
            ask()
    with pytest.raises(EnvironmentFault):
        profile.check(profile.select(None), needs_wallet=True, allow_conflict=False)
    assert profile.select(("--wallet", "named")).fault is None
    assert profile.select(("--wallet", "named")).name == "named"


@pytest.mark.parametrize("content", ["oops", "[]", '{"active_wallet": "Bad Name"}', '{"active_wallet": 7}'])
def test_an_unusable_config_leaves_the_wallet_open_unless_something_decides(
    here: Path, config_dir: Path, monkeypatch: pytest.MonkeyPatch, content: str
) -> None:
    (config_dir / "config.json").write_text(content)
    with pytest.raises(EnvironmentFault, match=r"config\.json"):
        _ = profile.Profile(profile.select(None)).name
    assert profile.select(("--wallet", "named")).name == "named"
    monkeypatch.setenv("RUN402_WALLET", "of_env")
    assert (profile.select(None).name, profile.select(None).fault) == ("of_env", None)


def test_env_and_binding_that_differ_are_a_conflict_unless_a_flag_decides(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = bind(here, "one")
    monkeypatch.setenv("RUN402_WALLET", "two")
    with pytest.raises(CommandError) as caught:
        profile.check(profile.select(None), needs_wallet=False, allow_conflict=False)
    assert caught.value.code == "WALLET_SELECTION_CONFLICT"
    assert caught.value.details == {"env_wallet": "two", "binding_wallet": "one", "binding_file": str(file)}
    profile.check(profile.select(None), needs_wallet=False, allow_conflict=True)
    profile.check(profile.select(("--wallet", "three")), needs_wallet=False, allow_conflict=False)


def test_a_named_wallet_must_exist(here: Path, config_dir: Path) -> None:
    chosen = profile.select(("--wallet", "alt"))
    with pytest.raises(CommandError) as caught:
        profile.check(chosen, needs_wallet=True, allow_conflict=False)
    assert (caught.value.code, caught.value.details) == ("WALLET_NOT_FOUND", {"wallet": "alt", "source": "flag"})
    (config_dir / "profiles" / "alt").mkdir(parents=True)
    (config_dir / "profiles" / "alt" / "allowance.json").write_text("{}")
    profile.check(chosen, needs_wallet=True, allow_conflict=False)


@pytest.mark.parametrize("name", ["../x", "a/b", "A", "", "-a", ".", "a" * 65, "a b", "a\n", "é"])
def test_a_bad_name_never_becomes_a_path(name: str) -> None:
    with pytest.raises(CommandError) as caught:
        profile.profile_dir(name)
    assert caught.value.code == "BAD_WALLET_NAME"


@given(st.text(max_size=70))
def test_every_accepted_name_stays_inside_the_profiles_directory(name: str) -> None:
    if profile.is_wallet_name(name) and name != "default":
        folder = profile.profile_dir(name)
        assert folder.parent == profile.base_dir() / "profiles"
        assert folder.name == name


def test_activation_tells_child_processes(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUN402_WALLET", "x")
    monkeypatch.setenv("RUN402_ACTIVE_WALLET_JSON", "x")
    active = profile.activate(profile.Selection("default", "default", None))
    assert os.environ["RUN402_WALLET"] == "default"
    assert json.loads(os.environ["RUN402_ACTIVE_WALLET_JSON"]) == {
        "name": "default",
        "source": "default",
        "sourceDetail": None,
        "binding": None,
        "envName": None,
        "diverged": False,
    }
    assert profile.current() is active
