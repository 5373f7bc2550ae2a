"""One reader for points in time: the same forms and the same message for every flag, judged before any request."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from run402_cli.commands._options import instant
from run402_cli.errors import UsageError
from run402_cli.main import _guarded

FLAGS = [
    ["errors", "--since"], ["errors", "--until"], ["functions", "logs", "f", "--since"],
    ["functions", "runs", "list", "f", "--since"], ["functions", "runs", "list", "f", "--until"],
    ["functions", "runs", "logs", "fnrun_abc123", "--since"], ["jobs", "logs", "job_1", "--since"],
    ["notifications", "list", "--since"], ["grants", "create", "0x" + "1" * 40, "deploy", "--expires"],
    ["delegates", "create", "--grant", "g", "--expires"],
    ["credentials", "issue", "--kind", "anon", "--name", "n", "--expires"],
]  # fmt: skip


@pytest.mark.parametrize("words", FLAGS, ids=" ".join)
@pytest.mark.parametrize("text", ["yesterday", "2026-03-15", "2026-03-15T00:00:00", "2026-13-01T00:00:00Z", "1x", ""])
def test_what_is_no_time_is_refused_with_one_message(
    words: list[str], text: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RUN402_API_BASE", "http://127.0.0.1:9")
    monkeypatch.setenv("RUN402_PROJECT_ID", "prj_a")
    flag = words[-1]
    assert _guarded([*words[:-1], f"{flag}={text}"]) == 1
    envelope = json.loads(capsys.readouterr().err.splitlines()[-1])
    assert envelope["code"] == "BAD_USAGE"
    assert "1h" in envelope["hint"]
    assert envelope["details"]["flag"] == flag


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-03-15T00:00:00Z", "2026-03-15T00:00:00Z"),
        ("2026-03-15T00:00:00.5+02:00", "2026-03-15T00:00:00.5+02:00"),
        ("0", "1970-01-01T00:00:00.000Z"),
        (None, None),
    ],
)
def test_what_is_a_time_is_kept(text: str | None, expected: str | None) -> None:
    assert instant("--since", text) == expected


@pytest.mark.parametrize(("text", "span"), [("15m", 15 * 60), ("1h", 3600), ("2d", 172800)])
def test_a_span_counts_from_now(text: str, span: int) -> None:
    before = datetime.now(UTC)
    past, future = (instant("--x", text, ahead=ahead) for ahead in (False, True))
    after = datetime.now(UTC)
    slack = timedelta(milliseconds=1)
    assert before - slack <= datetime.fromisoformat(str(past)) + timedelta(seconds=span) <= after + slack
    assert before - slack <= datetime.fromisoformat(str(future)) - timedelta(seconds=span) <= after + slack


def test_a_number_that_is_no_date_is_refused() -> None:
    with pytest.raises(UsageError):
        instant("--since", "9" * 30)
