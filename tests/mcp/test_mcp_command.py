"""`run402 mcp`: how it starts, refuses to start, and ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from run402_cli.main import _guarded


def test_without_its_extra_it_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "run402_cli.mcp.server", None)
    assert _guarded(["mcp"]) == 1
    out, err = capfd.readouterr()
    envelope = json.loads(err)
    assert out == ""
    assert envelope["code"] == "MCP_DEPENDENCIES_MISSING"
    assert "run402[mcp]" in envelope["hint"]


def test_its_modules_are_not_imported_by_other_commands() -> None:
    check = (
        "import sys; from run402_cli.main import _guarded; _guarded(['wallets', 'list']); "
        "print([name for name in sys.modules if name.split('.')[0] in ('mcp', 'mcp_types', 'jsonschema')])"
    )
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signals to send")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_server_although_it_waits_for_input(tmp_path: Path, number: signal.Signals) -> None:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RUN402_")}
    server = subprocess.Popen(
        [sys.executable, "-m", "run402_cli", "mcp"],
        env={**kept, "RUN402_CONFIG_DIR": str(tmp_path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert server.stdin is not None
    assert server.stdout is not None
    hello = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}
    try:
        message = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello}
        server.stdin.write(json.dumps(message).encode() + b"\n")
        server.stdin.flush()
        assert json.loads(server.stdout.readline())["id"] == 1
        server.send_signal(number)
        assert server.wait(30) == -number
    finally:
        server.kill()
        server.wait()
        server.stdin.close()
        server.stdout.close()
