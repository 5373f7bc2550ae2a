"""Archives by an enemy: whatever the bytes, a diagnostic with a code, no crash, nothing outside, little memory."""

from __future__ import annotations

import json
import os
import shutil
import tracemalloc
from pathlib import Path
from typing import Any

import archive_kit as kit
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from run402_cli.archive.diagnostics import ArchiveFault
from run402_cli.archive.source import open_archive
from run402_cli.archive.unpack import unpack
from run402_cli.archive.verify import verify

# The format's own codes, and what the system says about a path.
KNOWN = {
    "ARCHIVE_DIGEST_MISMATCH",
    "ARCHIVE_SIZE_MISMATCH",
    "ARCHIVE_UNSUPPORTED_VERSION",
    "ARCHIVE_UNSUPPORTED_REQUIRED_CAPABILITY",
    "ARCHIVE_MEDIA_TYPE_UNSUPPORTED",
    "ARCHIVE_PATH_UNSAFE",
    "ARCHIVE_SIZE_LIMIT_EXCEEDED",
    "ARCHIVE_FILE_COUNT_LIMIT_EXCEEDED",
    "ARCHIVE_DESCRIPTOR_TOO_DEEP",
    "ARCHIVE_DESCRIPTOR_MISSING",
    "ARCHIVE_BLOB_MISSING",
    "ARCHIVE_DUPLICATE_PATH",
    "ARCHIVE_DUPLICATE_JSON_KEY",
    "ARCHIVE_MALFORMED_JSON",
    "ARCHIVE_MALFORMED_TAR",
    "ARCHIVE_ENTRY_TYPE_UNSUPPORTED",
    "NON_DETERMINISTIC_TABLE_ORDER",
}
quick = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def found_in(tmp_path: Path, data: bytes) -> list[str]:
    """Verify some bytes; the codes. The report can be printed, and unpacking stays inside, whatever they are."""
    path = tmp_path / "hostile.tar"
    path.write_bytes(data)
    report = verify(path).report()
    json.dumps(report)
    codes = [item["code"] for item in report["diagnostics"]]
    assert set(codes) <= KNOWN, codes
    assert all(item["severity"] in ("blocking", "warning") and item["message"] for item in report["diagnostics"])
    outside = {p for p in tmp_path.iterdir() if p.name not in ("hostile.tar", "inside")}
    folder = tmp_path / "inside" / "deep" / "deeper"
    folder.mkdir(parents=True)
    try:
        unpack(open_archive(path), folder)
    except ArchiveFault as fault:
        assert fault.code in KNOWN
    finally:
        assert {p for p in tmp_path.iterdir() if p.name not in ("hostile.tar", "inside")} == outside
        assert [p.name for p in (tmp_path / "inside").iterdir()] == ["deep"]
        assert [p.name for p in folder.parent.iterdir()] == ["deeper"]
        shutil.rmtree(tmp_path / "inside")
    return codes


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Its last 1024 bytes are the end mark."""
    return kit.repack(kit.write_tar(tmp_path_factory.mktemp("good") / "a.tar"), lambda found: None).read_bytes()


names = st.one_of(
    st.sampled_from(
        [
            "../x",
            "a/../../x",
            "/etc/passwd",
            "//x",
            "..",
            ".",
            "",
            "a//b",
            "C:\\x",
            "a\\..\\x",
            "a/",
            "./a",
            "~/x",
            "a\x00b",
        ]
    ),
    st.text(max_size=60),
    st.binary(max_size=100),
)
sizes = st.one_of(
    st.integers(0, 8**11 - 1),
    st.sampled_from([b"", b"8", b"-1", b"0x10", b"\x80\0\0\0\0\0\0\0\0\0\x02\0", b"\xff" * 12, b"1 2", b"77777777777"]),
    st.binary(min_size=12, max_size=12),
)
types = st.one_of(
    st.sampled_from(list(b"0\x001234567gxLKSVNDAM")).map(lambda n: bytes([n])), st.binary(min_size=1, max_size=1)
)


@quick
@given(entries=st.lists(st.tuples(names, sizes, types, st.binary(max_size=600), st.binary(max_size=80)), max_size=5))
def test_arbitrary_headers(tmp_path: Path, good: bytes, entries: list[tuple[Any, Any, bytes, bytes, bytes]]) -> None:
    spoiled = b"".join(
        kit.header(name, size, type_, prefix=prefix, link=b"/etc/passwd") + data + b"\0" * (-len(data) % 512)
        for name, size, type_, data, prefix in entries
    )
    found_in(tmp_path, spoiled + good)
    found_in(tmp_path, good[:-1024] + spoiled + b"\0" * 1024)


@quick
@given(data=st.binary(max_size=3000))
def test_arbitrary_bytes(tmp_path: Path, data: bytes) -> None:
    assert found_in(tmp_path, data)


@quick
@given(at=st.integers(0, 10**6), flip=st.binary(min_size=1, max_size=64))
def test_arbitrary_damage(tmp_path: Path, good: bytes, at: int, flip: bytes) -> None:
    at %= len(good) - 1024 - len(flip)
    found_in(tmp_path, good[:at] + flip + good[at + len(flip) :])


def test_an_archive_that_is_cut_at_any_block_is_refused(tmp_path: Path, good: bytes) -> None:
    end = len(good.rstrip(b"\0")) // 512 + 1
    for block in range(end):
        path = tmp_path / "cut.tar"
        path.write_bytes(good[: block * 512])
        found = verify(path)
        assert not found.ok, block
        assert {item["code"] for item in found.diagnostics} <= KNOWN
        path.write_bytes(good[: block * 512 + 100])
        assert not verify(path).ok


@pytest.mark.parametrize(
    ("entry", "code"),
    [
        (kit.entry("../../evil", b"x"), "ARCHIVE_PATH_UNSAFE"),
        (kit.entry("/tmp/evil", b"x"), "ARCHIVE_PATH_UNSAFE"),
        (kit.entry("evil", b"x", prefix=b"../.."), "ARCHIVE_PATH_UNSAFE"),
        (kit.entry("evil", b"x", prefix=b"/"), "ARCHIVE_PATH_UNSAFE"),
        (kit.entry("folder/", b"", b"5"), "ARCHIVE_PATH_UNSAFE"),
        (kit.entry("link", b"", b"2", link=b"/etc/passwd"), "ARCHIVE_ENTRY_TYPE_UNSUPPORTED"),
        (kit.entry("link", b"", b"1", link=b"index.json"), "ARCHIVE_ENTRY_TYPE_UNSUPPORTED"),
        (kit.entry("device", b"", b"3"), "ARCHIVE_ENTRY_TYPE_UNSUPPORTED"),
        (kit.entry("device", b"", b"4"), "ARCHIVE_ENTRY_TYPE_UNSUPPORTED"),
        (kit.entry("pipe", b"", b"6"), "ARCHIVE_ENTRY_TYPE_UNSUPPORTED"),
        (kit.entry("PaxHeader", b"30 path=../../../tmp/evil\n", b"x"), "ARCHIVE_ENTRY_TYPE_UNSUPPORTED"),
        (kit.entry("PaxHeader", b"20 size=99999999999\n", b"g"), "ARCHIVE_ENTRY_TYPE_UNSUPPORTED"),
        (kit.entry("././@LongLink", b"a" * 4000, b"L"), "ARCHIVE_PATH_UNSAFE"),
        (kit.entry("LongLink", b"a" * 4000, b"K"), "ARCHIVE_ENTRY_TYPE_UNSUPPORTED"),
        (kit.entry("sparse", b"", b"S"), "ARCHIVE_ENTRY_TYPE_UNSUPPORTED"),
        (kit.entry("volume", b"", b"V"), "ARCHIVE_ENTRY_TYPE_UNSUPPORTED"),
        (kit.entry("index.json", b"{}"), "ARCHIVE_DUPLICATE_PATH"),
        (kit.header("lie", 8**11 - 1), "ARCHIVE_MALFORMED_TAR"),
        (kit.header("lie", 10**6), "ARCHIVE_MALFORMED_TAR"),
        (kit.header("lie", b"\x80\0\0\0\0\0\0\0\0\0\x10\0"), "ARCHIVE_MALFORMED_TAR"),
        (kit.header("lie", b"-0000000001\0"), "ARCHIVE_MALFORMED_TAR"),
        (kit.header("lie", b"000000000x\0"), "ARCHIVE_MALFORMED_TAR"),
        (kit.header("lie", b"\0" * 12), "ARCHIVE_MALFORMED_TAR"),
    ],
)
def test_each_trick_with_a_tar_entry_has_its_code(tmp_path: Path, good: bytes, entry: bytes, code: str) -> None:
    assert found_in(tmp_path, entry + good if code != "ARCHIVE_DUPLICATE_PATH" else good[:-1024] + entry) == [code]


@pytest.mark.parametrize("before", [b"", kit.entry("index.json", b"{}")], ids=["whole", "after an entry"])
def test_what_is_no_tar_is_not_repeated(tmp_path: Path, before: bytes) -> None:
    path = tmp_path / "named-by-mistake"
    path.write_bytes(before + b"DATABASE_PASSWORD=hunter2\n" * 40)
    [found] = verify(path).diagnostics
    assert (found["code"], found["path"]) == ("ARCHIVE_MALFORMED_TAR", str(path))
    assert "no tar file" in found["message"] and str(len(before)) in found["message"]
    assert "hunter2" not in str(verify(path))


def test_compressed_archives_are_not_inflated(tmp_path: Path, good: bytes) -> None:
    assert found_in(tmp_path, kit.gzipped(b"\0" * 50_000_000)) == ["ARCHIVE_ENTRY_TYPE_UNSUPPORTED"]
    assert found_in(tmp_path, kit.gzipped(good)) == ["ARCHIVE_ENTRY_TYPE_UNSUPPORTED"]


def test_a_bomb_of_many_entries_stops_at_the_limit(tmp_path: Path) -> None:
    assert found_in(tmp_path, b"".join(kit.header(f"f{n}") for n in range(20_001))) == [
        "ARCHIVE_FILE_COUNT_LIMIT_EXCEEDED"
    ]
    assert found_in(tmp_path, kit.header("folder", 0, b"5") * 20_001) == ["ARCHIVE_FILE_COUNT_LIMIT_EXCEEDED"]


def test_a_bomb_of_holes_is_refused_by_its_headers(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    one = 120 * 1024**2
    with path.open("wb") as handle:
        for number in range(6):
            handle.write(kit.header(f"hole{number}", one))
            handle.seek(one, 1)
        handle.truncate()
    found = verify(path)
    assert [item["code"] for item in found.diagnostics] == ["ARCHIVE_SIZE_LIMIT_EXCEEDED"]


def test_one_large_file_described_many_times_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = kit.write_tar(tmp_path / "a.tar")

    def multiply(index: dict[str, Any]) -> None:
        page = index["descriptors"][f"blob.{kit.sha(kit.PAGE)}"]
        index["descriptors"] |= {f"again{n}": page for n in range(3000)}

    kit.reindex(path, multiply)
    reads: list[str] = []
    real = type(open_archive(path)).chunks
    monkeypatch.setattr(
        type(open_archive(path)), "chunks", lambda self, entry: reads.append(entry.path) or real(self, entry)
    )
    assert verify(path).ok
    assert reads.count(f"blobs/sha256/{kit.sha(kit.PAGE)}") == 1


def test_memory_does_not_grow_with_the_archive(tmp_path: Path) -> None:
    path = kit.repack(kit.write_tar(tmp_path / "a.tar"), lambda found: None)
    big = b"\x01" * (64 * 1024**2)
    path.write_bytes(path.read_bytes()[:-1024] + kit.entry("big", big) + b"\0" * 1024)
    digest = kit.sha(big)
    size = len(big)
    del big

    def describe(index: dict[str, Any]) -> None:
        entry = {"mediaType": "application/octet-stream", "path": "big", "digest": f"sha256:{digest}", "size": size}
        index["descriptors"]["big"] = entry

    kit.reindex(path, describe)
    tracemalloc.start()
    assert verify(path).ok
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 * 1024**2


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)


@quick
@given(
    file=st.sampled_from(
        sorted({"index.json", "run402-layout.json", "manifest/export-report.json", "database/tables.json"})
    ),
    key=st.sampled_from(
        ["descriptors", "identity_descriptors", "required_capabilities", "consistency", "annotations", "x"]
    ),
    value=json_values,
)
def test_any_json_in_any_place_of_a_descriptor(tmp_path: Path, good: bytes, file: str, key: str, value: Any) -> None:
    path = tmp_path / "any.tar"
    path.write_bytes(good)

    def change(found: dict[str, bytes]) -> None:
        document = json.loads(found[file])
        document[key] = value
        found[file] = json.dumps(document).encode()

    data = kit.repack(path, change).read_bytes()
    path.unlink()
    found_in(tmp_path, data)


@quick
@given(text=st.text(alphabet='{}[]":,\\ue 01a\n', max_size=200))
def test_any_text_as_json(tmp_path: Path, good: bytes, text: str) -> None:
    path = tmp_path / "any.tar"
    path.write_bytes(good)
    data = kit.replaced(path, "manifest/fact-set.json", text.encode()).read_bytes()
    path.unlink()
    found_in(tmp_path, data)


def test_names_that_one_system_cannot_tell_apart_are_refused_when_unpacked(tmp_path: Path) -> None:
    assert found_in(tmp_path, kit.pack([kit.entry("a", b"file"), kit.entry("a/b", b"below it")]))
    path = tmp_path / "clash.tar"
    path.write_bytes(kit.pack([kit.entry("a", b"file"), kit.entry("a/b", b"below it")]))
    (tmp_path / "out").mkdir()
    with pytest.raises(ArchiveFault) as caught:
        unpack(open_archive(path), tmp_path / "out")
    assert caught.value.code == "ARCHIVE_DUPLICATE_PATH"


def test_unpacking_gives_the_files_back(tmp_path: Path, good: bytes) -> None:
    path = tmp_path / "a.tar"
    path.write_bytes(good)
    (tmp_path / "out").mkdir()
    unpack(open_archive(path), tmp_path / "out")
    written = {
        p.relative_to(tmp_path / "out").as_posix(): p.read_bytes() for p in (tmp_path / "out").rglob("*") if p.is_file()
    }
    assert written == kit.files(path)
    assert verify(tmp_path / "out").report() == {**verify(path).report(), "transport": "directory"}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes")
@pytest.mark.parametrize("what", ["pipe", "link"])
def test_an_archive_that_became_something_else_is_not_read_and_nothing_waits(tmp_path: Path, what: str) -> None:
    path = kit.write_tar(tmp_path / "a.r402ar")
    archive = open_archive(path)
    entry = next(iter(archive.entries.values()))
    path.rename(tmp_path / "moved")
    if what == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to(tmp_path / "moved")
    with pytest.raises(ArchiveFault, match="changed while it was read"):
        archive.read(entry)
    assert not verify(path).ok
