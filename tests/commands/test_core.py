"""`core`: what reaches the process functions, and how their failures are printed (the daemon: tests/core/test_process.py)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from run402_cli.core.daemon import launcher as process
from run402_cli.core.errors import CoreProcessError
from run402_cli.main import _guarded
from run402_cli.services import installation

STATE = {
    "url": "http://127.0.0.1:4020",
    "port": 4020,
    "data_dir": "/srv/core",
    "running": True,
    "healthy": True,
    "already_running": False,
}


def run(capsys: pytest.CaptureFixture[str], *args: str) -> tuple[int, str, str]:
    capsys.readouterr()
    code = _guarded(["core", *args])
    return code, *capsys.readouterr()


def envelope(err: str) -> dict[str, Any]:
    return dict(json.loads(err.splitlines()[-1]))


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[process.StartOptions]:
    """The options of each start; nothing is started."""
    seen: list[process.StartOptions] = []

    def start(options: process.StartOptions) -> dict[str, Any]:
        seen.append(options)
        return dict(STATE)

    def foreground(options: process.StartOptions, on_ready: Any) -> None:
        on_ready(start(options))

    monkeypatch.setattr(process, "start", start)
    monkeypatch.setattr(process, "run_foreground", foreground)
    return seen


def test_start_prints_the_gateway_and_takes_its_options(
    started: list[process.StartOptions], capsys: pytest.CaptureFixture[str]
) -> None:
    url = "postgresql://bob:s3cret@h/x"
    code, out, err = run(
        capsys, "start", "--port", "4444", "--data-dir=d", "--database-url", url, "--statement-timeout", "5"
    )
    shown = json.loads(out)
    assert (code, {key: shown[key] for key in STATE}) == (0, STATE)
    assert started == [process.StartOptions(port=4444, data_dir=Path("d"), database_url=url, statement_seconds=5)]
    assert "s3cret" not in out + err


@pytest.mark.parametrize("mode", [[], ["--foreground"]], ids=["background", "foreground"])
def test_start_use_points_the_wallet_at_the_gateway(
    mode: list[str], started: list[process.StartOptions], config_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, out, _ = run(capsys, "start", "--use", *mode)
    document = json.loads(out)
    saved = json.loads((config_dir / "target.json").read_text())
    assert document["url"] == document["use"]["api_base"] == saved["api_base"] == STATE["url"]
    assert (saved["target_kind"], saved["health_status"]) == ("core", "ok")
    assert Path(saved["data_dir"]) == Path(str(STATE["data_dir"]))


def test_without_use_the_wallet_stays_where_it_points(
    started: list[process.StartOptions], config_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(capsys, "start")
    assert not (config_dir / "target.json").exists()


@pytest.mark.parametrize(
    ("target", "named", "told"),
    [
        ("http://127.0.0.1:4555", None, "http://127.0.0.1:4555"),
        (None, None, "https://api.run402.com"),
        (STATE["url"], None, None),
        ("http://127.0.0.1:4555", "http://127.0.0.1:4556", None),  # nothing that could be saved would change that
    ],
)
def test_start_says_when_requests_go_to_another_gateway(
    target: str | None,
    named: str | None,
    told: str | None,
    started: list[process.StartOptions],
    config_dir: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.delenv("RUN402_API_BASE", raising=False)
    if named:
        monkeypatch.setenv("RUN402_API_BASE", named)
    if target:
        (config_dir / "target.json").write_text(json.dumps({"api_base": target, "target_kind": "core"}))
    shown = json.loads(run(capsys, "start", "--data-dir", "d")[1])
    commands = [action["command"] for action in shown.get("next_actions", [])]
    assert shown.get("target", {}).get("api_base") == told
    assert commands == (["run402 core start --use --data-dir d"] if told else [])


@pytest.mark.parametrize(
    ("options", "state", "commands"),
    [
        (
            {"port": 4555},
            {"require_payment": True},
            [
                "run402 core start --use",
                "run402 core stop",
                "run402 core start --port 4555 --require-payment",
            ],
        ),
        (
            {"require_payment": True, "data_dir": Path("d")},
            {"database": "external"},
            [
                "run402 core stop --data-dir d",
                "run402 core start --data-dir d --database-url <url> --require-payment",
            ],
        ),
        (
            {"statement_seconds": 60},
            {"open": True, "statement_timeout_seconds": 30},
            ["run402 core stop", "run402 core start --open --statement-timeout 60"],
        ),
        (
            {"open": True},
            {"statement_timeout_seconds": 5},
            ["run402 core stop", "run402 core start --open --statement-timeout 5"],
        ),
    ],
)
def test_a_start_again_keeps_what_the_running_gateway_has(
    options: dict[str, Any], state: dict[str, Any], commands: list[str]
) -> None:
    with pytest.raises(CoreProcessError) as caught:
        process._check_as_asked(process.StartOptions(**options), {**STATE, **state})
    assert [action["command"] for action in caught.value.next_actions] == commands


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (["start", "--port", "http"], "BAD_FLAG"),
        (["start", "--port", "65536"], "BAD_FLAG"),
        (["start", "--statement-timeout", "0"], "BAD_FLAG"),
        (["start", "--statement-timeout", "301"], "BAD_FLAG"),
        (["start", "here"], "BAD_USAGE"),
        (["logs", "--lines", "0"], "BAD_FLAG"),
        (["reset"], "CONFIRMATION_REQUIRED"),
        (["restart"], "UNKNOWN_SUBCOMMAND"),
    ],
    ids=str,
)
def test_wrong_arguments_start_and_delete_nothing(
    args: list[str], code: str, started: list[process.StartOptions], capsys: pytest.CaptureFixture[str]
) -> None:
    exit_code, out, err = run(capsys, *args)
    assert (exit_code, out, envelope(err)["code"], started) == (1, "", code, [])


def test_a_failure_of_the_process_keeps_code_hint_details_and_next_actions(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    action = {"type": "run_command", "command": "run402 core start --port 4021"}

    def busy(_options: process.StartOptions) -> dict[str, Any]:
        raise CoreProcessError("CORE_PORT_IN_USE", "busy", hint="h", details={"port": 4020}, next_actions=[action])

    monkeypatch.setattr(process, "start", busy)
    code, out, err = run(capsys, "start")
    found = envelope(err)
    assert (code, out, found["code"], found["hint"], found["details"]) == (
        1,
        "",
        "CORE_PORT_IN_USE",
        "h",
        {"port": 4020},
    )
    assert found["next_actions"] == [action]


def test_the_password_of_a_database_url_is_taken_out_of_errors(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    url = "postgresql://bob:s3%20cr@h/x"

    def refused(_options: process.StartOptions) -> dict[str, Any]:
        raise CoreProcessError("CORE_DATABASE_UNUSABLE", f"no: {url}", details={"log": ["s3 cr was wrong", "s3%20cr"]})

    monkeypatch.setattr(process, "start", refused)
    _, _, err = run(capsys, "start", "--database-url", url)
    assert "s3" not in err
    assert envelope(err)["details"] == {"log": ["*** was wrong", "***"]}


def test_a_missing_extra_names_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(process, "LIBRARIES", (*process.LIBRARIES, "no_such_library"))
    _, _, err = run(capsys, "start")
    found = envelope(err)
    assert (found["code"], found["details"]) == ("CORE_DEPENDENCIES_MISSING", {"missing": ["no_such_library"]})
    assert [action["argv"] for action in found["next_actions"]] == [installation.add_extra("core")]
    assert found["next_actions"][0]["command"] in found["hint"]


def test_status_stop_and_reset_of_an_unused_directory_are_harmless(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    unused = str(tmp_path / "unused")
    assert json.loads(run(capsys, "status", "--data-dir", unused)[1])["running"] is False
    assert json.loads(run(capsys, "stop", "--data-dir", unused)[1])["was_running"] is False
    assert json.loads(run(capsys, "reset", "--yes", "--data-dir", unused)[1])["deleted"] == []
    assert envelope(run(capsys, "logs", "--data-dir", unused)[2])["code"] == "CORE_NOT_RUNNING"


def test_reset_leaves_a_directory_alone_that_no_gateway_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    code, _, err = run(capsys, "reset", "--yes", "--data-dir", str(tmp_path))
    assert (code, envelope(err)["code"]) == (1, "CORE_DATA_DIR_INVALID")
    assert (tmp_path / "thesis.tex").read_text() == "years of work"
