"""A directory binding chooses a wallet only when this user, or a repository that was confirmed, put it there."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import config_kit
import pytest

from run402_cli.errors import CommandError
from run402_cli.services import wallets as wallet_service
from run402_cli.state import bindings, profile, wallets

posix = pytest.mark.skipif(os.name == "nt", reason="needs owners and modes")
root_only = pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="gives files away")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, config_dir: Path) -> Path:
    """A working directory whose binding names the wallet `other`; the default wallet has a key, too."""
    folder = tmp_path / "clone" / "app"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    config_kit.keep_wallet(config_dir)
    config_kit.keep_wallet(config_dir / "profiles" / "other")
    (folder / ".run402.json").write_text(json.dumps({"wallet": "other"}))
    monkeypatch.setattr(bindings, "_told", set())
    for name in ("RUN402_WALLET", "RUN402_ACTIVE_WALLET_JSON"):
        monkeypatch.setenv(name, "")  # so that what activation sets is taken back afterwards
        monkeypatch.delenv(name)
    return folder


def opened() -> profile.Profile:
    return profile.Profile(profile.select(None))


def refused() -> CommandError:
    for use in (lambda: opened().allowance, lambda: opened().keys):
        with pytest.raises(CommandError) as caught:
            use()
        assert caught.value.code == "BINDING_NOT_CONFIRMED"
    return caught.value


def test_a_binding_outside_of_git_counts(here: Path) -> None:
    assert opened().allowance is not None
    assert opened().selection.source == "binding"


def test_a_binding_of_a_repository_is_confirmed_once(here: Path) -> None:
    (here.parent / ".git").mkdir()
    assert opened().name == "other"
    error = refused()
    assert str(here / ".run402.json") in error.message
    assert "run402 wallets bind other --confirm" in str(error.hint)
    assert error.next_actions[0]["argv"] == ["run402", "wallets", "bind", "other", "--confirm"]
    wallets.confirm(here / ".run402.json", "other")
    assert opened().allowance is not None
    assert opened().keys is not None
    # The confirmation is of this file for this wallet.
    (here / ".run402.json").write_text(json.dumps({"wallet": "third"}))
    refused()


def test_flag_and_environment_decide_alone(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (here.parent / ".git").mkdir()
    assert profile.Profile(profile.select(("--wallet", "other"))).allowance is not None
    monkeypatch.setenv("RUN402_WALLET", "other")
    assert opened().allowance is not None


def test_a_binding_to_the_wallet_that_is_used_anyway_needs_no_word(here: Path, config_dir: Path) -> None:
    (here / ".git").mkdir()
    (config_dir / "config.json").write_text(json.dumps({"active_wallet": "other"}))
    assert opened().allowance is not None
    (config_dir / "config.json").unlink()
    (here / ".run402.json").write_text(json.dumps({"wallet": "default"}))
    assert opened().allowance is not None


def test_what_bind_writes_is_confirmed(here: Path) -> None:
    (here / ".git").mkdir()
    wallets.bind(here, "other")
    assert opened().allowance is not None


def test_what_nobody_confirmed_stays_a_choice_of_the_file(here: Path) -> None:
    (here.parent / ".git").mkdir()
    for _ in range(2):
        profile.activate(profile.select(None))
        assert profile.current().selection.source == profile.chosen().source == "binding"
        assert "RUN402_WALLET" not in os.environ
        assert "RUN402_ACTIVE_WALLET_JSON" not in os.environ
        refused()
    with pytest.raises(CommandError, match="nobody has confirmed"):
        _ = profile.opened().allowance


def test_a_child_gets_a_confirmed_choice_as_the_files(here: Path, tmp_path: Path, config_dir: Path) -> None:
    (here.parent / ".git").mkdir()
    wallets.confirm(here / ".run402.json", "other")
    profile.activate(profile.select(None))
    assert os.environ["RUN402_WALLET"] == "other"
    os.chdir(tmp_path)
    child = opened()
    assert (child.selection.source, child.selection.detail) == ("binding", str(here / ".run402.json"))
    assert child.allowance is not None
    (config_dir / "config.json").unlink()
    refused()
    profile.activate(profile.select(None))
    assert "RUN402_WALLET" not in os.environ


def test_bind_without_a_name_confirms_no_choice_of_a_file(here: Path) -> None:
    (here.parent / ".git").mkdir()
    with pytest.raises(CommandError, match="nobody has confirmed"):
        wallet_service.bind(opened())
    refused()
    assert wallet_service.bind(opened(), "other")["bound"] is True
    assert wallet_service.bind(opened())["wallet"] == "other"


@pytest.mark.parametrize("passed_on", ["", "{", "[]", '{"name":"third","source":"binding","sourceDetail":"/x"}'])
def test_what_the_user_set_is_the_users(here: Path, monkeypatch: pytest.MonkeyPatch, passed_on: str) -> None:
    (here.parent / ".git").mkdir()
    monkeypatch.setenv("RUN402_WALLET", "other")
    monkeypatch.setenv("RUN402_ACTIVE_WALLET_JSON", passed_on)
    assert opened().selection.source == "env"
    assert opened().allowance is not None


def as_unpacked(file: Path) -> None:
    """The time that a file had in an archive of yesterday."""
    os.utime(file, (file.stat().st_mtime - 86400,) * 2)


@pytest.mark.parametrize("name", [".run402.json", ".run402.local.json"])
def test_a_binding_out_of_an_archive_is_confirmed_once(here: Path, name: str) -> None:
    (here / ".run402.json").rename(here / name)
    assert opened().allowance is not None
    as_unpacked(here / name)
    assert "run402 wallets bind other --confirm" in str(refused().hint)
    wallets.confirm(here / name, "other")
    assert opened().allowance is not None


@posix
@pytest.mark.parametrize("name", [".run402.json", ".run402.local.json"])
def test_a_link_of_a_repository_to_a_binding_elsewhere_came_along(here: Path, tmp_path: Path, name: str) -> None:
    (here / ".run402.json").rename(tmp_path / "elsewhere.json")
    (here / name).symlink_to(tmp_path / "elsewhere.json")
    assert opened().allowance is not None
    (here.parent / ".git").mkdir()
    refused()


@posix
def test_a_time_to_come_is_that_of_an_archive_too(here: Path) -> None:
    os.utime(here / ".run402.json", (here.stat().st_mtime + 86400,) * 2)
    refused()


def test_what_bind_wrote_counts_although_a_backup_was_unpacked_over_it(here: Path) -> None:
    (here / ".git").mkdir()
    wallets.bind(here, "other")
    as_unpacked(here / ".run402.json")
    assert opened().allowance is not None


@pytest.mark.parametrize("marker", [".git", ".hg", ".svn", ".jj", "_FOSSIL_", "CVS/Root"])
@pytest.mark.parametrize("name", [".run402.json", ".run402.local.json"])
def test_a_binding_in_any_work_tree_is_confirmed_once(here: Path, name: str, marker: str) -> None:
    (here / ".run402.json").rename(here / name)
    assert opened().allowance is not None
    (here.parent / marker).mkdir(parents=True)
    refused()
    wallets.confirm(here / name, "other")
    assert opened().allowance is not None


@pytest.mark.parametrize("how", ["patch", "split index", "version 4"])
def test_what_the_index_of_git_says_does_not_matter(here: Path, how: str) -> None:
    git = ["git", "-C", str(here.parent), "-c", "user.name=x", "-c", "user.email=x@example.com"]
    patch = here / ".run402.local.json"
    (here / ".run402.json").rename(patch)
    steps = {
        "patch": [["apply", "p.patch"]],
        "split index": [["add", "-A"], ["update-index", "--split-index"]],
        "version 4": [["add", "-A"], ["update-index", "--index-version=4"]],
    }[how]
    try:
        subprocess.run([*git, "init", "-q"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no git here")
    if how == "patch":
        text = patch.read_text()
        name = patch.relative_to(here.parent).as_posix()
        patch.unlink()
        lines = ["--- /dev/null", f"+++ b/{name}", "@@ -0,0 +1 @@", f"+{text}", "\\ No newline at end of file", ""]
        (here.parent / "p.patch").write_text("\n".join(lines))
    for step in steps:
        subprocess.run([*git, *step], check=True, capture_output=True)
    assert json.loads(patch.read_text()) == {"wallet": "other"}
    refused()


@posix
def test_a_link_to_what_was_confirmed_elsewhere_is_another_file(here: Path, tmp_path: Path) -> None:
    (here.parent / ".git").mkdir()
    mine = tmp_path / "mine"
    mine.mkdir()
    (here / ".run402.json").rename(mine / ".run402.json")
    wallets.confirm(mine / ".run402.json", "other")
    (here / ".run402.json").symlink_to(mine / ".run402.json")
    refused()


@posix
@root_only
@pytest.mark.parametrize("what", ["file", "folder", "above"])
def test_a_binding_of_another_user_is_passed_over(here: Path, capsys: pytest.CaptureFixture[str], what: str) -> None:
    (here.parent / ".run402.json").write_text(json.dumps({"wallet": "outer"}))
    place = {"file": here / ".run402.json", "folder": here, "above": here.parent}[what]
    os.chown(place, 12345, 12345)
    assert opened().name == ("outer" if what != "above" else "default")
    assert f"{place} belongs to another user" in capsys.readouterr().err
    assert opened().name
    assert capsys.readouterr().err == "", "said once"


@posix
@pytest.mark.parametrize("mode", [0o666, 0o646])
def test_a_binding_that_everybody_may_write_is_passed_over(here: Path, mode: int) -> None:
    (here / ".run402.json").chmod(mode)
    assert opened().name == "default"


@posix
def test_a_directory_that_everybody_may_write_needs_the_sticky_bit(here: Path) -> None:
    here.chmod(0o777)
    assert opened().name == "default"
    here.chmod(0o1777)
    assert opened().name == "other"


@posix
@root_only
def test_a_group_of_others_may_not_write_it(here: Path) -> None:
    os.chown(here / ".run402.json", 0, 54321)
    (here / ".run402.json").chmod(0o664)
    assert opened().name == "default"
    os.chown(here / ".run402.json", 0, 0)
    assert opened().name == "other", "a group of the user alone"


@posix
@root_only
def test_a_link_counts_as_itself_and_as_what_it_leads_to(here: Path, tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    (here / ".run402.json").rename(tmp_path / "theirs/b.json")
    (here / ".run402.json").symlink_to(tmp_path / "theirs/b.json")
    assert opened().name == "other"
    os.chown(tmp_path / "theirs", 12345, 12345)
    assert opened().name == "default"


@posix
@root_only
def test_a_damaged_binding_of_another_user_stops_nobody(here: Path) -> None:
    (here / ".run402.json").write_text("{")
    os.chown(here / ".run402.json", 12345, 12345)
    assert opened().allowance is not None
