"""app_up: a manifest that an MCP client chose takes only those variables of the environment that the user allowed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pytest_httpx import HTTPXMock

from run402_cli.mcp._run import Content, Toolbox
from run402_cli.mcp.tools import TOOLS
from run402_cli.state import allowed_variables
from run402_cli.state.profile import base_dir

MANIFEST = {
    "spec_version": 1,
    "app": {"id": "shop"},
    "project": {"name": "shop"},
    "secrets": {"OPENAI_API_KEY": {}, "LOOK": {"source_env": "THEME"}},
    "release": {"site": {"replace": {"index.html": "hello"}}},
}


def up(**arguments: object) -> Content:
    toolbox = Toolbox(TOOLS)
    return toolbox.call(toolbox.tools["app_up"], dict(arguments))


def test_app_up_takes_only_variables_that_a_person_allowed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, httpx_mock: HTTPXMock
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "run402.json").write_text(json.dumps(MANIFEST))
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-the-user")
    monkeypatch.setenv("THEME", "dark")
    blocked = up(dir="app", manifest="run402.json", name="shop", yes=True)
    command = "run402 up app --manifest run402.json --name shop --yes --allow-env OPENAI_API_KEY --allow-env THEME"
    assert command in blocked.text
    assert "SECRET_SOURCE_APPROVAL_REQUIRED" in blocked.text
    assert "sk-of-the-user" not in blocked.text
    assert httpx_mock.get_requests() == []
    allowed_variables.allow(base_dir(), tmp_path / "app", ["OPENAI_API_KEY", "THEME"])
    assert (
        "SECRET_SOURCE_APPROVAL_REQUIRED" not in up(dir="app", manifest="run402.json", name="shop", dry_run=True).text
    )
