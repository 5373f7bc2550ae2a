"""What may leave this machine is decided in one place: the wall itself, and that every reader for upload goes through it."""

from __future__ import annotations

import ast
import json
import os
import sys
from pathlib import Path

import pytest
from source_kit import PACKAGE, tree

from run402_cli import uploads
from run402_cli.errors import CommandError
from run402_cli.release.sources import hash_files, walk
from run402_cli.uploads import SECRET, TYPED, Bounds, Gate, root_of, workspace

posix = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX links and files")

# Who opens a file and does not send its content. Everything else reads with uploads.read, a Gate or a FileSource.
LOCAL = {
    "archive/source.py": "archives; services/archive_import.py asks at the door",
    "archive/unpack.py": "writes",
    "archive/writer.py": "the gateway's own files",
    "command_schemas.py": "of the package",
    "commands/_options.py": "pieces of a file that the gate has opened",
    "commands/wallets.py": "a key that is imported here",
    "completion.py": "of the package",
    "deploy/_bytes.py": "a FileSource, which has the gate",
    "file_lock.py": "locks",
    "helptext.py": "of the package",
    "interpreter.py": "the null device",
    "mcp/tools/assets.py": "what was just downloaded",
    "output.py": "the null device",
    "release/discovery.py": "the manifest that the user named or that the directory has",
    "release/node.py": "what a program of ours wrote",
    "client/own_gateway.py": "what the gateway of a data directory says of itself",
    "release/programs.py": "of the package",
    "release/source_scan.py": "findings with line numbers for the terminal",
    "services/output_file.py": "writes, and digests of what is replaced",
    "services/dev.py": "variables for a server that runs here",
    "services/docs.py": "of the package",
    "services/download.py": "writes",
    "services/installation.py": "of the installation",
    "services/skill.py": "of the package",
    "work_tree.py": "writes",
    "state/attempts.py": "state of this program",
    "state/files.py": "state of this program",
}
_OPENS = {"open", "read_bytes", "read_text", "copyfile", "copytree"}
_GATED = {"self.gate.open", "gate.open", "Gate(bounds).open", "self.open"}


def openers(path: Path) -> list[str]:
    """The calls of a file that open one, without those of the gate."""
    calls = [ast.unparse(node.func) for node in ast.walk(tree(path)) if isinstance(node, ast.Call)]
    return [call for call in calls if call.rpartition(".")[2] in _OPENS and call not in _GATED]


def test_every_reader_for_upload_goes_through_the_gate() -> None:
    found = {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        if path.relative_to(PACKAGE).parts[0] != "core" and path.name != "uploads.py" and openers(path)
    }
    assert found == set(LOCAL), "a new reader: send what uploads.read gives, or say here why nothing is sent"


READERS = {
    "commands/_options.py": "uploads.read",
    "services/email.py": "uploads.read",
    "services/sites.py": "uploads.read",
    "services/archive_import.py": "uploads.read",
    "deploy/scan.py": "uploads.read",
    "release/sections/database.py": "uploads.read",
    "release/entries.py": "base.gate.check",
    "release/content.py": "Gate(self.bounds).check",
    "release/sources.py": "self.gate.open",
    "deploy/assets.py": "gate.check",
}


