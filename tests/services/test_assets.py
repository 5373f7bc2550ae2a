"""Requests of the asset services, metadata values, and downloads that break off, resume and are damaged."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from pytest_httpx import HTTPXMock

from run402_cli.client import Client
from run402_cli.errors import ApiError, CommandError, NetworkError, UsageError, ValidationError
from run402_cli.file_lock import try_lock
from run402_cli.services import assets, download
from run402_cli.state.profile import Profile, current

DATA = bytes(range(256)) * 4096
SHA = hashlib.sha256(DATA).hexdigest()


@pytest.fixture
def profile(config_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Profile]:
    """The profile of a user with the keys of prj_1, talking to the given address."""

    def make(base: str) -> Profile:
        monkeypatch.setenv("RUN402_API_BASE", base)
        keys = {"version": 1, "projects": {"prj_1": {"anon_key": "anon", "service_key": "svc"}}}
        (config_dir / "credentials").mkdir(exist_ok=True)
        (config_dir / "credentials" / "project-keys.v1.json").write_text(json.dumps(keys))
        return current()

    return make


@pytest.fixture
def client(profile: Callable[[str], Profile]) -> Iterator[Client]:
    with Client(profile("http://gateway.test")) as client:
        yield client


def test_a_key_is_encoded_by_segment(client: Client, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(method="DELETE", url="http://gateway.test/storage/v1/blob/a%20b/%C3%BC%3F.txt", json={})
    assert assets.rm(client, "prj_1", "a b/ü?.txt") == {"key": "a b/ü?.txt", "project_id": "prj_1", "deleted": True}
    sent = httpx_mock.get_requests()[0]
    assert (sent.headers["apikey"], sent.headers["authorization"]) == ("svc", "Bearer svc")


@pytest.mark.parametrize("key", ["", "..", "a/../b", "./a", "a/."])
def test_a_key_that_would_lead_elsewhere_sends_nothing(client: Client, key: str) -> None:
    with pytest.raises(UsageError):
        assets.rm(client, "prj_1", key)


def test_a_diagnosis_has_every_key_and_reads_both_spellings(client: Client, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(json={"expectedSha256": "aa", "observed_sha256": "aa", "cache": {"ageSeconds": 4}})
    diagnosis = assets.diagnose(client, "prj_1", "https://x.test/_blob/a b")
    assert (diagnosis["expected_sha256"], diagnosis["observed_sha256"], assets.is_fresh(diagnosis)) == (
        "aa",
        "aa",
        True,
    )
    assert diagnosis["cache"] == {"x_cache": None, "age_seconds": 4, "cache_kind": None}
    assert diagnosis["invalidation"] == {"id": None, "status": None}
    assert (diagnosis["vantage"], diagnosis["hint"]) == ("gateway-us-east-1", "")
    assert httpx_mock.get_requests()[0].url.params["url"] == "https://x.test/_blob/a b"


@pytest.mark.parametrize(("expected", "observed"), [(None, None), ("aa", None), ("", ""), ("aa", "AA")])
def test_only_equal_digests_are_fresh(expected: str | None, observed: str | None) -> None:
    assert not assets.is_fresh({"expected_sha256": expected, "observed_sha256": observed})


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("red,blue", ["red", "blue"]),
        ("a, b", ["a", " b"]),
        ("true", True),
        ("false", False),
        ("True", "True"),
        ("12", 12),
        ("-1.5", -1.5),
        (".5", 0.5),
        ("1e5", "1e5"),
        ("", ""),
        ("a=b", "a=b"),
    ],
)
def test_metadata_values(text: str, value: Any) -> None:
    assert assets.metadata_of([("k", text)]) == {"k": value}


def test_metadata_has_a_limit_in_bytes() -> None:
    assert assets.metadata_of([("k", "x" * 4088)]) == {"k": "x" * 4088}
    with pytest.raises(ValidationError) as caught:
        assets.metadata_of([("k", "ü" * 2045)])
    assert caught.value.code == "INVALID_ASSET_METADATA"
    assert caught.value.details == {"size_bytes": 4098, "limit_bytes": 4096}


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        ("a/B.PNG", "image/png"),
        ("png", "image/png"),
        ("x.tar.gz", "application/gzip"),
        ("x", "application/octet-stream"),
    ],
)
def test_content_types_follow_the_key(key: str, kind: str) -> None:
    assert assets.content_type_of(key) == kind


class Store(ThreadingHTTPServer):
    """Serves DATA at any path; `cuts` are the numbers of bytes after which successive answers break off."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.data, self.announced = DATA, SHA
        self.cuts: list[int] = []
        self.requests: list[dict[str, str]] = []
        self.digest_header = True

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: Store

    def do_GET(self) -> None:
        self.server.requests.append({name.lower(): value for name, value in self.headers.items()})
        start = 0
        etag = f'"sha256-{self.server.announced}"'
        if (asked := self.headers.get("range")) and self.headers.get("if-range") == etag:
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
        body = self.server.data[start:]
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(self.server.data) - 1}/{len(self.server.data)}")
        self.send_header("Content-Length", str(len(body)))
        if self.server.digest_header:
            self.send_header("ETag", etag)
        self.end_headers()
        self.wfile.write(body[: self.server.cuts.pop(0)] if self.server.cuts else body)
        self.close_connection = True

    def log_message(self, *_args: Any) -> None:
        pass


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    monkeypatch.setattr(download, "_RETRY_SECONDS", (0.0, 0.0, 0.0))
    server = Store()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def fetch(store: Store, profile: Callable[[str], Profile], tmp_path: Path) -> Iterator[Callable[..., Path]]:
    """`fetch(overwrite=True)`: download to out/data.bin; the path."""
    with Client(profile(store.base)) as client:

        def call(name: str = "out/data.bin", **options: Any) -> Path:
            path = tmp_path / name
            download.download(client, "prj_1", "data.bin", str(path), **options)
            return path

        yield call


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.httpx_mock(should_mock=lambda _request: False)
class TestDownload:
    def test_it_makes_the_folder_and_leaves_only_the_file(self, store: Store, fetch: Callable[..., Path]) -> None:
        path = fetch()
        assert path.read_bytes() == DATA
        assert left(path.parent) == ["data.bin"]
        assert "range" not in store.requests[0]

    def test_a_broken_connection_is_taken_up_where_it_broke(self, store: Store, fetch: Callable[..., Path]) -> None:
        store.cuts = [300_000, 400_000]
        path = fetch()
        assert path.read_bytes() == DATA
        starts = [int(request.get("range", "bytes=0-")[6:-1]) for request in store.requests]
        assert len(starts) == 3
        assert 0 < starts[1] <= 300_000 < starts[2] <= 700_000
        assert left(path.parent) == ["data.bin"]

    def test_the_next_call_goes_on_with_what_is_there(
        self, store: Store, fetch: Callable[..., Path], tmp_path: Path
    ) -> None:
        store.cuts = [500_000, 0, 0, 0]
        with pytest.raises(NetworkError):
            fetch()
        assert not (tmp_path / "out" / "data.bin").exists()
        assert left(tmp_path / "out") == [f".data.bin.{SHA}.part"]
        store.requests.clear()
        assert fetch().read_bytes() == DATA
        assert int(store.requests[0]["range"][6:-1]) > 0
        assert left(tmp_path / "out") == ["data.bin"]

    def test_a_changed_asset_is_read_from_its_start(
        self, store: Store, fetch: Callable[..., Path], tmp_path: Path
    ) -> None:
        store.cuts = [500_000, 0, 0, 0]
        with pytest.raises(NetworkError):
            fetch()
        store.data = b"new" * 1000
        store.announced = hashlib.sha256(store.data).hexdigest()
        assert fetch().read_bytes() == store.data
        assert left(tmp_path / "out") == ["data.bin"]

    def test_damaged_bytes_leave_nothing(self, store: Store, fetch: Callable[..., Path], tmp_path: Path) -> None:
        store.data = DATA[:-1] + b"!"
        with pytest.raises(ValidationError) as caught:
            fetch()
        assert caught.value.code == "CHECKSUM_MISMATCH"
        assert left(tmp_path / "out") == []

    def test_damage_before_a_resume_is_found(self, store: Store, fetch: Callable[..., Path], tmp_path: Path) -> None:
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / f".data.bin.{SHA}.part").write_bytes(b"?" * 1000)
        with pytest.raises(ValidationError, match="damaged"):
            fetch()
        assert left(tmp_path / "out") == []
        assert fetch().read_bytes() == DATA

    @pytest.mark.parametrize("digest_header", [True, False])
    @pytest.mark.parametrize("how", ["hard link", "symbolic link", "another owner"])
    def test_bytes_are_collected_in_no_file_that_was_planted(
        self, store: Store, fetch: Callable[..., Path], tmp_path: Path, how: str, digest_header: bool
    ) -> None:
        store.digest_header = digest_header
        (tmp_path / "out").mkdir()
        precious = tmp_path / "precious.txt"
        precious.write_bytes(DATA[:1000])
        names = [f".data.bin.{SHA}.part", f".data.bin.{os.getpid()}.part"]
        for name in names:
            planted = tmp_path / "out" / name
            try:
                if how == "hard link":
                    os.link(precious, planted)
                elif how == "symbolic link":
                    planted.symlink_to(precious)
                else:
                    planted.write_bytes(DATA[:1000])
                    os.chown(planted, 12345, 12345)
            except (OSError, AttributeError):
                pytest.skip("not possible here")
        assert fetch().read_bytes() == DATA
        assert precious.read_bytes() == DATA[:1000]
        assert left(tmp_path / "out") == sorted([*names, "data.bin"])
        assert (tmp_path / "out" / names[0]).read_bytes() == DATA[:1000]

    def test_an_existing_file_is_replaced_only_when_asked(self, store: Store, fetch: Callable[..., Path]) -> None:
        path = fetch()
        path.write_bytes(b"mine")
        with pytest.raises(CommandError) as caught:
            fetch()
        assert (caught.value.code, path.read_bytes()) == ("FILE_EXISTS", b"mine")
        assert fetch(overwrite=True).read_bytes() == DATA

    def test_without_a_digest_nothing_is_kept_for_later(
        self, store: Store, fetch: Callable[..., Path], tmp_path: Path
    ) -> None:
        store.digest_header = False
        store.cuts = [300_000]
        with pytest.raises(NetworkError):
            fetch()
        assert left(tmp_path / "out") == []
        assert fetch().read_bytes() == DATA

    def test_a_directory_and_a_device_are_no_files(
        self, store: Store, fetch: Callable[..., Path], tmp_path: Path
    ) -> None:
        with pytest.raises(UsageError):
            fetch(".")
        if Path(os.devnull).is_char_device():
            fetch(os.devnull)
            assert Path(os.devnull).is_char_device()
            # A link to one may have been put there; it leads nowhere.
            (tmp_path / "null").symlink_to(os.devnull)
            with pytest.raises(CommandError, match="exists already"):
                fetch("null")

    def test_two_calls_for_one_output_do_not_share_a_partial_file(
        self, store: Store, fetch: Callable[..., Path], tmp_path: Path
    ) -> None:
        (tmp_path / "out").mkdir()
        part = tmp_path / "out" / f".data.bin.{SHA}.part"
        with part.open("w+b") as handle:
            handle.write(b"someone else's")
            handle.flush()
            assert try_lock(handle.fileno(), offset=download._LOCKED_BYTE)
            assert fetch().read_bytes() == DATA
            handle.seek(0)
            assert handle.read() == b"someone else's"


def test_an_error_answer_keeps_the_gateways_code(client: Client, httpx_mock: HTTPXMock, tmp_path: Path) -> None:
    httpx_mock.add_response(status_code=404, json={"code": "BLOB_NOT_FOUND", "message": "no such asset"})
    with pytest.raises(ApiError) as caught:
        download.download(client, "prj_1", "a.txt", str(tmp_path / "a.txt"))
    assert (caught.value.code, caught.value.http) == ("BLOB_NOT_FOUND", 404)
    assert left(tmp_path) == []


@pytest.mark.parametrize(
    ("headers", "digest"),
    [
        ({"x-run402-content-sha256": SHA}, SHA),
        ({"etag": f'"sha256-{SHA.upper()}"'}, SHA),
        (
            {"content-digest": "sha-256=:LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=:"},
            hashlib.sha256(b"hello").hexdigest(),
        ),
        ({"x-amz-checksum-sha256": "short="}, None),
        ({"etag": '"abc"'}, None),
        ({}, None),
    ],
)
def test_where_a_digest_is_announced(headers: dict[str, str], digest: str | None) -> None:
    assert download.expected_sha256(headers) == digest
