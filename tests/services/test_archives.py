"""Exports: create, wait, download, and the events on the way."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from pytest_httpx import HTTPXMock

from run402_cli.client import Client
from run402_cli.errors import ApiError, CommandError, EnvironmentFault, NetworkError, ValidationError
from run402_cli.services import archives
from run402_cli.services.archives import Export

BASE = "http://gateway.test"
ROOT = f"{BASE}/projects/v1/prj_1/archives"
BYTES = b"archive bytes"


def archive(status: str, **more: Any) -> dict[str, Any]:
    return {"archive_id": "arc_1", "operation_id": "op_1", "status": status, "byte_count": 13, **more}


@pytest.fixture
def client(config_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    monkeypatch.setenv("RUN402_API_BASE", BASE)
    with Client() as opened:
        yield opened


def spec(**more: Any) -> Export:
    return Export("prj_1", poll_interval_ms=1, **more)


def test_without_waiting_a_running_archive_is_reported_as_it_is(client: Client, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(method="POST", url=ROOT, status_code=202, json=archive("running"))
    document, ended = archives.export(client, spec(idempotency_key="k"))
    assert ended
    assert (document["ok"], document["archive_status"], document["output_path"]) == (False, "running", None)
    request = httpx_mock.get_requests()[0]
    assert request.headers["idempotency-key"] == "k"
    assert request.content == b'{"scope":"portable-runtime-v1","auth":"stubs","consistency":"pause-writes"}'


def test_waiting_ends_when_it_is_ready_and_the_file_is_saved_whole(
    client: Client, httpx_mock: HTTPXMock, tmp_path: Path
) -> None:
    ready = archive("ready", sha256=hashlib.sha256(BYTES).hexdigest())
    httpx_mock.add_response(method="POST", url=ROOT, json=archive("running"))
    for answer in (archive("running"), ready, ready):
        httpx_mock.add_response(method="GET", url=f"{ROOT}/arc_1", json=answer)
    httpx_mock.add_response(method="GET", url=f"{ROOT}/arc_1/download", content=BYTES)
    events: list[dict[str, Any]] = []
    output = tmp_path / "new" / "out.r402ar"
    document, ended = archives.export(client, spec(output=output), events.append)
    assert ended
    assert output.read_bytes() == BYTES
    assert [path.name for path in output.parent.iterdir()] == ["out.r402ar"]
    assert (document["ok"], document["bytes_written"], document["output_path"]) == (True, 13, str(output))
    assert document["verify_command"] == f'run402 archives verify "{output}" --json'
    assert [(event["event"], event["status"], event["retryable"]) for event in events] == [
        ("archive_export_created", "running", True),
        ("archive_export_status", "running", True),
        ("archive_export_status", "ready", False),
        ("archive_export_downloaded", "ready", False),
        ("archive_export_complete", "complete", False),
    ]
    assert events[-1]["result"] == document


@pytest.mark.parametrize(("before", "replaced"), [(None, False), (BYTES, False), (b"something else", True)])
def test_the_answer_says_whether_other_bytes_were_replaced(
    client: Client, httpx_mock: HTTPXMock, tmp_path: Path, before: bytes | None, replaced: bool
) -> None:
    output = tmp_path / "out.r402ar"
    if before is not None:
        output.write_bytes(before)
    httpx_mock.add_response(method="POST", url=ROOT, json=archive("ready"))
    httpx_mock.add_response(url=f"{ROOT}/arc_1", json=archive("ready"), is_reusable=True)
    httpx_mock.add_response(url=f"{ROOT}/arc_1/download", content=BYTES, is_reusable=True)
    document, _ = archives.export(client, spec(output=output, overwrite=True))
    assert (document["replaced"], output.read_bytes()) == (replaced, BYTES)
    assert archives.fetch(client, "prj_1", "arc_1", output, overwrite=True)["replaced"] is False
    with pytest.raises(CommandError) as caught:
        archives.fetch(client, "prj_1", "arc_1", output)
    assert caught.value.code == "FILE_EXISTS"


def test_a_failed_export_sends_no_complete_event(client: Client, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(method="POST", url=ROOT, json=archive("running"))
    httpx_mock.add_response(url=f"{ROOT}/arc_1", json=archive("failed", error={"code": "EXPORT_SCOPE_UNSUPPORTED"}))
    events: list[dict[str, Any]] = []
    document, ended = archives.export(client, spec(wait=True), events.append)
    assert not ended
    assert document["ok"] is False
    assert [event["code"] for event in events] == [None, "EXPORT_SCOPE_UNSUPPORTED"]


def test_waiting_stops_at_the_timeout(client: Client, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(method="POST", url=ROOT, json=archive("running"))
    httpx_mock.add_response(url=f"{ROOT}/arc_1", json=archive("running"), is_reusable=True)
    with pytest.raises(CommandError) as caught:
        archives.export(client, spec(wait=True, timeout_ms=20))
    assert caught.value.code == "ARCHIVE_WAIT_TIMEOUT"
    assert caught.value.details == {"archive_id": "arc_1", "timeout_ms": 20}


def test_bytes_of_another_digest_are_not_kept(client: Client, httpx_mock: HTTPXMock, tmp_path: Path) -> None:
    httpx_mock.add_response(content=BYTES)
    output = tmp_path / "out.r402ar"
    output.write_bytes(b"older backup")
    with pytest.raises(CommandError) as caught:
        archives.download(client, "prj_1", archive("ready", sha256="0" * 64), output)
    assert caught.value.code == "ARCHIVE_DIGEST_MISMATCH"
    assert output.read_bytes() == b"older backup"
    assert [path.name for path in tmp_path.iterdir()] == ["out.r402ar"]


def test_a_refused_or_broken_download_keeps_the_older_file(
    client: Client, httpx_mock: HTTPXMock, tmp_path: Path
) -> None:
    output = tmp_path / "out.r402ar"
    output.write_bytes(b"older backup")
    httpx_mock.add_response(status_code=402, json={"code": "PAYMENT_REQUIRED"})
    with pytest.raises(ApiError):
        archives.download(client, "prj_1", archive("ready"), output)

    class Cut(httpx.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            yield BYTES
            raise httpx.RemoteProtocolError("peer closed connection")

    httpx_mock.add_response(stream=Cut())
    with pytest.raises(NetworkError):
        archives.download(client, "prj_1", archive("ready"), output)
    assert output.read_bytes() == b"older backup"
    assert [path.name for path in tmp_path.iterdir()] == ["out.r402ar"]


def test_an_output_that_cannot_be_written_is_a_clear_error(
    client: Client, httpx_mock: HTTPXMock, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EnvironmentFault) as caught:
        archives.download(client, "prj_1", archive("ready"), tmp_path / "file" / "out.r402ar")
    assert "--output" in str(caught.value.hint)


@pytest.mark.parametrize("answer", ["null", "[]", "{}", '"x"'])
def test_a_senseless_answer_is_an_error(client: Client, httpx_mock: HTTPXMock, answer: str) -> None:
    httpx_mock.add_response(text=answer, headers={"content-type": "application/json"})
    with pytest.raises(ValidationError) as caught:
        archives.export(client, spec())
    assert caught.value.code == "INTERNAL_ERROR"