@pytest.mark.parametrize("name", READERS)
def test_readers_for_upload_ask(name: str) -> None:
    calls = {ast.unparse(node.func) for node in ast.walk(tree(PACKAGE / name)) if isinstance(node, ast.Call)}
    assert READERS[name] in calls


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace with a file; beside it another file, a configuration and a data directory."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("RUN402_CONFIG_DIR", str(tmp_path / "config"))
    monkeypatch.setenv("RUN402_CORE_DATA_DIR", str(tmp_path / "data"))
    for name in (
        "app/a.txt",
        "outside/b.txt",
        "config/notes.txt",
        "data/gateway.log",
        "home/.ssh/known",
        "app/sub/c.txt",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    return tmp_path


def code(path: Path | str, bounds: Bounds) -> str | None:
    """Why a file is not read, or None when it is."""
    try:
        assert uploads.read(Path(path), bounds)
    except CommandError as exc:
        assert str(path) in exc.message
        assert exc.details["path"]
        return exc.code
    return None


def test_a_file_of_the_workspace_is_read_and_one_beside_it_is_not(place: Path) -> None:
    bounds = workspace(place / "app")
    assert code(place / "app/a.txt", bounds) is None
    assert code(place / "app/sub/../a.txt", bounds) is None
    for path in (place / "outside/b.txt", place / "app/../outside/b.txt", place / "app/sub/../../outside/b.txt"):
        with pytest.raises(CommandError) as caught:
            uploads.read(path, bounds)
        assert caught.value.code == "PATH_OUTSIDE_WORKSPACE"
        assert str(place / "app") in caught.value.message
        assert "--allow-outside" in str(caught.value.hint)
        assert code(path, workspace(place / "app", allow_outside=True)) is None


@posix
def test_links_count_as_what_they_lead_to(place: Path) -> None:
    (place / "app/link").symlink_to(place / "outside/b.txt")
    (place / "app/folder").symlink_to(place / "outside")
    (place / "app/inner").symlink_to(place / "app/a.txt")
    (place / "app/to").symlink_to(place / "app/link")
    bounds = workspace(place / "app")
    for name in ("link", "folder/b.txt", "to"):
        assert code(place / "app" / name, bounds) == "PATH_OUTSIDE_WORKSPACE"
    assert code(place / "app/inner", bounds) is None
    # A workspace that is a link itself is the directory behind it.
    (place / "alias").symlink_to(place / "app")
    assert code(place / "alias/a.txt", workspace(place / "alias")) is None


@posix
def test_a_descriptor_path_counts_as_its_file(place: Path) -> None:
    for folder in ("/proc/self/fd", "/dev/fd"):
        if not Path(folder).is_dir():
            continue
        with (place / "outside/b.txt").open() as outside, (place / "config/notes.txt").open() as own:
            assert code(f"{folder}/{outside.fileno()}", workspace(place / "app")) == "PATH_OUTSIDE_WORKSPACE"
            assert code(f"{folder}/{own.fileno()}", TYPED) == "SECRET_FILE_REFUSED"


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="Linux")
def test_files_of_the_kernel_are_refused_whoever_names_them() -> None:
    for name in ("/proc/self/environ", f"/proc/{os.getpid()}/cmdline"):
        assert code(name, SECRET) == "SECRET_FILE_REFUSED"


@pytest.mark.parametrize("bounds", [TYPED, SECRET], ids=["typed", "secret"])
@pytest.mark.parametrize("name", ["config/notes.txt", "data/gateway.log", "home/.ssh/known"])
def test_what_is_private_is_refused_with_every_flag(place: Path, name: str, bounds: Bounds) -> None:
    assert code(place / name, bounds) == "SECRET_FILE_REFUSED"
    # Also as the workspace itself, and below it.
    assert code(place / name, workspace((place / name).parent)) == "SECRET_FILE_REFUSED"
    assert code(place / name, workspace(place)) == "SECRET_FILE_REFUSED"


@posix
def test_a_hard_link_of_a_file_with_keys_is_refused(place: Path) -> None:
    os.link(place / "config/notes.txt", place / "app/copy.txt")
    os.link(place / "outside/b.txt", place / "app/other.txt")
    assert code(place / "app/copy.txt", workspace(place / "app")) == "SECRET_FILE_REFUSED"
    for bounds in (TYPED, SECRET):
        assert code(place / "app/copy.txt", bounds) == "SECRET_FILE_REFUSED"
        assert code(place / "app/other.txt", bounds) is None


@posix
@pytest.mark.parametrize("secret", ["data/gateway.log", "home/.ssh/known", "home/.npmrc", "app/.env"])
def test_a_hard_link_of_what_is_private_is_refused_wherever_it_lies(place: Path, secret: str) -> None:
    (place / secret).write_text("secret")
    (place / "app/node_modules/p").mkdir(parents=True)
    for name in ("app/site.json", "app/node_modules/p/index.js"):
        os.link(place / secret, place / name)
        for bounds in (workspace(place / "app"), workspace(place / "app", allow_outside=True)):
            assert code(place / name, bounds) == "SECRET_FILE_REFUSED"


