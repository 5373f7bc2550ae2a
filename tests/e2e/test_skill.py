"""The first app of SKILL.md, word for word, against a real gateway; then the everyday commands that read."""

from __future__ import annotations

import hashlib
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from e2e_kit import Cli, make

from run402_cli.services.skill import source

pytestmark = pytest.mark.e2e


@pytest.fixture
def newcomer(tmp_path: Path) -> Iterator[Cli]:
    made = make(tmp_path, tmp_path / "data")
    try:
        yield made
    finally:
        made("core", "reset", "--yes")


def test_the_first_app_of_the_skill_works_as_written(newcomer: Cli) -> None:
    text = source().read_text(encoding="utf-8")
    lines = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)[0].splitlines()
    (newcomer.cwd / "run402.deploy.json").write_text(re.findall(r"```json\n(.*?)```", text, re.DOTALL)[0])
    (newcomer.cwd / "site").mkdir()
    page = newcomer.cwd / "site" / "index.html"
    page.write_text("<h1>hello</h1>")
    assert lines[0] == "run402 core start --use"
    for line in lines:
        port = ["--port", "0"] if "core start" in line else []
        newcomer.ok(*shlex.split(line)[1:], *port)

    newcomer.ok("projects", "sql", "insert into notes (text) values ('first')")
    for task in ("query, as the owner", "query, as the public API"):
        command = re.search(rf"\| {task} \| `run402 ([^`]+)` \|", text)
        assert command is not None
        assert "first" in newcomer(*shlex.split(command[1])).out
    page.write_text("<h1>broken</h1>")
    assert lines[-1] == "run402 up --yes"
    newcomer.ok(*shlex.split(lines[-1])[1:])
    find, promote = re.findall(r"`run402 ([^`]+)`", re.findall(r"\| roll back \|(.*)", text)[0])
    previous = newcomer.ok(*shlex.split(find))
    newcomer.ok(*shlex.split(promote.replace("rel_ID", previous)))
    active = newcomer.ok("deploy", "release", "active")["release"]
    digests = {path["path"]: path["content_sha256"] for path in active["site"]["paths"]}
    assert digests["index.html"] == hashlib.sha256(b"<h1>hello</h1>").hexdigest()
