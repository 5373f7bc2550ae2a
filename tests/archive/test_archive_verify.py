"""The verifier: what a good archive reports, and the code for each way to be bad."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import archive_kit as kit
import pytest

from run402_cli.archive.format import CAPABILITIES, Limits
from run402_cli.archive.source import Archive, open_archive, unsafe_path
from run402_cli.archive.verify import Verification, verify

posix_only = pytest.mark.skipif(os.name == "nt", reason="needs links, devices and any byte in file names")


def codes(found: Verification) -> list[str]:
    return [item["code"] for item in found.diagnostics]


def blocking(path: Path, limits: Limits | None = None) -> list[str]:
    found = verify(path, limits) if limits else verify(path)
    assert not found.ok
    return [item["code"] for item in found.diagnostics if item["severity"] == "blocking"]


@pytest.fixture
def tar(tmp_path: Path) -> Path:
    return kit.write_tar(tmp_path / "a.r402ar")


def test_a_good_archive_reports_what_it_holds_the_same_as_tar_and_directory(tmp_path: Path, tar: Path) -> None:
    report = verify(tar).report()
    assert list(report) == [
        *("ok", "archive_version", "archive_digest", "transport", "file_count", "total_bytes", "descriptor_count"),
        *("required_capabilities", "required_secrets", "auth_subject_stub_count", "export_report"),
        *("portability_report", "diagnostics"),
    ]
    assert (report["ok"], report["transport"], report["diagnostics"]) == (True, "tar", [])
    assert report["required_capabilities"] == list(CAPABILITIES)
    assert report["required_secrets"] == [{"name": "API_TOKEN", "required": True, "targets": ["function:api"]}]
    assert (report["file_count"], report["descriptor_count"], report["auth_subject_stub_count"]) == (21, 19, 1)
    assert report["total_bytes"] == sum(map(len, kit.files(tar).values()))
    directory = verify(kit.write_directory(tmp_path / "dir")).report()
    assert directory == {**report, "transport": "directory"}


def test_the_digest_ignores_what_is_no_identity(tar: Path) -> None:
    before = verify(tar).digest

    def change(index: dict[str, Any]) -> None:
        index["source"] = {"platform": "run402-cloud", "label": "other"}
        index["annotations"] = {"note": "x"}
        index["identity_descriptors"].reverse()
        index["required_capabilities"].reverse()

    found = verify(kit.reindex(tar, change))
    assert (found.ok, found.digest) == (True, before)
    assert verify(kit.replaced(tar, "auth/config.json", b"{}")).digest != before


def test_the_digest_is_over_sorted_json_of_the_identity(tar: Path) -> None:
    index = json.loads(kit.files(tar)["index.json"])
    keys = ("mediaType", "digest", "size", "path")
    identity = {
        "identity": "run402-project-archive-logical-v1",
        "archive_version": "run402-project-archive.v1",
        "core_compatibility": index["core_compatibility"],
        "required_capabilities": sorted(index["required_capabilities"]),
        "consistency": index["consistency"],
        "descriptors": [
            {"name": name, **{key: index["descriptors"][name][key] for key in keys}}
            for name in sorted(index["identity_descriptors"])
        ],
    }
    assert "export_report" not in index["identity_descriptors"]
    text = json.dumps(identity, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert verify(tar).digest == index["archive_digest"] == f"sha256:{kit.sha(text.encode())}"


def test_portability_entries_are_passed_on_and_only_blocking_ones_refuse(tar: Path) -> None:
    entry = {"code": "CLOUD_ONLY_FEATURE_EXCLUDED", "severity": "warning", "message": "m", "resource_type": "x"}
    report = {"entries": [entry, {"code": 1}, "text", {**entry, "severity": "info"}]}
    found = verify(kit.replaced(tar, "manifest/portability-report.json", json.dumps(report).encode()))
    assert (found.ok, found.diagnostics) == (True, [entry, {**entry, "severity": "info"}])
    report["entries"].append({**entry, "severity": "blocking"})
    assert not verify(kit.replaced(tar, "manifest/portability-report.json", json.dumps(report).encode())).ok


def _drop(name: str) -> Callable[[dict[str, bytes]], None]:
    return lambda found: found.pop(name) and None


def _set(name: str, data: bytes) -> Callable[[dict[str, bytes]], None]:
    return lambda found: found.update({name: data})


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (_drop("index.json"), ["ARCHIVE_DESCRIPTOR_MISSING"] * 2),
        (_set("index.json", b"{"), ["ARCHIVE_MALFORMED_JSON", "ARCHIVE_DESCRIPTOR_MISSING"]),
        (_set("index.json", b"[]"), ["ARCHIVE_MALFORMED_JSON", "ARCHIVE_DESCRIPTOR_MISSING"]),
        (_set("index.json", b'{"a":1,"a":2}'), ["ARCHIVE_DUPLICATE_JSON_KEY", "ARCHIVE_DESCRIPTOR_MISSING"]),
        (_set("index.json", b"[" * 70 + b"]" * 70), ["ARCHIVE_DESCRIPTOR_TOO_DEEP", "ARCHIVE_DESCRIPTOR_MISSING"]),
        (_set("index.json", b"[" * 100_000), ["ARCHIVE_DESCRIPTOR_TOO_DEEP", "ARCHIVE_DESCRIPTOR_MISSING"]),
        (_set("index.json", b"\xff"), ["ARCHIVE_MALFORMED_JSON", "ARCHIVE_DESCRIPTOR_MISSING"]),
        (_set("index.json", b"\xef\xbb\xbf{}"), ["ARCHIVE_MALFORMED_JSON", "ARCHIVE_DESCRIPTOR_MISSING"]),
        (_set("index.json", b'{"x":NaN}'), ["ARCHIVE_MALFORMED_JSON", "ARCHIVE_DESCRIPTOR_MISSING"]),
        (_set("index.json", b'{"x":1e999}'), ["ARCHIVE_MALFORMED_JSON", "ARCHIVE_DESCRIPTOR_MISSING"]),
        (_set("index.json", b'{"x":' + b"9" * 5000 + b"}"), ["ARCHIVE_MALFORMED_JSON", "ARCHIVE_DESCRIPTOR_MISSING"]),
        (_set("index.json", b" " * 2_097_153), ["ARCHIVE_SIZE_LIMIT_EXCEEDED", "ARCHIVE_DESCRIPTOR_MISSING"]),
        (_drop("auth/config.json"), ["ARCHIVE_DESCRIPTOR_MISSING"]),
        (_drop(f"blobs/sha256/{kit.sha(kit.PAGE)}"), ["ARCHIVE_BLOB_MISSING"]),
        (_set("auth/config.json", b"{}"), ["ARCHIVE_SIZE_MISMATCH", "ARCHIVE_DIGEST_MISMATCH"]),
        (_set("run402-layout.json", b"nothing"), ["ARCHIVE_MALFORMED_JSON"]),
        (
            _set("run402-layout.json", b"{}"),
            [
                *("ARCHIVE_UNSUPPORTED_VERSION", "ARCHIVE_MEDIA_TYPE_UNSUPPORTED"),
                *["ARCHIVE_UNSUPPORTED_REQUIRED_CAPABILITY"] * 3,
            ],
        ),
    ],
)
def test_each_damage_has_its_codes(tar: Path, change: Callable[[dict[str, bytes]], None], expected: list[str]) -> None:
    assert blocking(kit.repack(tar, change)) == expected


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda i: i.update(archive_version="v2"), ["ARCHIVE_UNSUPPORTED_VERSION", "ARCHIVE_DIGEST_MISMATCH"]),
        (lambda i: i.update(schema_version="v2"), ["ARCHIVE_UNSUPPORTED_VERSION"]),
        (lambda i: i.update(mediaType="text/plain"), ["ARCHIVE_MEDIA_TYPE_UNSUPPORTED"]),
        (lambda i: i.update(identity_descriptors="all"), ["ARCHIVE_MALFORMED_JSON"]),
        (lambda i: i.update(identity_descriptors=[1]), ["ARCHIVE_MALFORMED_JSON"]),
        (lambda i: i.update(required_capabilities=None), ["ARCHIVE_MALFORMED_JSON"]),
        (lambda i: i.update(descriptors=[]), ["ARCHIVE_MALFORMED_JSON", *["ARCHIVE_DESCRIPTOR_MISSING"] * 18]),
        (
            lambda i: i["required_capabilities"].append("run402.core.other.v9"),
            ["ARCHIVE_UNSUPPORTED_REQUIRED_CAPABILITY", "ARCHIVE_DIGEST_MISMATCH"],
        ),
        (
            lambda i: i["identity_descriptors"].append("ghost"),
            ["ARCHIVE_DESCRIPTOR_MISSING", "ARCHIVE_DIGEST_MISMATCH"],
        ),
        (lambda i: i.update(archive_digest="sha256:0"), ["ARCHIVE_DIGEST_MISMATCH"]),
        (lambda i: i["descriptors"].update(x=1), ["ARCHIVE_MALFORMED_JSON"]),
        (lambda i: i["descriptors"]["export_report"].update(digest="SHA256:" + "0" * 64), ["ARCHIVE_MALFORMED_JSON"]),
        (lambda i: i["descriptors"]["export_report"].update(size=True), ["ARCHIVE_MALFORMED_JSON"]),
        (lambda i: i["descriptors"]["export_report"].update(size=-1), ["ARCHIVE_MALFORMED_JSON"]),
        (lambda i: i["descriptors"]["export_report"].update(path=None), ["ARCHIVE_MALFORMED_JSON"]),
        (lambda i: i["descriptors"]["export_report"].update(annotations={"a": 1}), ["ARCHIVE_MALFORMED_JSON"]),
        (lambda i: i["descriptors"]["export_report"].update(path="../x"), ["ARCHIVE_PATH_UNSAFE"]),
        (lambda i: i["descriptors"]["export_report"].update(path="/etc/passwd"), ["ARCHIVE_PATH_UNSAFE"]),
        (
            lambda i: i["descriptors"]["export_report"].update(mediaType="text/html"),
            ["ARCHIVE_MEDIA_TYPE_UNSUPPORTED"],
        ),
    ],
)
def test_each_fault_of_the_index_has_its_codes(
    tar: Path, change: Callable[[dict[str, Any]], None], expected: list[str]
) -> None:
    assert blocking(kit.reindex(tar, change)) == expected


def test_duplicate_keys_are_found_where_they_are(tar: Path) -> None:
    data = '{"é": {"a": "\\"}{", "b": [{"a": 1}], "\\u0061": 2}}'.encode()
    found = verify(kit.replaced(tar, "manifest/fact-set.json", data))
    assert codes(found) == ["ARCHIVE_DUPLICATE_JSON_KEY"]
    assert found.diagnostics[0]["context"] == {"key": "a", "offset": data.index(b'"\\u0061"')}


@pytest.mark.parametrize(("depth", "ok"), [(64, True), (65, False)])
def test_descriptors_may_be_64_levels_deep(tar: Path, depth: int, ok: bool) -> None:
    path = kit.replaced(tar, "manifest/fact-set.json", b"[" * depth + b"]" * depth)
    assert verify(path).ok is ok


@pytest.mark.parametrize(("size", "ok"), [(2_097_152, True), (2_097_153, False)])
def test_descriptors_may_have_two_mebibytes(tar: Path, size: int, ok: bool) -> None:
    path = kit.replaced(tar, "manifest/fact-set.json", b'"' + b"x" * (size - 2) + b'"')
    assert verify(path).ok is ok


def test_lines_of_subjects_are_json_too(tar: Path) -> None:
    assert blocking(kit.replaced(tar, "auth/subjects.ndjson", b'{"a":1}\n{"a":1,"a":2}\n')) == [
        "ARCHIVE_DUPLICATE_JSON_KEY"
    ]


@pytest.mark.parametrize(
    ("annotation", "severity"), [({}, "warning"), ({"deterministic_identity": "required"}, "blocking")]
)
def test_rows_without_an_order_are_a_warning_or_refused(tar: Path, annotation: dict[str, str], severity: str) -> None:
    tables = kit.documents()["database.tables"]
    tables["tables"][0]["deterministic_order"] = False
    path = kit.replaced(tar, "database/tables.json", json.dumps(tables).encode())
    found = verify(kit.reindex(path, lambda index: index.update(annotations=annotation)))
    assert [(d["code"], d["severity"]) for d in found.diagnostics] == [("NON_DETERMINISTIC_TABLE_ORDER", severity)]


def test_files_that_nothing_refers_to_are_allowed_and_counted(tar: Path) -> None:
    before = verify(tar).report()
    after = verify(kit.repack(tar, _set("extra/file.bin", b"12345"))).report()
    assert (after["ok"], after["archive_digest"]) == (True, before["archive_digest"])
    assert (after["file_count"], after["total_bytes"]) == (before["file_count"] + 1, before["total_bytes"] + 5)


@pytest.mark.parametrize(
    ("limits", "code"),
    [
        (Limits(files=20), "ARCHIVE_FILE_COUNT_LIMIT_EXCEEDED"),
        (Limits(total_bytes=1000), "ARCHIVE_SIZE_LIMIT_EXCEEDED"),
        (Limits(file_bytes=100), "ARCHIVE_SIZE_LIMIT_EXCEEDED"),
    ],
)
def test_each_limit_has_its_code(tmp_path: Path, limits: Limits, code: str) -> None:
    assert blocking(kit.write_tar(tmp_path / "a.tar"), limits) == [code]
    assert blocking(kit.write_directory(tmp_path / "dir"), limits) == [code]


def test_larger_archives_are_accepted_on_request(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    path.write_bytes(kit.header("big", 129 * 1024**2))
    path.touch()
    os.truncate(path, 512 + 129 * 1024**2)
    assert blocking(path) == ["ARCHIVE_SIZE_LIMIT_EXCEEDED"]
    assert blocking(path, Limits.up_to(600 * 1024**2)) == ["ARCHIVE_DESCRIPTOR_MISSING"] * 3


# -- directories --------------------------------------------------------------------------------------------------------


@posix_only
def test_links_and_devices_in_a_directory_are_refused(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("outside")
    for number, spoil in enumerate(
        (
            lambda folder: (folder / "link").symlink_to(secret),
            lambda folder: (folder / "folder").symlink_to(tmp_path),
            lambda folder: os.link(secret, folder / "hard"),
            lambda folder: os.mkfifo(folder / "pipe"),
        )
    ):
        folder = kit.write_directory(tmp_path / f"dir{number}")
        spoil(folder)
        assert blocking(folder) == ["ARCHIVE_ENTRY_TYPE_UNSUPPORTED"]
        shutil.rmtree(folder)
        secret.unlink()
        secret.write_text("outside")


@posix_only
@pytest.mark.parametrize("name", ["back\\slash", "con\x01trol", "new\nline"])
def test_unsafe_names_in_a_directory_are_refused(tmp_path: Path, name: str) -> None:
    folder = kit.write_directory(tmp_path / "dir")
    (folder / name).write_text("x")
    assert blocking(folder) == ["ARCHIVE_PATH_UNSAFE"]


@posix_only
def test_a_file_name_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    folder = kit.write_directory(tmp_path / "dir")
    (folder / os.fsdecode(b"\xff")).write_text("x")
    assert blocking(folder) == ["ARCHIVE_PATH_UNSAFE"]


@posix_only
def test_a_file_that_is_swapped_while_it_is_read_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = kit.write_directory(tmp_path / "dir")
    secret = tmp_path / "secret"
    secret.write_text("outside")
    real = Archive.chunks

    def swap(self: Archive, entry: Any) -> Any:
        if entry.path == "auth/config.json":
            (folder / entry.path).unlink()
            (folder / entry.path).symlink_to(secret)
        return real(self, entry)

    monkeypatch.setattr(Archive, "chunks", swap)
    assert blocking(folder) == ["ARCHIVE_SIZE_MISMATCH"]


@posix_only
def test_paths_that_are_no_archive(tmp_path: Path, tar: Path) -> None:
    assert blocking(tmp_path / "missing") == ["ENOENT"]
    assert blocking(tmp_path / "nul\0") == ["ENOENT"]
    assert blocking(tar / "below-a-file") == ["ENOTDIR"]
    (tmp_path / "link").symlink_to(tar)
    assert blocking(tmp_path / "link") == ["ARCHIVE_ENTRY_TYPE_UNSUPPORTED"]
    assert blocking(Path("/dev/zero")) == ["ARCHIVE_ENTRY_TYPE_UNSUPPORTED"]
    (tmp_path / "empty").write_bytes(b"")
    assert set(blocking(tmp_path / "empty")) == {"ARCHIVE_DESCRIPTOR_MISSING"}


@pytest.mark.parametrize(
    "path", ["", "/", "/a", "a/", "a//b", "./a", "a/.", "..", "../a", "a/../b", "a\\b", "a\x00b", "a\x7f", "\ud800"]
)
def test_unsafe_paths(path: str) -> None:
    assert unsafe_path(path)


@pytest.mark.parametrize("path", ["a", "a/b", "..a", "a..", ".a/b", "ä/b c", "blobs/sha256/00"])
def test_safe_paths(path: str) -> None:
    assert not unsafe_path(path)


def test_listing_reads_no_content(tmp_path: Path) -> None:
    """A file of holes lists at once: its payload is skipped, not read."""
    path = tmp_path / "a.tar"
    size = 100 * 1024**2
    path.write_bytes(kit.header("a", size))
    os.truncate(path, 512 + size)
    with path.open("ab") as handle:
        handle.write(kit.entry("b", b"x") + b"\0" * 1024)
    assert {entry.path: entry.size for entry in open_archive(path).entries.values()} == {"a": size, "b": 1}
