"""One command as a whole process: its time, its memory, what it printed."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple


class Measured(NamedTuple):
    """Wall seconds, peak resident bytes, stdout."""

    seconds: float
    peak: int
    out: bytes


def run(command: list[str], env: dict[str, str] | None = None, cwd: Path | None = None) -> Measured:
    """The figures of a command that must succeed."""
    with tempfile.TemporaryFile() as errors:
        begin = time.perf_counter()
        process = subprocess.Popen(command, env=env, cwd=cwd, stdout=subprocess.PIPE, stderr=errors)
        assert process.stdout is not None
        out = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - begin
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            errors.seek(0)
            sys.exit(f"{' '.join(command[:4])} ... failed: {errors.read().decode(errors='replace')}")
    # Linux counts kibibytes, macOS bytes.
    return Measured(seconds, usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024), out)
