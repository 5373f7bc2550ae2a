"""run402 cdn, as typed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pytest_httpx import HTTPXMock
from run_kit import BASE, Run

NEW, OLD = "ab" * 32, "cd" * 32
URL = "https://app.run402.com/_blob/a b.png?x=1"
PROBE = f"{BASE}/storage/v1/blobs/diagnose?url=https%3A%2F%2Fapp.run402.com%2F_blob%2Fa%20b.png%3Fx%3D1"


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Time passes only while the command sleeps; returns the naps."""
    naps: list[float] = []
    monkeypatch.setattr("run402_cli.services.cdn.time.sleep", naps.append)
    monkeypatch.setattr("run402_cli.services.cdn.time.monotonic", lambda: 1000 + sum(naps))
    return naps


def test_it_looks_until_the_content_is_there(run: Run, wallet: Path, httpx_mock: HTTPXMock, clock: list[float]) -> None:
    answers: list[dict[str, Any]] = [{"observed_sha256": OLD}, {"observed_sha256": None}, {}, {}, {}]
    for answer in answers:
        httpx_mock.add_response(url=PROBE, json=answer)
    httpx_mock.add_response(url=PROBE, status_code=503, json={"code": "BUSY"})
    httpx_mock.add_response(url=PROBE, json={"observedSha256": NEW.upper(), "vantage": "local"})
    assert run("cdn", "wait-fresh", URL, "--sha", NEW.upper()).json == {
        "fresh": True,
        "observedSha256": NEW,
        "attempts": 7,
        "elapsedMs": 3500,
        "vantage": "local",
    }
    assert clock == [0.1, 0.2, 0.4, 0.8, 1.0, 1.0]
    headers = httpx_mock.get_requests()[0].headers
    assert (headers["apikey"], headers["authorization"]) == ("svc_key_1", "Bearer svc_key_1")


def test_time_over_is_exit_1_with_the_document_and_the_last_failure(
    run: Run, wallet: Path, httpx_mock: HTTPXMock, clock: list[float]
) -> None:
    httpx_mock.add_response(url=PROBE, json={"observed_sha256": OLD})
    httpx_mock.add_response(url=PROBE, status_code=403, json={"code": "NOT_YOURS", "message": "no"}, is_reusable=True)
    outcome = run("cdn", "wait-fresh", URL, "--sha", NEW, "--timeout", "2")
    assert (outcome.exit, outcome.err.split(". Next: run402 ")[1][:16]) == (1, "assets diagnose ")
    result = json.loads(outcome.out)
    assert (result["fresh"], result["observedSha256"], result["elapsedMs"]) == (False, OLD, 2000)
    assert result["lastError"] == {"code": "NOT_YOURS", "message": "no"}
    assert result["attempts"] == len(httpx_mock.get_requests())


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (("--timeout", "0"), "BAD_FLAG"),
        (("a", "b"), "BAD_USAGE"),
        (("--sha", NEW), "BAD_USAGE"),
        ((URL,), "BAD_USAGE"),
        ((URL, "--sha", "abc"), "BAD_FLAG"),
        ((URL, "--sha", NEW, "--project", "prj_9"), "PROJECT_CREDENTIAL_NOT_FOUND"),
    ],
)
def test_checks_before_any_request(run: Run, wallet: Path, args: tuple[str, ...], code: str) -> None:
    assert run("cdn", "wait-fresh", *args).error["code"] == code


def test_the_project_comes_from_run402_project_first(run: Run, wallet: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUN402_PROJECT_ID", "prj_1")
    monkeypatch.setenv("RUN402_PROJECT", "prj_asset")
    assert run("cdn", "wait-fresh", URL, "--sha", NEW).error["details"]["project_id"] == "prj_asset"


def test_without_a_project_the_url_is_not_looked_at(run: Run) -> None:
    assert run("cdn", "wait-fresh").error["code"] == "PROJECT_REQUIRED"
