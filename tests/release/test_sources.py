from __future__ import annotations

import base64
import hashlib
import os
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from run402_cli.release import sources
from run402_cli.release.errors import ContentChangedError, ReleaseError
from run402_cli.release.manifest import normalize
from run402_cli.release.sources import (
    BUFFER_BYTES,
    HashedFile,
    decode_base64,
    hash_files,
    utf8,
    walk,
)
from run402_cli.release.wire import to_wire
from run402_cli.uploads import is_secret_name

posix = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX file types")


def _write(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)


def _hash(path: Path) -> HashedFile:
    (hashed,) = hash_files([path])
    return hashed


def _keys(root: Path, **options: object) -> list[str]:
    return [file.key for file in walk(root, **options)]  # type: ignore[arg-type]


def test_walk_lists_files_in_code_unit_order_per_directory(tmp_path: Path) -> None:
    _write(tmp_path, "b.txt", "a/z.txt", "a/b/c.txt", "a.txt", "B.txt", ".hidden", "é.txt", "z.txt")
    assert _keys(tmp_path) == [".hidden", "B.txt", "a/b/c.txt", "a/z.txt", "a.txt", "b.txt", "z.txt", "é.txt"]


def test_walk_skips_tooling_and_credentials_and_ignored_names(tmp_path: Path) -> None:
    _write(tmp_path, "a.txt", "LICENSE", "sub/.env", "sub/k.PEM", "sub/p.HTML", ".git/config", "node_modules/x.js")
    _write(tmp_path, ".DS_Store", ".env.local", "id_rsa", "keys.key/inside.txt", "license")
    assert _keys(tmp_path, ignore=["LICENSE"]) == ["a.txt", "license", "sub/p.HTML"]


def test_walk_includes_credentials_only_when_told_to(tmp_path: Path) -> None:
    _write(tmp_path, ".env", "a.pem", ".git/config")
    assert _keys(tmp_path, include_sensitive=True) == [".env", "a.pem"]


@pytest.mark.parametrize(
    ("prefix", "key"), [("pre", "pre/a.txt"), ("pre/", "pre/a.txt"), ("", "a.txt"), (None, "a.txt")]
)
def test_walk_puts_the_prefix_in_front(tmp_path: Path, prefix: str | None, key: str) -> None:
    _write(tmp_path, "a.txt")
    assert _keys(tmp_path, prefix=prefix) == [key]


@pytest.mark.parametrize(
    ("name", "sensitive"),
    [(".ENV", True), (".env.production", True), (".envrc", True), ("server.P12", True), (".environment", False)],
)
def test_sensitive_names_are_compared_without_case(name: str, sensitive: bool) -> None:
    assert is_secret_name(name) is sensitive


@posix
def test_walk_refuses_a_symbolic_link_unless_its_name_is_skipped(tmp_path: Path) -> None:
    _write(tmp_path, "a.txt")
    (tmp_path / "link").symlink_to("/etc/passwd")
    with pytest.raises(ReleaseError, match="symbolic link") as caught:
        walk(tmp_path)
    assert caught.value.code == "LOCAL_ERROR"
    assert _keys(tmp_path, ignore=["link"]) == ["a.txt"]


@posix
def test_walk_refuses_a_root_that_is_a_symbolic_link(tmp_path: Path) -> None:
    _write(tmp_path, "real/a.txt")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with pytest.raises(ReleaseError, match="symbolic link"):
        walk(tmp_path / "link")


@posix
def test_walk_passes_over_pipes(tmp_path: Path) -> None:
    _write(tmp_path, "a.txt")
    os.mkfifo(tmp_path / "pipe")
    assert _keys(tmp_path) == ["a.txt"]


def test_walk_of_a_missing_root_has_the_system_error_name(tmp_path: Path) -> None:
    with pytest.raises(ReleaseError) as caught:
        walk(tmp_path / "nowhere")
    assert caught.value.code == "ENOENT"