@posix
def test_a_hard_link_in_the_workspace_needs_a_word_but_in_what_a_package_manager_made(place: Path) -> None:
    (place / "app/node_modules/p").mkdir(parents=True)
    for name in ("app/b.txt", "app/node_modules/p/index.js"):
        os.link(place / "outside/b.txt", place / name)
    with pytest.raises(CommandError) as caught:
        uploads.read(place / "app/b.txt", workspace(place / "app"))
    assert caught.value.code == "PATH_OUTSIDE_WORKSPACE"
    assert "hard link" in caught.value.message
    assert "--allow-outside" in str(caught.value.hint)
    assert code(place / "app/b.txt", workspace(place / "app", allow_outside=True)) is None
    assert code(place / "app/node_modules/p/index.js", workspace(place / "app")) is None


@pytest.mark.parametrize("saved", ["target.json", "profiles/other/target.json"])
def test_the_data_directory_of_every_saved_target_is_private(place: Path, saved: str) -> None:
    for name in ("app/state/gateway.json", "app/kept/gateway.json"):
        (place / name).parent.mkdir()
        (place / name).write_text("{}")
    (place / "config" / saved).parent.mkdir(parents=True, exist_ok=True)
    (place / "config" / saved).write_text(json.dumps({"data_dir": str(place / "app/state")}))
    (place / "config/profiles/broken").mkdir(parents=True)
    (place / "config/profiles/broken/target.json").write_text("{")
    assert code(place / "app/state/gateway.json", workspace(place / "app")) == "SECRET_FILE_REFUSED"
    assert code(place / "app/state", workspace(place / "app")) == "SECRET_FILE_REFUSED"
    # Nobody knows of this one until a gateway has been there.
    assert code(place / "app/kept/gateway.json", workspace(place / "app")) is None
    (place / "app/kept/run402-core.json").write_text("{}")
    for bounds in (workspace(place / "app"), TYPED, SECRET):
        assert code(place / "app/kept/gateway.json", bounds) == "SECRET_FILE_REFUSED"


@posix
def test_a_hard_link_into_the_data_directory_of_a_saved_target_is_refused(place: Path) -> None:
    (place / "elsewhere").mkdir()
    (place / "elsewhere/gateway.json").write_text("token")
    (place / "config/target.json").write_text(json.dumps({"data_dir": str(place / "elsewhere")}))
    os.link(place / "elsewhere/gateway.json", place / "app/g.json")
    assert code(place / "app/g.json", TYPED) == "SECRET_FILE_REFUSED"


@pytest.mark.parametrize(
    "name", [".env", ".ENV.local", "tls.key", "Server.PEM", ".git/config", ".aws/credentials", "id_rsa"]
)
def test_names_that_hold_secrets_are_refused_when_they_are_named(place: Path, name: str) -> None:
    file = place / "app" / name
    file.parent.mkdir(exist_ok=True)
    file.write_text("x")
    assert code(file, workspace(place / "app")) == "SECRET_FILE_REFUSED"
    assert code(file, TYPED) == "SECRET_FILE_REFUSED"
    assert code(file, SECRET) is None


@posix
def test_a_secret_behind_a_harmless_name_and_the_other_way_round(place: Path) -> None:
    (place / "app/.env").write_text("x")
    (place / "app/text.txt").symlink_to(place / "app/.env")
    (place / "app/b.pem").symlink_to(place / "app/a.txt")
    for name in ("text.txt", "b.pem"):
        assert code(place / "app" / name, workspace(place / "app")) == "SECRET_FILE_REFUSED"


