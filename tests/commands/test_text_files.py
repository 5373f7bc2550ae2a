"""Every text that somebody wrote is UTF-8 with or without a mark, or refused with its place."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pytest_httpx import HTTPXMock
from run_kit import Run

from run402_cli.errors import CommandError
from run402_cli.services import dev

LATIN = "select 1;\ninsert into l values ('caf\xe9');\n".encode("latin-1")
FILES = {"latin": LATIN, "utf-16": "select 1".encode("utf-16"), "cut": "caf\xe9".encode()[:-1]}


def manifest(**database: object) -> str:
    return json.dumps({"database": database})


@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize(
    "command",
    [
        ("deploy", "apply", "--manifest", "m.json"),
        ("deploy", "apply", "--manifest", "x.sql"),
        ("projects", "sql", "--file", "x.sql"),
        ("projects", "sql", "select $1", "--params-file", "x.sql"),
        ("projects", "rest", "items", "--method", "POST", "--body-file", "x.sql"),
        ("projects", "apply-expose", "--file", "x.sql"),
        ("functions", "invoke", "f", "--body-file", "x.sql"),
    ],
    ids=" ".join,
)
def test_what_is_no_utf8_is_refused_with_its_place(
    run: Run, wallet: Path, httpx_mock: HTTPXMock, command: tuple[str, ...], kind: str
) -> None:
    Path("x.sql").write_bytes(FILES[kind])
    Path("m.json").write_text(manifest(migrations=[{"id": "1", "sql_path": "x.sql"}]))
    error = run(*command).error
    assert (error["code"], error["details"]["path"]) == ("BAD_FILE", "x.sql")
    place = {"latin": (36, 2), "utf-16": (0, 1), "cut": (3, 1)}[kind]
    assert (error["details"]["byte"], error["details"]["line"]) == place
    assert ("iconv -f UTF-16" if kind == "utf-16" else "iconv -f ISO-8859-1") in error["hint"]
    assert httpx_mock.get_requests() == []


def test_an_env_file_that_is_no_utf8_is_refused(tmp_path: Path) -> None:
    (tmp_path / ".env.local").write_bytes(b"NAME=caf\xe9")
    with pytest.raises(CommandError, match=r"\.env\.local.*not UTF-8"):
        dev.with_env_file({}, tmp_path / ".env.local")


@pytest.mark.parametrize("command", [("deploy", "apply", "--spec"), ("projects", "apply-expose")])
def test_a_manifest_with_a_key_twice_is_refused(
    run: Run, wallet: Path, httpx_mock: HTTPXMock, command: tuple[str, ...]
) -> None:
    error = run(*command, '{"site": {"replace": {"a": "1"}},\n "site": {"replace": {}}}').error
    assert "'site' occurs twice in one object: again in line 2 column 2" in error["message"]
    assert httpx_mock.get_requests() == []


def test_a_manifest_on_stdin_that_is_no_utf8_is_refused(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    error = run("deploy", "apply", "--manifest", "-", stdin=b'{"site": {"replace": {"a.txt": "caf\xe9"}}}').error
    assert (error["code"], error["details"]["byte"]) == ("BAD_FILE", 35)
