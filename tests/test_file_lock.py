"""The locks that the operating system keeps on files."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import types
from pathlib import Path

import pytest

from run402_cli.file_lock import FileLock, is_held, try_lock

HOLD = """
import sys, time
from pathlib import Path
from run402_cli.file_lock import FileLock
lock = FileLock(Path(sys.argv[1]))
print(lock.acquire(0), flush=True)
time.sleep(60)
"""


def test_one_holder_at_a_time(tmp_path: Path) -> None:
    first, second = FileLock(tmp_path / "lock"), FileLock(tmp_path / "lock")
    assert first.acquire(0)
    assert not second.acquire(0.1)
    first.release()
    assert second.acquire(0)
    second.release()
    assert (tmp_path / "lock").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="locks are never shared there")
def test_two_who_look_do_not_see_each_other(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    path.write_text("")
    with path.open("rb") as one, path.open("rb") as two:
        assert try_lock(one.fileno(), shared=True)
        assert try_lock(two.fileno(), shared=True)
        assert not FileLock(path).acquire(0)
    assert FileLock(path).acquire(0)


def test_looking_makes_no_file(tmp_path: Path) -> None:
    assert not is_held(tmp_path / "lock")
    assert not is_held(tmp_path / "lock" / "below")
    assert list(tmp_path.iterdir()) == []


def test_the_lock_of_a_killed_process_is_free(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with subprocess.Popen([sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        try:
            assert holder.stdout.readline() == "True\n"
            assert is_held(path)
        finally:
            holder.kill()
    assert not is_held(path)
    assert FileLock(path).acquire(0)


@pytest.mark.skipif(sys.platform == "win32", reason="an open file cannot be deleted there")
def test_a_lock_file_can_go_with_its_lock(tmp_path: Path) -> None:
    lock = FileLock(tmp_path / "lock")
    assert lock.acquire(0)
    lock.release(remove=True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="an open file cannot be deleted there")
def test_a_lock_on_a_file_that_is_gone_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "lock"
    opened = os.open

    def vanishing(*args: object) -> int:
        descriptor = opened(*args)  # type: ignore[arg-type]
        monkeypatch.undo()
        path.unlink()
        return descriptor

    monkeypatch.setattr(os, "open", vanishing)
    lock = FileLock(path)
    assert lock.acquire(5)
    assert path.exists()
    lock.release()


def test_a_failure_to_lock_is_no_answer(tmp_path: Path) -> None:
    descriptor = os.open(tmp_path / "lock", os.O_RDWR | os.O_CREAT)
    os.close(descriptor)
    with pytest.raises(OSError, match=r"descriptor|handle"):
        try_lock(descriptor)


@pytest.mark.parametrize(("number", "taken"), [(None, True), (errno.EACCES, False)])
def test_windows_locks_a_byte_and_stands_at_the_beginning_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int | None, taken: bool
) -> None:
    places = []

    def locking(descriptor: int, mode: int, count: int) -> None:
        places.append((os.lseek(descriptor, 0, os.SEEK_CUR), mode, count))
        if number is not None:
            raise OSError(number, "taken")

    with (tmp_path / "part").open("w+b", buffering=0) as part, monkeypatch.context() as windows:
        windows.setattr(sys, "platform", "win32")
        windows.setitem(sys.modules, "msvcrt", types.SimpleNamespace(locking=locking, LK_NBLCK=2))
        assert try_lock(part.fileno(), offset=2**40) is taken
        assert (places, part.tell()) == ([(2**40, 2, 1)], 0)