@posix
@pytest.mark.parametrize("what", ["file", "folder"])
def test_a_link_that_is_put_there_after_the_look_is_found_out(
    place: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """Somebody changes the file, or the directory that it is in, between the look and the open."""
    real_open = os.open

    def swapped(path: Path, flags: int, *rest: int) -> int:
        monkeypatch.setattr(os, "open", real_open)
        if what == "file":
            (place / "app/sub/c.txt").unlink()
            (place / "app/sub/c.txt").symlink_to(place / "outside/b.txt")
        else:
            (place / "app/sub").rename(place / "app/old")
            (place / "outside/b.txt").rename(place / "outside/c.txt")
            (place / "app/sub").symlink_to(place / "outside")
        return real_open(path, flags, *rest)

    monkeypatch.setattr(os, "open", swapped)
    assert code(place / "app/sub/c.txt", workspace(place / "app")) == "PATH_OUTSIDE_WORKSPACE"


@posix
def test_the_same_where_the_system_does_not_tell_where_a_file_is(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "_path_of", lambda _descriptor: None)
    test_a_link_that_is_put_there_after_the_look_is_found_out(place, monkeypatch, "folder")


@posix
def test_a_pipe_and_a_directory_are_no_files_and_nothing_waits(place: Path) -> None:
    os.mkfifo(place / "app/pipe")
    for name in ("pipe", "sub"):
        with pytest.raises(OSError, match=r"not a regular file|directory"):
            uploads.read(place / "app" / name, workspace(place / "app"))


@posix
def test_a_pipe_that_the_user_typed_is_read() -> None:
    reader, writer = os.pipe()
    os.write(writer, b"KEY=value")
    os.close(writer)
    try:
        assert uploads.read(Path(f"/dev/fd/{reader}"), SECRET) == b"KEY=value"
    finally:
        os.close(reader)


def test_the_workspace_is_the_git_work_tree(place: Path) -> None:
    assert root_of(place / "app/sub") == place / "app/sub"
    (place / "app/.git").mkdir()
    assert root_of(place / "app/sub") == place / "app"
    assert code(place / "app/a.txt", workspace(place / "app/sub")) is None
    assert code(place / "outside/b.txt", workspace(place / "app/sub")) == "PATH_OUTSIDE_WORKSPACE"


def test_a_home_directory_in_git_is_no_workspace_of_what_is_below(place: Path) -> None:
    (place / "home/.git").mkdir()
    (place / ".git").mkdir()
    (place / "home/download").mkdir()
    assert root_of(place / "home/download") == place / "home/download"
    assert root_of(place / "home") == place / "home"


@posix
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="gives a file away")
def test_a_git_folder_of_another_user_makes_no_workspace(place: Path) -> None:
    (place / "app/.git").mkdir()
    os.chown(place / "app/.git", 12345, 12345)
    assert root_of(place / "app/sub") == place / "app/sub"


def test_other_spellings_of_the_root_are_the_root(place: Path) -> None:
    """On a file system that ignores case the real path may be spelled otherwise: what the directories are decides."""
    gate = Gate(Bounds((place / "app",)))
    twin = place / "APP"
    if not twin.exists():
        twin.symlink_to(place / "app")
    assert gate._root_of(twin / "sub") == place / "app"


@posix
def test_a_walk_of_many_files_asks_for_each(place: Path) -> None:
    for number in range(50):
        (place / f"app/sub/{number}.txt").write_text("x")
    paths = [file.path for file in walk(place / "app")]
    assert len(hash_files(paths, follow=False, bounds=workspace(place / "app"))) == 52
    with pytest.raises(CommandError):
        hash_files([*paths, place / "outside/b.txt"], follow=False, bounds=workspace(place / "app"))


@pytest.mark.parametrize("name", ["a\0b", "a\0/b", "\ud800", "\ud800/x"])
def test_what_is_no_file_name_is_said_so(place: Path, name: str) -> None:
    for bounds in (TYPED, workspace(place / "app")):
        with pytest.raises(CommandError) as caught:
            Gate(bounds).check(place / "app" / name)
        assert caught.value.code == "FILE_NOT_FOUND"


