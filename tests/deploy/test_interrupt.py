"""The real program, interrupted while the gateway does not answer."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from gateway_stub import PROJECT, Call, Reply, StubGateway

pytestmark = pytest.mark.skipif(os.name != "posix", reason="POSIX signals")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("stage", ["upload", "commit", "poll"])
def test_a_signal_ends_the_program_at_once_and_says_how_to_go_on(
    gateway: StubGateway, config_dir: Path, tmp_path: Path, stage: str, number: signal.Signals, code: int
) -> None:
    reached, release = threading.Event(), threading.Event()

    def hang(_call: Call) -> Reply:
        reached.set()
        release.wait(30)
        return Reply(hang_up=True)

    started = {"operation_id": "op_1", "status": "running"}
    if stage == "upload":
        gateway.on("PUT", "/put/.*", hang)
    elif stage == "commit":
        gateway.on("POST", "/apply/v1/plans/plan_1/commit", hang)
    else:
        gateway.on("POST", "/apply/v1/plans/plan_1/commit", Reply(200, started))
        gateway.on("GET", "/apply/v1/operations/op_1", hang)
    (config_dir / "target.json").write_text(json.dumps({"api_base": gateway.base, "target_kind": "cloud"}))
    (tmp_path / "app.json").write_text(json.dumps({"project_id": PROJECT, "site": {"replace": {"a.html": "x"}}}))
    program = subprocess.Popen(
        [sys.executable, "-m", "run402_cli", "deploy", "apply", "--manifest", "app.json"],
        cwd=tmp_path,
        env={**os.environ, "RUN402_DELEGATE_TOKEN": "dlg_1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        assert reached.wait(30)
        program.send_signal(number)
        out, err = program.communicate(timeout=20)
    finally:
        release.set()
        program.kill()
    assert (program.returncode, out) == (code, b"")
    envelope = json.loads(err.splitlines()[-1])
    again = "run402 deploy apply --manifest app.json"
    resume = f"run402 deploy resume op_1 --project {PROJECT}"
    assert envelope["code"] == "INTERRUPTED"
    assert envelope["next_actions"][0]["command"] == (resume if stage == "poll" else again)
    assert envelope["operation_id"] == "op_1"
    assert b"Traceback" not in err
