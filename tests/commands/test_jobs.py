"""run402 jobs, as typed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pytest_httpx import HTTPXMock, IteratorStream
from run_kit import BASE, Run

RUNS = f"{BASE}/jobs/v1/runs"
JOB = {"job_type": "demo.v1", "input": {"input_json": {"a": 1}}, "max_cost_usd_micros": 1000}


@pytest.mark.parametrize(
    ("document", "sent"),
    [
        ({**JOB, "callback_url": "https://x.test", "extra": 1}, {**JOB, "callback_url": "https://x.test"}),
        ({**JOB, "callback_url": ""}, JOB),
        ({**JOB, "input": {"input.json": {"a": 1}}}, JOB),
        ({**JOB, "input": {}}, {**JOB, "input": {"input_json": {}}}),
        ({"jobType": "demo.v1", "input": {"inputJson": {"a": 1}}, "maxCostUsdMicros": 1000}, JOB),
        ({"input": {}}, {"input": {"input_json": {}}}),
    ],
)
def test_submit_reads_both_spellings(
    run: Run, wallet: Path, httpx_mock: HTTPXMock, document: dict[str, object], sent: dict[str, object]
) -> None:
    httpx_mock.add_response(method="POST", url=RUNS, json={"job_id": "job_1"}, is_reusable=True)
    Path("job.json").write_text(json.dumps(document))
    for args, stdin in (
        (("--file", "job.json"), ""),
        (("--file", "-"), json.dumps(document)),
        (("--stdin",), json.dumps(document)),
    ):
        assert run("jobs", "submit", *args, stdin=stdin).json == {"job_id": "job_1"}
    requests = httpx_mock.get_requests()
    assert [json.loads(request.content) for request in requests] == [sent] * 3
    keys = {request.headers["idempotency-key"] for request in requests}
    assert len(keys) == 3
    assert all(key.startswith("job-") for key in keys)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("{x", "BAD_JSON"),
        ("[]", "BAD_JSON"),
        ("[" * 100_000, "BAD_JSON"),
        ('{"input": {"input_json": NaN}}', "BAD_JSON"),
        ('{"job_type": "t"}', "BAD_JSON"),
        ('{"job_type": "t", "input": 3}', "BAD_JSON"),
        ('{"job_type": "t", "input": {"json": {"a": 1}}}', "BAD_JSON"),
        ("", "BAD_USAGE"),
    ],
)
def test_submit_refuses_a_bad_document_before_sending(run: Run, wallet: Path, text: str, code: str) -> None:
    error = run("jobs", "submit", "--stdin", stdin=text).error
    assert error["code"] == code
    if code == "BAD_JSON":
        assert error["details"]["source"] == "stdin"


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (("submit",), "BAD_USAGE"),
        (("submit", "x"), "BAD_USAGE"),
        (("submit", "--stdin", "--file", "job.json"), "BAD_USAGE"),
        (("submit", "--file", "missing.json"), "FILE_NOT_FOUND"),
        (("submit", "--file", "."), "NOT_A_FILE"),
        (("get",), "BAD_USAGE"),
        (("get", "prj_1", "job_1"), "BAD_USAGE"),
        (("logs", "job_1", "--tail", "1001"), "BAD_FLAG"),
        (("logs", "job_1", "--since", "yesterday"), "BAD_USAGE"),
        (("logs", "job_1", "--since", "9" * 40), "BAD_USAGE"),
        (("purge", "job_1"), "BAD_USAGE"),
        (("artifacts", "put"), "UNKNOWN_SUBCOMMAND"),
        (("artifacts", "get", "job_1", "--output", "x"), "BAD_USAGE"),
        (("artifacts", "get", "job_1", "a", "b", "--output", "x"), "BAD_USAGE"),
        (("artifacts", "get", "job_1", "a", "--file", "b", "--output", "x"), "BAD_USAGE"),
        (("artifacts", "get", "job_1", "a"), "BAD_USAGE"),
    ],
)
def test_usage_errors_send_nothing(run: Run, wallet: Path, args: tuple[str, ...], code: str) -> None:
    assert run("jobs", *args).error["code"] == code


def test_get_logs_cancel_and_purge_call_their_routes(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(json={"job_id": "job_1"}, is_reusable=True)
    run("jobs", "get", "job/1")
    run("jobs", "logs", "job_1", "--tail", "5", "--since", "2026-03-15T01:00:00.5+01:00")
    run("jobs", "logs", "job_1", "--since", "1773532800000")
    run("jobs", "cancel", "job_1")
    run("jobs", "purge")
    assert [(r.method, r.url.raw_path.decode()) for r in httpx_mock.get_requests()] == [
        ("GET", "/jobs/v1/runs/job%2F1"),
        ("GET", "/jobs/v1/runs/job_1/logs?tail=5&since=2026-03-15T00%3A00%3A00.500Z"),
        ("GET", "/jobs/v1/runs/job_1/logs?since=2026-03-15T00%3A00%3A00.000Z"),
        ("DELETE", "/jobs/v1/runs/job_1"),
        ("DELETE", "/jobs/v1/runs"),
    ]


def test_artifacts_get_saves_the_bytes(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    headers = {"content-type": "application/json", "content-length": "6"}
    httpx_mock.add_response(
        url=f"{RUNS}/job_1/artifacts/a%20b.json", stream=IteratorStream([b"abc", b"def"]), headers=headers
    )
    target = Path("sub/dir/out.json").absolute()
    result = run("jobs", "artifacts", "get", "job_1", "a b.json", "-o", "sub/dir/out.json").json
    assert result == {
        "job_id": "job_1",
        "filename": "a b.json",
        "project_id": "prj_1",
        "output": str(target),
        "replaced": False,
        "content_type": "application/json",
        "size_bytes": 6,
    }
    assert target.read_bytes() == b"abcdef"


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [(200, b"", "EMPTY_BODY"), (404, b'{"code": "JOB_NOT_COMPLETED", "message": "no"}', "JOB_NOT_COMPLETED")],
)
def test_a_failed_artifact_leaves_the_old_file_and_nothing_else(
    run: Run, wallet: Path, httpx_mock: HTTPXMock, status: int, body: bytes, code: str
) -> None:
    Path("out.json").write_bytes(b"old")
    httpx_mock.add_response(status_code=status, content=body, headers={"content-type": "application/json"})
    args = ("artifacts", "get", "job_1", "--file", "a", "--output", "out.json", "--overwrite")
    assert run("jobs", *args).error["code"] == code
    assert [path.name for path in Path().iterdir()] == ["out.json"]
    assert Path("out.json").read_bytes() == b"old"


def test_an_artifact_that_breaks_off_leaves_no_file(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    import httpx

    def broken() -> object:
        yield b"half"
        raise httpx.ReadError("connection reset")

    httpx_mock.add_response(stream=IteratorStream(broken()))  # type: ignore[arg-type]
    error = run("jobs", "artifacts", "get", "job_1", "a", "--output", "out.json").error
    assert error["code"] == "NETWORK_ERROR"
    assert list(Path().iterdir()) == []