@posix
def test_a_working_directory_that_was_deleted(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (place / "gone").mkdir()
    monkeypatch.chdir(place / "gone")
    (place / "gone").rmdir()
    assert code(place / "outside/b.txt", TYPED) is None
    assert code(place / "config/notes.txt", TYPED) == "SECRET_FILE_REFUSED"


def test_a_wallet_file_that_lies_elsewhere_is_refused(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUN402_ALLOWANCE_PATH", str(place / "app/a.txt"))
    assert code(place / "app/a.txt", workspace(place / "app")) == "SECRET_FILE_REFUSED"
    assert code(place / "app/sub/c.txt", workspace(place / "app")) is None


def test_the_way_to_the_workspace_may_have_any_name(place: Path) -> None:
    (place / ".docker/site").mkdir(parents=True)
    (place / ".docker/site/a.txt").write_text("x")
    bounds = workspace(place / ".docker/site")
    assert code(place / ".docker/site/a.txt", bounds) is None
    Gate(bounds).check(place / ".docker/site")
    assert code(place / ".docker/site/a.txt", TYPED) == "SECRET_FILE_REFUSED"


COPIES = (
    *(".env~", "..env.swp", "#.env#", ".#.env", ".env_local", ".env-prod", "prod.env", ".flaskenv", ".dev.vars"),
    *("id_rsa.bak", "id_ed25519~", ".netrc~", "_netrc", ".git-credentials~", ".pgpass.bak", "allowance.json.bad"),
    *("project-keys.v1.json.bad", "allowance.json.bad2", ".bash_history", ".psql_history", ".s3cfg", ".boto"),
    *(
        ".dockercfg",
        "terraform.tfstate",
        "terraform.tfstate.backup",
        ".terraformrc",
        "rclone.conf",
        "a.jks",
        "a.keystore",
    ),
    *(
        "a.kdbx",
        "a.p8",
        "a.ppk",
        "sftp.json",
        ".ssh~",
        "Copy of id_rsa",
        "id_rsa (1)",
        "id_rsa-2026-11-30",
        ".id_rsa.swp",
    ),
    *("server.key.orig", "id_rsa.bak.old~", "KEY.PEM.1", ".ENV. ", "operator-session.json.bad"),
)
ORDINARY = (
    *(
        "index.html",
        "environment.html",
        "keys.html",
        "old.html",
        ".well-known",
        "key.html",
        "id_rsa.pub",
        "keystore.html",
    ),
    *("env.js", "keyboard.css", ".htaccess", "404.html", "2026-11-30.html", "copy.html", "history.html", "config.json"),
    *("hockey.png", "app.js.map", ".nojekyll", "manifest.json", "robots.txt", "monkey", "~", "#", "bak"),
)


def test_copies_of_secret_files_are_left_out_and_refused(place: Path) -> None:
    site = place / "app/site"
    for name in (".vscode/sftp.json", ".ssh~/k", *COPIES, *ORDINARY):
        (site / name).parent.mkdir(parents=True, exist_ok=True)
        if not (site / name).is_dir():
            (site / name).write_text(name)
    if sys.platform != "win32":
        assert {each.key for each in walk(site) if "/" not in each.key} == {*ORDINARY}
    for name in COPIES:
        if not (site / name).is_dir():
            assert code(site / name, TYPED) == "SECRET_FILE_REFUSED", name
    assert code(site / ".ssh~/k", TYPED) == "SECRET_FILE_REFUSED"
    for name in ORDINARY:
        assert code(site / name, TYPED) is None, name


KEYS = (
    b"-----BEGIN OPENSSH PRIVATE KEY-----\nb3Bl",
    b"\xef\xbb\xbf\n-----BEGIN PRIVATE KEY-----\nMII",
    b"PuTTY-User-Key-File-3: ssh-ed25519\n",
    json.dumps({"address": "0x1", "privateKey": "0x" + "a1" * 32}).encode(),
    json.dumps({"projects": {"prj_1": {"service_key": "r402_service_abc"}}}, indent=2).encode(),
    json.dumps({"type": "service_account", "private_key": "-----BEGIN PRIVATE KEY-----\nMII"}).encode(),
)


@pytest.mark.parametrize("content", KEYS)
def test_a_key_is_refused_whatever_it_is_called(place: Path, content: bytes) -> None:
    for path, bounds in ((place / "app/notes.txt", workspace(place / "app")), (place / "app/x.bin", TYPED)):
        path.write_bytes(content)
        with pytest.raises(CommandError) as caught:
            hash_files([place / "app/a.txt", path], bounds=bounds)
        assert caught.value.code == "SECRET_FILE_REFUSED"
        assert str(path) in caught.value.message
        assert hash_files([path], bounds=SECRET)


def test_a_page_that_tells_of_keys_is_none(place: Path) -> None:
    pages = (
        b"<pre>-----BEGIN PRIVATE KEY-----\n...</pre>",
        b"-----BEGIN PUBLIC KEY-----\nMII",
        b"-----BEGIN CERTIFICATE-----\nMII",
        b'const x = {"private_key": "0x' + b"a1" * 32 + b'"}',
        b'{"privateKey": "0xYOUR_KEY", "service_key": "<key>"}',
    )
    for number, content in enumerate(pages):
        (place / f"app/{number}.txt").write_bytes(content)
    assert len(hash_files([place / f"app/{number}.txt" for number in range(len(pages))])) == len(pages)
