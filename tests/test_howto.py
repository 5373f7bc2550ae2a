"""Every shell example of docs/how-to and README.md runs against a real local gateway, in a HOME of its own.

A page is one shell session. In a block, `# prints: TEXT` after a command says what the last line of its output is.
A block that cannot run here is preceded by `<!-- not run: REASON -->`, and the page says the same to its readers.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "e2e"))

from e2e_kit import free_port  # noqa: E402

HOW_TO = sorted((ROOT / "docs" / "how-to").glob("*.md"))
PAGES = [page for page in [ROOT / "README.md", *HOW_TO] if "```sh" in page.read_text(encoding="utf-8")]
MARK = "\x1eprints"

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.xdist_group("howto"),
    pytest.mark.skipif(shutil.which("bash") is None, reason="the examples are written for a POSIX shell"),
]


@dataclass(frozen=True)
class Block:
    """A shell example: its text, and why it does not run here (None: it does)."""

    text: str
    reason: str | None


def blocks(page: Path) -> list[Block]:
    """The `sh` blocks of a page in order."""
    pattern = re.compile(r"(?:<!-- not run: ([^>]+) -->\n)?```sh\n(.*?)```", re.DOTALL)
    return [Block(found[2], found[1]) for found in pattern.finditer(page.read_text(encoding="utf-8"))]


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment of one machine: `run402` on the PATH, one gateway that the pages start and share."""
    root = tmp_path_factory.mktemp("howto")
    shim = root / "bin" / "run402"
    shim.parent.mkdir()
    run402 = f"{shlex.quote(sys.executable)} -m run402_cli"
    # The examples use the default port, which something else may have on the machine that runs the tests.
    port = f'case "$*" in "core start"*) set -- "$@" --port {free_port()};; esac'
    shim.write_text(f'#!/bin/sh\n{port}\nexec {run402} "$@"\n')
    shim.chmod(0o755)
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("RUN402_", "GITHUB_"))}
    environment = {
        **kept,
        "PATH": f"{shim.parent}{os.pathsep}{kept['PATH']}",
        "RUN402_CORE_DATA_DIR": str(root / "data"),
        "RUN402_WALLET_LABEL_SYNC": "0",
    }
    try:
        yield environment
    finally:
        subprocess.run([str(shim), "core", "reset", "--yes"], env=environment, capture_output=True, check=True)


def script(page: Path) -> str:
    """The runnable blocks of a page as one program; each promise about the output becomes a mark in it."""
    lines = ["set -euo pipefail"]
    for block in blocks(page):
        if block.reason is None:
            lines += [f"printf '{MARK}\\n'" if re.match(r"# prints: ", x) else x for x in block.text.splitlines()]
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_shell_examples_of_the_page_run(page: Path, machine: dict[str, str], tmp_path: Path) -> None:
    promised = [
        line.removeprefix("# prints: ")
        for block in blocks(page)
        if block.reason is None
        for line in block.text.splitlines()
        if line.startswith("# prints: ")
    ]
    (tmp_path / "work").mkdir()
    program = tmp_path / "page.sh"
    program.write_text(script(page), encoding="utf-8")
    environment = {**machine, "HOME": str(tmp_path), "USERPROFILE": str(tmp_path)}
    done = subprocess.run(
        ["bash", str(program)],
        stdin=subprocess.DEVNULL,
        env=environment,
        cwd=tmp_path / "work",
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    parts = done.stdout.split(MARK + "\n")[:-1]
    said = [(part.strip().splitlines() or [""])[-1].strip() for part in parts]
    assert said == promised, done.stdout


def test_most_examples_run_and_the_others_say_why_not() -> None:
    reasons = [block.reason for page in PAGES for block in blocks(page)]
    assert reasons.count(None) > 20
    assert reasons.count(None) > 2 * len([reason for reason in reasons if reason])
    assert all(reason is None or len(reason) > 10 for reason in reasons)


def test_the_manifest_that_agents_read_first_deploys(machine: dict[str, str], tmp_path: Path) -> None:
    head = (ROOT / "docs" / "llms-head.txt").read_text(encoding="utf-8")
    text = head[head.index("{", head.index("A manifest (run402.deploy.json)")) :]
    manifest = json.JSONDecoder().raw_decode(text)[0]
    function = re.search(r"^A function file: (.*?)   //", head, re.MULTILINE)
    assert function
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "index.html").write_text("<h1>my app</h1>")
    (tmp_path / "001.sql").write_text("create table items (id int primary key, title text)")
    (tmp_path / "hello.mjs").write_text(function[1])
    (tmp_path / "run402.deploy.json").write_text(json.dumps(manifest))
    steps = """
        run402 core start --use
        run402 projects provision --name read-first
        printf one | run402 secrets set KEY --stdin
        run402 up --yes --quiet > deployed.json
        run402 functions invoke hello --body '{}' --jq .body.ok
    """
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", steps],
        stdin=subprocess.DEVNULL,
        env={**machine, "HOME": str(tmp_path), "USERPROFILE": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stdout.splitlines()[-1:]) == (0, ["true"]), done.stderr[-4000:]
    assert json.loads((tmp_path / "deployed.json").read_text())["result"]["verify"]["status"] == "verified"
