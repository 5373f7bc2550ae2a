"""Atomic writes, locks, modes, and what happens when the disk refuses."""

from __future__ import annotations

import json
import multiprocessing
import os
import shlex
import subprocess
import tempfile
import threading
import time
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from run402_cli.errors import CommandError, EnvironmentFault
from run402_cli.state import files
from run402_cli.state.files import DamagedState, StateFile, locked, read_state, rewritten, tighten_mode, write_json

ANY = StateFile("x.json", "anything")
POSIX = pytest.mark.skipif(os.name != "posix", reason="file modes")


def test_written_json_has_two_spaces_and_no_newline_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "state.json"
    write_json(path, {"é": [1]}, temp=".state")
    assert path.read_bytes().decode() == '{\n  "é": [\n    1\n  ]\n}'
    assert [p.name for p in path.parent.iterdir()] == ["state.json"]


@POSIX
def test_files_are_0600_in_0700_directories_whatever_the_umask(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        write_json(tmp_path / "new" / "x.json", {}, temp="")
    finally:
        os.umask(old)
    assert (tmp_path / "new" / "x.json").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o700


def test_a_value_that_is_no_json_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    write_json(path, {"old": 1}, temp=".x")
    with pytest.raises(TypeError):
        write_json(path, {"new": object()}, temp=".x")
    assert read_state(path, ANY) == {"old": 1}
    assert len(list(tmp_path.iterdir())) == 1


def test_a_failed_rename_leaves_the_old_file_and_no_temporary_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.json"
    write_json(path, {"old": 1}, temp=".x")

    def full(self: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device", str(self))

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(EnvironmentFault) as caught:
        write_json(path, {"new": 1}, temp=".x")
    assert "No space left" in caught.value.message
    assert caught.value.details == {"path": str(path)}
    assert read_state(path, ANY) == {"old": 1}
    assert len(list(tmp_path.iterdir())) == 1


def test_an_interrupted_write_leaves_no_temporary_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_fd: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(files.os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_json(tmp_path / "x.json", {}, temp=".x")
    assert list(tmp_path.iterdir()) == []


def test_old_temporary_files_of_killed_processes_are_swept_and_fresh_ones_are_not(tmp_path: Path) -> None:
    old, fresh, other = tmp_path / ".x.aaaaaaaa.tmp", tmp_path / ".x.bbbbbbbb.tmp", tmp_path / ".y.cccccccc.tmp"
    for path in (old, fresh, other):
        path.write_text("secret")
    os.utime(old, (0, 0))
    os.utime(other, (0, 0))
    write_json(tmp_path / "x.json", {}, temp=".x")
    assert {p.name for p in tmp_path.iterdir()} == {fresh.name, other.name, "x.json"}


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[" * 100_000, b"nul", b"[1]", b"null"])
def test_content_that_is_no_object_is_damage_and_stays(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(content)
    with pytest.raises(DamagedState) as caught:
        read_state(path, ANY)
    assert (caught.value.code, caught.value.exit_code) == ("BAD_ENV", 1)
    assert str(path) in caught.value.message
    assert path.read_bytes() == content


def test_only_a_missing_file_is_absent(tmp_path: Path) -> None:
    assert read_state(tmp_path / "no" / "where" / "x.json", ANY) is None
    (tmp_path / "dir.json").mkdir()
    (tmp_path / "file").write_text("{}")
    for path in (tmp_path / "dir.json", tmp_path / "file" / "x.json"):
        with pytest.raises(DamagedState):
            read_state(path, ANY)
    with pytest.raises(EnvironmentFault):
        write_json(tmp_path / "dir.json", {}, temp=".x")


@POSIX
def test_a_link_to_nothing_and_a_pipe_are_damage_and_nobody_waits(tmp_path: Path) -> None:
    (tmp_path / "link.json").symlink_to(tmp_path / "gone")
    os.mkfifo(tmp_path / "pipe.json")
    for name in ("link.json", "pipe.json"):
        with pytest.raises(DamagedState):
            read_state(tmp_path / name, ANY)


def test_the_cure_is_one_safe_command_that_replaces_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "it's $(touch PWNED); x"
    folder.mkdir()
    path = folder / "x.json"
    path.write_text("{")
    (folder / "x.json.bad").write_text("the wallet that was moved away before")
    with pytest.raises(DamagedState) as caught:
        read_state(path, ANY)
    (action,) = caught.value.next_actions
    assert shlex.split(action["command"]) == action["argv"] == ["mv", str(path), f"{path}.bad2"]
    assert action["command"] in str(caught.value.hint)
    subprocess.run(["sh", "-c", action["command"]], cwd=tmp_path, check=True)
    assert sorted(entry.name for entry in folder.iterdir()) == ["x.json.bad", "x.json.bad2"]
    assert read_state(path, ANY) is None


def test_fields_of_others_survive_a_rewrite(tmp_path: Path) -> None:
    kind = StateFile("x.json", "x", types={"a": (int,), "b": (int,)})
    write_json(tmp_path / "x.json", {"a": 1, "b": 2, "later": {"x": [1]}}, temp=".x")
    assert rewritten(tmp_path / "x.json", kind, {"a": 3}) == {"a": 3, "later": {"x": [1]}}


@POSIX
def test_a_symlinked_file_is_followed_on_read_and_replaced_on_write(tmp_path: Path) -> None:
    real = tmp_path / "dotfiles" / "state.json"
    write_json(real, {"from": "elsewhere"}, temp=".state")
    link = tmp_path / "config" / "state.json"
    link.parent.mkdir()
    link.symlink_to(real)
    assert read_state(link, ANY) == {"from": "elsewhere"}
    write_json(link, {"from": "here"}, temp=".state")
    assert not link.is_symlink()
    assert read_state(link, ANY) == {"from": "here"}
    assert read_state(real, ANY) == {"from": "elsewhere"}


@POSIX
def test_a_symlinked_config_directory_stays_a_symlink(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with locked(tmp_path / "link" / "state.json"):
        write_json(tmp_path / "link" / "state.json", {"a": 1}, temp=".state")
    assert (tmp_path / "link").is_symlink()
    assert [p.name for p in (tmp_path / "real").iterdir()] == ["state.json"]


def test_the_lock_is_the_directory_that_the_node_cli_uses_and_goes_away(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    with locked(path):
        assert (tmp_path / "state.json.lock").is_dir()
    assert list(tmp_path.iterdir()) == []


def test_the_lock_goes_away_when_the_work_fails(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), locked(tmp_path / "state.json"):
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_a_held_lock_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    order: list[str] = []
    entered = threading.Event()

    def first() -> None:
        with locked(path):
            entered.set()
            time.sleep(0.1)
            order.append("first")

    thread = threading.Thread(target=first)
    thread.start()
    assert entered.wait(5)
    with locked(path):
        order.append("second")
    thread.join()
    assert order == ["first", "second"]


def test_a_lock_that_stays_held_is_an_error_with_the_way_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_LOCK_TRIES", 3)
    lock = tmp_path / "state.json.lock"
    lock.mkdir()
    with pytest.raises(CommandError) as caught, locked(tmp_path / "state.json"):
        pass
    assert caught.value.code == "BAD_ENV"
    assert str(lock) in str(caught.value.hint)
    assert lock.is_dir()


@pytest.mark.parametrize("dead_taker", [False, True])
def test_a_lock_left_by_a_killed_process_is_taken_over(tmp_path: Path, dead_taker: bool) -> None:
    lock = tmp_path / "state.json.lock"
    lock.mkdir()
    os.utime(lock, (0, 0))
    if dead_taker:
        (tmp_path / "state.json.lock.taker").mkdir()
        os.utime(tmp_path / "state.json.lock.taker", (0, 0))
    with locked(tmp_path / "state.json"):
        assert lock.stat().st_mtime > 0
    assert list(tmp_path.iterdir()) == []


def write_without_permission(folder: str, answer: Connection) -> None:
    from run402_cli import effects, failures, registry  # noqa: F401
    from run402_cli.client import signing  # noqa: F401
    from run402_cli.main import _guarded
    from run402_cli.state.keys import KeyCache

    # Imports what a command and its failure need before the rights go: the interpreter may be out of reach then.
    assert _guarded(["wallets", "new", "a", "b"]) == 1
    os.setgid(65534)
    os.setuid(65534)

    try:
        KeyCache(Path(folder), wallet="default").upsert("prj_1", {"service_key": "s"})
        answer.send("written")
    except CommandError as exc:
        answer.send(exc.envelope())
    os.environ["RUN402_CONFIG_DIR"] = folder
    answer.send(_guarded(["wallets", "new", "alpha"]))


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs root, to drop to a user without rights"
)
def test_a_read_only_config_directory_is_a_clear_error_at_once(
    tmp_path_factory: pytest.TempPathFactory, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUN402_WALLET_LABEL_SYNC", "0")
    folder = tmp_path_factory.mktemp("readonly")
    (folder / "credentials").mkdir()
    for path in (folder, *folder.parents):
        if path != Path(tempfile.gettempdir()) and Path(tempfile.gettempdir()) in path.parents:
            path.chmod(0o755)
    fork = multiprocessing.get_context("fork")
    ours, theirs = fork.Pipe()
    process = fork.Process(target=write_without_permission, args=(str(folder), theirs))
    process.start()
    theirs.close()  # so that recv ends when the child does
    envelope = ours.recv()
    assert envelope["code"] == "BAD_ENV"
    assert "Permission denied" in envelope["message"]
    assert "project-keys.v1.json" in envelope["message"]
    assert ours.recv() == 1
    process.join(10)
    out, err = capfd.readouterr()
    assert out == ""
    printed = json.loads(err.strip().splitlines()[-1])
    assert printed["code"] == "BAD_ENV"
    assert "Permission denied" in printed["message"]
    assert [p.name for p in folder.rglob("*")] == ["credentials"]


@POSIX
def test_an_open_secret_file_is_tightened_with_a_warning(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "allowance.json"
    path.write_text("{}")
    path.chmod(0o644)
    tighten_mode(path)
    assert path.stat().st_mode & 0o777 == 0o600
    warning = capsys.readouterr().err
    assert str(path) in warning
    assert "644" in warning
    tighten_mode(path)
    assert capsys.readouterr().err == ""