def test_walk_refuses_a_file_as_root_and_an_empty_directory(tmp_path: Path) -> None:
    _write(tmp_path, "file", "only/.env")
    for root in (tmp_path / "file", tmp_path / "only"):
        with pytest.raises(ReleaseError) as caught:
            walk(root)
        assert caught.value.code == "LOCAL_ERROR"


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not store such names")
def test_walk_refuses_a_name_that_is_not_utf8(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"bad\xff.txt")).write_text("x")
    with pytest.raises(ReleaseError, match="not UTF-8"):
        walk(tmp_path)


@posix
def test_walk_survives_a_tree_deeper_than_the_call_stack(tmp_path: Path) -> None:
    depth, names = 1200, os.open(tmp_path, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir("d", dir_fd=names)
        deeper = os.open("d", os.O_RDONLY, dir_fd=names)
        os.close(names)
        names = deeper
    os.close(os.open("f.txt", os.O_CREAT | os.O_WRONLY, dir_fd=names))
    os.close(names)
    try:
        assert _keys(tmp_path) == ["d/" * depth + "f.txt"]
    finally:
        # Left to pytest, the clean-up would run out of stack.
        (tmp_path / ("d/" * depth) / "f.txt").unlink()
        for level in range(depth, 0, -1):
            (tmp_path / ("d/" * level)).rmdir()


@given(st.lists(st.from_regex(r"[a-zA-Z0-9_]{1,4}(/[a-z0-9]{1,3}\.[a-z]{1,3}){0,2}", fullmatch=True), max_size=6))
def test_every_written_file_is_found_once_under_its_own_path(
    tmp_path_factory: pytest.TempPathFactory, names: list[str]
) -> None:
    root = tmp_path_factory.mktemp("tree")
    written = set()
    for name in names:
        path = root / name
        if (
            any(parent.is_file() for parent in path.parents)
            or path.is_dir()
            or any(map(is_secret_name, name.split("/")))
        ):
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
        written.add(name if os.path.normcase("A") == "A" else name.lower())
    if written:
        keys = _keys(root)
        assert sorted(keys) == sorted(set(keys)) == sorted(written)


def test_hash_files_matches_hashlib_for_every_size(tmp_path: Path) -> None:
    sizes = [0, 1, BUFFER_BYTES - 1, BUFFER_BYTES, BUFFER_BYTES + 1, 3 * BUFFER_BYTES + 7]
    paths = []
    for index, size in enumerate(sizes * 20):
        paths.append(tmp_path / str(index))
        paths[-1].write_bytes(bytes([index % 251]) * size)
    hashed = hash_files(paths)
    assert [item.source.path for item in hashed] == paths
    assert [item.source.size for item in hashed] == sizes * 20
    assert [item.sha256 for item in hashed] == [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]


def test_a_large_file_among_many_small_ones_is_hashed_in_its_place(tmp_path: Path) -> None:
    sizes = [index % 5 for index in range(200)]
    sizes[3] = sizes[151] = BUFFER_BYTES + 9
    paths = []
    for index, size in enumerate(sizes):
        paths.append(tmp_path / str(index))
        paths[-1].write_bytes(bytes([index % 251]) * size)
    assert sources._are_small(paths)
    hashed = hash_files(paths)
    assert [item.source.path for item in hashed] == paths
    assert [item.sha256 for item in hashed] == [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]


def test_the_first_unreadable_file_in_order_is_reported(tmp_path: Path) -> None:
    paths = [tmp_path / f"{index}.txt" for index in range(40)]
    for path in paths:
        path.write_text("x")
    paths[7].unlink()
    paths[30].unlink()
    with pytest.raises(ReleaseError, match=r"7\.txt") as caught:
        hash_files(paths)
    assert caught.value.code == "ENOENT"


def test_hashing_a_directory_or_a_device_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ReleaseError) as caught:
        _hash(tmp_path)
    # Windows cannot open a directory at all.
    assert caught.value.code in ("EISDIR", "EACCES")
    if sys.platform != "win32":
        with pytest.raises(ReleaseError, match="not a regular file"):
            _hash(Path("/dev/zero"))
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(ReleaseError, match="not a regular file"):
            _hash(tmp_path / "pipe")


