"""What stderr shows of a deploy: NDJSON for programs, a display for people at a terminal."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from gateway_stub import PROJECT, Call, Reply, StubGateway

MODULES = """
import atexit
import sys
from pathlib import Path
from run402_cli.main import main
atexit.register(lambda: Path("modules.txt").write_text("\\n".join(sys.modules)))
main()
"""


@pytest.fixture
def app(gateway: StubGateway, config_dir: Path, tmp_path: Path) -> dict[str, Any]:
    """Arguments that run `deploy apply` of two files against the stub."""
    (config_dir / "target.json").write_text(json.dumps({"api_base": gateway.base, "target_kind": "cloud"}))
    files = {"a.html": "x" * 1000, "b.html": "y" * 500}
    (tmp_path / "app.json").write_text(json.dumps({"project_id": PROJECT, "site": {"replace": files}}))
    return {
        "args": [sys.executable, "-c", MODULES, "deploy", "apply", "--manifest", "app.json"],
        "cwd": tmp_path,
        "env": {**os.environ, "RUN402_DELEGATE_TOKEN": "dlg_1", "TERM": "xterm", "COLUMNS": "100"},
        "stdin": subprocess.DEVNULL,
        "stdout": subprocess.PIPE,
    }


def on_a_terminal(
    app: dict[str, Any], started: Callable[[subprocess.Popen[bytes]], None] = lambda _process: None
) -> tuple[int, bytes, str]:
    """Exit code, stdout and what a terminal received on stderr."""
    pty = pytest.importorskip("pty")
    ours, theirs = pty.openpty()
    process = subprocess.Popen(**app, stderr=theirs)
    started(process)
    os.close(theirs)
    seen = b""
    while True:
        try:
            data = os.read(ours, 65536)
        except OSError:  # Linux reports the end of a terminal like this
            break
        if not data:
            break
        seen += data
    os.close(ours)
    assert process.stdout is not None
    out = process.stdout.read()
    return process.wait(), out, seen.decode()


def test_programs_get_lines_of_json_and_no_rich(app: dict[str, Any], tmp_path: Path) -> None:
    done = subprocess.run(**app, stderr=subprocess.PIPE, check=True)
    events = [json.loads(line) for line in done.stderr.splitlines()]
    assert events[0] == {"type": "plan.started"}
    assert events[-1]["type"] == "ready"
    modules = (tmp_path / "modules.txt").read_text().split()
    assert "run402_cli.output" in modules
    assert not [name for name in modules if name.split(".")[0] == "rich"]


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX terminals")
def test_a_terminal_shows_phases_files_and_bytes(app: dict[str, Any]) -> None:
    code, out, seen = on_a_terminal(app)
    assert (code, json.loads(out)["release_id"]) == (0, "rel_1")
    for text in ("Plan: changed", "Upload: 2 files", "2 of 2 files", "1.5/1.5 KiB", "Commit", "Live: rel_1 http://x"):
        assert text in seen
    assert '"type"' not in seen
    assert seen.rindex("\x1b[?25h") > seen.rindex("\x1b[?25l"), "the cursor is visible again"


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX terminals")
def test_an_error_on_a_terminal_is_the_last_line_after_the_display(app: dict[str, Any], gateway: StubGateway) -> None:
    gateway.on("POST", "/apply/v1/plans/plan_1/commit", Reply(422, {"code": "X", "message": "no\x1b[2Jway"}))
    code, out, seen = on_a_terminal(app)
    assert (code, out) == (1, b"")
    last = seen.splitlines()[-1]
    assert json.loads(last[last.index("{") :])["code"] == "X"
    assert "\x1b[2J" not in seen
    assert seen.rindex("\x1b[?25h") > seen.rindex("\x1b[?25l")


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX terminals")
def test_two_interrupts_on_a_terminal_give_it_back_with_one_error(app: dict[str, Any], gateway: StubGateway) -> None:
    released = threading.Event()
    processes: list[subprocess.Popen[bytes]] = []

    def stop(_call: Call) -> Reply:
        # Two uploads run at a time, so this happens twice.
        processes[0].send_signal(signal.SIGINT)
        released.wait(20)
        return Reply(hang_up=True)

    gateway.on("PUT", "/put/.*", stop)
    code, out, seen = on_a_terminal(app, processes.append)
    released.set()
    assert (code, out) == (130, b""), seen
    last = seen.splitlines()[-1]
    assert json.loads(last[last.index("{") :])["operation_id"] == "op_1"
    assert seen.rindex("\x1b[?25h") > seen.rindex("\x1b[?25l")


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX terminals")
@pytest.mark.parametrize("flag", ["--quiet", "--final-only"])
def test_quiet_draws_nothing(app: dict[str, Any], flag: str) -> None:
    app["args"].append(flag)
    assert on_a_terminal(app)[2] == ""


def drawn(*events: dict[str, Any]) -> str:
    from run402_cli.progress import Display

    stream = io.StringIO()
    display = Display(stream)
    assert all(display.show(event) for event in events)
    display.close()
    return stream.getvalue()


def test_texts_of_the_gateway_cannot_control_the_terminal() -> None:
    evil = "\x1b]0;owned\x07\r\n[red]x[/red]"
    text = drawn(
        {"type": "plan.started"},
        {"type": "plan.diff", "diff": {"summary": evil}},
        {"type": "plan.warnings", "warnings": [{"code": evil, "message": evil}]},
        {"type": "commit.phase", "phase": evil, "status": "started"},
        {"type": "commit.phase.detail", "phase": evil, "status": "done", "message": evil},
        {"type": "log", "resource": evil, "line": evil},
        {"type": "ready", "releaseId": evil, "urls": {"site": evil}},
    )
    assert "\x1b]0" not in text
    assert "\x07" not in text
    assert "[red]x[/red]" in text


def test_odd_events_are_drawn_without_failing() -> None:
    text = drawn(
        {"type": "plan.diff", "diff": None},
        {"type": "plan.warnings", "warnings": ["?"]},
        {"type": "deploy.retry", "code": "BUSY", "message": "later.", "nextAttempt": 2, "maxAttempts": 3},
        {"type": "commit.phase", "phase": "migrate", "status": "failed"},
        {"type": "content.upload.skipped"},
        {"type": "content.upload.progress", "done": 1, "total": 1},
        {"type": "action.step", "step": None},
        {"type": "ready", "urls": None},
    )
    assert "BUSY: later. Attempt 2 of 3" in text
    assert "Migrate: failed" in text
    assert "Upload: 1 files, 1 already there" in text


def test_stored_files_that_one_event_tells_of_are_all_counted() -> None:
    text = drawn(
        {"type": "content.upload.skipped", "count": 7}, {"type": "content.upload.progress", "done": 1, "total": 1}
    )
    assert "Upload: 1 files, 7 already there" in text


def test_an_unknown_event_is_left_to_the_caller() -> None:
    from run402_cli.progress import Display

    display = Display(io.StringIO())
    assert display.show({"type": "deploy.verify.poll"}) is False
    display.close()
