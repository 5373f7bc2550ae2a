"""Every Python block of docs/how-to/python-sdk.md runs, in order, as one program against a real gateway."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

E2E = Path(__file__).resolve().parent.parent / "e2e"
PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "python-sdk.md"
sys.path.insert(0, str(E2E))

from e2e_kit import Cli, free_port, make  # noqa: E402

pytestmark = pytest.mark.e2e


@pytest.fixture
def cli(tmp_path: Path) -> Iterator[Cli]:
    made = make(tmp_path, tmp_path / "data")
    try:
        made.ok("core", "start", "--use", "--port", str(free_port()))
        yield made
    finally:
        made("core", "reset", "--yes")


def test_the_examples_of_the_page_run(cli: Cli, tmp_path: Path) -> None:
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) >= 5
    for number, block in enumerate(blocks):
        program = tmp_path / f"block{number}.py"
        program.write_text(block, encoding="utf-8")
        environment = {**cli.environment(), "PYTHONPATH": os.pathsep.join(sys.path)}
        done = subprocess.run(
            [sys.executable, str(program)], env=environment, cwd=cli.cwd, capture_output=True, timeout=120, check=False
        )
        assert (done.returncode, done.stdout) == (0, b""), f"block {number}:\n{block}\n{done.stderr.decode()}"
