"""The checker of the recorded cases, in this process: it loads and makes its certificates once for all areas."""

from __future__ import annotations

import atexit
import contextlib
import functools
import importlib
import io
import json
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import forked_kit

from run402_cli import curve

FOLDER = Path(__file__).resolve().parents[3] / "shared" / "conformance"
CLI = "run402"


def report(*arguments: str) -> dict[str, Any]:
    """What `check.py --json ARGUMENTS` prints about this code's commands."""
    out = io.StringIO()
    words = ["check.py", "--cli", CLI, "--json", "-j", "2", *arguments]
    with mock.patch.object(sys, "argv", words), contextlib.redirect_stdout(out):
        _checker().main()
    told = json.loads(out.getvalue())
    assert isinstance(told, dict)
    return told


class _Command:
    """What subprocess.Popen gives the checker, of a command that is forked (forked_kit.py)."""

    returncode: int

    def __init__(self, words: list[str], *, cwd: str, env: dict[str, str], stdin: int, umask: int, **more: Any) -> None:
        pipe = subprocess.PIPE
        assert (words[0], more) == (CLI, {"start_new_session": True, "stdout": pipe, "stderr": pipe})
        assert stdin in (pipe, subprocess.DEVNULL)
        self.run = functools.partial(forked_kit.run, words[1:], env=env, cwd=Path(cwd), umask=umask)

    def communicate(self, data: bytes | None, timeout: float) -> tuple[bytes, bytes]:
        try:
            done = self.run(data=data, timeout=timeout)
        except subprocess.TimeoutExpired as exc:
            raise AssertionError(f"ended after {timeout} seconds") from exc  # a failure without more questions
        self.returncode = done.returncode
        return done.stdout, done.stderr


@functools.cache
def _checker() -> Any:
    with mock.patch.object(sys, "path", [str(FOLDER), *sys.path]), mock.patch.object(sys, "dont_write_bytecode", True):
        check, stub = importlib.import_module("check"), importlib.import_module("stub_gateway")

    def address(digest: bytes, signature: bytes) -> str:
        # The checker's own curve takes a quarter of its time; test_curve compares ours with that of others.
        odd = (signature[64] - 27 if signature[64] >= 27 else signature[64]) & 1
        return "0x" + stub.keccak256(curve.recover(digest, signature[:64], odd))[-20:].hex()

    stub.recover_address = address
    check.subprocess = SimpleNamespace(**{**vars(subprocess), "Popen": _Command})
    atexit.register(shutil.rmtree, stub.Mint.shared().dir, ignore_errors=True)
    return check