@posix
def test_a_named_file_may_be_a_link_and_a_walked_one_may_not(tmp_path: Path) -> None:
    _write(tmp_path, "a.txt")
    (tmp_path / "link").symlink_to(tmp_path / "a.txt")
    assert _hash(tmp_path / "link").sha256 == _hash(tmp_path / "a.txt").sha256
    with pytest.raises(ReleaseError) as caught:
        hash_files([tmp_path / "link"], follow=False)
    assert caught.value.code == "ELOOP"


def test_an_unchanged_file_reads_back(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(bytes(range(256)) * 10)
    source = _hash(path).source
    source.verify_unchanged()
    with source.open() as handle:
        assert handle.read() == path.read_bytes()


def _grow(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"x")


def _touch(path: Path) -> None:
    found = path.stat()
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns + 1_000_000))


def _replace(path: Path) -> None:
    found = path.stat()
    other = path.with_name("other")
    other.write_bytes(b"y" * found.st_size)
    os.utime(other, ns=(found.st_atime_ns, found.st_mtime_ns))
    other.replace(path)


@pytest.mark.parametrize("change", [_grow, _touch, _replace, Path.unlink], ids=["grow", "touch", "replace", "unlink"])
def test_a_file_that_changed_after_hashing_is_noticed(tmp_path: Path, change: object) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"y" * 10)
    source = _hash(path).source
    change(path)  # type: ignore[operator]
    for use in (source.verify_unchanged, source.open):
        with pytest.raises(ContentChangedError) as caught:
            use()
        assert caught.value.code == "CONTENT_CHANGED"
        assert caught.value.phase == "upload"


@given(st.binary(max_size=64))
def test_base64_of_either_alphabet_with_or_without_padding_decodes(data: bytes) -> None:
    for text in (base64.b64encode(data).decode(), base64.urlsafe_b64encode(data).decode()):
        assert decode_base64(text) == data
        assert decode_base64(text.rstrip("=")) == data
        assert decode_base64("\n ".join(text)) == data


@pytest.mark.parametrize(("text", "data"), [("YQ==YQ==", b"a"), ("Y", b""), ("a*b*c*d", b"i\xb7\x1d"), ("=YQ", b"")])
def test_base64_damage_is_forgiven_as_the_node_cli_forgives_it(text: str, data: bytes) -> None:
    assert decode_base64(text) == data


@given(st.text())
def test_any_text_has_utf8_bytes(text: str) -> None:
    assert utf8(text).decode() == text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def test_a_lone_surrogate_becomes_the_replacement_character() -> None:
    assert utf8("a\ud800b") == "a�b".encode()


OURS = (
    ".run402/project.json",
    ".run402.json",
    ".run402-link.json",
    "run402.deploy.json",
    "run402.deploy.ts",
    "run402.json",
)
REPOSITORIES = (".git/config", ".svn/entries", ".hg/hgrc", "sub/.git/config")
SECRETS = (
    "allowance.json",
    ".aws/credentials",
    ".ssh/config",
    ".npmrc",
    "id_rsa",
    ".env",
    "sub/.env.local",
    ".git-credentials",
)


def test_a_directory_keeps_what_no_visitor_may_see(tmp_path: Path) -> None:
    for name in (*OURS, *REPOSITORIES, *SECRETS, "index.html", "sub/page.html", "shop.json", "sub/shop.json"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    shown = [file.key for file in walk(tmp_path, own=tmp_path / "shop.json")]
    assert shown == ["index.html", "sub/page.html", "sub/shop.json"]
    with_secrets = {file.key for file in walk(tmp_path, include_sensitive=True)}
    assert with_secrets == {"index.html", "sub/page.html", "shop.json", "sub/shop.json", *SECRETS}


@pytest.mark.parametrize("name", ["shop.json", "app.json"])
def test_the_manifest_in_use_is_in_no_directory_of_its_release(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("{}")
    (tmp_path / "index.html").write_text("hi")
    document = {"site": {"replace": {"__source": "local-dir", "path": "."}}}
    normal = normalize(document, base_dir=tmp_path, project="prj_1", own=tmp_path / name)
    assert list(to_wire(normal.spec, own=normal.own).spec["site"]["replace"]) == ["index.html"]
